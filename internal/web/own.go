package web

import (
	"net/http"
	"net/url"
	"strings"
)

// own keeps the pages of other sites away from the APIs: what they cannot read here still
// takes time and memory, and some of it changes something. Who is no browser sends neither
// header, and the page's own requests are of the same origin.
func own(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if foreign(r) {
			http.Error(w, "a page of another site may not ask this", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// foreign tells whether a page of another origin made a browser send r. Another port of this
// machine is the same site, but another origin: anything may listen there.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // none is what a user typed, or has as a bookmark
		return false
	case "": // a browser that is too old for it, or asked in plain text over the network; or no browser
	default:
		return true
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}
