package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/bench/dataset"
	"github.com/weirlog/weir/bench/measure"
)

const (
	crawlStreams = 10
	crawlRecords = 100_000 // of each stream
	crawlPage    = 1000
)

// crawler is one way to take records of an API.
type crawler struct {
	name  string
	order string // of weir's streams; empty: it is the loop in Python
}

// crawls measures what taking a record of an HTTP API costs: with weir, until it is in the
// journal with the cursor behind it, and beside that a loop in Python that keeps nothing.
func (b *bench) crawls(ctx context.Context) error {
	records := crawlRecords
	if b.quick {
		records /= 10
	}
	all := []crawler{
		{"**weir**, crawling: every record kept, oldest first", "ascending"},
		{"**weir**, crawling: every record kept, in any order", "any"},
		{"Python 3, crawling: `urllib` and `json.loads`", ""},
	}
	site, err := newPagedAPI(records)
	if err != nil {
		return err
	}
	defer site.close()
	work := fmt.Sprintf("crawl %d streams of %s records of an HTTP API, %d a page, %d MB", crawlStreams, number(records), crawlPage, site.bytes*crawlStreams/1e6)
	results, ours := make([]tries, len(all)), time.Duration(0)
	for round := range b.rounds {
		for i, c := range all {
			if r := &results[i]; b.wants(c.name) && !r.done(b.rounds) {
				b.say("round %d: %s: %s", round+1, work, c.name)
				cost, err := b.crawlOnce(ctx, c, site)
				if r.err = err; err == nil {
					r.cpu, r.wall, r.peak = append(r.cpu, cost.CPU), append(r.wall, cost.Wall), append(r.peak, cost.Peak)
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	for i, c := range all {
		r, got := row{work: work, name: c.name}, &results[i]
		switch {
		case !b.wants(c.name):
			continue
		case got.err != nil:
			b.fail(&r, got.err)
		default:
			if i == 0 {
				ours = median(got.cpu)
			}
			n := crawlStreams * records
			noted := contender{note: func([]byte) string {
				return fmt.Sprintf("all, %s a CPU second", number(int(float64(n)/median(got.cpu).Seconds())/1000*1000))
			}}
			b.fill(&r, noted, got, dataset.Set{})
			r.ratio = times(median(got.cpu), ours)
		}
		b.table.add(r)
	}
	return nil
}

// crawlOnce lets a crawler take all records, its start included.
func (b *bench) crawlOnce(ctx context.Context, c crawler, site *pagedAPI) (cost measure.Cost, err error) {
	if c.order == "" {
		script, err := b.program("crawl.py")
		if err != nil {
			return cost, err
		}
		out, cost, err := measure.Run(exec.CommandContext(ctx, "python3", script, site.url, strconv.Itoa(crawlStreams)))
		if err == nil && strings.TrimSpace(string(out)) != strconv.Itoa(crawlStreams*site.records) {
			err = fmt.Errorf("it took %s records", bytes.TrimSpace(out))
		}
		return cost, err
	}
	dir, err := os.MkdirTemp(b.scratch, "weir-")
	if err != nil {
		return cost, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "data_dir: %s\nrules: []\nsources:\n  acme:\n    type: crawl\n    streams:\n", filepath.Join(dir, "state"))
	for i := range crawlStreams {
		fmt.Fprintf(&text, "      s%d: {url: '%s/s%d', query: {since: '{{.Since | rfc3339}}'}, records: data, time: at, id: id, level: level, order: %s, pages: {by: number}}\n", i, site.url, i, c.order)
	}
	config := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(config, []byte(text.String()), 0o644); err != nil {
		return cost, err
	}
	out, cost, err := measure.Run(exec.CommandContext(ctx, b.weir, "run", "--once", "--metrics", "-", "--config", config))
	if err != nil {
		return cost, err
	}
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("weir_source_records_total{")) {
			n, err := strconv.ParseFloat(string(bytes.TrimSpace(line[bytes.LastIndexByte(line, ' '):])), 64)
			if err == nil && int(n) != crawlStreams*site.records {
				err = fmt.Errorf("weir took %v records", n)
			}
			return cost, err
		}
	}
	return cost, fmt.Errorf("weir took no records")
}

// pagedAPI is a server whose pages are made before anybody asks.
type pagedAPI struct {
	url     string
	records int // of a stream
	bytes   int // of a stream's pages
	pages   [][]byte
	server  *http.Server
}

func newPagedAPI(records int) (*pagedAPI, error) {
	a := &pagedAPI{records: records}
	began := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for from := 0; from < records; from += crawlPage {
		page := []byte(`{"data":[`)
		for i := from; i < from+crawlPage; i++ {
			if i > from {
				page = append(page, ',')
			}
			at := began.Add(time.Duration(i) * 10 * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
			page = fmt.Appendf(page, `{"id":"01hq%016x","at":"%s","level":"info","action":"user.login","actor":{"id":%d,"name":"user-%d","ip":"203.0.113.%d"},`+
				`"target":{"type":"session","id":"s-%d"},"message":"user-%d signed in from \"203.0.113.%d\"","agent":"Mozilla/5.0 (X11; Linux x86_64)","ok":true}`,
				i*7919, at, i%5000, i%5000, i%256, i, i%5000, i%256)
		}
		page = append(page, `],"more":true}`...)
		a.pages = append(a.pages, page)
		a.bytes += len(page)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a.url = "http://" + l.Addr().String()
	a.server = &http.Server{Handler: a}
	go func() { _ = a.server.Serve(l) }()
	return a, nil
}

// ServeHTTP answers with a page; those behind the last are empty.
func (a *pagedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	w.Header().Set("Content-Type", "application/json")
	if err != nil || n < 1 || n > len(a.pages) {
		_, _ = w.Write([]byte(`{"data":[],"more":false}`))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.pages[n-1])))
	_, _ = w.Write(a.pages[n-1])
}

func (a *pagedAPI) close() { _ = a.server.Close() }
