package dataset

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSetIsWhatItSays(t *testing.T) {
	const lines = 100_000
	w, anywhere, prefix := NewWriter(false), regexp.MustCompile(Pattern), regexp.MustCompile(`^(?:`+Pattern+`)`)
	counts, size, odd := map[string]int{}, 0, 0
	var last time.Time
	var line []byte
	for i := range lines {
		line = w.Append(line[:0])
		size += len(line)
		var entry struct {
			Log, Stream string
			Time        time.Time
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("line %d: %v: %s", i, err, line)
		}
		if entry.Time.Sub(last) < -time.Microsecond {
			t.Fatalf("line %d is of %v, the one before of %v", i, entry.Time, last)
		}
		last = entry.Time
		m, searched := prefix.FindStringSubmatch(entry.Log), anywhere.MatchString(entry.Log)
		if (m != nil) != searched {
			t.Fatalf("line %d fits only when it is searched: %s", i, entry.Log)
		}
		if m == nil {
			odd++
		} else {
			counts[m[5]]++
		}
	}
	if !maps.Equal(counts, w.Counts()) {
		t.Errorf("the pattern counts %v, the writer %v", counts, w.Counts())
	}
	if mean := float64(size) / lines; mean < 456*0.99 || mean > 456*1.01 {
		t.Errorf("a line has %.1f bytes on average, want 456 ± 1 %%", mean)
	}
	if odd < lines*9/1000 || odd > lines*11/1000 {
		t.Errorf("%d of %d lines do not fit, want one in a hundred", odd, lines)
	}
}

func TestMake(t *testing.T) {
	dir := t.TempDir()
	whole, err := Make(dir, Spec{Lines: 1003})
	if err != nil {
		t.Fatal(err)
	}
	split, err := Make(dir, Spec{Lines: 1003, Files: 7})
	if err != nil {
		t.Fatal(err)
	}
	if len(split.Paths) != 7 || split.Lines != 1003 || !maps.Equal(split.Counts, whole.Counts) {
		t.Errorf("split set: %d files, %d lines, counts %v; want 7, 1003, %v",
			len(split.Paths), split.Lines, split.Counts, whole.Counts)
	}
	var joined []byte
	for _, path := range split.Paths {
		joined = append(joined, read(t, path)...)
	}
	if !bytes.Equal(joined, read(t, whole.Paths[0])) || int64(len(joined)) != whole.Bytes {
		t.Error("the files of the split set are not the whole one cut up")
	}
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(whole.Paths[0], before, before); err != nil {
		t.Fatal(err)
	}
	again, err := Make(dir, Spec{Lines: 1003, Files: 1})
	if err != nil || !maps.Equal(again.Counts, whole.Counts) || again.Bytes != whole.Bytes {
		t.Errorf("second Make = %+v, %v; want %+v", again, err, whole)
	}
	if info, err := os.Stat(whole.Paths[0]); err != nil || info.ModTime().After(before.Add(time.Minute)) {
		t.Error("the set was made again though it was there")
	}
}

func TestPlain(t *testing.T) {
	dir := t.TempDir()
	plain, err := Make(dir, Spec{Lines: 500, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := Make(dir, Spec{Lines: 500})
	if err != nil {
		t.Fatal(err)
	}
	var unwrapped strings.Builder
	for line := range bytes.Lines(read(t, wrapped.Paths[0])) {
		var entry struct{ Log string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		unwrapped.WriteString(entry.Log)
	}
	if unwrapped.String() != string(read(t, plain.Paths[0])) {
		t.Error("the plain set has other lines than the wrapped one")
	}
}

func FuzzEscaped(f *testing.F) {
	f.Add([]byte("a\"b\\c\n\r\t<&>\x01"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for i := range text {
			text[i] &= 0x7f
		}
		quoted := append(appendEscaped([]byte{'"'}, text), '"')
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != string(text) {
			t.Errorf("%q is escaped %s: %q, %v", text, quoted, back, err)
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMixed: every line of a mixed set is a record of Docker's, and each kind is there.
func TestMixed(t *testing.T) {
	set, err := Make(t.TempDir(), Spec{Lines: 500, Files: 10, Mixed: true})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, path := range set.Paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var entry struct{ Log, Stream, Time string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil || !strings.HasSuffix(entry.Log, "\n") {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			lines++
		}
	}
	if lines != 500 || set.Lines != 500 || len(set.Counts) != 0 {
		t.Errorf("%d lines, the set says %d and %v", lines, set.Lines, set.Counts)
	}
}
