package logql_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
)

func matchers(t *testing.T, text string) []syntax.Matcher {
	t.Helper()
	m, err := syntax.ParseMatchers(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func threeStreams(t *testing.T) *logql.Engine {
	w := newWorld(t)
	for i, s := range []string{"app=shop env=prod", "app=shop env=test", "app=db env=prod"} {
		w.fill(w.stream(s), 100, 10, func(k int) kept.Record {
			r := line(strings.Repeat("x", 100*(i+1)))
			return r
		})
	}
	late := line("late")
	late.Time = moment + int64(time.Hour)
	w.add(w.stream("app=late"), late)
	return w.engine(logql.Options{})
}

func TestLabels(t *testing.T) {
	e := threeStreams(t)
	within := logql.Selection{Start: time.Unix(0, moment), End: time.Unix(0, moment).Add(time.Minute)}
	same := func(got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	ctx := t.Context()
	list, err := e.Labels(ctx, logql.Selection{})
	same(list, err, []string{"app", "env"})
	values := func(name string, s logql.Selection, want []string) {
		t.Helper()
		list, err := e.LabelValues(ctx, name, s)
		same(list, err, want)
	}
	values("app", logql.Selection{}, []string{"db", "late", "shop"})
	values("app", within, []string{"db", "shop"})
	values("app", logql.Selection{Matchers: matchers(t, `{env="test"}`)}, []string{"shop"})
	values("none", logql.Selection{}, []string(nil))
	series, err := e.Series(ctx, [][]syntax.Matcher{matchers(t, `{env="prod"}`), matchers(t, `{app="db"}`)}, time.Time{}, time.Time{})
	same(fmt.Sprint(series), err, `[{app="db", env="prod"} {app="shop", env="prod"}]`)
	series, err = e.Series(ctx, nil, within.Start, within.End)
	same(len(series), err, 3)
	counts, err := e.DetectedLabels(ctx, within)
	same(counts, err, []logql.LabelCount{{Name: "app", Values: 2}, {Name: "env", Values: 2}})
	st, err := e.IndexStats(ctx, logql.Selection{Matchers: matchers(t, `{env="prod"}`)})
	same([]int64{st.Streams, st.Blocks, st.Entries}, err, []int64{2, 20, 200})
}

// TestLabelsEnd asks what streams there are within a time that is over.
func TestLabelsEnd(t *testing.T) {
	e := threeStreams(t)
	var s logql.Selection
	over := &countdown{Context: t.Context(), left: 0}
	_, labels := e.Labels(over, s)
	_, values := e.LabelValues(over, "app", s)
	_, series := e.Series(over, nil, s.Start, s.End)
	_, detected := e.DetectedLabels(over, s)
	_, stats := e.IndexStats(over, s)
	_, volume := e.Volume(over, logql.VolumeParams{Selection: s})
	for i, err := range []error{labels, values, series, detected, stats, volume} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: %v", i, err)
		}
	}
	// A series of many ranges looks at each block for each of them.
	p := logql.VolumeParams{Selection: logql.Selection{Start: time.Unix(0, moment), End: time.Unix(0, moment).Add(time.Hour)}, Step: time.Second}
	if _, err := e.Volume(&countdown{Context: t.Context(), left: 5}, p); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestVolume(t *testing.T) {
	e := threeStreams(t)
	p := logql.VolumeParams{Selection: logql.Selection{Matchers: matchers(t, `{env=~".+"}`), Start: time.Unix(0, moment), End: time.Unix(0, moment).Add(time.Hour)}}
	names := func() string {
		t.Helper()
		list, err := e.Volume(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		text, total := "", 0.0
		for _, s := range list {
			text += s.Labels.String()
			for _, point := range s.Points {
				total += point.Value
			}
		}
		st, err := e.IndexStats(t.Context(), p.Selection)
		if err != nil {
			t.Fatal(err)
		}
		if bytes := float64(st.Bytes); p.Limit == 0 && (total < bytes-100 || total > bytes) && !p.ByLabel {
			t.Errorf("%s has %g bytes; want %g", text, total, bytes)
		}
		return text
	}
	check := func(want string) {
		t.Helper()
		if got := names(); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
	check(`{env="prod"}{env="test"}`)
	p.Targets = []string{"app", "env"}
	check(`{app="db", env="prod"}{app="shop", env="test"}{app="shop", env="prod"}`)
	p.Step = 7 * time.Second
	p.End = p.Start.Add(112 * time.Second)
	check(`{app="db", env="prod"}{app="shop", env="test"}{app="shop", env="prod"}`)
	p.Limit = 1
	check(`{app="db", env="prod"}`)
	p.Limit, p.Step, p.ByLabel = 0, 0, true
	check(`{app=""}{env=""}`)
}

// TestVolumeMemory asks for the volume of many streams in many ranges.
func TestVolumeMemory(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		w.fill(w.stream(fmt.Sprint("app=a", i)), 1, 1, func(int) kept.Record { return line("x") })
	}
	e := w.engine(logql.Options{MaxMemory: 1 << 20})
	p := logql.VolumeParams{Selection: logql.Selection{Start: time.Unix(0, moment), End: time.Unix(0, moment).Add(time.Hour)}, Step: time.Second}
	if _, err := e.Volume(t.Context(), p); !logql.IsUserError(err) {
		t.Errorf("%v", err)
	}
	p.Step = time.Minute
	if _, err := e.Volume(t.Context(), p); err != nil {
		t.Error(err)
	}
}
