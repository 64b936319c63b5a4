package faulttest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
)

// crawled is a server of numbered events, of which there are more with each request.
type crawled struct {
	mu     sync.Mutex
	all    map[string][]crawledEvent // by path
	done   bool
	answer chan struct{} // gets an element when an answer is on its way
}

type crawledEvent struct {
	ID   int    `json:"id"`
	At   string `json:"at"`
	Text string `json:"text"`
}

const (
	crawledPage = 50
	crawledTime = "2006-01-02T15:04:05.0Z"
)

func (c *crawled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path, q := r.URL.Path, r.URL.Query()
	for range 30 { // many of the same tenth of a second
		if n := len(c.all[path]); !c.done {
			c.all[path] = append(c.all[path], crawledEvent{n, time.Now().UTC().Format(crawledTime), fmt.Sprintf("number %d", n)})
		}
	}
	var found []crawledEvent
	after, err := strconv.Atoi(q.Get("after"))
	for _, e := range c.all[path] {
		if e.At >= q.Get("since") && (err != nil || e.ID > after) {
			found = append(found, e)
		}
	}
	if path == "/newest" {
		slices.Reverse(found)
	}
	from, _ := strconv.Atoi(q.Get("from"))
	page := found[min(from, len(found)):]
	if len(page) > crawledPage {
		page = page[:crawledPage]
		q.Set("from", strconv.Itoa(from+crawledPage))
		w.Header().Set("Link", "<"+path+"?"+q.Encode()+`>; rel="next"`)
	}
	text, _ := json.Marshal(page)
	half := rand.IntN(len(text))
	_, _ = w.Write(text[:half])
	select {
	case c.answer <- struct{}{}:
	default:
	}
	_, _ = w.Write(text[half:])
}

const crawledProgram = `
n=$((WEIR_CURSOR+0))
for i in 1 2 3 4 5 6 7 8 9 10; do
	printf '{"data":"number %s"}\n{"data":"number %s","cursor":%s}\n' $n $((n+1)) $((n+2))
	n=$((n+2))
done`

// TestCrawlKilled kills weir while it crawls: between an answer and its commit, and anywhere
// else. Of every kind of cursor each record is there once, and counted once.
func TestCrawlKilled(t *testing.T) {
	c := &crawled{all: map[string][]crawledEvent{}, answer: make(chan struct{}, 1)}
	server := httptest.NewServer(c)
	defer server.Close()
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(`node: n
rules: []
sources:
  acme:
    type: crawl
    interval: 1s
    jitter: 0s
    streams:
      any: {url: "%[1]s/any", query: {since: '{{.Since | date "2006-01-02T15:04:05.0Z"}}'}, time: at, id: id, message: text, start: beginning, pages: {by: link}}
      ascending: {url: "%[1]s/ascending", query: {since: '{{.Since | date "2006-01-02T15:04:05.0Z"}}'}, time: at, message: text, order: ascending, start: beginning, pages: {by: link}}
      newest: {url: "%[1]s/newest", time: at, id: id, message: text, order: descending, start: beginning, pages: {by: link}}
      ids: {url: "%[1]s/ids", query: {after: "{{.Cursor}}"}, time: at, id: id, cursor: id, message: text, start: beginning, pages: {by: link}}
      tokens: {url: "%[1]s/tokens", time: at, id: id, cursor: token, message: text, start: beginning, pages: {by: link}}
      program: {exec: [/bin/sh, -c, %[2]q]}
`, server.URL, crawledProgram)})
	kills := 0
	during(span(time.Minute), 400*time.Millisecond, func() {
		<-c.answer
		<-time.After(rand.N(1500 * time.Millisecond)) // a commit is written within 200 ms, and synced within a second
		w.Kill()
		kills++
		w.Again()
	})
	c.mu.Lock()
	c.done = true
	c.mu.Unlock()
	runs := func(stream string) float64 {
		m, err := w.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		return m[fmt.Sprintf(`weir_crawl_runs_total{machine="n",source="acme",stream=%q,result="ok"}`, stream[1:])]
	}
	total := 0
	for stream, events := range c.all {
		query := fmt.Sprintf(`{stream=%q} |= "number"`, stream[1:])
		before := runs(stream)
		faulttest.WaitFor(t, "a run of "+stream+" that began after the last event", func() bool { return runs(stream) >= before+2 })
		faulttest.WaitFor(t, "its commit", func() bool { return len(numbersOf(t, w, query)) >= len(events) })
		total += checkOnce(t, stream, numbersOf(t, w, query), len(events))
	}
	w.Kill()
	w.SetConfig("rules: []\nsources: {push: {}}\n") // no more records of the program
	w.Again()
	program := numbersOf(t, w, `{stream="program"} |= "number"`)
	total += checkOnce(t, "program", program, len(program))
	m, err := w.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if n := faulttest.Sum(m, "weir_source_records_total"); n != float64(total) || kills == 0 || len(program) == 0 {
		t.Errorf("%v records are counted and %d kept, after %d kills", n, total, kills)
	}
	t.Logf("%d records, killed %d times", total, kills)
}

// checkOnce sees that each number is there once, and returns how many there are.
func checkOnce(t *testing.T, stream string, got []int, want int) int {
	t.Helper()
	slices.Sort(got)
	missing, double, next := 0, 0, 0
	for _, n := range got {
		if n < next {
			double++
		} else {
			missing += n - next
			next = n + 1
		}
	}
	if missing += want - next; missing != 0 || double != 0 {
		t.Errorf("%s: of %d records %d are missing and %d double", stream, want, missing, double)
	}
	return len(got)
}
