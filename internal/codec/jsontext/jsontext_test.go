package jsontext_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/codec/jsontext"
)

func TestEnd(t *testing.T) {
	good := func(in string, end int) {
		t.Helper()
		if e := jsontext.End([]byte(in), 0); e != end {
			t.Errorf("End(%q) = %d; want %d", in, e, end)
		}
	}
	good(`"`, 0)
	good(`abc",`, 3)
	good(`a\"b"`, 4)
	good(`a\\"b"`, 3)
	good(`a\\\"b" "`, 6)
	good(`\n"`, 2)
	good(`abc`, -1)
	good(`a\"`, -1)
	good(``, -1)
}

func TestUnescape(t *testing.T) {
	good := func(in, want string) {
		t.Helper()
		if got := jsontext.Unescape([]byte("-"), []byte(in)); string(got) != "-"+want {
			t.Errorf("Unescape(%q) = %q; want %q", in, got[1:], want)
		}
	}
	good(``, "")
	good(`plain é`, "plain é")
	good(`\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t")
	good(`\u00e9\u0009x`, "é\tx")
	good(`\ud83d\ude00!`, "😀!")
	good(`\uD83D\uDE00`, "😀")
	good(`\ud83dx`, "\uFFFDx")
	good(`\ud83d\u0041`, "\uFFFDA")
	good(`\ude00\ud83d`, "\uFFFD\uFFFD")
	good(`\ud83d\ud83d\ude00`, "\uFFFD😀")
	good(`a\`, `a\`)
	good(`\q\u12\u12g4\x41`, `\q\u12\u12g4\x41`)
	good(`\u`, `\u`)
	good(`\ud83d\ude0`, "\uFFFD"+`\ude0`)
	good("\xff\\n\xfe", "\xff\n\xfe")
}

func TestEscape(t *testing.T) {
	good := func(in, want string) {
		t.Helper()
		if got := jsontext.Escape([]byte("-"), []byte(in)); string(got) != "-"+want {
			t.Errorf("Escape(%q) = %q; want %q", in, got[1:], want)
		}
	}
	good("", "")
	good("plain é", "plain é")
	good("a\"b\\c\n\r\td\x7f\x00", `a\"b\\c\n\r\u0009d`+"\x7f"+`\u0000`)
	good("<a&b>", `\u003ca\u0026b\u003e`)
	good("x\u2028y\u2029\u2027z", `x\u2028y\u2029`+"\u2027z")
	good("\xffé\xc3", `\ufffdé\ufffd`)
	good("\uFFFD", "\uFFFD")
}

// oneByOne is Unescape without haste.
func oneByOne(in []byte) (out []byte) {
	for len(in) > 0 {
		if in[0] == '\\' && len(in) > 1 {
			if i := strings.IndexByte(`"\/nrtbf`, in[1]); i >= 0 {
				out, in = append(out, "\"\\/\n\r\t\b\f"[i]), in[2:]
				continue
			}
			if r, n := jsontext.Unicode(in); n > 0 {
				out, in = utf8.AppendRune(out, r), in[n:]
				continue
			}
			out, in = append(out, in[0], in[1]), in[2:]
			continue
		}
		out, in = append(out, in[0]), in[1:]
	}
	return out
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{``, `a\nb`, `\ud83d\ude00`, `\ud83d\u0041`, `\\\"`, `\q`, `\u12`, `\`, "\xff", `{\"a\":\"b c d e f g h\",\"i\":1,\"j\":\"\\\"\u00e9\ud83d\ude00\"}`, `1234567\`, `12345678\`, `1234567\u00e9`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got := jsontext.Unescape(nil, in)
		if slow := oneByOne(in); !bytes.Equal(got, slow) {
			t.Errorf("Unescape(%q) = %q; one by one it is %q", in, got, slow)
		}
		// What stands behind the room for the text must not be touched.
		room := append(make([]byte, len(in)+1), "behind"...)
		if to := jsontext.Unescape(room[:1], in); !bytes.Equal(to[1:], got) || string(room[len(in)+1:]) != "behind" {
			t.Errorf("Unescape(%q) = %q, and %q behind it", in, to, room[len(in)+1:])
		}
		var want string
		if json.Unmarshal(fmt.Appendf(nil, `"%s"`, in), &want) == nil && want != string(bytes.ToValidUTF8(got, nil)) && utf8.Valid(in) {
			t.Errorf("Unescape(%q) = %q; encoding/json says %q", in, got, want)
		}
	})
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a\tb", "é\u2028<>&\x7f\x00", "\xff\xc3\xe2\x80", "\"\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		escaped := jsontext.Escape(nil, in)
		quoted := fmt.Appendf(nil, `"%s"`, escaped)
		var want string
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatalf("Escape(%q) = %q: %v", in, escaped, err)
		}
		back := jsontext.Unescape(nil, escaped)
		if string(back) != want || utf8.Valid(in) && !bytes.Equal(back, in) {
			t.Errorf("%q became %q and %q", in, escaped, back)
		}
		if end := jsontext.End(quoted, 1); end != len(quoted)-1 {
			t.Errorf("%q ends at %d", quoted, end)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	in := []byte(`\"GET / HTTP/1.1\" 200 \u003c\ud83d\ude00\n`)
	plain, escaped := make([]byte, 0, 256), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		plain = jsontext.Unescape(plain[:0], in)
		escaped = jsontext.Escape(escaped[:0], plain)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
