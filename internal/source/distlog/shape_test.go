package distlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/record"
)

// made returns what a builder makes of a record, in words.
func made(t testing.TB, x *builder, b *record.Batch, body string) string {
	t.Helper()
	attrs, err := wire.Parse(nil, []byte(body))
	if err != nil {
		t.Fatal(err, body)
	}
	x.excess = 0
	x.json(b, attrs, []byte(body))
	r := &b.Records[len(b.Records)-1]
	text := fmt.Sprintf("%d %s %s, %d left out", r.Time, r.Level, b.Bytes(r.Body), x.excess)
	for _, f := range b.Fields[x.first:] {
		text += fmt.Sprintf(" %s=%s", b.Bytes(f.Name), b.Bytes(f.Value))
	}
	return text
}

// attribute returns one of names that become the same field, and of others, with some value.
func attribute(rnd *rand.Rand, names []string) string {
	values := []string{"null", `""`, "1", `"x"`, `"1@u"`, `"\u0041"`, "[2]"}
	return fmt.Sprintf(`"%s": %s`, names[rnd.IntN(len(names))], values[rnd.IntN(len(values))])
}

// TestShape: what becomes of a record does not depend on those before it.
func TestShape(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	long := strings.Repeat("n", maxName)
	names := []string{"key", "context_key", "context_", "", "_", "1", "_1", "a-b", "a_b", "\\u0061_b", "é", "context_a_b",
		"message", "msg", "levelno", "pathname", "filename", "args", long, long + "n", long + "m", long[:250], "context_" + long[:247]}
	var experienced builder
	b := new(record.Batch)
	var attrs []string
	for i := range 5_000 {
		switch rnd.IntN(4) { // another record, or one that differs little from the one before
		case 0:
			attrs = attrs[:0]
			for range rnd.IntN(12) {
				attrs = append(attrs, attribute(rnd, names))
			}
			if rnd.IntN(50) == 0 {
				for n := range 2 * maxSlots {
					attrs = append(attrs, fmt.Sprintf(`"n%d": %d`, n%(maxSlots+9), n))
				}
			}
		case 1:
			if len(attrs) > 0 {
				at := rnd.IntN(len(attrs))
				attrs = slices.Delete(attrs, at, at+1)
			}
		default:
			attrs = slices.Insert(attrs, rnd.IntN(len(attrs)+1), attribute(rnd, names))
		}
		at := rnd.IntN(len(attrs) + 1)
		body := "{" + strings.Join(attrs[:at], ", ") + "}"
		if at < len(attrs) {
			body = `{"context": {` + strings.Join(attrs[at:], ", ") + "}"
			if at > 0 {
				body += ", " + strings.Join(attrs[:at], ", ")
			}
			body += "}"
		}
		if i%100 == 0 {
			b.Reset(nil)
			experienced.reset()
		}
		got, want := made(t, &experienced, b, body), made(t, new(builder), new(record.Batch), body)
		if got != want {
			t.Fatalf("%s\nbecomes %s\n   want %s", body, got, want)
		}
	}
}
