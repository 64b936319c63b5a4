package dockerapi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// plain is a Message that outlives the next call.
type plain struct {
	Time                 int64
	Text                 string
	Stderr, Partial, Cut bool
}

func readAll(r io.Reader, tty bool) ([]plain, error) {
	d := newDecoder(r, tty)
	var all []plain
	for {
		m, err := d.next()
		if err != nil {
			return all, err
		}
		all = append(all, plain{m.Time, string(m.Text), m.Stderr, m.Partial, m.Cut})
	}
}

func frame(stream byte, text string) []byte {
	f := make([]byte, frameHead, frameHead+len(text))
	f[0] = stream
	binary.BigEndian.PutUint32(f[4:], uint32(len(text)))
	return append(f, text...)
}

const at = "2026-11-20T18:08:20.280211309Z "

func atTime(t testing.TB) int64 {
	when, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(at))
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixNano()
}

func TestCaptures(t *testing.T) {
	check := func(file string, tty bool, count int, first plain) {
		t.Helper()
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
			got, err := readAll(r, tty)
			if err != io.EOF || len(got) != count || got[0] != first {
				t.Errorf("%s: %d messages, %v, first %+v; want %d, first %+v", file, len(got), err, got, count, first)
			}
		}
	}
	check("logs-limited.bin", false, 6, plain{Time: atTime(t), Text: "line 35 INFO hello"})
	tty := time.Date(2026, 11, 20, 18, 8, 16, 969196111, time.UTC).UnixNano()
	check("logs-tty.bin", true, 6, plain{Time: tty, Text: "tty WARN line"})
}

func TestFrames(t *testing.T) {
	now := atTime(t)
	long := strings.Repeat("x", maxMessageBytes+5000)
	check := func(name string, in []byte, want []plain, wantErr error) {
		t.Helper()
		got, err := readAll(bytes.NewReader(in), false)
		if !reflect.DeepEqual(got, want) || !errors.Is(err, wantErr) {
			t.Errorf("%s: got %d messages, %v; want %d, %v", name, len(got), err, len(want), wantErr)
		}
	}
	check("empty", nil, nil, io.EOF)
	check("both streams", append(frame(1, at+"a\n"), frame(2, at+"b\n")...),
		[]plain{{Time: now, Text: "a"}, {Time: now, Text: "b", Stderr: true}}, io.EOF)
	check("piece", append(frame(1, at+"a"), frame(1, at+"b\n")...),
		[]plain{{Time: now, Text: "a", Partial: true}, {Time: now, Text: "b"}}, io.EOF)
	check("empty line and empty frame", append(frame(1, ""), frame(1, at+"\n")...), []plain{{Time: now}}, io.EOF)
	check("no time", frame(1, "hello\n"), []plain{{Text: "hello"}}, io.EOF)
	check("larger than the buffer", frame(1, at+long[:100_000]+"\n"), []plain{{Time: now, Text: long[:100_000]}}, io.EOF)
	check("too long", append(frame(2, at+long+"\n"), frame(1, at+"b\n")...),
		[]plain{{Time: now, Text: long[:maxMessageBytes-len(at)], Stderr: true, Cut: true}, {Time: now, Text: "b"}}, io.EOF)
	check("torn header", frame(1, at+"a\n")[:4], nil, io.ErrUnexpectedEOF)
	check("torn text", frame(1, at+"a\n")[:12], nil, io.ErrUnexpectedEOF)
	check("announces 4 GiB", []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x'}, nil, io.ErrUnexpectedEOF)
	check("not frames", []byte("2026-11-20T18:08:20Z hello"), nil, errFrame)

	_, err := readAll(bytes.NewReader(frame(3, "driver gave up")), false)
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "driver gave up") {
		t.Errorf("the engine's own frame: %v", err)
	}
}

func TestTerminal(t *testing.T) {
	now := atTime(t)
	check := func(name, in string, want ...plain) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			got, err := readAll(r, true)
			if !reflect.DeepEqual(got, want) || err != io.EOF {
				t.Errorf("%s: got %d messages, %v; want %d", name, len(got), err, len(want))
			}
		}
	}
	piece := strings.Repeat("x", 16<<10)
	check("empty", "")
	check("lines", at+"a\r\n"+at+"\r\n"+at+"b\n", plain{Time: now, Text: "a"}, plain{Time: now}, plain{Time: now, Text: "b"})
	check("pieces", at+piece+at+piece+at+piece+at+"end\r\n"+at+"next\r\n",
		plain{Time: now, Text: piece, Partial: true}, plain{Time: now, Text: piece, Partial: true},
		plain{Time: now, Text: piece, Partial: true}, plain{Time: now, Text: "end"}, plain{Time: now, Text: "next"})
	later := strings.Replace(at, "18:08:20", "18:08:21", 1)
	check("pieces of different times", at+piece+later+"end\r\n",
		plain{Time: now, Text: piece, Partial: true}, plain{Time: now + 1e9, Text: "end"})
	check("ends in a piece", at+piece+at+"half", plain{Time: now, Text: piece, Partial: true}, plain{Time: now, Text: "half", Partial: true})
	check("one long line", at+piece+piece+piece+"\r\n"+at+"b\r\n", plain{Time: now, Text: piece + piece + piece}, plain{Time: now, Text: "b"})
	long := strings.Repeat(piece, 80)
	check("too long", at+long+"\r\n"+at+"b\r\n", plain{Time: now, Text: long[:maxMessageBytes-len(at)], Cut: true}, plain{Time: now, Text: "b"})
	check("no time", "hello\r\n", plain{Text: "hello"})
}

func TestReady(t *testing.T) {
	for _, tty := range []bool{false, true} {
		a, b := string(frame(1, at+"a\n")), string(frame(1, at+"b\n"))
		if tty {
			a, b = at+"a\r\n", at+"b\r\n"
		}
		r, w := io.Pipe()
		d := newDecoder(r, tty)
		go func() {
			io.WriteString(w, a+b+b[:10])
			w.Close()
		}()
		if d.ready() {
			t.Error("ready before anything was read")
		}
		for _, want := range []bool{true, false} {
			if _, err := d.next(); err != nil {
				t.Fatal(err)
			}
			if d.ready() != want {
				t.Errorf("tty %v: ready is %v", tty, !want)
			}
		}
	}
}

func TestStamp(t *testing.T) {
	good := func(in string, rest string) {
		t.Helper()
		text, _, _ := strings.Cut(in, " ")
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		ns, n := parseStamp([]byte(in))
		if n == 0 || in[n:] != rest || ns != want.UnixNano() {
			t.Errorf("parseStamp(%q) = %d, %d; want %d", in, ns, n, want.UnixNano())
		}
	}
	bad := func(in string) {
		t.Helper()
		if ns, n := parseStamp([]byte(in)); n != 0 {
			t.Errorf("parseStamp(%q) = %d, %d", in, ns, n)
		}
	}
	good("2026-11-20T18:08:20.280211309Z hello", "hello")
	good("2026-11-20T18:08:20Z ", "")
	good("2024-02-29T23:59:59.9Z  x", " x")
	good("1969-12-31T23:59:59.000000001Z x", "x")
	good("2100-03-01T00:00:00.5+05:30 x", "x")
	good("1900-03-01T00:00:00.123456789-11:00 x", "x")
	bad("")
	bad("2026-11-20T18:08:20.280211309Z")
	bad("2026-11-20 18:08:20.280211309Z x")
	bad("2026-13-20T18:08:20Z x")
	bad("9999-11-20T18:08:20Z x")
	bad("2026-11-20T18:08:20.2802 x")
	bad("2026-11-20T18:08:20+0530 x")
	bad("hello world, this is a line")

	for day := time.Date(1890, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() < 2110; day = day.AddDate(0, 0, 1) {
		if got := days(day.Year(), int(day.Month()), day.Day()) * 86400; got != day.Unix()-12*3600 {
			t.Fatalf("days(%s) is %d s", day, got)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	const lines = 2000
	for _, tty := range []bool{false, true} {
		one := frame(2, at+"line 35 INFO hello\n")
		if tty {
			one = []byte(at + "line 35 INFO hello\r\n")
		}
		d := newDecoder(bytes.NewReader(bytes.Repeat(one, lines)), tty)
		if n := testing.AllocsPerRun(lines-10, func() {
			if _, err := d.next(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("tty %v: %v allocations a message", tty, n)
		}
	}
}

func FuzzFrames(f *testing.F) {
	for _, name := range []string{"logs-limited.bin", "logs-tty.bin"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, false)
		f.Add(data, true)
	}
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x'}, false)
	f.Add([]byte(at+"ab"+at+"cd\r\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, tty bool) {
		got, err := readAll(bytes.NewReader(data), tty)
		again, errAgain := readAll(iotest.HalfReader(bytes.NewReader(data)), tty)
		if !reflect.DeepEqual(got, again) || (err == io.EOF) != (errAgain == io.EOF) {
			t.Fatalf("whole: %+v %v\nhalves: %+v %v", got, err, again, errAgain)
		}
		total := 0
		for _, m := range got {
			total += len(m.Text)
		}
		if total > len(data) {
			t.Fatalf("%d bytes of text from %d", total, len(data))
		}
		if err == io.EOF && !tty { // round trip: what was read makes the same messages
			var out []byte
			for _, m := range got {
				text := m.Text
				if m.Time != 0 {
					text = time.Unix(0, m.Time).UTC().Format("2006-01-02T15:04:05.000000000Z ") + text
				}
				if !m.Partial {
					text += "\r\n"
				}
				stream := byte(1)
				if m.Stderr {
					stream = 2
				}
				out = append(out, frame(stream, text)...)
			}
			if back, err := readAll(bytes.NewReader(out), false); err != io.EOF || !sameText(back, got) {
				t.Fatalf("round trip of %+v is %+v, %v", got, back, err)
			}
		}
	})
}

// sameText compares messages. A message without a time may come back with one, when its
// text begins like one.
func sameText(a, b []plain) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if b[i].Time != 0 && a[i] != b[i] {
			return false
		}
	}
	return true
}

func FuzzStamp(f *testing.F) {
	f.Add("2026-11-20T18:08:20.280211309Z hello")
	f.Add("2026-11-20T18:08:20+05:30 hello")
	f.Add("1677-09-21T00:12:43.145224191Z x")
	f.Fuzz(func(t *testing.T, in string) {
		ns, n := parseStamp([]byte(in))
		if n == 0 {
			return
		}
		if want, err := time.Parse(time.RFC3339Nano, in[:n-1]); err == nil && want.UnixNano() != ns {
			t.Fatalf("parseStamp(%q) = %d; want %d", in, ns, want.UnixNano())
		}
	})
}
