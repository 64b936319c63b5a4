package crawl

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// api is a server of events that can be asked in many ways, and can behave badly.
type api struct {
	mu     sync.Mutex
	events []event
	asked  []string // queries, in their order
	change func(page []event, r *http.Request) []event
	status func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	size   int                                               // of a page; 0: all
	paging string                                            // link, url, token, offset, number
	newest bool                                              // first
	server func() time.Time                                  // its clock; nil: none is told
}

type event struct {
	ID   int       `json:"id"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// at returns events with these numbers, one second apart.
func at(numbers ...int) (all []event) {
	for _, n := range numbers {
		all = append(all, event{n, day.Add(time.Duration(n) * time.Second), strconv.Itoa(n)})
	}
	return all
}

// day is when the fake time of synctest begins.
var day = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func numbers(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func texts(numbers ...int) (all []string) {
	for _, n := range numbers {
		all = append(all, strconv.Itoa(n))
	}
	return all
}

// times returns how often it was asked.
func (a *api) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := r.URL.Query()
	a.asked = append(a.asked, r.URL.RawQuery)
	if a.server != nil {
		w.Header().Set("Date", a.server().UTC().Format(http.TimeFormat))
	}
	if a.status != nil && a.status(w, r) {
		return
	}
	var found []event
	for _, e := range a.events {
		if since, err := time.Parse(time.RFC3339, q.Get("since")); err == nil && e.At.Before(since) {
			continue
		}
		if until, err := time.Parse(time.RFC3339, q.Get("until")); err == nil && !e.At.Before(until) {
			continue
		}
		if after, err := strconv.Atoi(q.Get("after")); err == nil && e.ID <= after {
			continue
		}
		found = append(found, e)
	}
	if a.newest {
		slices.Reverse(found)
	}
	from := 0
	for _, name := range []string{"token", "offset"} {
		if n, err := strconv.Atoi(q.Get(name)); err == nil {
			from = n
		}
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && a.paging == "number" {
		from = (n - 1) * a.size
	}
	page, next := found[min(from, len(found)):], ""
	if a.size > 0 && len(page) > a.size {
		page, next = page[:a.size], strconv.Itoa(from+a.size)
	}
	if a.change != nil {
		page = a.change(slices.Clone(page), r)
	}
	body := map[string]any{"data": page}
	if len(page) == 0 {
		body["data"] = []event{}
	}
	if next != "" {
		u := *r.URL
		q.Set("token", next)
		u.RawQuery = q.Encode()
		switch a.paging {
		case "link":
			w.Header().Set("Link", `<`+u.String()+`>; rel="next", </last>; rel="last"`)
		case "url":
			body["meta"] = map[string]any{"next": u.String()}
		case "token":
			body["meta"] = map[string]any{"next": next}
		}
	}
	_ = json.NewEncoder(w).Encode(body)
}

// standard are the settings for it.
func standard(change func(*Stream)) Config {
	return testConfig(func(s *Stream) {
		s.URL, s.Query = "https://api.acme.test/events", map[string]string{"since": "{{.Since | rfc3339}}"}
		s.Records, s.Time, s.ID, s.Message, s.Start = "data", "at", "id", "text", "beginning"
		if change != nil {
			change(s)
		}
	})
}
