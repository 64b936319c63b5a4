package console_test

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/console"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/record"
)

// noon is the time of the first line, in Unix nanoseconds.
var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC).UnixNano()

// line returns a line of a stream, so many milliseconds after noon. Labels of the stream are
// given as "container=nginx env=prod".
func line(stream, labels string, ms int64, level, text string) lines.Line {
	l := lines.Line{Entry: logql.Entry{Time: noon + ms*1e6, Stream: stream, Line: text, Sequence: uint64(ms + 1)}}
	for _, pair := range strings.Fields(labels) {
		name, value, _ := strings.Cut(pair, "=")
		l.Labels = append(l.Labels, pipeline.Label{Name: name, Value: value})
	}
	l.Labels = append(l.Labels, pipeline.Label{Name: "detected_level", Value: level, Category: pipeline.OfMetadata})
	return l
}

const hostile = "a\x1b[2J\x1b]0;title\x07 \r \x00 \u009b31m \u202etxet\u202c \u2028 \ufeff \xff tab\there \U000e0041 ü 日本 👩\u200d👧"

// sample is lines of every kind.
func sample() []lines.Line {
	gap := line("docker/nginx", "container=nginx", 4, "warn", "lost 4312 bytes: rotated away")
	gap.Gap = true
	near := line("docker/nginx", "container=nginx", 5, "info", "near")
	near.Context, near.Apart = true, true
	tomorrow := line("access//var/log/shop/access.log", "filename=/var/log/shop/access.log source=access", 24*3600*1000, "debug", "")
	return []lines.Line{
		line("docker/nginx", "container=nginx env=prod", 0, "error", "upstream timed out"),
		line("access//var/log/nginx/access.log", "filename=/var/log/nginx/access.log source=access", 1, "unknown", "GET / 200"),
		line("docker/nginx", "container=nginx", 2, "info", hostile),
		line("docker/\x1b[31mevil", "container=\x1b[31mevil", 3, "fatal", "panic: no\n\tat main\r\n2026-05-06 forged\n"),
		gap, near,
		{Lost: 12},
		tomorrow,
	}
}

func printed(t *testing.T, o console.Options, some []lines.Line) string {
	t.Helper()
	var out bytes.Buffer
	if err := console.New(&out, o).Lines(some); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// golden compares with a file of testdata, in which escape sequences stand as ESC.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, "\x1b", "ESC")
	file := "testdata/" + name + ".txt"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestGolden(t *testing.T) {
	zone := time.FixedZone("CEST", 2*3600)
	golden(t, "program", printed(t, console.Options{}, sample()))
	golden(t, "terminal", printed(t, console.Options{Terminal: true, Location: zone}, sample()))
	golden(t, "color", printed(t, console.Options{
		Terminal: true, Color: true, Location: zone, Highlight: regexp.MustCompile(`timed|near|x1b|^$`), Now: time.Unix(0, noon),
	}, sample()))
	golden(t, "labels", printed(t, console.Options{Terminal: true, Labels: true, Names: console.Full}, sample()))
	golden(t, "noprefix", printed(t, console.Options{Names: console.None}, sample()))
	golden(t, "json", printed(t, console.Options{Form: console.JSON}, sample()))
	golden(t, "logfmt", printed(t, console.Options{Form: console.Logfmt}, sample()))
	golden(t, "raw_terminal", printed(t, console.Options{Form: console.Raw, Terminal: true}, sample()))
}

// TestNothingGetsThrough prints every control and format character in every place that comes
// from outside.
func TestNothingGetsThrough(t *testing.T) {
	var bad strings.Builder
	for r := rune(0); r < 0x300; r++ {
		if r < 0x20 && r != '\t' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0xad {
			bad.WriteRune(r)
		}
	}
	bad.WriteString("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\u061c\u2028\u2029\ufeff\xff\xc3")
	l := line("id"+bad.String(), "", 0, "lev"+bad.String(), bad.String())
	l.Labels = append(l.Labels, pipeline.Label{Name: "x", Value: bad.String(), Category: pipeline.OfParsed}, pipeline.Label{Name: "container", Value: bad.String()})
	for _, form := range console.Forms() {
		for _, names := range []console.Names{console.Short, console.Full} {
			for _, terminal := range []bool{true, false} {
				if form == console.Raw && !terminal {
					continue
				}
				got := printed(t, console.Options{Form: form, Terminal: terminal, Labels: true, Names: names}, []lines.Line{l})
				for _, r := range bad.String() {
					if r != '\ufffd' && strings.ContainsRune(got, r) {
						t.Errorf("%s, terminal %v: %q gets through", form, terminal, r)
					}
				}
			}
		}
	}
}

func TestRaw(t *testing.T) {
	var out, messages bytes.Buffer
	p := console.New(&out, console.Options{Form: console.Raw, Messages: &messages})
	if err := p.Lines(sample()); err != nil {
		t.Fatal(err)
	}
	if want := "upstream timed out\nGET / 200\n" + hostile + "\npanic: no\n\tat main\r\n2026-05-06 forged\n\n--\nnear\n\n"; out.String() != want {
		t.Errorf("%q; want %q", out.String(), want)
	}
	if want := "weir: docker/nginx: lost 4312 bytes: rotated away\nweir: 12 lines are missing here: they came faster than they were read\n"; messages.String() != want {
		t.Errorf("%q; want %q", messages.String(), want)
	}
}

func TestNames(t *testing.T) {
	var out bytes.Buffer
	p := console.New(&out, console.Options{Terminal: true, Now: time.Unix(0, noon)})
	names := func(want string, some ...lines.Line) {
		t.Helper()
		out.Reset()
		if err := p.Lines(some); err != nil {
			t.Fatal(err)
		}
		var got []string
		for l := range strings.Lines(out.String()) {
			got = append(got, strings.TrimSpace(strings.TrimSuffix(l[len("12:00:00.000 "):], "info  x\n")))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
	file := func(path string) lines.Line { return line("f/"+path, "filename="+path+" app=shop", 0, "info", "x") }
	names("access.log", file("/var/log/nginx/access.log"))
	names("shop/access.log nginx/access.log other.log", file("/var/log/shop/access.log"), file("/a/nginx/access.log"), file("/b/other.log"))
	names("access.log", file("/var/log/nginx/access.log")) // as before
	names("a/nginx/access.log", file("/b/a/nginx/access.log"))
	names("web web-2", line("docker/web-1", "container=web", 0, "info", "x"), line("docker/web-2", "container=web", 0, "info", "x"))
	names("push/web-2", line("push/web-2", "container=web", 0, "info", "x"))
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("broken pipe")
	}
	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	p := console.New(&failing{after: 1}, console.Options{})
	if err := p.Lines(sample()); err != nil {
		t.Error(err)
	}
	if err := p.Lines(sample()); err == nil {
		t.Error("no error")
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if console.IsTerminal(null) || console.IsTerminal(&bytes.Buffer{}) {
		t.Error("a terminal")
	}
}

func series(labels string, values ...float64) logql.Series {
	s := logql.Series{}
	for _, pair := range strings.Fields(labels) {
		name, value, _ := strings.Cut(pair, "=")
		s.Labels = append(s.Labels, record.Label{Name: name, Value: value})
	}
	for i, v := range values {
		s.Points = append(s.Points, logql.Point{Time: noon + int64(i)*60e9, Value: v})
	}
	return s
}

func TestNumbers(t *testing.T) {
	show := func(name string, res logql.Result) {
		t.Helper()
		var all strings.Builder
		for _, o := range []console.Options{{}, {Terminal: true}, {Terminal: true, Color: true}, {Form: console.JSON}, {Form: console.Logfmt}} {
			var out bytes.Buffer
			if err := console.New(&out, o).Numbers(&res); err != nil {
				t.Fatal(err)
			}
			all.WriteString(out.String() + "===\n")
		}
		golden(t, name, all.String())
	}
	show("vector", logql.Result{Kind: logql.Vector, Series: []logql.Series{
		series("status=200", 1234567), series("status=404 path=/a\x1b[31m", 0.25), series("status=502", 1e-9),
	}})
	show("matrix", logql.Result{Kind: logql.Matrix, Series: []logql.Series{
		series("status=200", 1, 2, 3, 4, 5, 6, 7, 8, 0, 80000), series("status=404", 1, 1.0/3),
	}})
	show("scalar", logql.Result{Kind: logql.Scalar, Scalar: logql.Point{Time: noon, Value: 42}})
	show("none", logql.Result{Kind: logql.Vector})
}

// FuzzHarmless holds what is printed against what a terminal may get.
func FuzzHarmless(f *testing.F) {
	f.Add(hostile)
	f.Add("\x1b]8;;http://a\x1b\\link")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range string(console.AppendHarmless(nil, text)) {
			if r != '\t' && !lines.Harmless(r) {
				t.Errorf("%q of %q", r, text)
			}
		}
	})
}
