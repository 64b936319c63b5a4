package remotewrite

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/codec/remotewrite"
	"github.com/weirlog/weir/internal/codec/remotewrite/remotewritetest"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/retry"
	"github.com/weirlog/weir/internal/tsdb"
)

// step is how far the rounds of a past are apart.
const step = 15 * time.Second

// past is a history in memory: some series with a sample in each round.
type past struct {
	mu      sync.Mutex // guards below
	rounds  []int64
	resumed int64 // from where they go on after some were set aside
	series  int
	broken  error // what Read returns
	changed chan struct{}
}

func newPast(series, rounds int) *past {
	p := &past{series: series, changed: make(chan struct{})}
	first := time.Now().Add(-time.Duration(rounds) * step).UnixMilli()
	for i := range rounds {
		p.rounds = append(p.rounds, first+int64(i)*step.Milliseconds())
	}
	return p
}

func (p *past) newest() int64 { return p.rounds[len(p.rounds)-1] }

// round adds a round.
func (p *past) round() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rounds = append(p.rounds, p.newest()+step.Milliseconds())
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *past) Await(ctx context.Context, last int64) (int64, error) {
	for {
		p.mu.Lock()
		newest, resumed, changed := p.newest(), p.resumed, p.changed
		p.mu.Unlock()
		switch {
		case newest > last:
			return newest, nil
		case newest < last:
			return resumed, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
}

func (p *past) Extent() (int64, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rounds[0], p.series, nil
}

func (p *past) Read(_ context.Context, from, until int64, visit func(*tsdb.Series)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return p.broken
	}
	for i := range p.series {
		s := tsdb.Series{Labels: []tsdb.Label{{Name: "__name__", Value: "hits_total"}, {Name: "path", Value: fmt.Sprintf("/%03d", i)}}, Created: p.rounds[0] - 1}
		for n, at := range p.rounds {
			if at >= from && at <= until {
				s.Samples = append(s.Samples, tsdb.Sample{Time: at, Value: float64(n)})
			}
		}
		if len(s.Samples) > 0 {
			visit(&s)
		}
	}
	return nil
}

// describe knows the series of a past.
func describe() map[string]metric.Desc {
	return map[string]metric.Desc{"hits_total": {Name: "hits_total", Help: "Hits.", Kind: metric.Counter}}
}

// memory is a State.
type memory struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (m *memory) Load(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[key]
}

func (m *memory) Store(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[key] = slices.Clone(value)
}

func (m *memory) cursor() int64 {
	kept := m.Load(StatePrefix + "central")
	if len(kept) != 8 {
		return math.MinInt64
	}
	return int64(binary.LittleEndian.Uint64(kept))
}

// book is a Ledger.
type book struct {
	mu      sync.Mutex
	problem string
	told    []string // the problems that there were
	remedy  string   // what to do about the last
	sent    int
	dropped map[string]int
	behind  time.Duration
	most    time.Duration // that it was behind
}

func (b *book) Degraded(problem, remedy string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problem, b.remedy = problem, remedy
	b.told = append(b.told, problem)
}

func (b *book) Healthy() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problem = ""
}

func (b *book) Behind(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behind, b.most = d, max(b.most, d)
}

func (b *book) Sent(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += n
}

func (b *book) Dropped(reason string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped[reason] += n
}

// receiver takes remote write and checks what can be checked of every request.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex                                          // guards below
	answers  []func(w http.ResponseWriter, r *http.Request) bool // for the next requests; true: it takes the samples all the same
	requests int
	largest  int                 // samples of a request
	got      map[string][]string // time:value by series
	series   map[string]remotewrite.Series
	header   http.Header // of the last request
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, got: map[string][]string{}, series: map[string]remotewrite.Series{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// next says how the next requests are answered.
func (r *receiver) next(answers ...func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, answers...)
}

// status answers with a status.
func status(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "as the test wants", code)
		return false
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	r.header = req.Header
	packed, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	body, err := compress.UncompressSnappy(nil, packed, 16<<20)
	if err != nil || req.Header.Get("Content-Encoding") != "snappy" || req.Method != http.MethodPost {
		r.t.Errorf("unpack: %v (%s, %s)", err, req.Method, req.Header.Get("Content-Encoding"))
	}
	read := remotewritetest.ReadV1
	version, content := "0.1.0", "application/x-protobuf"
	if v2 := "application/x-protobuf;proto=io.prometheus.write.v2.Request"; req.Header.Get("Content-Type") == v2 {
		read, version, content = remotewritetest.ReadV2, "2.0.0", v2
	}
	if req.Header.Get("Content-Type") != content || req.Header.Get("X-Prometheus-Remote-Write-Version") != version || !strings.HasPrefix(req.Header.Get("User-Agent"), "weir/") {
		r.t.Errorf("headers: %v", req.Header)
	}
	all, err := read(body)
	if err != nil {
		r.t.Errorf("read a body of %d bytes: %v", len(body), err)
	}
	if len(r.answers) > 0 {
		answer := r.answers[0]
		r.answers = r.answers[1:]
		if !answer(w, req) {
			return
		}
		r.take(all)
		return
	}
	if n := r.take(all); version == "2.0.0" {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(n))
	}
	w.WriteHeader(http.StatusNoContent)
}

// take notes series, and checks the order of their samples. The caller holds mu.
func (r *receiver) take(all []remotewrite.Series) (samples int) {
	for _, s := range all {
		if !slices.IsSortedFunc(s.Labels, byName) {
			r.t.Errorf("labels are not sorted: %v", s.Labels)
		}
		key := fmt.Sprint(s.Labels)
		r.series[key] = s
		for _, x := range s.Samples {
			text := fmt.Sprintf("%d:%v", x.Time, x.Value)
			switch had := r.got[key]; {
			case len(had) == 0 || had[len(had)-1] < text:
				r.got[key] = append(had, text)
			case !slices.Contains(had, text): // else it is sent again
				r.t.Errorf("%s: %s comes after %s", key, text, had[len(had)-1])
			}
			samples++
		}
	}
	r.largest = max(r.largest, samples)
	return samples
}

// has checks that all rounds of a past from the given one on were taken, and no others.
func (r *receiver) has(p *past, from int, labels ...remotewrite.Label) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := map[string][]string{}
	for i := range p.series {
		set := append([]remotewrite.Label{{Name: "__name__", Value: "hits_total"}, {Name: "path", Value: fmt.Sprintf("/%03d", i)}}, labels...)
		slices.SortFunc(set, byName)
		for n, at := range p.rounds {
			if n >= from {
				want[fmt.Sprint(set)] = append(want[fmt.Sprint(set)], fmt.Sprintf("%d:%v", at, float64(n)))
			}
		}
	}
	if !maps.EqualFunc(r.got, want, slices.Equal[[]string]) {
		r.t.Errorf("the receiver has %d series, %v …\nwant %d, %v …", len(r.got), first(r.got), len(want), first(want))
	}
}

func first(all map[string][]string) string {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		return fmt.Sprint(key, len(all[key]), all[key])
	}
	return ""
}

// world is a sink with all around it.
type world struct {
	t        *testing.T
	config   Config
	past     *past
	state    *memory
	book     *book
	receiver *receiver
}

func newWorld(t *testing.T, series, rounds int) *world {
	w := &world{
		t: t, config: Default(), past: newPast(series, rounds), state: &memory{all: map[string][]byte{}},
		book: &book{dropped: map[string]int{}}, receiver: newReceiver(t),
	}
	w.config.URL = w.receiver.URL + "/api/v1/write"
	w.config.Start = "beginning"
	return w
}

// run lets a sink send until it has caught up with all rounds.
func (w *world) run() *Sink {
	w.t.Helper()
	return w.runUntil(func() bool { return w.state.cursor() >= w.past.newest() })
}

// runUntil runs a sink until something holds.
func (w *world) runUntil(holds func() bool) *Sink {
	w.t.Helper()
	s := w.sink()
	ctx, stop := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for !holds() && ctx.Err() == nil {
		wait := time.NewTimer(time.Millisecond)
		<-wait.C
	}
	if ctx.Err() != nil {
		w.t.Errorf("the sink did not come to that in 20 s: %+v", w.book.problem)
	}
	stop()
	if err := <-ended; err != nil {
		w.t.Errorf("Run: %v", err)
	}
	return s
}

func (w *world) sink() *Sink {
	w.t.Helper()
	s, err := New(w.config, Deps{Name: "central", Ledger: w.book, State: w.state, History: w.past, Interval: step, Describe: describe, Version: "1.0"})
	if err != nil {
		w.t.Fatal(err)
	}
	s.backoff = retry.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond}
	s.again = time.Millisecond
	return s
}

// dropped checks what was given up.
func (w *world) dropped(want map[string]int) {
	w.t.Helper()
	w.book.mu.Lock()
	defer w.book.mu.Unlock()
	if !maps.Equal(w.book.dropped, want) {
		w.t.Errorf("dropped %v; want %v", w.book.dropped, want)
	}
}
