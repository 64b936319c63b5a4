package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/bench/dataset"
)

func TestExpositionCounts(t *testing.T) {
	got, err := expositionCounts([]byte(`# TYPE nginx_status_count_total counter
nginx_status_count_total{machine="a",status="200"} 17
nginx_status_count_total{machine="b",status="200"} 3 1700000000
nginx_status_count{prog="nginx.mtail",status="404"} 1.5e+01
nginx_status_count_total{status="502",machine="a"} 2
nginx_status_count_total{http_status="7",machine="a"} 2
weir_other{status="200"} 5
`))
	if want := map[string]int{"200": 20, "404": 15, "502": 2}; err != nil || !maps.Equal(got, want) {
		t.Errorf("expositionCounts = %v, %v; want %v", got, err, want)
	}
}

func TestVerdict(t *testing.T) {
	var tab table
	if got := tab.verdict(map[string]int{"200": 2}, map[string]int{"200": 2}); got != "exact" || tab.wrong {
		t.Errorf("equal counts are %q", got)
	}
	if got := tab.verdict(map[string]int{"200": 1999}, map[string]int{"200": 2000}); got != "**WRONG**: 1,999 lines, want 2,000" || !tab.wrong {
		t.Errorf("unequal counts are %q", got)
	}
}

func TestMarkdown(t *testing.T) {
	var tab table
	tab.add(row{work: "a", name: "weir", cpu: "1.00 s", ratio: "1.00"})
	tab.add(row{work: "a", name: "other", counts: "SKIP: not there"})
	tab.add(row{work: "b", name: "weir"})
	want := `Heading

| work | contender | CPU | × weir | wall | peak RSS | counts | runs |
|---|---|--:|--:|--:|--:|---|--:|
| a | weir | 1.00 s | 1.00 |  |  |  |  |
|  | other |  |  |  |  | SKIP: not there |  |
| b | weir |  |  |  |  |  |  |
`
	if got := tab.markdown("Heading\n"); got != want {
		t.Errorf("markdown:\n%s\nwant:\n%s", got, want)
	}
}

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		number(7): "7", number(123): "123", number(1234): "1,234", number(10_000_000): "10,000,000",
		seconds(412 * time.Millisecond): "0.41 s", seconds(21*time.Second + 49*time.Millisecond): "21.0 s",
		mebibytes(25<<20 + 1): "25 MiB", times(3, 2): "1.50", times(24, 2): "12", times(1, 0): "–",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if m := median([]int64{5, 1, 3}); m != 3 {
		t.Errorf("median of 5, 1, 3 is %d", m)
	}
	if m := median([]int64{4, 1, 3, 2}); m != 2 {
		t.Errorf("median of 4, 1, 3, 2 is %d", m)
	}
}

func TestSlowContendersRunLess(t *testing.T) {
	slow, quick := tries{cpu: []time.Duration{4 * time.Second, time.Second}}, tries{cpu: []time.Duration{1, 1}}
	if !slow.done(5) || quick.done(5) || !quick.done(2) {
		t.Error("a slow contender ends after two runs, a quick one after all")
	}
	if failed := (tries{err: errWrong}); !failed.done(5) {
		t.Error("a contender that failed runs again")
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-quick"}, io.Discard)
	if err != nil || o.rounds != 2 || o.follow != 5*time.Second || !strings.HasPrefix(o.data, "/") {
		t.Errorf("parse(-quick) = %+v, %v", o, err)
	}
	for _, args := range [][]string{{"-nonsense"}, {"what"}, {"-profile", "x.pgo", "-weir", "weir"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("parse(%q) has no error", args)
		}
	}
	b := bench{options: options{only: "mtail,grep"}}
	if !b.wants("mtail 3") || b.wants("weir") || !(&bench{}).wants("weir") {
		t.Error("-only chooses wrongly")
	}
}

func TestWriteKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		lines := dataset.NewWriter(false)
		if err := write(t.Context(), &out, lines, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(out.Bytes(), []byte{'\n'}); n != 3*followRate {
			t.Errorf("%d lines in 3 s, want %d", n, 3*followRate)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := write(ctx, &out, lines, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("write after the end: %v", err)
		}
	})
}

func TestSettledWaitsForTheLastLine(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `nginx_status_count{status="200"} `+number(asked)+"\n")
	}))
	defer server.Close()
	got, err := settled(t.Context(), server.URL, map[string]int{"200": 4})
	if err != nil || got["200"] != 4 {
		t.Errorf("settled = %v, %v", got, err)
	}
}

func TestLaboratory(t *testing.T) {
	var order []string
	why := laboratory(func(t testing.TB) {
		t.Helper()
		t.Cleanup(func() { order = append(order, "first") })
		t.Cleanup(func() { order = append(order, "second") })
		t.Skip("SKIP: no engine")
		order = append(order, "never")
	})
	if why != "no engine" || strings.Join(order, " ") != "second first" {
		t.Errorf("%q, %q", why, order)
	}
	if why := laboratory(func(t testing.TB) { t.Log("nothing") }); why != "" {
		t.Errorf("%q", why)
	}
}

func TestOfContainer(t *testing.T) {
	text := []byte("# HELP container_memory_working_set_bytes x\n" +
		"container_memory_working_set_bytes{id=\"/\",image=\"\",name=\"\"} 1 2\n" +
		"container_memory_working_set_bytes{id=\"/docker/1\",image=\"bb:1\",name=\"a\"} 1 2\n" +
		"container_memory_working_set_bytes{machine=\"m\",container=\"b\",id=\"1\",image=\"bb:1\",name=\"b\"} 1\n")
	if n := len(ofContainer.FindAllIndex(text, -1)); n != 2 {
		t.Errorf("%d containers", n)
	}
}
