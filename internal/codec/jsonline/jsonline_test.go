package jsonline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/jsonline"
	"github.com/weirlog/weir/internal/record"
)

// match returns the fields of body, those that are absent as "<none>".
func match(m *jsonline.Matcher, body string) ([]string, bool) {
	b := &record.Batch{}
	b.Append([]byte("before"))
	span := b.Append([]byte(body))
	row := make([]record.Span, len(m.Names()))
	if !m.Match(b, span, row) {
		return nil, false
	}
	var got []string
	for _, s := range row {
		if s == (record.Span{}) {
			got = append(got, "<none>")
		} else {
			got = append(got, string(b.Bytes(s)))
		}
	}
	return got, true
}

func TestMatch(t *testing.T) {
	m := jsonline.New([]string{"level", "http.status", "http", "a.b.c"})
	good := func(in string, want ...string) {
		t.Helper()
		if got, ok := match(m, in); !ok || !slices.Equal(got, want) {
			t.Errorf("Match(%s) = %q, %v; want %q", in, got, ok, want)
		}
	}
	const none = "<none>"
	good(`{}`, none, none, none, none)
	good(" {\t} \r\n", none, none, none, none)
	good(`{"level":"error","msg":"x"}`, "error", none, none, none)
	good(`{ "msg" : [1, {"level":2}, "]"] , "level" : 30 }`, "30", none, none, none)
	good(`{"level":null,"http":{"x":[],"status":404}}`, "null", "404", `{"x":[],"status":404}`, none)
	good(`{"http.status":-1.5e+3,"http":true}`, none, "-1.5e+3", "true", none)
	good(`{"a":{"b":{"c":"deep"}}}`, none, none, none, "deep")
	good(`{"a.b":{"c":"1"}}`, none, none, none, "1")
	good(`{"a":{"b.c":"2"}}`, none, none, none, "2")
	good(`{"a.b.c":""}`, none, none, none, "")
	good(`{"level":"a","level":"b"}`, "b", none, none, none)
	good(`{"level":"a \"quoted\" \ud83d\ude00","l":1}`, `a "quoted" 😀`, none, none, none)
	good(`{"l\u0065vel":"x"}`, "x", none, none, none)
	good(`{"http":{"level":"not this"},"Level":"nor this"}`, none, none, `{"level":"not this"}`, none)
	good("{\"level\":\"\xff\"}", "\xff", none, none, none)
	bad := func(in string) {
		t.Helper()
		if got, ok := match(m, in); ok {
			t.Errorf("Match(%q) = %q", in, got)
		}
	}
	bad(``)
	bad(`text`)
	bad(`{`)
	bad(`{"level"`)
	bad(`{"level":`)
	bad(`{"level":"x`)
	bad(`{"level":"x"`)
	bad(`{"level":"x",}`)
	bad(`{"level":"x"} {}`)
	bad(`["level"]`)
	bad(`"level"`)
	bad(`{level:1}`)
	bad(`{"a":01}`)
	bad(`{"a":1.}`)
	bad(`{"a":tru}`)
	bad(`{"a":"\x"}`)
	bad(`{"a":"\u12g4"}`)
	bad("{\"a\":\"\n\"}")
	bad("{\"a\":\"long enough for a word \x1f\"}")
	bad(`{"a":` + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + `}`)
	bad(strings.Repeat(`{"a":`, 1e6))
}

func TestEach(t *testing.T) {
	each := func(in string) string {
		var got []string
		jsonline.Each([]byte(in), func(name string, value []byte) bool {
			got = append(got, name+"="+string(value))
			return name != "stop"
		})
		return strings.Join(got, " ")
	}
	good := func(in, want string) {
		t.Helper()
		if got := each(in); got != want {
			t.Errorf("Each(%s): %s; want %s", in, got, want)
		}
	}
	good(`{"a":1,"b":{"c":"x\ny","d":{"e":null}},"f":[1,{"g":2}],"h":{ },"i":""}`, "a=1 b.c=x\ny b.d.e=null f=[1,{\"g\":2}] h={ } i=")
	good(` { "a" : true , "stop" : { "b" : 1 } , "c" : 2 } `, "a=true stop.b=1 c=2")
	good(`{"a":1,"stop":2,"c":3}`, "a=1 stop=2")
	good(`{"\u0061\"":"\u0062"}`, `a"=b`)
	good(`{"a":1`, "")
	good(`[1]`, "")
	good(`{}`, "")
}

// flatten is what Each should visit, as far as a map can say it.
func flatten(prefix string, v map[string]json.RawMessage, to map[string]string) {
	for k, raw := range v {
		var text string
		var nested map[string]json.RawMessage
		switch {
		case bytes.HasPrefix(raw, []byte(`"`)):
			_ = json.Unmarshal(raw, &text)
			to[prefix+k] = text
		case bytes.HasPrefix(raw, []byte(`{`)):
			_ = json.Unmarshal(raw, &nested)
			if len(nested) > 0 {
				flatten(prefix+k+".", nested, to)
				continue
			}
			to[prefix+k] = string(raw)
		default:
			to[prefix+k] = string(raw)
		}
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{
		`{"level":"error","http":{"status":200}}`, `{"a":[1,-2.5e-3,true,false,null,"x\n\ud83d\ude00"]}`, `{"a.b":{"c":1},"a":{"b.c":2}}`,
		`{"a":"\u00zz"}`, "{\"a\":\"\t\"}", `{"a":1}}`, `{"a":{"b":{"c":{}}}} `, `{"a":0.0e0,"a":00}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var fields map[string]json.RawMessage
		want := json.Unmarshal(body, &fields) == nil && fields != nil
		m := jsonline.New([]string{"a", "a.b.c", "level"})
		got, ok := match(m, string(body))
		if ok != want {
			if !ok && bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) >= 100 {
				return
			}
			t.Fatalf("Match(%q) = %v; encoding/json says %v", body, ok, want)
		}
		visited := map[string]string{}
		names := []string{}
		jsonline.Each(body, func(name string, value []byte) bool {
			visited[name] = string(value)
			names = append(names, name)
			return true
		})
		if !ok {
			if len(visited) > 0 {
				t.Fatalf("Each(%q) visits %v", body, visited)
			}
			return
		}
		flat := map[string]string{}
		flatten("", fields, flat)
		slices.Sort(names)
		visits := len(names)
		if len(slices.Compact(names)) != visits || visits != len(flat) || !bytes.Equal(body, bytes.ToValidUTF8(body, nil)) {
			return // a name twice, of which a map cannot say which is last, or bytes that encoding/json changes
		}
		if !maps.Equal(visited, flat) {
			t.Fatalf("Each(%q) visits %q; want %q", body, visited, flat)
		}
		for i, name := range m.Names() {
			if v, there := flat[name]; there && got[i] != v && name != "a.b.c" {
				t.Errorf("Match(%q): %s is %q; want %q", body, name, got[i], v)
			}
		}
	})
}

const line = `{"time":"2026-11-20T18:07:46.117Z","level":"INFO","source":{"function":"main.handle","file":"/src/main.go","line":57},"msg":"request served","http":{"method":"GET","path":"/api/v1/items","status":200,"bytes":5120},"duration":0.0123,"user":"alice","trace":"0af7651916cd43dd8448eb211c80319c"}`

func TestMatchDoesNotAllocate(t *testing.T) {
	m := jsonline.New([]string{"level", "http.status", "msg"})
	b := &record.Batch{Arena: make([]byte, 0, 4096)}
	row := make([]record.Span, 3)
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(nil)
		for _, s := range []string{line, `{"msg":"with \"escapes\""}`, "junk"} {
			off := len(b.Arena)
			b.Arena = append(b.Arena, s...)
			m.Match(b, record.Span{Off: uint32(off), Len: uint32(len(s))}, row)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	m := jsonline.New([]string{"level", "http.status"})
	batch := &record.Batch{}
	body := batch.Append([]byte(line))
	row := make([]record.Span, 2)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if !m.Match(batch, body, row) {
			b.Fatal("no match")
		}
	}
}

func Example() {
	m := jsonline.New([]string{"level", "http.status"})
	b, row := &record.Batch{}, make([]record.Span, 2)
	body := b.Append([]byte(`{"level":"warn","http":{"method":"GET","status":404}}`))
	fmt.Println(m.Match(b, body, row))
	fmt.Printf("%s %s\n", b.Bytes(row[0]), b.Bytes(row[1]))
	// Output:
	// true
	// warn 404
}
