package logql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
)

// fieldsOf returns what DetectedFields finds, a line each.
func fieldsOf(t *testing.T, e *logql.Engine, q, name string) (text string) {
	t.Helper()
	fields, err := e.DetectedFields(t.Context(), all(q), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		text += fmt.Sprintf("%s %s %d %s\n", f.Name, f.Type, len(f.Values), strings.Join(f.Parsers, " "))
	}
	return text
}

// TestDetectedFields has lines whose fields Loki 3.7.8 says the same of.
func TestDetectedFields(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	for i, body := range []string{
		`{"status":200,"took":"5ms","user":{"id":"a"},"app":"x","trace_id":"in"}`, `{"status":404,"took":"1.5s"}`,
		`level=info n=1 size=5KB ok=true f=1`, `n=2 f=1.5 size="7 MB" ok=false`, `just words`,
	} {
		r := line(body)
		r.Time, r.Fields = moment+int64(i), []kept.Field{{Name: []byte("trace.id"), Value: []byte("x1")}}
		w.add(s, r)
	}
	e := w.engine(logql.Options{})
	same := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	const tried = `app_extracted string 1 json
detected_level string 1 
f float 2 logfmt
level string 1 logfmt
n int 2 logfmt
ok boolean 2 logfmt
size bytes 2 logfmt
status int 2 json
took duration 2 json
trace_id string 2 json
user_id string 1 json
`
	same(fieldsOf(t, e, `{app="shop"}`, ""), tried)
	same(fieldsOf(t, e, `{app="shop"} |~ "n=|words" | logfmt`, ""), `detected_level string 1 
f float 2 logfmt
level string 1 logfmt
n int 2 logfmt
ok boolean 2 logfmt
size bytes 2 logfmt
trace_id string 1 
`)
	// A parser that does not fit leaves the lines to those that do.
	same(fieldsOf(t, e, `{app="shop"} |~ "n=|words" | json`, ""), fieldsOf(t, e, `{app="shop"} |~ "n=|words" | logfmt`, ""))
	same(fieldsOf(t, e, `{app="shop"} |= "404" | json s="status"`, ""), "detected_level string 1 \ns int 1 json\nstatus int 1 json\ntook duration 1 json\ntrace_id string 1 \n")
	same(fieldsOf(t, e, `{app="shop"} |= "words" | pattern "<a> <b>"`, ""), "a string 1 logfmt\nb string 1 logfmt\ndetected_level string 1 \ntrace_id string 1 \n")
	same(fieldsOf(t, e, `{app="shop"} |= "words" | line_format "new=1"`, ""), "detected_level string 1 \nnew int 1 logfmt\ntrace_id string 1 \n")
	same(fieldsOf(t, e, `{app="shop"}`, "status"), "status int 2 json\n")
	same(fieldsOf(t, e, `{app="shop"}`, "app_extracted"), "app_extracted string 1 json\n")
	same(fieldsOf(t, e, `{app="shop"}`, "none"), "")
	if _, err := e.DetectedFields(t.Context(), logql.Params{Query: `count_over_time({app="shop"}[1m])`}, ""); err == nil {
		t.Error("fields of numbers")
	}
}

// TestFieldPaths has fields that json finds at some depth, under names that become others as
// labels, and fields that it does not find.
func TestFieldPaths(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	for i, body := range []string{
		`n=1 top=x`, `{"top":1,"deep.er":{"a b":{"\u00e4c":"x","list":[1,2],"none":null,"on":true}},"app":"y","9":1}`, `{"top":2,"late":{"r":-1}, "broken`, ` {"late":{"r":-1}} `,
	} {
		r := line(body)
		r.Time, r.Fields = moment+int64(i), []kept.Field{{Name: []byte("pod"), Value: []byte("p")}}
		w.add(s, r)
	}
	e := w.engine(logql.Options{})
	paths := func(q, name string) string {
		t.Helper()
		fields, err := e.DetectedFields(t.Context(), all(q), name)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, f := range fields {
			text += fmt.Sprintf("%s %q\n", f.Name, f.Path)
		}
		return text
	}
	const want = `_9 ["9"]
app_extracted ["app"]
deep_er_a_b__c ["deep.er" "a b" "äc"]
deep_er_a_b_on ["deep.er" "a b" "on"]
detected_level []
late_r ["late" "r"]
n []
pod []
top ["top"]
`
	if got := paths(`{app="shop"} != "broken"`, ""); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := paths(`{app="shop"} |= "deep" | json x="top" | keep x`, ""), "_9 [\"9\"]\n"; !strings.HasPrefix(got, want) || !strings.Contains(got, "\nx []\n") {
		t.Errorf("%s", got)
	}
	if got := paths(`{app="shop"}`, "top"); got != "top []\n" {
		t.Errorf("%s", got)
	}
}

// TestFieldsOfLongLines has lines of more fields than anybody wants: a few are found, in
// little memory, and it can be stopped before each line.
func TestFieldsOfLongLines(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=keys")
	const lines, keys = 16, 20_000
	for i := range lines {
		sep, format := ",", `"%s":%d`
		if i%2 == 1 {
			sep, format = " ", `%s=%d`
		}
		var pairs []string
		for k := range keys {
			pairs = append(pairs, fmt.Sprintf(format, fmt.Sprintf("key%d_%d", i, k), k))
		}
		r := line(strings.Join(pairs, sep))
		if i%2 == 0 {
			r.Body = fmt.Appendf(nil, `{"in":[{%s},1]%s%s}`, "", sep, r.Body)
		}
		r.Time = moment + int64(i)
		w.add(s, r)
	}
	e := w.engine(logql.Options{})
	const many = 1 << 30
	ctx := &countdown{Context: t.Context(), left: many}
	var fields []logql.Field
	var err error
	grew := peak(func() { fields, err = e.DetectedFields(ctx, all(`{app="keys"}`), "") })
	if err != nil || len(fields) != 1000 || grew > 64<<20 {
		t.Fatalf("%d fields in %d MiB, %v", len(fields), grew>>20, err)
	}
	asked := many - ctx.left
	ctx = &countdown{Context: t.Context(), left: asked - 5}
	if _, err = e.DetectedFields(ctx, all(`{app="keys"}`), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("after %d of %d looks: %v", asked-5, asked, err)
	}
	if got := fieldsOf(t, e, `{app="keys"}`, "key14_19999"); got != "key14_19999 int 1 json\n" {
		t.Error(got)
	}
}

// TestFieldsMemory has more values than there is room for.
func TestFieldsMemory(t *testing.T) {
	w := newWorld(t)
	w.fill(w.stream("app=shop"), 1000, 500, func(i int) kept.Record { return line(fmt.Sprintf("n=%d m=%d", i, i)) })
	e := w.engine(logql.Options{MaxMemory: 100 << 10})
	if _, err := e.DetectedFields(t.Context(), all(`{app="shop"}`), ""); err != nil {
		t.Error(err) // it looks at fewer lines
	}
	w.fill(w.stream("app=many"), 50, 10, func(i int) kept.Record {
		text := ""
		for k := range 100 {
			text += fmt.Sprintf("k%d=%d ", k, i)
		}
		return line(text)
	})
	e = w.engine(logql.Options{MaxMemory: 100 << 10})
	if _, err := e.DetectedFields(t.Context(), all(`{app="many"}`), ""); err == nil || !logql.IsUserError(err) || !strings.Contains(err.Error(), "lower line_limit") {
		t.Errorf("%v", err)
	}
}

// TestLongLines asks for more text than an answer may have.
func TestLongLines(t *testing.T) {
	w := newWorld(t)
	s := w.stream("app=shop")
	for i := range 64 {
		r := line(fmt.Sprintf("%02d %s", i, strings.Repeat("x", 20_000)))
		r.Time = moment + int64(i)
		w.add(s, r)
	}
	e := w.engine(logql.Options{MaxMemory: 1 << 20})
	p := all(`{app="shop"}`)
	if _, err := e.Query(t.Context(), p); err == nil || !logql.IsUserError(err) || !strings.Contains(err.Error(), "lower the limit") {
		t.Fatalf("%v", err)
	}
	p.Limit = 40
	if res := query(t, e, p); len(res.Entries) != 40 || res.Cut {
		t.Errorf("%d lines", len(res.Entries))
	}
	for _, p.Direction = range []logql.Direction{logql.Forward, logql.Backward} {
		p.Limit, p.Bytes, p.After = 64, 500_000, nil
		var got []string
		for more := true; more; {
			res := query(t, e, p)
			if len(res.Entries) > 25 {
				t.Fatalf("%d lines take %d bytes", len(res.Entries), p.Bytes)
			}
			for i := range res.Entries {
				k := &res.Entries[i]
				got, p.After = append(got, k.Line[:2]), &logql.Mark{Time: k.Time, Stream: k.Stream, Sequence: k.Sequence}
			}
			more = res.Cut
			p.Bytes = 1 // the next have room for one alone
			if len(got) > 30 {
				p.Bytes = 500_000
			}
		}
		want := ""
		for i := range 64 {
			if p.Direction == logql.Backward {
				i = 63 - i
			}
			want += fmt.Sprintf("%02d ", i)
		}
		if strings.Join(got, " ")+" " != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if _, err := e.Records(t.Context(), "test/app=shop", []logql.Range{{First: 1, Last: 60}}); !logql.IsUserError(err) {
		t.Errorf("%v", err)
	}
	if res, err := e.Records(t.Context(), "test/app=shop", []logql.Range{{First: 1, Last: 40}}); err != nil || len(res.Entries) != 40 {
		t.Errorf("%d records, %v", len(res.Entries), err)
	}
}
