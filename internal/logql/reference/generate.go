package reference

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// The time that generated entries and queries are of.
const (
	epoch = int64(1_700_000_000e9)
	span  = 10 * time.Minute
)

// Generate makes streams of logs of many kinds, valid and broken, and queries about them.
// The same source of randomness makes the same.
func Generate(r *rand.Rand) ([]Stream, []Query) {
	g := generator{r}
	streams := make([]Stream, 3+r.IntN(6))
	for i := range streams {
		streams[i] = g.stream(i)
	}
	queries := make([]Query, 40)
	for i := range queries {
		queries[i] = g.query()
	}
	return streams, queries
}

type generator struct{ *rand.Rand }

// one returns one of the choices.
func (g generator) one(choices ...string) string { return choices[g.IntN(len(choices))] }

// odds is true once in n times.
func (g generator) odds(n int) bool { return g.IntN(n) == 0 }

func (g generator) stream(i int) Stream {
	labels := map[string]string{
		"app": g.one("web", "api", "db", "wörker"), "env": g.one("prod", "test", ""), "source": "s" + strconv.Itoa(i),
	}
	if i == 0 { // there is always something to find
		labels["app"], labels["env"] = "web", "prod"
	}
	if g.odds(3) {
		labels["level"] = g.one("info", "x y", `q"uote`)
	}
	s := Stream{Labels: record.NewLabels(labels)}
	kind := g.IntN(7)
	at := epoch + g.Int64N(int64(time.Minute))
	for n := 20 + g.IntN(120); n > 0; n-- {
		if at += g.Int64N(int64(2*span) / 120); g.odds(20) {
			at += int64(time.Minute)
		}
		e := Entry{Time: at, Level: record.Level(g.IntN(7)), Line: g.line(kind)}
		if g.odds(15) {
			e.Time -= g.Int64N(int64(30 * time.Second)) // it came late
		} else if g.odds(10) {
			e.Time = e.Time / 1e9 * 1e9 // exactly at the edge of windows
		}
		e.Fields = g.fields()
		if g.odds(60) {
			e = Entry{Time: e.Time, Level: record.LevelWarn, Line: "lost 4312 bytes: rotated away", Gap: true}
		}
		s.Entries = append(s.Entries, e)
	}
	return s
}

func (g generator) fields() (list []record.Label) {
	for _, name := range []string{"status", "trace.id", "app", "n"} {
		if g.odds(4) {
			list = append(list, record.Label{Name: name, Value: g.value(name)})
		}
	}
	return list
}

// line returns a line of a kind, or of another now and then.
func (g generator) line(kind int) string {
	if g.odds(8) {
		kind = g.IntN(9)
	}
	switch kind {
	case 0, 1:
		return g.json(2)
	case 2, 3:
		return g.logfmt()
	case 4:
		return fmt.Sprintf(`%s - %s [10/Oct/2000:13:55:36 +0000] "%s %s HTTP/1.1" %s %d "-" "curl/8"`, g.value("ip"), g.value("user"),
			g.one("GET", "POST"), g.value("path"), g.value("status"), g.IntN(9000))
	case 5:
		return g.words()
	case 6:
		return g.one(g.value("level"), "") + " " + g.words() + " took " + g.value("took")
	case 7:
		return `{"_entry":` + strconv.Quote(g.logfmt()) + `,"pod":"p` + strconv.Itoa(g.IntN(3)) + `","n":5,"app":"x"}`
	}
	return g.broken()
}

func (g generator) words() string {
	var words []string
	for n := g.IntN(6); n >= 0; n-- {
		words = append(words, g.one("error", "timeout", "disk", "ünïcode", "→", "日本", "GET", "ok", `say "hi"`, `back\slash`, "tab\there",
			"two\nlines", "\x1b[31mred\x1b[0m", "<b>&", "10.0.0."+strconv.Itoa(g.IntN(9)), "fe80::1", "50%", "", "a=b", "1e3", "\u2028"))
	}
	return strings.Join(words, " ")
}

// broken cuts or spoils a line that another format would have.
func (g generator) broken() string {
	s := g.one(g.json(2), g.logfmt(), `{"_entry":"x","a":1}`)
	at := g.IntN(len(s) + 1)
	switch g.IntN(4) {
	case 0:
		return strings.ToValidUTF8(s[:at], "")
	case 1:
		return strings.ToValidUTF8(s[:at]+g.one(`"`, "{", "}", "\\", "=", "\t", ",", "x", " ", "\n")+s[at:], "")
	case 2:
		return s + g.one(" trailing", "}", s)
	}
	return g.one("", " ", "{}", "[]", "[1,2]", "null", `"x"`, "5", `{"a":}`, `{"a":01}`, `{"a":1,}`, `{"a" 1}`, `{,}`, `{"a":tru}`, `{"a":"\x"}`, "{\"a\":\"t\tb\"}",
		`{"a":"\ud800"}`, `a="\x" b=1`, `a="\ud83d\ude00"c=1`, `=`, `==`, `a==`, `"a"=b`, `a="b`, `a=b"c`, `{"a":1} x=1`, `{"status":200,"status":500,}`, `status=200 status=500`, `{"_entry":"x","a":"1","a":"2","b":-}`, `{"status":200`, `  {"status":"500"}`)
}

// keys are what lines and queries have in common.
func (g generator) key() string {
	return g.one("level", "status", "took", "size", "path", "user", "n", "msg", "ip", "app", "trace.id")
}

func (g generator) value(key string) string {
	switch key {
	case "level":
		return g.one("info", "warn", "error", "INFO", "")
	case "status":
		return g.one("200", "200", "200", "404", "500", "503", "-")
	case "took":
		return g.one("5ms", "1.5s", "250us", "1m30s", "0s", "12", "slow", "-3s")
	case "size":
		return g.one("512", "5KB", "5KiB", "1.5 MB", "0B", "big")
	case "path":
		return g.one("/", "/a", "/a/b?c=d", "/ü", "")
	case "user":
		return g.one("-", "ann", "bob", `o"neil`, "日本")
	case "n":
		return g.one("0", "1", "2.5", "-7", "1e3", "NaN", "Inf", "0x1p4", "1_000", "x", "")
	case "ip":
		return g.one("10.0.0."+strconv.Itoa(g.IntN(20)), "192.168.1.1", "::1", "2001:db8::"+strconv.Itoa(g.IntN(9)), "nowhere")
	}
	return strings.ToValidUTF8(g.words(), "")
}

func (g generator) logfmt() string {
	var pairs []string
	for n := g.IntN(7); n >= 0; n-- {
		key := g.key()
		v := g.value(key)
		switch {
		case g.odds(12):
			pairs = append(pairs, key)
		case strings.ContainsAny(v, " \"=\t\n\\") || g.odds(5):
			pairs = append(pairs, key+"="+jsonQuote(v))
		default:
			pairs = append(pairs, key+"="+v)
		}
	}
	return strings.Join(pairs, g.one(" ", " ", "  ", "\t"))
}

func (g generator) json(depth int) string {
	var members []string
	for n := g.IntN(7); n >= 0; n-- {
		key := g.one(g.key(), g.key(), "req", "with space", "1st", "a-b", "")
		members = append(members, jsonQuote(key)+g.one(":", ": ")+g.jsonValue(key, depth))
	}
	return "{" + strings.Join(members, g.one(",", ", ")) + "}"
}

func (g generator) jsonValue(key string, depth int) string {
	switch g.IntN(12) {
	case 0:
		return g.one("null", "true", "false")
	case 1, 2, 3:
		return g.one("0", "1", "-1.50", "2e3", "1E-2", "200", "500", "12345678901234567890")
	case 4, 5:
		if depth > 0 {
			return g.json(depth - 1)
		}
	case 6:
		if depth > 0 {
			return "[" + g.jsonValue(key, depth-1) + "," + g.json(depth-1) + "]"
		}
	case 7:
		return g.one(`"\u00e9\ud83d\ude00"`, `"a\/b\"c\\d\n"`, `""`, `"\u003ctag\u003e"`, "[]", "{}")
	}
	return jsonQuote(g.value(key))
}

// jsonQuote escapes no more than JSON asks for.
func jsonQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
