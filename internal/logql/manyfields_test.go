package logql_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/reference"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// TestManyFields is TestDifferential about records with so many more fields, or so large
// ones, that the index cannot say what the queries ask for.
func TestManyFields(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 11))
		streams, queries := reference.Generate(r)
		for i := range streams {
			crowd(r, &streams[i], int(seed)+i)
		}
		a, streams := store(t, r, streams)
		e := logql.New(logql.Options{Archive: a, Workers: 2, MaxEntries: 1 << 20})
		for _, text := range []string{
			`sum by (status) (count_over_time({app=~".+"}[5m]))`, `sum by (trace_id) (count_over_time({app=~".+"}[5m]))`,
			`{app=~".+"} | status = "500"`, `{app=~".+"} | trace_id != ""`, `count_over_time({app=~".+"} | extra_1 = "x" [10m])`,
			`{app=~".+"} | stream = "stderr"`, `{app=~".+"} | gap != ""`, `sum by (n) (rate({app=~".+"}[5m]))`,
		} {
			queries = append(queries, reference.Query{Text: text, Params: queries[0].Params})
		}
		for _, q := range queries {
			expr, err := syntax.Parse(q.Text)
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := reference.Eval(streams, expr, q.Params)
			got, gotErr := answer(t, e, expr, q.Params)
			if !same(wantErr, gotErr) {
				t.Fatalf("seed %d: %s\n%+v: error %v; want %v", seed, q.Text, q.Params, gotErr, wantErr)
			} else if d := reference.Diff(want, got); wantErr == nil && d != "" {
				t.Fatalf("seed %d: %s\n%+v: %s", seed, q.Text, q.Params, d)
			}
		}
	}
}

// crowd gives the entries more fields: of always new names, of many names, or with values
// that leave no room for those of others.
func crowd(r *rand.Rand, s *reference.Stream, kind int) {
	for i := range s.Entries {
		e := &s.Entries[i]
		if e.Gap {
			continue
		}
		var more []record.Label
		switch kind % 3 {
		case 0:
			for range 20 {
				more = append(more, record.Label{Name: "extra." + strconv.Itoa(r.IntN(1000)), Value: "x"})
			}
		case 1:
			for k := range 5 {
				more = append(more, record.Label{Name: "extra." + strconv.Itoa(k), Value: strings.Repeat(strconv.Itoa(i), 20)})
			}
		case 2:
			for k := range 18 {
				more = append(more, record.Label{Name: "extra." + strconv.Itoa(k), Value: "x"})
			}
		}
		slices.SortFunc(more, func(a, b record.Label) int { return strings.Compare(a.Name, b.Name) })
		more = slices.CompactFunc(more, func(a, b record.Label) bool { return a.Name == b.Name })
		e.Fields = append(more, e.Fields...)
	}
}
