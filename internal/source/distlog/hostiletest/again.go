package hostiletest

import (
	"fmt"
	"strings"
)

// text pushes a text onto the stack of a pickle, and old one of Python 2, which has no letters.
func text(s string) string { return "X" + u32(uint32(len(s))) + s }
func old(s string) string  { return "T" + u32(uint32(len(s))) + s }

// isRecord is the begin of a dictionary that is a log record, within a mark.
var isRecord = "}(" + text("message") + text("x")

// again are messages of one long text that is used so often that the time, or the memory, for
// it would never end.
func again() []Message {
	// calls has a class called again and again, whose results are dropped.
	calls := func(name, class, args string) Message {
		return record(name, "PLP", "\x80\x02c"+class+"q\x000"+args+"q\x010"+strings.Repeat("h\x00h\x01R0", 200_000)+isRecord+"u.")
	}
	bad := func(m Message) Message { m.Record = false; return m }
	// pairs has a value for a name again and again.
	pairs := func(m Message, name, value string, times int) Message {
		m.Parts = [][]byte{[]byte("PLP"), []byte("\x80\x02" + text(name) + "q\x000" + value + "q\x010" + isRecord + strings.Repeat("h\x00h\x01", times) + "u.")}
		return m
	}
	notUTF8 := old(strings.Repeat("\xff", 2*mebi))
	long := "](" + strings.Repeat("N", 10_000) + "e"
	contexts := func(first, other string) string {
		var b strings.Builder
		b.WriteString(`{"message":"x"`)
		for i := range 4000 {
			fmt.Fprintf(&b, `,"a%d":1`, i)
		}
		b.WriteString(`,"context":` + first)
		b.WriteString(strings.Repeat(`,"context":`+other, (4*mebi-b.Len()-100)/len(`,"context":`+other)))
		return b.String() + "}"
	}
	return []Message{
		record("empty contexts", "PLJ", contexts("{}", "{}")),
		record("contexts that are replaced", "PLJ", contexts(`{"k":1}`, `{"k":1}`)),
		bad(calls("encoded with a letter beyond", "_codecs\nencode\n", text(strings.Repeat("x", 2*mebi)+"€")+text("latin1")+"\x86")),
		bad(calls("decimals of bytes", "decimal\nDecimal\n", old(strings.Repeat("é", mebi))+"\x85")),
		bad(calls("paths of a part that is none", "pathlib\nPosixPath\n", text(strings.Repeat("x", 2*mebi))+"N\x86")),
		bad(calls("fractions of no number", "fractions\nFraction\n", "L"+strings.Repeat("9", 2*mebi)+"L\n"+text("x")+"\x86")),
		bad(calls("pairs that are none", "collections\nOrderedDict\n", long+"\x85")),
		calls("ranges of arguments that a list has too", "__builtin__\nxrange\n",
			"K\x01\x85q\x02c__builtin__\nlist\nh\x02\x85R("+strings.Repeat("K\x01", 20_000)+"e0h\x02"),
		calls("codecs of two mebibytes", "_codecs\nencode\n", text("x")+text(strings.Repeat("y", 2*mebi))+"\x86"),
		calls("classes of two mebibytes", strings.Repeat("m", 2*mebi)+"\nC\n", ")"),
		pairs(message("a value 120,000 times"), "k", "]"+text(strings.Repeat("v", 65_000))+"a", 120_000),
		pairs(record("a value 4,000 times"), "k", "]"+text(strings.Repeat("v", 65_000))+"a", 4000),
		pairs(record("a field that is not UTF-8"), "k", notUTF8, 4000),
		pairs(record("fields that are not UTF-8"), "k", old(strings.Repeat("\xff", 60_000)), 4000),
		pairs(record("a message that is not UTF-8"), "message", notUTF8, 4000),
		pairs(record("a traceback that is not UTF-8"), "exc_text", notUTF8, 4000),
		pairs(record("a name that is a list"), "levelname", long, 4000),
		pairs(record("keys of two mebibytes"), "context", "}"+text("key")+text(strings.Repeat("1", 2*mebi))+"s", 2000),
		pairs(message("the same context"), "context", "}("+strings.Repeat("NN", 10_000)+"u", 100_000),
	}
}

// deep are messages that become more at each level.
func deep() []Message {
	keys := func(levels int) string {
		return strings.Repeat("}", levels) + text(`"`) + strings.Repeat("K\x00s", levels)
	}
	return []Message{
		message("keys in keys", "PLP", "\x80\x02"+keys(45)+"."),
		record("keys in keys of a field", "PLP", "\x80\x02"+isRecord+text("a")+keys(45)+text("b")+keys(99)+"u."),
		message("keys that are lists of keys", "PLP", "\x80\x02"+strings.Repeat("}](", 45)+text(`"\`)+strings.Repeat("e\x85Ns", 45)+"."),
	}
}
