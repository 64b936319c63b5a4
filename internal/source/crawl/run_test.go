package crawl

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/record"
)

func TestPages(t *testing.T) {
	for _, by := range []Paging{"none", "link", "url", "token", "offset", "number"} {
		for _, newest := range []bool{false, true} {
			t.Run(fmt.Sprint(by, newest), func(t *testing.T) {
				a := &api{events: at(numbers(1, 25)...), size: 10, paging: string(by), newest: newest}
				if by == "none" {
					a.size = 0
				}
				w := newWorld(t)
				w.api = a.serve
				c := standard(func(s *Stream) {
					s.Pages.By = by
					switch by {
					case "url":
						s.Pages.Token = "meta.next"
					case "token":
						s.Pages.Token, s.Pages.Param = "meta.next", "token"
					}
				})
				w.once(c)
				want := texts(numbers(1, 25)...)
				if newest {
					slices.Reverse(want)
				}
				w.expect(want...)
				a.events = append(a.events, at(numbers(26, 40)...)...)
				w.once(c)
				more := texts(numbers(26, 40)...)
				if newest {
					slices.Reverse(more)
				}
				w.expect(append(want, more...)...)
				if w.problem() != "" {
					t.Error(w.problem())
				}
			})
		}
	}
}

// TestRepeatsAndReorders has an API that mixes up its records, and gives some twice.
func TestRepeatsAndReorders(t *testing.T) {
	a := &api{events: at(numbers(1, 20)...), size: 5, paging: "link"}
	a.change = func(page []event, _ *http.Request) []event {
		slices.Reverse(page)
		return append(page, page...)
	}
	w := newWorld(t)
	w.api = a.serve
	w.once(standard(func(s *Stream) { s.Pages.By = "link" }))
	got := slices.Sorted(slices.Values(w.got["acme/events"]))
	if want := slices.Sorted(slices.Values(texts(numbers(1, 20)...))); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if n := w.skipped("duplicate"); n != "20" {
		t.Errorf("%s duplicates", n)
	}
}

// TestEmptyPage has an API one page of which is empty, though there are more.
func TestEmptyPage(t *testing.T) {
	for _, by := range []Paging{"link", "token", "offset", "number"} {
		a := &api{events: at(numbers(1, 15)...), size: 5, paging: string(by)}
		n := 0
		a.change = func(page []event, _ *http.Request) []event {
			if n++; n == 2 {
				return nil
			}
			return page
		}
		w := newWorld(t)
		w.api = a.serve
		w.once(standard(func(s *Stream) {
			s.Pages.By = by
			if by == "token" {
				s.Pages.Token, s.Pages.Param = "meta.next", "token"
			}
		}))
		want := texts(1, 2, 3, 4, 5, 11, 12, 13, 14, 15)
		if by == "offset" { // it asks for the same place again
			want = texts(numbers(1, 15)...)
		}
		t.Run(string(by), func(t *testing.T) { w.t = t; w.expect(want...) })
	}
}

func TestEqualTimes(t *testing.T) {
	a := &api{events: at(1, 2, 3)}
	for i := range a.events {
		a.events[i].At = day
	}
	w := newWorld(t)
	w.api = a.serve
	w.once(standard(nil))
	four := event{4, day, "4"}
	a.events = append(a.events, four)
	w.once(standard(nil))
	w.once(standard(nil))
	w.expect("1", "2", "3", "4")
	if n := w.skipped("duplicate"); n != "7" {
		t.Errorf("%s duplicates", n)
	}
	if a.asked[2] != "since=2000-01-01T00%3A00%3A00Z" {
		t.Errorf("asked %q", a.asked)
	}
}

// TestWithoutIDs tells records by all they have.
func TestWithoutIDs(t *testing.T) {
	a := &api{events: at(1, 2)}
	a.events[1].At = a.events[0].At
	w := newWorld(t)
	w.api = a.serve
	c := standard(func(s *Stream) { s.ID = "" })
	w.once(c)
	w.once(c)
	w.expect("1", "2")
}

// TestOverlap has records that come later than others with a later time.
func TestOverlap(t *testing.T) {
	a := &api{events: at(1, 2, 10)}
	w := newWorld(t)
	w.api = a.serve
	c := standard(func(s *Stream) { s.Overlap = 5 * time.Second })
	w.once(c)
	a.events = append(a.events, at(3, 7)...) // 3 is beyond the overlap, and the server is not asked for it
	w.once(c)
	w.once(c)
	w.expect("1", "2", "10", "7")
	c.Streams["events"] = streamConfig(func(s *Stream) { *s = c.Streams["events"]; s.Query = nil })
	w.once(c)
	w.expect("1", "2", "10", "7")
	if n := w.skipped("before_cursor"); n != "3" {
		t.Errorf("%s records before the cursor", n)
	}
}

func TestCursorID(t *testing.T) {
	for _, order := range []Order{"auto", "descending"} {
		a := &api{events: at(numbers(1, 25)...), size: 10, paging: "link", newest: order == "descending"}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) {
			s.Cursor, s.Order, s.Time, s.Pages.By = "id", order, "", "link"
			s.Query = map[string]string{"after": "{{.Cursor}}"}
			if a.newest {
				s.Query = nil // it gives all it has, and is not asked for more than is new
			}
		})
		w.once(c)
		a.events = append(a.events, at(26, 27)...)
		a.asked = nil
		w.once(c)
		if got := w.got["acme/events"]; len(got) != 27 || !slices.Contains(got, "27") {
			t.Errorf("%s: got %q", order, got)
		}
		if want := map[Order]string{"auto": "after=25", "descending": ""}[order]; len(a.asked) != 1 || a.asked[0] != want {
			t.Errorf("%s: asked %q", order, a.asked)
		}
	}
}

// TestManyIDs has more records than ids are remembered, on pages that have more than that, too.
func TestManyIDs(t *testing.T) {
	for _, order := range []Order{"ascending", "descending"} {
		const n = 5 * recentIDs
		a := &api{events: at(numbers(1, n)...), size: 3 * recentIDs, paging: "link", newest: order == "descending"}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) {
			s.Cursor, s.Order, s.Time, s.Pages.By = "id", order, "", "link"
			s.Query = map[string]string{"after": "{{.Cursor}}"}
			if a.newest {
				s.Query = nil
			}
		})
		w.once(c)
		for i := range 3 {
			a.events = append(a.events, at(n+i+1)...)
			w.once(c)
		}
		if i := len(a.events) - 4; order == "descending" { // one that is known is gone
			a.events = slices.Delete(a.events, i, i+1)
			a.events = append(a.events, at(n+4)...)
			a.events = slices.Delete(a.events, len(a.events)-2, len(a.events)-1)
		}
		w.once(c)
		want := map[Order]int{"ascending": n + 3, "descending": n + 4}[order]
		if got := w.got["acme/events"]; len(got) != want || len(slices.Compact(slices.Sorted(slices.Values(got)))) != want || w.problem() != "" {
			t.Errorf("%s: %d records, want %d; %s", order, len(got), want, w.problem())
		}
	}
}

// TestDescendingBroken has a run that ends in the middle, newest records first: what is between
// is not taken for known.
func TestDescendingBroken(t *testing.T) {
	for _, cursor := range []Cursor{"id", "time"} {
		a := &api{events: at(numbers(1, 10)...), size: 5, paging: "link", newest: true}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) { s.Cursor, s.Order, s.Pages.By, s.Query = cursor, "descending", "link", nil })
		w.once(c)
		a.events = append(a.events, at(numbers(11, 30)...)...)
		a.status = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("token") == "10" {
				http.Error(rw, "no", http.StatusNotFound)
				return true
			}
			return false
		}
		w.once(c)
		if !strings.Contains(w.problem(), "404 Not Found: no") {
			t.Error(w.problem())
		}
		a.events, a.status = append(a.events, at(31)...), nil
		w.once(c)
		got := slices.Sorted(slices.Values(w.got["acme/events"]))
		if want := slices.Sorted(slices.Values(texts(numbers(1, 31)...))); !slices.Equal(got, want) {
			t.Errorf("%s: got %q", cursor, got)
		}
		a.asked = nil
		w.once(c)
		if len(a.asked) > 2 { // equal times make one page more
			t.Errorf("%s: asked for %d pages where nothing is new", cursor, len(a.asked))
		}
	}
}

func TestCursorToken(t *testing.T) {
	a := &api{events: at(numbers(1, 25)...), size: 10, paging: "token"}
	w := newWorld(t)
	w.api = a.serve
	c := standard(func(s *Stream) {
		s.Cursor, s.Time, s.Query = "token", "", nil
		s.Pages = Pages{By: "token", Token: "meta.next", Param: "token", First: 1, Max: 1000}
	})
	w.once(c)
	w.expect(texts(numbers(1, 25)...)...)
	a.events, a.asked = append(a.events, at(26, 27)...), nil
	w.once(c)
	w.expect(texts(numbers(1, 27)...)...)
	if !slices.Equal(a.asked, []string{"token=20"}) {
		t.Errorf("asked %q", a.asked)
	}
	a.events, a.asked = append(a.events, at(numbers(28, 45)...)...), nil
	w.once(c)
	w.expect(texts(numbers(1, 45)...)...)
	if !slices.Equal(a.asked, []string{"token=20", "token=30", "token=40"}) {
		t.Errorf("asked %q", a.asked)
	}
}

// TestCursorLink keeps the link to the next page as the cursor.
func TestCursorLink(t *testing.T) {
	a := &api{events: at(numbers(1, 25)...), size: 10, paging: "link"}
	w := newWorld(t)
	w.api = a.serve
	c := standard(func(s *Stream) { s.Cursor, s.Time, s.Query, s.Pages.By = "token", "", nil, "link" })
	w.once(c)
	a.events, a.asked = append(a.events, at(26, 27)...), nil
	w.once(c)
	w.expect(texts(numbers(1, 27)...)...)
	if !slices.Equal(a.asked, []string{"token=20"}) {
		t.Errorf("asked %q", a.asked)
	}
}

// TestWindows asks for an hour at a time, most of which are empty.
func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{events: at(0, 10*3600, 10*3600+5)}
		w := newWorld(t)
		w.api = a.serve
		time.Sleep(20 * time.Hour)
		c := standard(func(s *Stream) {
			s.Start, s.Window = "24h", time.Hour
			s.Query["until"] = "{{.Until | rfc3339}}"
		})
		w.once(c)
		w.expect(texts(0, 36000, 36005)...)
		if len(a.asked) != 24 {
			t.Errorf("asked %d times", len(a.asked))
		}
		a.asked = nil
		w.once(c)
		if want := []string{"since=2000-01-01T18%3A00%3A00Z&until=2000-01-01T19%3A00%3A00Z", "since=2000-01-01T19%3A00%3A00Z&until=2000-01-01T20%3A00%3A00Z"}; !slices.Equal(a.asked, want) {
			t.Errorf("asked %q: windows without records are asked for again and again", a.asked)
		}
		a.events = append(a.events, at(18*3600+1)...) // it comes late, within two hours
		w.once(c)
		w.expect(texts(0, 36000, 36005, 18*3600+1)...)
	})
}

// TestStart begins as far back as is asked for, and stays there while nothing comes.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		for start, want := range map[string][]string{"": texts(3550), "30m": texts(1900, 3550), "end": nil, "beginning": texts(100, 1900, 3550)} {
			a := &api{events: at(100, 1900, 3550)}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) { s.Start, s.Query = start, nil })
			s := w.source(c, false)
			if err := s.streams[0].open(&worldLine{w, "acme/events"}); err != nil {
				t.Fatal(err)
			}
			if err := s.streams[0].runOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.expect(want...)
		}
	})
}

func TestStartIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		a := &api{}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) { s.Start = "10m" })
		w.once(c)
		time.Sleep(time.Hour)
		a.events = at(3600-300, 7000)
		w.once(c)
		w.expect(texts(3300, 7000)...)
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(20 * time.Hour)
		a := &api{events: at(1, 3600, 2*3600+1, 19*3600)}
		w := newWorld(t)
		w.api = a.serve
		w.once(standard(func(s *Stream) { s.Preset = "datadog" }))
		w.expect(texts(7201, 68400)...)
		if n := w.skipped("too_old"); n != "2" {
			t.Errorf("%s are too old", n)
		}
	})
}

// TestSkew has a server whose clock is an hour ahead, or behind: nothing is missing, nothing
// double, from the first run on.
func TestSkew(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := &api{server: func() time.Time { return time.Now().Add(skew) }}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Start, s.Window = "1m", 30*time.Minute
				s.Query["until"] = "{{.Until | rfc3339}}"
			})
			time.Sleep(10 * time.Hour)
			n := 0
			add := func() { // a record by the server's clock
				n++
				a.events = append(a.events, event{n, a.server().Add(-time.Second), fmt.Sprint(n)})
			}
			add()
			for range 20 {
				w.once(Config{Streams: c.Streams, Timeout: c.Timeout, Interval: c.Interval, MaxResponse: c.MaxResponse, TLS: c.TLS})
				time.Sleep(5 * time.Minute)
				add()
			}
			w.expect(texts(numbers(1, 20)...)...)
			if got := w.number(`weir_crawl_clock_skew_seconds{source="acme",stream="events"}`); got != fmt.Sprint(skew.Seconds()) {
				t.Errorf("a skew of %s", got)
			}
		})
	}
}

// TestFuture has a record that is a year ahead: it does not move the cursor, and is there once.
func TestFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{events: at(1, 366*24*3600, 2)}
		w := newWorld(t)
		w.api = a.serve
		w.once(standard(nil))
		a.events = append(a.events, at(3)...)
		w.once(standard(nil))
		w.once(standard(nil))
		w.expect(texts(1, 31622400, 2, 3)...)
	})
}

func TestNoTime(t *testing.T) {
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(rw, `{"data":[{"id":1,"at":"2000-01-01T00:00:01Z","text":"1"},{"id":2,"text":"2"},{"id":3,"at":"soon","text":"3"},{"id":4,"at":null,"text":"4"}]}`)
	}
	w.once(standard(nil))
	w.once(standard(nil))
	w.expect("1", "2", "3", "4")
	if n := w.number(`weir_crawl_bad_records_total{source="acme",stream="events",reason="no time"}`); n != "6" {
		t.Errorf("%s without a time", n)
	}
}

// TestBroken has a page that stops being JSON after 500 good records.
func TestBroken(t *testing.T) {
	broken := true
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(rw, `{"data":[`)
		for i := range 600 {
			if broken && i == 500 {
				fmt.Fprint(rw, `{"id":,,`)
				return
			}
			if i > 0 {
				fmt.Fprint(rw, ",")
			}
			fmt.Fprintf(rw, `{"id":%d,"at":%d,"text":"%d"}`, i, 946684800+i, i)
		}
		fmt.Fprint(rw, `]}`)
	}
	for _, order := range []Order{"any", "ascending"} {
		broken = true
		w.got = map[string][]string{}
		w.positions = map[string]record.Position{}
		c := standard(func(s *Stream) { s.Order = order })
		w.once(c)
		w.expect(texts(numbers(0, 499)...)...)
		if !strings.Contains(w.problem(), "https://api.acme.test: the response is no valid JSON at byte ") {
			t.Error(w.problem())
		}
		at, err := decodePosition(w.positions["acme/events"].Source, w.Load)
		if err != nil || at.count != 500 || at.high != day.Add(499*time.Second).UnixNano() {
			t.Errorf("the cursor is %d records, to %s: %v", at.count, time.Unix(0, at.high).UTC(), err)
		}
		if order == "ascending" && at.since != at.high {
			t.Error("the cursor does not stand at the last record")
		}
		broken = false
		w.once(c)
		w.expect(texts(numbers(0, 599)...)...)
		if w.problem() != "" {
			t.Error(w.problem())
		}
	}
}

// TestNothing has responses without anything where the records should be.
func TestNothing(t *testing.T) {
	body := ""
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, body) }
	for _, body = range []string{``, `{}`, `{"message":"no"}`, `[]`, `7`} {
		w.once(standard(nil))
		if want := `the response has nothing at "data" (records)`; !strings.Contains(w.problem(), want) {
			t.Errorf("%s: %s", body, w.problem())
		}
		w.once(standard(func(s *Stream) { s.Optional = true }))
		if w.problem() != "" {
			t.Errorf("%s, optional: %s", body, w.problem())
		}
	}
	for _, body = range []string{`{"data":[]}`, `{"data":null}`} {
		if w.once(standard(nil)); w.problem() != "" {
			t.Errorf("%s: %s", body, w.problem())
		}
	}
}

// TestNotAccepted has a journal that takes only some batches: what it did not take comes
// again, and nothing is there twice.
func TestNotAccepted(t *testing.T) {
	a := &api{events: at(numbers(1, 30)...), size: 3, paging: "link"}
	w := newWorld(t)
	w.api = a.serve
	n := 0
	w.wrote = func(string) {
		if n++; n == 4 {
			w.fail = errors.New("no")
		}
	}
	s := w.source(standard(func(s *Stream) { s.Pages.By = "link" }), false)
	if err := s.streams[0].open(&worldLine{w, "acme/events"}); err != nil {
		t.Fatal(err)
	}
	if err := s.streams[0].runOnce(t.Context()); !errors.Is(err, w.fail) {
		t.Error(err)
	}
	w.expect(texts(numbers(1, 12)...)...)
	w.fail = nil
	if err := s.streams[0].runOnce(t.Context()); err != nil {
		t.Error(err)
	}
	w.expect(texts(numbers(1, 30)...)...)
}

// TestCrowded has more records in one run than can be told apart, unless it is told that they
// are in order.
func TestCrowded(t *testing.T) {
	const most = 3 * chunkIDs
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		for i := range most + 10 {
			fmt.Fprintf(rw, "{\"id\":%d,\"at\":%d,\"text\":\"x\"}\n", i, 946684800+i)
		}
	}
	once := func(order Order) {
		s := w.source(standard(func(s *Stream) { s.Records, s.Format, s.Order = "", "ndjson", order }), true)
		s.streams[0].most = most
		if err := s.Run(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	once("any")
	if n := len(w.got["acme/events"]); n != most || !strings.Contains(w.problem(), "order: ascending") {
		t.Errorf("%d records: %s", n, w.problem())
	}
	once("ascending")
	once("ascending")
	if n := len(w.got["acme/events"]); n != most+10 || w.problem() != "" || len(w.states) != 0 {
		t.Errorf("%d records, %d chunks: %s", n, len(w.states), w.problem())
	}
}

// TestAside has a long run that ends wherever a commit may fall: before or after ids are laid
// aside, the position is written, and chunks are removed. Nothing is missing, nothing double.
func TestAside(t *testing.T) {
	const records = 3*chunkIDs + 500
	page := func(rw http.ResponseWriter, _ *http.Request) {
		for i := range records {
			fmt.Fprintf(rw, "{\"id\":%d,\"at\":%d,\"text\":\"%d\"}\n", i, 946684800+i/3, i)
		}
	}
	c := standard(func(s *Stream) { s.Records, s.Format = "", "ndjson" })
	// snapshots are what a commit could hold at any time of a run.
	type snapshot struct {
		got    int
		source []byte
		states map[string][]byte
	}
	var all []snapshot
	first := newWorld(t)
	first.api = page
	note := func() {
		all = append(all, snapshot{len(first.got["acme/events"]), slices.Clone(first.positions["acme/events"].Source), maps.Clone(first.states)})
	}
	first.wrote, first.stored = func(string) { note() }, note
	first.once(c)
	first.once(c) // it forgets what the first run has laid aside
	chunks := 0
	for i, s := range all {
		chunks = max(chunks, len(s.states))
		w := newWorld(t)
		w.api, w.states = page, s.states
		if s.source != nil {
			w.positions["acme/events"] = record.Position{Source: s.source}
		}
		w.got["acme/events"] = texts(numbers(0, s.got-1)...)
		w.once(c)
		if got := w.got["acme/events"]; !slices.Equal(got, texts(numbers(0, records-1)...)) || w.problem() != "" {
			t.Errorf("at %d of %d: %d records; %s", i, len(all), len(got), w.problem())
		}
		if len(w.states) != 0 {
			t.Errorf("at %d of %d: %d chunks are left", i, len(all), len(w.states))
		}
	}
	if chunks != 3 || len(all) < 10 {
		t.Errorf("at most %d chunks, at %d points", chunks, len(all))
	}
}
