package peer

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weirlog/weir/bench/dataset"
)

func text(lines int) ([]byte, map[string]int) {
	w := dataset.NewWriter(false)
	var all []byte
	for range lines {
		all = w.Append(all)
	}
	return all, w.Counts()
}

func TestBothCountExactly(t *testing.T) {
	all, want := text(5000)
	wanted, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var scanned, searched Counts
	if err := Scan(iotest.HalfReader(bytes.NewReader(all)), &scanned); err != nil {
		t.Fatal(err)
	}
	if err := Regexp(bytes.NewReader(all), &searched); err != nil {
		t.Fatal(err)
	}
	for name, counts := range map[string]*Counts{"Scan": &scanned, "Regexp": &searched} {
		if got, err := json.Marshal(counts); err != nil || string(got) != string(wanted) {
			t.Errorf("%s counts %s, %v; want %s", name, got, err, wanted)
		}
	}
}

func TestScanSkipsALineLongerThanItsBuffer(t *testing.T) {
	good, _ := text(3)
	all := append([]byte(`{"log":"`+strings.Repeat("x", scanBuffer+100)+"\n"), good...)
	var counts Counts
	if err := Scan(bytes.NewReader(all), &counts); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range counts.fits {
		n += c
	}
	if n == 0 || n > 3 {
		t.Errorf("%d lines counted after a long one, want those that fit of 3", n)
	}
}

// FuzzScan compares the scan with the expression it stands for, at the start of the text.
func FuzzScan(f *testing.F) {
	all, _ := text(300)
	for line := range bytes.Lines(all) {
		var entry struct{ Log string }
		if err := json.Unmarshal(line, &entry); err != nil {
			f.Fatal(err)
		}
		f.Add(entry.Log)
	}
	pattern := regexp.MustCompile(`^(?:` + dataset.Pattern + `)`)
	f.Fuzz(func(t *testing.T, log string) {
		log = strings.ToValidUTF8(log, "?")
		if strings.Contains(log, "\u2028") || strings.Contains(log, "\f") {
			return // the encoder below writes these as \u, which the scan does not know
		}
		line, err := json.Marshal(map[string]string{"log": log})
		if err != nil {
			t.Fatal(err)
		}
		want := -1
		if m := pattern.FindStringSubmatch(log); m != nil {
			if want, err = strconv.Atoi(m[5]); err != nil || want > 1<<30 || len(m[6]) > 9 {
				return
			}
		}
		if got := scanLine(line); got != want {
			t.Errorf("scanLine(%s) = %d, want %d", line, got, want)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	all, _ := text(10_000)
	b.SetBytes(int64(len(all)))
	for b.Loop() {
		var counts Counts
		if err := Scan(bytes.NewReader(all), &counts); err != nil {
			b.Fatal(err)
		}
	}
}
