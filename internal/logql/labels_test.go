package logql_test

import (
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
	same := func(got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v; want %v", got, want)
		}
	}
	same(e.Labels(logql.Selection{}), []string{"app", "env"})
	same(e.LabelValues("app", logql.Selection{}), []string{"db", "late", "shop"})
	same(e.LabelValues("app", within), []string{"db", "shop"})
	same(e.LabelValues("app", logql.Selection{Matchers: matchers(t, `{env="test"}`)}), []string{"shop"})
	same(e.LabelValues("none", logql.Selection{}), []string(nil))
	same(fmt.Sprint(e.Series([][]syntax.Matcher{matchers(t, `{env="prod"}`), matchers(t, `{app="db"}`)}, time.Time{}, time.Time{})),
		`[{app="db", env="prod"} {app="shop", env="prod"}]`)
	same(len(e.Series(nil, within.Start, within.End)), 3)
	same(e.DetectedLabels(within), []logql.LabelCount{{Name: "app", Values: 2}, {Name: "env", Values: 2}})
	st := e.IndexStats(logql.Selection{Matchers: matchers(t, `{env="prod"}`)})
	same([]int64{st.Streams, st.Blocks, st.Entries}, []int64{2, 20, 200})
}

func TestVolume(t *testing.T) {
	e := threeStreams(t)
	p := logql.VolumeParams{Selection: logql.Selection{Matchers: matchers(t, `{env=~".+"}`), Start: time.Unix(0, moment), End: time.Unix(0, moment).Add(time.Hour)}}
	names := func() string {
		t.Helper()
		list, err := e.Volume(p)
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
		if bytes := float64(e.IndexStats(p.Selection).Bytes); p.Limit == 0 && (total < bytes-100 || total > bytes) && !p.ByLabel {
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

func TestDetectedFields(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	for i, body := range []string{
		`{"status":200,"took":"5ms","user":{"id":"a"}}`, `{"status":404,"took":"1.5s"}`, `level=info n=1 size=5KB ok=true f=1`, `n=2 f=1.5 size="7 MB" ok=false`, `just words`,
	} {
		r := line(body)
		r.Time, r.Fields = moment+int64(i), []kept.Field{{Name: []byte("trace.id"), Value: []byte("x1")}}
		w.add(s, r)
	}
	e := w.engine(logql.Options{})
	fields, err := e.DetectedFields(t.Context(), all(`{app="shop"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, f := range fields {
		got += fmt.Sprintf("%s %s %d %s\n", f.Name, f.Type, len(f.Values), strings.Join(f.Parsers, " "))
	}
	want := `detected_level string 1 
f float 2 logfmt
level string 1 logfmt
n int 2 logfmt
ok boolean 2 logfmt
size bytes 2 logfmt
status int 2 json
took duration 2 json
trace_id string 1 
user_id string 1 json
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if fields, err = e.DetectedFields(t.Context(), all(`{app="shop"} | json status`)); err != nil || len(fields) != 3 || fields[1].Name != "status" || len(fields[1].Parsers) != 0 {
		t.Errorf("%+v, %v", fields, err)
	}
	if _, err = e.DetectedFields(t.Context(), logql.Params{Query: `count_over_time({app="shop"}[1m])`}); err == nil {
		t.Error("fields of numbers")
	}
}
