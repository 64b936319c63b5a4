package crawl

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAhead has a record that is hours ahead of the server's clock: others are taken meanwhile,
// and afterwards.
func TestAhead(t *testing.T) {
	for _, order := range []Order{"any", "ascending"} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			a := &api{events: at(3000, 3600+23*3600)}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) { s.Order = order })
			w.once(c)
			time.Sleep(time.Minute)
			a.events = append(a.events, at(3630)...)
			w.once(c)
			w.expect(texts(3000, 86400, 3630)...)
			time.Sleep(24 * time.Hour)
			w.once(c)
			p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
			if err != nil || p.since != day.Add(24*time.Hour).UnixNano() {
				t.Errorf("the cursor is %s, %v", p.describe(), err)
			}
			w.expect(texts(3000, 86400, 3630)...)
		})
	}
}

// TestSkewUntold has a server whose clock is an hour ahead, and that does not tell it.
func TestSkewUntold(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(10 * time.Hour)
			a := &api{}
			w := newWorld(t)
			w.api = a.serve
			want := []int{}
			for range 40 {
				second := int(time.Since(day)+skew)/1e9 - 1
				want = append(want, second)
				a.events = append(a.events, at(second)...)
				w.once(standard(nil))
				time.Sleep(5 * time.Minute)
			}
			w.expect(texts(want...)...)
			p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
			if err != nil || p.seen.len() > 15 {
				t.Errorf("the cursor is %s, %v", p.describe(), err)
			}
		})
	}
}

// TestStartHolds has a first run that needs several: what was before start is left out in all of
// them, and not for ever.
func TestStartHolds(t *testing.T) {
	for _, cursor := range []Cursor{"id", "token"} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			a := &api{events: at(append(numbers(1, 25), 3500, 3550, 3560)...), size: 5, paging: "token"}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Cursor, s.Start, s.Query = cursor, "10m", nil
				s.Pages = Pages{By: "token", Token: "meta.next", Param: "token", First: 1, Max: 2}
				if cursor == "id" {
					s.Query = map[string]string{"after": "{{.Cursor}}"}
				}
			})
			for range 5 {
				w.once(c)
				time.Sleep(10 * time.Minute)
			}
			w.expect(texts(3500, 3550, 3560)...)
			a.events = append(a.events, event{7200, day, "late"}) // start is of the first run alone
			w.once(c)
			w.expect("3500", "3550", "3560", "late")
		})
	}
}

// TestStartEnd takes nothing of the past where records have no times.
func TestStartEnd(t *testing.T) {
	a := &api{events: at(numbers(1, 25)...), size: 5, paging: "token"}
	w := newWorld(t)
	w.api = a.serve
	c := standard(func(s *Stream) {
		s.Cursor, s.Start, s.Query, s.Time = "token", "end", nil, ""
		s.Pages = Pages{By: "token", Token: "meta.next", Param: "token", First: 1, Max: 2}
	})
	for range 3 {
		w.once(c)
	}
	a.events = append(a.events, at(26)...)
	w.once(c)
	w.expect("26")
}

// TestDescendingStart ends a first run where what follows is from before start.
func TestDescendingStart(t *testing.T) {
	for _, cursor := range []Cursor{"id", "time"} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			a := &api{events: at(numbers(1, 3500)...), size: 10, paging: "link", newest: true}
			if cursor == "id" { // a clock that was not set is no end
				a.events = slices.Insert(a.events, 3490, event{7000, day, "old"})
			}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Cursor, s.Order, s.Start, s.Query = cursor, "descending", "2m", nil
				s.Pages.By, s.Pages.Max = "link", 6
				if cursor == "time" {
					s.Start, s.MaxAge = "30m", 2*time.Minute
				}
			})
			w.once(c)
			want := texts(numbers(3480, 3500)...)
			slices.Reverse(want)
			w.expect(want...)
			if w.problem() != "" || len(a.asked) > 4 || w.skipped("too_old") == "0" {
				t.Errorf("%s: asked %d times; %s", cursor, len(a.asked), w.problem())
			}
			a.events = slices.Delete(append(a.events, at(3590)...), 3495, 3500)
			w.once(c)
			w.expect(append(want, "3590")...)
		})
	}
}

// TestDeep has a record that is nested too deep to be looked at: it is left out, the others are not.
func TestDeep(t *testing.T) {
	deep := `{"id":2,"at":2,"text":"2","x":` + strings.Repeat(`[{"a":`, 300) + `"]"` + strings.Repeat(`}]`, 300) + `}`
	for format, body := range map[Format]string{
		"json":   `{"data":[{"id":1,"at":1,"text":"1"},` + deep + `,{"id":3,"at":3,"text":"3"}]}`,
		"ndjson": `{"id":1,"at":1,"text":"1"}` + "\n" + deep + "\n" + strings.Repeat("[", 300) + "\n" + `{"id":3,"at":3,"text":"3"}`,
	} {
		w := newWorld(t)
		w.api = func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, body) }
		w.once(standard(func(s *Stream) {
			if s.Format = format; format == "ndjson" {
				s.Records = ""
			}
		}))
		w.expect("1", "3")
		n := w.number(`weir_crawl_bad_records_total{source="acme",stream="events",reason="too deep"}`)
		if want := map[Format]string{"json": "1", "ndjson": "2"}[format]; n != want || w.problem() != "" {
			t.Errorf("%s: %s are too deep; %s", format, n, w.problem())
		}
	}
	w := newWorld(t)
	w.once(program(t, `printf '{"data":"1","cursor":1}\n{"data":'; printf '%0200d' 0 | tr 0 '['; printf '\n{"data":"3","cursor":3}\n'`, nil))
	w.expect("1", "3")
	if n := w.number(`weir_crawl_bad_records_total{source="acme",stream="events",reason="too deep"}`); n != "1" || w.problem() != "" {
		t.Errorf("%s lines are too deep; %s", n, w.problem())
	}
}

// TestNoTimeAgain has records without a time that come again while others move the cursor.
func TestNoTimeAgain(t *testing.T) {
	for _, order := range []Order{"any", "ascending"} {
		w := newWorld(t)
		var body string
		w.api = func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintf(rw, `{"data":[%s]}`, body) }
		c := standard(func(s *Stream) { s.Order = order })
		const timeless = `{"id":"a","text":"a"},{"id":"b","at":"soon","text":"b"}`
		body = timed(1) + "," + timeless + "," + timed(5)
		w.once(c)
		w.once(c)
		for n := 6; n < 9; n++ {
			body = timed(n) + "," + timeless + "," + timed(n+10)
			w.once(c)
		}
		w.expect("1", "a", "b", "5", "6", "16", "17", "18")
		body = timed(30)
		w.once(c)
		if p, err := decodePosition(w.positions["acme/events"].Source, w.Load); err != nil || p.seen.len() != 1 {
			t.Errorf("the cursor is %s: what does not come any more is remembered; %v", p.describe(), err)
		}
	}
}

// timed returns the JSON of a record of that second.
func timed(n int) string {
	return fmt.Sprintf(`{"id":%d,"at":%q,"text":"%d"}`, n, day.Add(time.Duration(n)*time.Second).Format(time.RFC3339), n)
}

// TestChanged has a record that comes again with another time and text: under its id it is the same
// for as long as that is known, without an id each change is a record.
func TestChanged(t *testing.T) {
	for id, want := range map[string][]string{"id": {"one", "two", "later"}, "": {"one", "two", "changed", "later"}} {
		a := &api{events: []event{{1, day, "one"}, {2, day, "two"}}}
		w := newWorld(t)
		w.api = a.serve
		c := standard(func(s *Stream) { s.ID = id })
		w.once(c)
		a.events[0] = event{1, day.Add(time.Second), "changed"}
		w.once(c)
		a.events = append(a.events, event{3, day.Add(time.Minute), "two again"})
		w.once(c) // and now both ids are forgotten
		a.events = append(a.events, event{1, day.Add(time.Hour), "later"})
		w.once(c)
		w.expect(slices.Insert(want, len(want)-1, "two again")...)
	}
}

// TestHourTwice has times without a zone in the night when an hour comes twice.
func TestHourTwice(t *testing.T) {
	for _, order := range []Order{"any", "ascending"} {
		for zone, date := range map[string]string{"Europe/Berlin": "2000-10-29 02:", "America/New_York": "2000-10-29 01:"} {
			var all, want []string
			w := newWorld(t)
			w.api = func(rw http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(rw, `{"data":[%s]}`, strings.Join(all, ","))
			}
			c := standard(func(s *Stream) { s.Order, s.TimeZone = order, zone })
			add := func(at string) {
				all = append(all, fmt.Sprintf(`{"id":%d,"at":%q,"text":"%d"}`, len(all), at, len(all)))
				want = append(want, fmt.Sprint(len(want)))
			}
			for _, minute := range []string{"10:00", "50:00", "05:00", "50:00", "55:00"} {
				add(date + minute)
				w.once(c)
			}
			add("2000-10-29 03:00:00")
			w.once(c)
			w.once(c)
			w.expect(want...)
			if p, err := decodePosition(w.positions["acme/events"].Source, w.Load); err != nil || p.seen.len() != 1 {
				t.Errorf("the cursor is %s, %v", p.describe(), err)
			}
		}
	}
}

// TestHourTwiceCrowded has more records in such an hour than can be remembered.
func TestHourTwiceCrowded(t *testing.T) {
	const records = 5 * chunkIDs
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		for i := range records {
			fmt.Fprintf(rw, "{\"id\":%d,\"at\":\"2000-10-29 02:%02d:%02d\",\"text\":\"x\"}\n", i, i/600, i/10%60)
		}
	}
	s := w.source(standard(func(s *Stream) { s.Records, s.Format, s.Order, s.TimeZone = "", "ndjson", "ascending", "Europe/Berlin" }), true)
	s.streams[0].most = 4 * chunkIDs
	if err := s.Run(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if n := len(w.got["acme/events"]); n != records || w.problem() != "" {
		t.Errorf("%d records: %s", n, w.problem())
	}
}

// TestLongNext has a next page whose name is longer than a cursor may be, but for how it is written.
func TestLongNext(t *testing.T) {
	n := 0
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, _ *http.Request) {
		if n++; n == 1 {
			rw.Header().Set("Link", "</"+strings.Repeat(" ", maxCursor/2)+`x>; rel="next"`)
		}
		fmt.Fprint(rw, `{"data":[`+timed(n)+`]}`)
	}
	c := standard(func(s *Stream) { s.Cursor, s.Pages.By = "token", "link" })
	w.once(c)
	if want := "the next page's name has more than"; !strings.Contains(w.problem(), want) {
		t.Errorf("%s, want %s", w.problem(), want)
	}
	w.once(c)
	w.expect("1", "2")
	if w.problem() != "" {
		t.Error(w.problem())
	}
}

// TestWrongDate has a server whose clock cannot be meant.
func TestWrongDate(t *testing.T) {
	for _, year := range []int{1, 1970, 2100, 9999} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			a := &api{events: at(3590), server: func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }}
			w := newWorld(t)
			w.api = a.serve
			c := standard(func(s *Stream) {
				s.Start, s.Window = "1m", time.Hour
				s.Query["until"] = "{{.Until | rfc3339}}"
			})
			w.once(c)
			w.expect("3590")
			time.Sleep(time.Minute)
			a.events = append(a.events, at(3650)...)
			w.once(c)
			w.expect("3590", "3650")
			if len(a.asked) != 2 || w.problem() != "" {
				t.Errorf("%d: asked %d times; %s", year, len(a.asked), w.problem())
			}
		})
	}
}

// TestSameNext has a server that names the page that was asked for as the next one, at the end; and
// one that gives its first page for ever.
func TestSameNext(t *testing.T) {
	for _, cursor := range []Cursor{"time", "id", "token"} {
		for name, last := range map[string]string{"empty": "", "records": timed(3) + "," + timed(4)} {
			w := newWorld(t)
			w.api = func(rw http.ResponseWriter, r *http.Request) {
				page := timed(1) + "," + timed(2)
				if r.URL.Query().Get("token") == "end" {
					page = last
				}
				fmt.Fprintf(rw, `{"data":[%s],"next":"end"}`, page)
			}
			c := standard(func(s *Stream) {
				s.Cursor, s.Query, s.Pages = cursor, map[string]string{"after": "{{.Cursor}}"}, Pages{By: "token", Token: "next", Param: "token", Max: 10}
			})
			w.once(c)
			w.once(c)
			w.expect(map[string][]string{"empty": {"1", "2"}, "records": {"1", "2", "3", "4"}}[name]...)
			if w.problem() != "" {
				t.Errorf("%s, %s: %s", cursor, name, w.problem())
			}
			c.Streams["events"] = streamConfig(func(s *Stream) { *s = c.Streams["events"]; s.Pages.Param = "tokn" })
			w = newWorld(t)
			w.api = func(rw http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(rw, `{"data":[%s,%s],"next":"end"}`, timed(1), timed(2))
			}
			w.once(c)
			if want := "the server gives the same page again"; !strings.Contains(w.problem(), want) {
				t.Errorf("%s: %s, want %s", cursor, w.problem(), want)
			}
		}
	}
}

// TestExecBatches has a program that prints very many records which are very small.
func TestExecBatches(t *testing.T) {
	for line, most := range map[string]int{`{"data":"","cursor":1}`: maxBatchRecords, `{"data":""}`: maxGroupRecords} {
		w := newWorld(t)
		w.once(program(t, "yes '"+line+"' | head -n 60000", nil))
		if n := len(w.got["acme/events"]); n != 60000 || w.largest > most || w.problem() != "" {
			t.Errorf("%s: %d records, %d in one batch; %s", line, n, w.largest, w.problem())
		}
	}
}

// TestProblems tells what is wrong with each stream that fails, and with no other.
func TestProblems(t *testing.T) {
	fails := map[string]bool{}
	w := newWorld(t)
	w.api = func(rw http.ResponseWriter, r *http.Request) {
		if fails[r.URL.Path[1:]] {
			rw.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(rw, `[]`)
	}
	c := Default()
	c.Streams = map[string]Stream{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.Streams[name] = streamConfig(func(s *Stream) { s.URL, s.Time = "https://acme.test/"+name, "at" })
	}
	s := w.source(c, true)
	for failing, want := range map[string]string{"a": "a", "a b": "a b", "b": "b", "": "", "a b c d e": "a b c"} {
		clear(fails)
		for _, name := range strings.Fields(failing) {
			fails[name] = true
		}
		if err := s.Run(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, name := range strings.Fields(want) {
			told = append(told, name+": https://acme.test: the answer is 404 Not Found: []")
		}
		text := strings.Join(told, "; ")
		if failing == "a b c d e" {
			text += "; and 2 more"
		}
		if got := w.problem(); got != text {
			t.Errorf("%s: %s, want %s", failing, got, text)
		}
	}
}

// TestWindowOnce has windows, and no start, in the one run that reads what exists: they begin where
// they do without that, since there is no beginning to ask for.
func TestWindowOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		a := &api{events: at(3590)}
		w := newWorld(t)
		w.api = a.serve
		w.once(standard(func(s *Stream) {
			s.Start, s.Window = "", 30*time.Second
			s.Query["until"] = "{{.Until | rfc3339}}"
		}))
		w.expect("3590")
		if len(a.asked) != 2 || !strings.HasPrefix(a.asked[0], "since=2000-01-01T00%3A59%3A00Z&until=2000-01-01T00%3A59%3A30Z") {
			t.Errorf("asked %q", a.asked)
		}
	})
}

// TestHollow has packed responses that never end, and have nothing in them.
func TestHollow(t *testing.T) {
	var empty bytes.Buffer
	_ = gzip.NewWriter(&empty).Close()
	for encoding, part := range map[string][]byte{
		"gzip":    empty.Bytes(),
		"zstd":    append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 4, 0, 0}, make([]byte, 1024)...), // a frame to be skipped
		"deflate": {0, 0, 0, 0xff, 0xff},
	} {
		var sent atomic.Int64
		_, c := realServer(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Encoding", encoding)
			for r.Context().Err() == nil && sent.Load() < 64<<20 {
				n, _ := rw.Write(bytes.Repeat(part, 1000))
				sent.Add(int64(n))
			}
		})
		c.MaxResponse = 1 << 20
		w := newWorld(t)
		w.once(c)
		if want := "the response has more than 1MiB (max_response)"; !strings.Contains(w.problem(), want) || sent.Load() >= 64<<20 {
			t.Errorf("%s: %d bytes were read: %s, want %s", encoding, sent.Load(), w.problem(), want)
		}
	}
}

// TestLimit has an API that gives three records at most, and settings that do not ask for more.
func TestLimit(t *testing.T) {
	for _, newest := range []bool{false, true} {
		a := &api{events: at(numbers(1, 9)...), size: 3, newest: newest}
		w := newWorld(t)
		w.api = a.serve
		for range 6 {
			w.once(standard(nil))
		}
		if want := map[bool][]string{false: texts(numbers(1, 9)...), true: texts(9, 8, 7)}[newest]; !slices.Equal(w.got["acme/events"], want) {
			t.Errorf("got %q, want %q", w.got, want)
		}
	}
	a := &api{events: at(1, 1, 1, 1, 2), size: 3}
	for i := range a.events {
		a.events[i].ID = i
	}
	w := newWorld(t)
	w.api = a.serve
	for range 3 {
		w.once(standard(nil))
	}
	w.expect("1", "1", "1")
}

// TestGarbageBehind has responses that go on behind their JSON: each run ends with an error, and the
// records are taken once.
func TestGarbageBehind(t *testing.T) {
	for _, order := range []Order{"any", "ascending"} {
		for _, behind := range []string{"<html>", "\n}", `{"data":[` + timed(9) + `]}`, "\x00"} {
			w := newWorld(t)
			var body string
			w.api = func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintf(rw, `{"data":[%s]}%s`, body, behind) }
			c := standard(func(s *Stream) { s.Order = order })
			body = timed(1)
			for n := 2; n < 5; n++ {
				w.once(c)
				w.once(c)
				if !strings.Contains(w.problem(), "byte") {
					t.Errorf("%q: %s", behind, w.problem())
				}
				body += "," + timed(n)
			}
			behind = ""
			w.once(c)
			w.expect("1", "2", "3", "4")
			if w.problem() != "" || w.number(`weir_crawl_runs_total{source="acme",stream="events",result="error"}`) != "6" {
				t.Errorf("%q: %s", behind, w.problem())
			}
			p, err := decodePosition(w.positions["acme/events"].Source, w.Load)
			if err != nil || p.seen.len() != 1 {
				t.Errorf("%q: the cursor is %s, %v", behind, p.describe(), err)
			}
		}
	}
}
