package task

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
)

// said returns what an extractor reads of a line, in words.
func (x *extractor) said(line []byte) string {
	e := x.read(line)
	if e == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %d %s %s %q %q %v %d %s %v", e.scope, e.seq, e.span, e.parent, e.text, e.trouble, e.level, e.time, e.args, e.wanted)
}

// TestKeys: what is read of a record does not depend on those before it.
func TestKeys(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const uuid = "f738d4aa-6a48-4fac-be7e-f34721792d8c"
	long := strings.Repeat("n", maxKeyText)
	names := []string{"key", "message", "msg", "context", "trace", "id", "trace_id", "trace.id", "levelname", "job", "", "k\\u0065y", "a\\\"b", long, "status"}
	values := []string{"null", `"0@` + uuid + `/1"`, `"` + strings.ReplaceAll(uuid, "-", "") + `"`, `"x\n"`, "1.5", "{}", "[1, {}]", "01", `"`}
	seed := maphash.MakeSeed()
	conditions := []Condition{{"job", "x\n"}, {"status", "1.5"}}
	experienced := newExtractor(conditions, seed)
	pair := func() string {
		value := values[rnd.IntN(len(values))]
		if rnd.IntN(20) > 0 {
			value = values[rnd.IntN(len(values)-2)] // well-formed
		}
		switch name := names[rnd.IntN(len(names))]; rnd.IntN(4) {
		case 0:
			return fmt.Sprintf(`"%s" :%s`, name, value)
		case 1:
			return fmt.Sprintf(`"%s": {"%s": %s}`, name, names[rnd.IntN(len(names))], value)
		default:
			return fmt.Sprintf(`"%s": %s`, name, value)
		}
	}
	pairs, read := []string{}, 0
	for range 3_000 {
		switch rnd.IntN(4) { // another record, or one that differs little from the one before
		case 0:
			pairs = pairs[:0]
			for range rnd.IntN(12) {
				pairs = append(pairs, pair())
			}
			for n := range rnd.IntN(2) * rnd.IntN(2*maxKeys) {
				pairs = append(pairs, fmt.Sprintf(`"n%d": %d`, n, n))
			}
		case 1:
			if at := rnd.IntN(len(pairs) + 1); at < len(pairs) {
				pairs = slices.Delete(pairs, at, at+1)
			}
		default:
			pairs = slices.Insert(pairs, rnd.IntN(len(pairs)+1), pair())
		}
		body := "{" + strings.Join(pairs, []string{", ", ","}[rnd.IntN(2)]) + "}"
		line := new(kept.Appender).Append(nil, &kept.Record{Time: 1795197433e9, Body: []byte(body)})
		line = line[:len(line)-1]
		got, want := experienced.said(line), newExtractor(conditions, seed).said(line)
		if got != want {
			t.Fatalf("%s\nis read as %s\n      want %s", body, got, want)
		}
		if got != "nothing" {
			read++
		}
	}
	if read < 150 {
		t.Errorf("only %d records are of tasks", read)
	}
}
