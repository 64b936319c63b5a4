package distlog_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/record"
)

func TestTopic(t *testing.T) {
	for text, want := range map[string]distlog.Topic{
		"PLJ":  {System: "production", Kind: "log"},
		"SLP":  {System: "staging", Kind: "log", Pickle: true},
		"TPJ":  {System: "test", Kind: "performance"},
		"PLX":  {System: "production", Kind: "log"}, // all that is no pickle is JSON
		"LJ":   {System: "other", Kind: "log"},      // what the handler lets pass as well
		"TSLP": {System: "other", Kind: "log", Pickle: true},
		"XYZ":  {System: "other", Kind: "other"},
		"P":    {System: "other", Kind: "other", Pickle: true},
		"":     {System: "other", Kind: "other"},
	} {
		if got := distlog.ParseTopic([]byte(text)); got != want {
			t.Errorf("topic %q is %+v, want %+v", text, got, want)
		}
	}
}

func TestKey(t *testing.T) {
	good := func(text string, seq uint64, scope string, shared bool) {
		t.Helper()
		k, ok := distlog.ParseKey([]byte(text))
		if !ok || k.Seq != seq || string(k.Scope) != scope || k.Shared() != shared {
			t.Errorf("key %q is %d of %q (shared: %v), %v", text, k.Seq, k.Scope, k.Shared(), ok)
		}
	}
	bad := func(text string) {
		t.Helper()
		if k, ok := distlog.ParseKey([]byte(text)); ok {
			t.Errorf("key %q is %d of %q", text, k.Seq, k.Scope)
		}
	}
	good("0@f738d4aa-6a48-4fac-be7e-f34721792d8c", 0, "f738d4aa-6a48-4fac-be7e-f34721792d8c", false)
	good("12@u/1/2", 12, "u/1/2", false)
	good("3@<built-in function id>", 3, "<built-in function id>", true)
	good("0@uuid/<built-in function id>/2", 0, "uuid/<built-in function id>/2", true)
	good("0@None/1", 0, "None/1", true)
	good("1@a@b", 1, "a@b", false)
	bad("")
	bad("order 17")
	bad("@u")
	bad("1@")
	bad("-1@u")
	bad("1.5@u")
	bad("99999999999999999999@u")
	bad("1@u\nv")
	bad("1@" + strings.Repeat("x", 5000))
}

// attrs returns the attributes of a record as text, those of its context in parentheses.
func attrs(text string) (string, error) {
	all, err := distlog.Parse(nil, []byte(text))
	var b strings.Builder
	part := func(s record.Span) string { return text[s.Off : s.Off+s.Len] }
	for _, a := range all {
		name := part(a.Name)
		if a.EscapedName {
			name += "~"
		}
		if a.Context {
			name = "(" + name + ")"
		}
		b.WriteString(name + []string{"=-", "=", "~", "#", "?", "*"}[a.Kind] + part(a.Value) + " ")
	}
	return strings.TrimSuffix(b.String(), " "), err
}

func TestParse(t *testing.T) {
	good := func(text, want string) {
		t.Helper()
		if got, err := attrs(text); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	good(`{}`, "")
	good(` { "a" : "b" , "c":1 } `, "a=b c#1")
	good(`{"a": null, "b": true, "c": false}`, "a=-null b?true c?false")
	good(`{"a": NaN, "b": Infinity, "c": -Infinity, "d": -1.5e-7}`, "a#NaN b#Infinity c#-Infinity d#-1.5e-7")
	good(`{"a": [NaN, {"b": -Infinity}], "c": {}}`, `a*[NaN, {"b": -Infinity}] c*{}`)
	good(`{"a": 123456789012345678901234567890}`, "a#123456789012345678901234567890")
	good(`{"a": "\ud83d\ude00", "b": "\ud800"}`, `a~\ud83d\ude00 b~\ud800`)
	good(`{"m\u0073g": "x"}`, `m\u0073g~=x`)
	good(`{"1": 1, "1": true}`, "1#1 1?true")
	good(`{"context": {"key": "0@u", "n": {"a": []}}, "x": "é"}`, `(key)=0@u (n)*{"a": []} x=é`)
	good(`{"context": null}`, "context=-null")
	good(`{"context": {"a": 1}, "b": 2, "context": {"c": 3}}`, "b#2 (c)#3")
	good(`{"context": {"a": 1}, "context": 7}`, "context#7")
	good(`{"context": {"context": {"a": 1}}}`, `(context)*{"a": 1}`)
	good(`{"a":`+strings.Repeat("[", 98)+strings.Repeat("]", 98)+`}`, "a*"+strings.Repeat("[", 98)+strings.Repeat("]", 98))

	bad := func(text string, want distlog.Error) {
		t.Helper()
		if got, err := attrs(text); err != error(want) {
			t.Errorf("%.80q is %.80s, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "{", `{"a`, `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a":1}}`, `{"a":1} x`, `{a:1}`, `{'a':1}`,
		`{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":nan}`, `{"a":-NaN}`, `{"a":Inf}`, `{"a":"\x"}`, `{"a":"\u12"}`, "{\"a\":\"\n\"}", `{"a" 1}`,
		`{"a":[1,]}`, `{"a":[1 2]}`, `{"a":{"b"}}`, `{"context":{"a":}}`, `{"a":tru}`, `{"a":-}`, `[`, `"a`, "hello", "\xef\xbb\xbf{}"} {
		bad(text, distlog.NotJSON)
	}
	bad(`[1, 2]`, distlog.NotObject)
	bad(`"a"`, distlog.NotObject)
	bad(`NaN`, distlog.NotObject)
	bad(`null`, distlog.NotObject)
	bad("{\"a\":\"\xff\"}", distlog.NotUTF8)
	bad("{\"a\":\"\xed\xa0\x80\"}", distlog.NotUTF8)
	bad(`{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, distlog.TooDeep)
	bad(strings.Repeat("[", 1<<20), distlog.TooDeep)
	bad(strings.Repeat(`{"a":`, 1<<20), distlog.TooDeep)
	bad("{"+strings.Repeat(`"a":1,`, 5000)+`"b":1}`, distlog.TooMany)
}

// captured are the bodies of a capture of distlog's handler.
func captured(t testing.TB, name string) (bodies [][]byte) {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		parts := binary.BigEndian.Uint32(b)
		b = b[4:]
		for part := range parts {
			n := binary.BigEndian.Uint32(b)
			if part == 1 {
				bodies = append(bodies, b[4:4+n])
			}
			b = b[4+n:]
		}
	}
	return bodies
}

func TestParseDoesNotAllocate(t *testing.T) {
	bodies := captured(t, "rich.frames")
	var all []distlog.Attr
	parse := func() {
		for _, body := range bodies {
			var err error
			if all, err = distlog.Parse(all[:0], body); err != nil {
				t.Fatal(err)
			}
		}
	}
	parse()
	if n := testing.AllocsPerRun(10, parse); n != 0 {
		t.Errorf("%v allocations for %d records", n, len(bodies))
	}
}

// FuzzParse holds what Parse says against encoding/json: what that takes and is an object,
// Parse takes, but for its bounds, and has the same attributes.
func FuzzParse(f *testing.F) {
	for _, body := range captured(f, "rich.frames") {
		f.Add(body)
	}
	f.Add([]byte(`{"a":[NaN,Infinity],"context":{"b":-Infinity,"b":1}}`))
	f.Add([]byte(`{"a":null,  "b":""}`))
	f.Add([]byte(`{"context":{"a":1},"b":2,"context":{"c":3},"d":4,"context":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := distlog.Parse(nil, text)
		for _, a := range all {
			for _, s := range []record.Span{a.Name, a.Value} {
				if int(s.Off)+int(s.Len) > len(text) {
					t.Fatalf("%+v of %d bytes", a, len(text))
				}
			}
			if v := text[a.Value.Off : a.Value.Off+a.Value.Len]; a.Kind == distlog.Number && err == nil && json.Valid(v) == bytes.ContainsAny(v, "NI") {
				t.Errorf("number %q", v)
			}
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil || want == nil || !utf8.Valid(text) {
			return
		}
		if err != nil {
			if err == distlog.TooDeep || err == distlog.TooMany {
				return
			}
			t.Fatalf("%q is valid JSON: %v", text, err)
		}
		got := map[string]bool{}
		for _, a := range all {
			if !a.Context {
				got[name(t, text, a)] = true
			} else {
				got["context"] = true
			}
		}
		wanted := map[string]bool{}
		for name, v := range want {
			if name != "context" || len(bytes.TrimSpace(bytes.Trim(bytes.TrimSpace(v), "{}"))) > 0 || got[name] {
				wanted[name] = true
			}
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Fatalf("%q has %v, want %v", text, got, wanted)
		}
	})
}

func name(t *testing.T, text []byte, a distlog.Attr) (s string) {
	quoted := text[a.Name.Off-1 : a.Name.Off+a.Name.Len+1]
	if err := json.Unmarshal(quoted, &s); err != nil {
		t.Fatalf("name %s: %v", quoted, err)
	}
	return s
}

func FuzzKey(f *testing.F) {
	f.Add([]byte("0@f738d4aa-6a48-4fac-be7e-f34721792d8c/1/2"))
	f.Add([]byte("00012@<built-in function id>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		topic := distlog.ParseTopic(text)
		if topic.System == "" || topic.Kind == "" {
			t.Fatalf("topic %q is %+v", text, topic)
		}
		k, ok := distlog.ParseKey(text)
		if !ok {
			return
		}
		if k.Seq > math.MaxInt64*2 || len(k.Scope) == 0 {
			t.Fatalf("key %q is %+v", text, k)
		}
		again, ok := distlog.ParseKey(k.Append(nil))
		if !ok || again.Seq != k.Seq || !bytes.Equal(again.Scope, k.Scope) {
			t.Fatalf("%q becomes %q", text, k.Append(nil))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	bodies := captured(b, "rich.frames")
	var all []distlog.Attr
	size := 0
	for i := range b.N {
		body := bodies[i%len(bodies)]
		size += len(body)
		var err error
		if all, err = distlog.Parse(all[:0], body); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(size / b.N))
}
