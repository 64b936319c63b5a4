package scope

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzHandshake: whatever the server says, what comes of it is an answer or an error, and no
// more than a frame is allocated.
func FuzzHandshake(f *testing.F) {
	good := string(greeting("NULL")) + string(command("READY", []byte("\x0bSocket-Type\x00\x00\x00\x04PULL")))
	f.Add([]byte(good), false)
	f.Add([]byte(strings.Replace(good, "PULL", "PUBB", 1)), false)
	f.Add([]byte(string(greeting("PLAIN"))+string(command("WELCOME", nil))+string(command("READY", nil))), true)
	f.Add([]byte(string(greeting("NULL"))+"\x06\x7f\xff\xff\xff\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, said []byte, plain bool) {
		user, in := "", bufio.NewReader(bytes.NewReader(said))
		if plain {
			user = "anna"
		}
		if err := handshake(io.Discard, in, user, "x"); err != nil {
			return
		}
		for {
			f, err := readFrame(in)
			if err != nil {
				return
			}
			if answer := pong(f); answer != nil {
				again, err := readFrame(bufio.NewReader(bytes.NewReader(answer)))
				if err != nil || again.flags != flagCommand || !bytes.HasPrefix(again.body, []byte("\x04PONG")) {
					t.Errorf("pong %q", answer)
				}
			}
		}
	})
}

// FuzzText: what is written is ASCII, and JSON of the same text, its bad bytes as U+FFFD.
func FuzzText(f *testing.F) {
	f.Add("é € 😀 \x00\x7f\xff \"\\\b\f\n\r\t </b>")
	f.Fuzz(func(t *testing.T, s string) {
		var e encoder
		e.quoted(s)
		e.buf = append(e.buf, ' ')
		one := len(e.buf)
		e.buf = append(e.buf, '"')
		e.oneLine(s)
		e.buf = append(e.buf, '"')
		for _, c := range e.buf {
			if c < ' ' || c > '~' {
				t.Fatalf("%q", e.buf)
			}
		}
		var got, line string
		if err := json.Unmarshal(e.buf[:one], &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q became %q, %v", s, got, err)
		}
		if err := json.Unmarshal(e.buf[one:], &line); err != nil || line != strings.ReplaceAll(got, "\n", `\n`) {
			t.Errorf("%q became %q, %v", s, line, err)
		}
	})
}

// FuzzRecord: any attributes give JSON with the record's own members as they are.
func FuzzRecord(f *testing.F) {
	f.Add("order", "user", "leo", "group", int64(1), 2.5)
	f.Add("a\nb", "key", "x", "context", int64(-1), 1e300)
	f.Add("", "", "", "", int64(0), 0.0)
	f.Fuzz(func(t *testing.T, message, key, value, group string, i int64, x float64) {
		w := newWriter("root", true)
		s := &Scope{id: newTask()}
		s.bound.Store(bind(nil, []slog.Attr{slog.String(key, value), slog.Int64(group, i)}))
		r := slog.NewRecord(time.Unix(i%1e10, i&0xffff), slog.Level(i%100), message, 0)
		r.Add(key, value, group, i, "x", x)
		x1 := extra{}.with(step{attrs: []slog.Attr{slog.Float64(key, x)}}).with(step{group: group}).with(step{attrs: []slog.Attr{slog.String(value, key)}})
		var e encoder
		e.attrs(&x1, &r, w.append(&e, &r, s, i&0xff))
		var got struct {
			Name, Message string
			Context       struct{ Key string }
		}
		if err := json.Unmarshal(e.buf, &got); err != nil {
			t.Fatalf("%s: %v", e.buf, err)
		}
		want := strings.ReplaceAll(strings.ToValidUTF8(message, "\ufffd"), "\n", `\n`)
		if got.Name != "root" || got.Message != want && utf8.ValidString(message) || !strings.HasSuffix(got.Context.Key, "@"+string(s.id)) {
			// encoding/json takes names in other cases for the same: only an exact one would be a mistake.
			var exact map[string]json.RawMessage
			if err := json.Unmarshal(e.buf, &exact); err != nil || string(exact["name"]) != `"root"` {
				t.Errorf("%s: %+v", e.buf, got)
			}
		}
	})
}

// TestWhole: at every cut, the whole messages are found.
func TestWhole(t *testing.T) {
	h := head("P")
	var data []byte
	var ends []int
	for _, body := range []string{"", "a", strings.Repeat("b", 300)} {
		m := append(h[:len(h):len(h)], body...)
		finish(m)
		data = append(data, m...)
		ends = append(ends, len(data))
	}
	for n := range len(data) + 1 {
		want, length := 0, 0
		for _, end := range ends {
			if end <= n {
				want, length = want+1, end
			}
		}
		if got, at := whole(data, n); got != want || at != length {
			t.Errorf("%d bytes have %d messages of %d bytes, want %d of %d", n, got, at, want, length)
		}
	}
}

// TestPlaces: as many places as one likes take as much memory as the bound says.
func TestPlaces(t *testing.T) {
	var p places
	for pc := range uintptr(maxPlaces + 100) {
		p.of(&slog.Record{PC: pc})
	}
	if n := len(*p.known.Load()); n != maxPlaces {
		t.Errorf("%d places", n)
	}
}

// TestPlaceNames: what is written of attributes does not depend on those that other records had
// which were made at the same place.
func TestPlaceNames(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	keys := []string{"a", "ab", "b", "", "name", "name_", "é", `"`, strings.Repeat("k", maxNameSize), strings.Repeat("k", maxNameSize+1), "created"}
	values := []slog.Value{
		slog.StringValue("x\n"), slog.IntValue(-1), slog.Uint64Value(1), slog.BoolValue(true), slog.Float64Value(0.5), slog.DurationValue(1),
		slog.TimeValue(time.Unix(1, 0)), slog.AnyValue(nil), slog.AnyValue([]int{1}), slog.AnyValue(slog.IntValue(1)), slog.GroupValue(), slog.GroupValue(slog.Int("a", 1)),
	}
	attrs := func() (list []slog.Attr) {
		for range rnd.IntN(maxNames + 2) {
			list = append(list, slog.Attr{Key: keys[rnd.IntN(len(keys))], Value: values[rnd.IntN(len(values))]})
		}
		return list
	}
	written := func(w *writer, x extra, r *slog.Record) string {
		var e encoder
		where := w.append(&e, r, nil, 0)
		e.attrs(&x, r, where)
		return string(e.buf)
	}
	extras := []extra{{}, extra{}.with(step{attrs: []slog.Attr{slog.Int("with", 1)}}), extra{}.with(step{group: "g"}), extra{}.with(step{group: "g"}).with(step{attrs: []slog.Attr{slog.Int("with", 1)}})}
	for range 300 {
		experienced := newWriter("root", false)
		for range 20 {
			r := slog.NewRecord(experienced.began, slog.LevelInfo, "m", 0)
			r.AddAttrs(attrs()...)
			fresh := newWriter("root", false)
			fresh.began = experienced.began
			fresh.places.of(&slog.Record{Level: slog.LevelInfo}) // it knows the place and no names
			x := extras[rnd.IntN(len(extras))]
			if got, want := written(experienced, x, &r), written(fresh, x, &r); got != want {
				t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
	}
}

// FuzzFloat: the quick way gives what strconv gives.
func FuzzFloat(f *testing.F) {
	for _, x := range []float64{0, 5, 0.0123, -0.5, 0.0001, 0.00009, 1e15, 999999999.999999, 1e-6, 0.1 + 0.2, 1.005, 4.35, math.Copysign(0, -1), math.MaxFloat64, 12345.678901} {
		f.Add(x, int64(x))
	}
	f.Fuzz(func(t *testing.T, x float64, n int64) {
		for _, x := range []float64{x, float64(n) / 1e6, float64(n%1e9) / 1e6, float64(n % 1e4), float64(n%1e6) / 1e3} {
			var e encoder
			if !e.short(x) {
				continue
			}
			want := strconv.FormatFloat(x, 'f', -1, 64)
			if !strings.Contains(want, ".") {
				want += ".0"
			}
			if string(e.buf) != want {
				t.Errorf("%g: %s, want %s", x, e.buf, want)
			}
		}
	})
}

// TestIsPlain: many bytes at a time are looked at as each alone is.
func TestIsPlain(t *testing.T) {
	for c := range 256 {
		for size := range 20 {
			for at := range size {
				b := []byte("abcdefghijklmnopqrst")[:size]
				b[at] = byte(c)
				if got := isPlain(string(b)); got != plain[c] {
					t.Errorf("%#x at %d of %d: %t", c, at, size, got)
				}
				b = bytes.Repeat([]byte{' ', '~', '!', '#', '[', ']'}, 4)[:size]
				b[at] = byte(c)
				if got := isPlain(string(b)); got != plain[c] {
					t.Errorf("%#x at %d of %d others: %t", c, at, size, got)
				}
			}
		}
	}
	if !isPlain("") {
		t.Error("nothing is not plain")
	}
}
