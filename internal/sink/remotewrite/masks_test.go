package remotewrite

import (
	"net/http"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver/delivertest"
)

// TestMasks has receivers that repeat what they were told.
func TestMasks(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"bearer": func(c *Config) { c.BearerToken = delivertest.Secret },
		"long":   func(c *Config) { c.BearerToken = config.Secret(strings.Repeat(delivertest.Secret, 500)) },
		"basic":  func(c *Config) { c.BasicAuth = BasicAuth{"weir", delivertest.Secret} },
		"header": func(c *Config) { c.Headers = map[string]config.Secret{"X-Api-Key": delivertest.Secret} },
	} {
		w := newWorld(t, 1, 1)
		change(&w.config)
		for _, code := range []int{302, 429, 500, 503, 401} {
			w.receiver.next(func(rw http.ResponseWriter, r *http.Request) bool {
				http.Error(rw, delivertest.Said(r.Header), code)
				return false
			})
		}
		// Something that is no HTTP, which net/http shows.
		w.receiver.next(func(rw http.ResponseWriter, r *http.Request) bool {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				t.Error(err)
				return false
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(strings.TrimSpace(delivertest.Said(r.Header)) + "\r\n\r\n"))
			return false
		})
		w.run()
		w.past.round()
		w.run()
		for _, told := range w.book.told {
			delivertest.Hidden(t, name, told)
		}
		if len(w.book.told) != 6 {
			t.Errorf("%s: %q", name, w.book.told)
		}
	}
}
