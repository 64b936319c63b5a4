package cri_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/cri"
)

func TestParse(t *testing.T) {
	const at = "2016-10-06T00:17:09.669794202Z"
	tm, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		t.Fatal(err)
	}
	good := func(in, text string, partial, stderr bool) {
		t.Helper()
		e, err := cri.Parse([]byte(in))
		if err != nil || string(e.Log) != text || e.Partial != partial || e.Stderr != stderr || e.Time != tm.UnixNano() {
			t.Errorf("Parse(%q) = %+v, %v", in, e, err)
		}
	}
	good(at+` stdout F hello world`, "hello world", false, false)
	good(at+` stderr P  two "spaces\n" `, ` two "spaces\n" `, true, true)
	good(at+` stdout P:x:y tagged`, "tagged", true, false)
	good(at+` stdout F `, "", false, false)
	good(at+` stdout F`, "", false, false)
	good(`2016-10-06T02:17:09.669794202+02:00 stdout F zone`, "zone", false, false)
	bad := func(in string) {
		t.Helper()
		if e, err := cri.Parse([]byte(in)); err != cri.ErrSyntax {
			t.Errorf("Parse(%q) = %+v, %v", in, e, err)
		}
	}
	bad(``)
	bad(at)
	bad(at + ` `)
	bad(at + ` stdout`)
	bad(at + ` stdout `)
	bad(at + ` stdin F x`)
	bad(at + ` stdout Full x`)
	bad(at + ` stdout X x`)
	bad(at + ` stdout  F x`)
	bad(`2016-10-06 stdout F x`)
	bad(`2016-10-06T00:17:09 stdout F x`)
	bad(`yesterday stdout F x`)
}

func FuzzParse(f *testing.F) {
	f.Add("2016-10-06T00:17:09.669794202Z stdout F text")
	f.Add("2016-10-06T00:17:09Z stderr P:a:b ")
	f.Add("2016-10-06T00:17:09+01:00 stdout F")
	f.Fuzz(func(t *testing.T, in string) {
		e, err := cri.Parse([]byte(in))
		if err != nil {
			return
		}
		name, tag := "stdout", "F"
		if e.Stderr {
			name = "stderr"
		}
		if e.Partial {
			tag = "P"
		}
		again := fmt.Sprintf("%s %s %s %s", time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), name, tag, e.Log)
		e2, err := cri.Parse([]byte(again))
		if err != nil || string(e2.Log) != string(e.Log) || e2.Partial != e.Partial || e2.Stderr != e.Stderr || e2.Time != e.Time {
			t.Errorf("%q became %q: %+v, %v", in, again, e2, err)
		}
		if !strings.HasSuffix(in, string(e.Log)) {
			t.Errorf("%q has the text %q", in, e.Log)
		}
	})
}

func TestParseDoesNotAllocate(t *testing.T) {
	line, junk := []byte("2016-10-06T00:17:09.669794202Z stdout F text"), []byte("junk")
	if n := testing.AllocsPerRun(100, func() {
		_, _ = cri.Parse(line)
		_, _ = cri.Parse(junk)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	line := []byte("2016-10-06T00:17:09.669794202Z stdout F " + strings.Repeat("text ", 80))
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := cri.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	e, err := cri.Parse([]byte("2016-10-06T00:17:09.669794202Z stderr F disk full"))
	fmt.Printf("%s %v %v\n", e.Log, e.Stderr, err)
	// Output: disk full true <nil>
}
