package pickle_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/pickle"
)

// sample is a line of values.txt.
type sample struct {
	name string
	body []byte
	want string
}

func samples(t testing.TB) (all []sample) {
	text, err := os.ReadFile("testdata/values.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		body, err := base64.StdEncoding.DecodeString(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sample{parts[0] + "/" + parts[1], body, parts[3]})
	}
	return all
}

// TestValues reads what CPython 3.11 wrote, and what Python 2 would have.
func TestValues(t *testing.T) {
	var d pickle.Decoder
	for _, s := range samples(t) {
		v, err := d.Decode(s.body)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		got, err := v.AppendJSON(nil, 1<<20)
		if err != nil || string(got) != s.want {
			t.Errorf("%s: %v\n%.200s, want\n%.200s", s.name, err, got, s.want)
		}
	}
}

// bomb is a list whose items are twice the list before, deep times over.
func bomb(deep int) []byte {
	b := []byte("]q\x00K\x01a")
	for i := range deep {
		b = append(b, ']', 'q', byte(i+1), '(', 'h', byte(i), 'h', byte(i), 'e')
	}
	return append(b, '.')
}

// again repeats the making of a text from one that the memo has.
func again(class, args string, times int) []byte {
	b := []byte("X\x00\x00\x01\x00" + strings.Repeat("x", 1<<16) + "q\x00c" + class + "q\x010(")
	return append(append(b, strings.Repeat("h\x01("+args+"tR", times)...), "l."...)
}

// TestHostile: what a pickle cannot be, and what would take more than it is worth, ends with
// an Error, soon. None of it was made by a pickler.
func TestHostile(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"empty":                 {"", pickle.Truncated},
		"no stop":               {"N", pickle.Truncated},
		"nothing to stop with":  {".", pickle.Malformed},
		"a mark to stop with":   {"(.", pickle.Malformed},
		"beyond a mark":         {"K\x01(.", pickle.Malformed},
		"JSON":                  {`{"a":1}`, pickle.Unknown},
		"opcode":                {"\xff.", pickle.Unknown},
		"protocol 6":            {"\x80\x06N.", pickle.Unknown},
		"length of 4 GB":        {"X\xff\xff\xff\xffabc.", pickle.Truncated},
		"length of 2^63":        {"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.", pickle.Truncated},
		"length of 2^64":        {"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.", pickle.Truncated},
		"long of 2 GB":          {"\x8b\xff\xff\xff\x7fabc.", pickle.Truncated},
		"frame":                 {"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", pickle.Truncated},
		"memo of 2^32":          {"Nr\xff\xff\xff\xff.", pickle.Malformed},
		"memo in words":         {"Npx\n.", pickle.Malformed},
		"memo of nothing":       {"h\x05.", pickle.Malformed},
		"put of nothing":        {"q\x00N.", pickle.Malformed},
		"dup of nothing":        {"2.", pickle.Malformed},
		"append to a number":    {"K\x01K\x02a.", pickle.Malformed},
		"item of a list":        {"]K\x01K\x02s.", pickle.Malformed},
		"odd items":             {"}(K\x01u.", pickle.Malformed},
		"odd dict":              {"(K\x01d.", pickle.Malformed},
		"no mark":               {"K\x01t.", pickle.Malformed},
		"call without a class":  {")R.", pickle.Malformed},
		"arguments no tuple":    {"cos\nsystem\n]R.", pickle.Malformed},
		"class without a name":  {"cos", pickle.Truncated},
		"class of numbers":      {"K\x01K\x02\x93.", pickle.Malformed},
		"string without quotes": {"Sabc\n.", pickle.Malformed},
		"half a quote":          {"S'\n.", pickle.Malformed},
		"no number":             {"Iabc\n.", pickle.Malformed},
		"no float":              {"Fabc\n.", pickle.Malformed},
		"an escape beyond all":  {"V\\Uffffffff\n.", pickle.Malformed},
		"buffer":                {"\x97.", pickle.Elsewhere},
		"build of nothing":      {"b.", pickle.Malformed},
		"obj without a class":   {"(o.", pickle.Malformed},
		"inst without a mark":   {"ios\nsystem\n.", pickle.Malformed},
		"a number of 4 KiB":     {"\x8b\x00\x10\x00\x00" + strings.Repeat("\x7f", 4096) + ".", pickle.TooLong},
		"nested":                {strings.Repeat("]", 200) + strings.Repeat("a", 199) + ".", pickle.TooDeep},
		"nested in a million":   {strings.Repeat("]", 200_000) + strings.Repeat("a", 199_999) + ".", pickle.TooDeep},
		"tuples in tuples":      {")" + strings.Repeat("\x85", 100_000) + ".", pickle.TooDeep},
		"too many":              {strings.Repeat("N", 1<<19) + ".", pickle.TooMany},
		"too many appended":     {"]q\x00(" + strings.Repeat("h\x00", 1<<18) + strings.Repeat("2", 1<<20) + "e.", pickle.TooMany},
		"memo bomb":             {string(bomb(40)), pickle.TooMuch},
		"long memo bomb":        {"N" + string(bomb(40)) + strings.Repeat("N", mebi), pickle.TooLong},
		"keys in keys":          {keysInKeys(45), pickle.TooMuch},
		"memo bomb of 250":      {string(bomb(250)), pickle.TooDeep},
		"paths of one text":     {string(again("pathlib\nPosixPath\n", "h\x00", 10_000)), pickle.TooLong},
		"long paths":            {string(again("pathlib\nPosixPath\n", strings.Repeat("h\x00", 256), 100)), pickle.TooLong},
		"bytes of one text":     {string(again("_codecs\nencode\n", "h\x00X\x06\x00\x00\x00latin1", 10_000)), pickle.TooLong},
		"key of keys":           {"}q\x00" + strings.Repeat("}", 150) + strings.Repeat("Ns", 0) + strings.Repeat("\x85", 150) + "Ns.", pickle.TooDeep},
	} {
		var d pickle.Decoder
		v, err := d.Decode([]byte(c.body))
		if err == nil {
			_, err = v.AppendJSON(nil, 1<<20)
		}
		var e *pickle.Error
		if !errors.As(err, &e) || e.Reason != c.want || e.Offset > len(c.body) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if err := d.Bounds(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCut: a pickle without its end is refused wherever it is cut.
func TestCut(t *testing.T) {
	var d pickle.Decoder
	for _, s := range samples(t) {
		if len(s.body) > 2000 || strings.HasPrefix(s.name, "rest/") {
			continue
		}
		for n := range len(s.body) - 1 {
			if _, err := d.Decode(s.body[:n]); err == nil {
				t.Errorf("%s: the first %d bytes of %d are taken", s.name, n, len(s.body))
			}
		}
	}
}

// TestLimit: what is written is as long as allowed at most, and nothing is written of more.
func TestLimit(t *testing.T) {
	var d pickle.Decoder
	v, err := d.Decode([]byte("](K\x01K\x02e."))
	if err != nil {
		t.Fatal(err)
	}
	for limit := range 7 {
		got, err := v.AppendJSON([]byte("x"), limit)
		if want := limit >= len("[1,2]"); (err == nil) != want || want && string(got) != "x[1,2]" || !want && string(got) != "x" {
			t.Errorf("%d: %q, %v", limit, got, err)
		}
	}
}

func TestValue(t *testing.T) {
	var d pickle.Decoder
	v, err := d.Decode([]byte("}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00bG?\xf8\x00\x00\x00\x00\x00\x00X\x01\x00\x00\x00c](\x88NeX\x01\x00\x00\x00aK\x02u."))
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := v.Get("a"); !ok || a.Kind() != pickle.Int {
		t.Error("a", ok, a.Kind())
	} else if i, ok := a.Int(); i != 2 || !ok {
		t.Error("a was set twice, to 2 at last:", i, ok)
	} else if f, ok := a.Float(); f != 2 || !ok {
		t.Error(f, ok)
	}
	b, _ := v.Get("b")
	if f, ok := b.Float(); f != 1.5 || !ok {
		t.Error(f, ok)
	}
	if _, ok := b.Int(); ok || b.Text() != nil {
		t.Error("a float is a whole number, or a text")
	}
	c, _ := v.Get("c")
	var kinds []pickle.Kind
	for item := range c.Items() {
		kinds = append(kinds, item.Kind())
	}
	if !slices.Equal(kinds, []pickle.Kind{pickle.Bool, pickle.None}) {
		t.Error(kinds)
	}
	keys := ""
	for key := range v.Pairs() {
		keys += string(key.Text())
	}
	if keys != "abca" {
		t.Error(keys)
	}
	for range v.Pairs() {
		break
	}
	if _, ok := v.Get("d"); ok {
		t.Error("there is no d")
	}
	var zero pickle.Value
	if _, ok := zero.Get("a"); ok || zero.Kind() != pickle.None || zero.Text() != nil {
		t.Error("the zero Value is not None")
	}
	if text, err := zero.AppendJSON(nil, 10); string(text) != "null" || err != nil {
		t.Error(string(text), err)
	}
}

// FuzzDecode: whatever comes, the answer comes soon, is bounded, and, but for bare words that
// Python's json knows too, is JSON.
func FuzzDecode(f *testing.F) {
	for _, s := range samples(f) {
		if len(s.body) < 1000 {
			f.Add(s.body)
		}
	}
	f.Add(bomb(40))
	f.Add(again("pathlib\nPosixPath\n", "h\x00", 3))
	f.Add([]byte("\x80\x04}(\x8c\x07context}\x8c\x03key\x8c\x01ks\x8c\x01b\x8a\x01\xffu."))
	f.Fuzz(func(t *testing.T, body []byte) {
		sameFlat(t, body)
		var d pickle.Decoder
		v, err := d.Decode(body)
		if err := d.Bounds(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		last := map[string]pickle.Value{}
		for key, value := range v.Pairs() {
			if k := key.Kind(); k == pickle.Text || k == pickle.Bytes {
				last[string(key.Text())] = value
			}
		}
		for key, want := range last {
			if got, ok := v.Get(key); !ok || got != want {
				t.Fatalf("%q is %v, %v", key, got.Kind(), ok)
			}
		}
		e := v.Entries()
		for key, value := range v.Pairs() {
			if !e.Next() || e.Key.Kind != key.Kind() || e.Value.Kind != value.Kind() || e.Of(&e.Value) != value {
				t.Fatalf("%v of %v: %v of %v among the entries", value.Kind(), key.Kind(), e.Value.Kind, e.Key.Kind)
			}
			if isText := e.Key.Kind == pickle.Text || e.Key.Kind == pickle.Bytes; isText && string(e.Key.Text) != string(key.Text()) ||
				e.Key.Placed && string(body[e.Key.Off:][:len(e.Key.Text)]) != string(key.Text()) {
				t.Fatalf("key %q is %q among the entries", key.Text(), e.Key.Text)
			}
		}
		if e.Next() {
			t.Fatal("there are more entries than pairs")
		}
		const limit = 1 << 16
		text, err := v.AppendJSON(nil, limit)
		if err != nil {
			return
		}
		writtenAgain(t, v, len(body))
		if v, err = d.Decode(body); err != nil {
			t.Fatal("for the second time:", err)
		}
		if len(text) > limit {
			t.Fatal(len(text))
		}
		words := regexp.MustCompile(`-?Infinity|NaN`)
		if strict := words.ReplaceAll(text, []byte("0")); !json.Valid(strict) || !utf8.Valid(text) {
			t.Errorf("%q", text)
		}
		if again, err := v.AppendJSON(nil, limit); err != nil || string(again) != string(text) {
			t.Errorf("at first %q, then %q, %v", text, again, err)
		}
	})
}

// writtenAgain writes the entries of a value three times each, as a source may that has long
// ones left out, and fails if that is more than the work that is allowed.
func writtenAgain(t *testing.T, v pickle.Value, size int) {
	t.Helper()
	sum := 0
	var dst []byte
	for _, value := range v.Pairs() {
		for range 3 {
			dst, _ = value.AppendJSON(dst[:0], 1<<16)
			sum += len(dst)
		}
	}
	if most := 7 * pickle.MaxWork(size); sum > most {
		t.Fatalf("%d bytes were written of %d, more than %d", sum, size, most)
	}
}

func TestNoAllocations(t *testing.T) {
	var d pickle.Decoder
	var dst []byte
	for _, s := range samples(t) {
		if !strings.HasPrefix(s.name, "dict/") {
			continue
		}
		if n := testing.AllocsPerRun(100, func() {
			v, err := d.Decode(s.body)
			if err == nil {
				dst, err = v.AppendJSON(dst[:0], 1<<20)
			}
			if err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", s.name, n)
		}
	}
}

func ExampleDecoder() {
	var d pickle.Decoder
	v, err := d.Decode([]byte("\x80\x02}(X\x05\x00\x00\x00levelK\x28X\x03\x00\x00\x00msgX\x05\x00\x00\x00helloX\x01\x00\x00\x00xcos\nsystem\nX\x02\x00\x00\x00ls\x85Ru."))
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, _ := v.Get("msg")
	line, _ := v.AppendJSON(nil, 1<<10)
	fmt.Printf("%s\n%s\n", msg.Text(), line)
	// Output:
	// hello
	// {"level":40,"msg":"hello","x":{"class":"os.system","args":["ls"]}}
}
