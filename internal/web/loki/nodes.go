package loki

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/task"
)

// members appends the members of an object, as encoding/json does with what is harmless; a
// tree has tens of thousands of objects, and json looks at the type of each anew.
type members struct {
	buf   []byte
	comma bool
}

// name begins a member.
func (m *members) name(name string) {
	if m.comma {
		m.buf = append(m.buf, ',')
	}
	m.comma = true
	m.buf = append(append(append(m.buf, '"'), name...), `":`...)
}

func (m *members) open() { m.buf, m.comma = append(m.buf, '{'), false }

func (m *members) close() { m.buf, m.comma = append(m.buf, '}'), true }

// list begins a member that is a list of n, which each adds one by one.
func (m *members) list(name string, n int, each func(i int)) {
	if n == 0 {
		return
	}
	m.name(name)
	m.buf = append(m.buf, '[')
	for i := range n {
		if i > 0 {
			m.buf = append(m.buf, ',')
		}
		m.open()
		each(i)
		m.close()
	}
	m.buf = append(m.buf, ']')
}

func (m *members) text(name, text string) {
	m.name(name)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // of a string there is no error
			m.buf = lines.AppendHarmlessJSON(m.buf, quoted)
			return
		}
	}
	m.buf = append(append(append(m.buf, '"'), text...), '"')
}

// some is text, unless that is empty.
func (m *members) some(name, text string) {
	if text != "" {
		m.text(name, text)
	}
}

func (m *members) number(name string, n int64) {
	m.name(name)
	m.buf = strconv.AppendInt(m.buf, n, 10)
}

// count is number, unless that is 0.
func (m *members) count(name string, n int64) {
	if n != 0 {
		m.number(name, n)
	}
}

func (m *members) time(name string, t time.Time) {
	m.name(name)
	m.buf = append(t.AppendFormat(append(m.buf, '"'), time.RFC3339Nano), '"')
}

// seconds appends a duration, which is no infinity.
func (m *members) seconds(name string, s float64) {
	m.name(name)
	if s != 0 && (math.Abs(s) < 1e-6 || math.Abs(s) >= 1e21) { // which json writes with an exponent
		text, _ := json.Marshal(s)
		m.buf = append(m.buf, text...)
		return
	}
	m.buf = strconv.AppendFloat(m.buf, s, 'f', -1, 64)
}

// appendNode appends a node as JSON.
func appendNode(dst []byte, n *task.Node) []byte {
	m := members{buf: dst}
	m.open()
	m.text("id", n.ID)
	m.number("parent", int64(n.Parent))
	m.number("depth", int64(n.Depth))
	m.some("name", n.Name)
	m.text("state", string(n.State))
	m.some("why", n.Why)
	m.time("start", n.Start)
	m.time("last", n.Last)
	if n.End != nil {
		m.time("end", *n.End)
	}
	m.seconds("duration", n.Duration)
	m.some("message", n.Message)
	m.some("error", n.Error)
	m.number("records", int64(n.Records))
	m.count("errors", int64(n.Errors))
	m.count("warnings", int64(n.Warnings))
	m.count("missing", n.Missing)
	m.list("gaps", len(n.Gaps), func(i int) {
		m.number("first", n.Gaps[i].First)
		m.number("last", n.Gaps[i].Last)
	})
	m.count("repeated", int64(n.Repeated))
	m.some("host", n.Host)
	m.some("process", n.Process)
	m.some("stream", n.Stream)
	m.list("fields", len(n.Fields), func(i int) {
		m.text("name", n.Fields[i].Name)
		m.text("value", n.Fields[i].Value)
	})
	m.list("lines", len(n.Lines), func(i int) {
		l := &n.Lines[i]
		m.time("time", l.Time)
		m.number("seq", l.Seq)
		m.text("level", l.Level)
		m.text("text", l.Text)
	})
	if n.Clipped {
		m.name("clipped")
		m.buf = append(m.buf, "true"...)
	}
	m.close()
	return m.buf
}
