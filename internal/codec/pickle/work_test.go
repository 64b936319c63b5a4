package pickle_test

import (
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/pickle"
)

// text and bytestring push a text, and one of Python 2.
func text(s string) string       { return counted('X', s) }
func bytestring(s string) string { return counted('T', s) }

func counted(op byte, s string) string {
	return string(binary.LittleEndian.AppendUint32([]byte{op}, uint32(len(s)))) + s
}

// calls has a class called with the same arguments again and again; what it returns is dropped.
func calls(class, args string, times int) string {
	return "\x80\x02c" + class + "q\x000" + args + "q\x010" + strings.Repeat("h\x00h\x01R0", times) + "}."
}

// keysInKeys is a dictionary whose key is one whose key is one and so on, down to a quote.
func keysInKeys(deep int) string {
	return "\x80\x02" + strings.Repeat("}", deep) + text(`"`) + strings.Repeat("K\x00s", deep) + "."
}

const mebi = 1 << 20

// TestWork: what a pickle has done again and again with one long text ends when that is too
// much, after as many bytes as are allowed, and without memory for each time.
func TestWork(t *testing.T) {
	const times = 200_000
	zones := "cdatetime\ndatetime\nq\x000U\x0a\x07\xe8\x01\x02\x03\x04\x05\x00\x00\x00" + text("+"+strings.Repeat("0", 2*mebi)) + "\x86q\x010" + strings.Repeat("h\x00h\x01R0", times) + "}."
	for name, c := range map[string]struct {
		body  string
		bytes int    // touched by each call
		want  string // empty: it is read
	}{
		"decimals of bytes":          {calls("decimal\nDecimal\n", bytestring(strings.Repeat("é", mebi))+"\x85", times), 2 * mebi, pickle.TooMuch},
		"bytes with a letter beyond": {calls("_codecs\nencode\n", text(strings.Repeat("x", 2*mebi)+"€")+text("latin1")+"\x86", times), 2 * mebi, pickle.TooMuch},
		"parts that are no texts":    {calls("pathlib\nPosixPath\n", "("+text(strings.Repeat("x", mebi/2))+"Nt", times), mebi / 2, pickle.TooMuch},
		"fractions of no number":     {calls("fractions\nFraction\n", "(L"+strings.Repeat("9", mebi)+"L\nX\x01\x00\x00\x00xt", times), mebi, pickle.TooMuch},
		"pairs that are none":        {calls("collections\nOrderedDict\n", "]("+strings.Repeat("N", 100_000)+"e\x85", times), 100_000, pickle.TooMuch},
		"names of codecs":            {calls("_codecs\nencode\n", text("x")+text(strings.Repeat("y", 2*mebi))+"\x86", times), 0, ""},
		"names of classes":           {calls(strings.Repeat("m", 2*mebi)+"\nC\n", ")", times), 0, ""},
		"zones":                      {zones, 0, ""},
	} {
		var d pickle.Decoder
		allocated := allocatedBy(func() {
			_, err := d.Decode([]byte(c.body))
			reason, at := "", 0
			if e := (*pickle.Error)(nil); errors.As(err, &e) {
				reason, at = e.Reason, e.Offset
			}
			if reason != c.want {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			done := (at - strings.Index(c.body, "h\x00h\x01R0")) / len("h\x00h\x01R0")
			if most := 2 * pickle.MaxWork(len(c.body)); done*c.bytes > most {
				t.Errorf("%s: %d calls touch %d bytes, more than %d", name, done, done*c.bytes, most)
			}
		})
		if allocated > 80*mebi {
			t.Errorf("%s: %d MiB were allocated", name, allocated/mebi)
		}
		if err := d.Bounds(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// allocatedBy returns how many bytes are allocated, all that is freed again included.
func allocatedBy(do func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// TestKeysInKeys: what doubles at each level is not written beyond the limit, at any level.
func TestKeysInKeys(t *testing.T) {
	for deep := 1; deep <= 120; deep++ {
		var d pickle.Decoder
		v, err := d.Decode([]byte(keysInKeys(deep)))
		if err != nil {
			t.Fatal(deep, err)
		}
		const limit = 64 << 10
		allocated := allocatedBy(func() {
			var written []byte
			if written, err = v.AppendJSON(nil, limit); len(written) > limit || (err == nil) != (deep <= 14) {
				t.Errorf("%d levels: %d bytes, %v", deep, len(written), err)
			}
		})
		if allocated > 16*limit {
			t.Errorf("%d levels: %d bytes were allocated for %d", deep, allocated, limit)
		}
	}
}

// TestWrittenAgain: all that is written of a pickle is bounded, however often that is asked for.
func TestWrittenAgain(t *testing.T) {
	var d pickle.Decoder
	body := []byte("](" + strings.Repeat(text("x"), 1000) + "e.")
	v, err := d.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	var dst []byte
	sum, times := 0, 0
	for ; err == nil; times++ {
		dst, err = v.AppendJSON(dst[:0], mebi)
		sum += len(dst)
	}
	var e *pickle.Error
	if !errors.As(err, &e) || e.Reason != pickle.TooMuch || times < 10 || sum > pickle.MaxWork(len(body)) {
		t.Errorf("%d bytes in %d times: %v", sum, times, err)
	}
	if _, err := v.AppendJSON(nil, mebi); err == nil {
		t.Error("it goes on")
	}
	if v, err = d.Decode(body); err != nil {
		t.Fatal(err)
	}
	if _, err := v.AppendJSON(nil, mebi); err != nil {
		t.Error("the next pickle:", err)
	}
}

// TestSharedItems: what is made of a list has its items as they were then, and no others.
func TestSharedItems(t *testing.T) {
	var d pickle.Decoder
	v, err := d.Decode([]byte("](K\x01K\x02eq\x00c__builtin__\nset\nh\x00\x85Rq\x01h\x00K\x03a0h\x01h\x00\x86."))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.AppendJSON(nil, 100); string(got) != "[[1,2],[1,2,3]]" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// TestRelease: after a large pickle no more memory is held than after small ones.
func TestRelease(t *testing.T) {
	var d pickle.Decoder
	for _, body := range []string{"](" + strings.Repeat("N", 255_000) + "e.", "(" + strings.Repeat("S'xxxxxxxx'\n", 100_000) + "l.", "Nr\x00\x00\x02\x00" + strings.Repeat("0N", 200_000) + "."} {
		if _, err := d.Decode([]byte(body)); err != nil {
			t.Fatal(err)
		}
		large := d.Held()
		if d.Release(); d.Held() > 64<<10 || large < 256<<10 {
			t.Errorf("%d bytes are held, %d before", d.Held(), large)
		}
	}
	small := []byte("](" + strings.Repeat("N", 200) + "e.")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Decode(small); err != nil {
			t.Fatal(err)
		}
		d.Release()
	}); n != 0 {
		t.Errorf("%v allocations for a small one", n)
	}
}
