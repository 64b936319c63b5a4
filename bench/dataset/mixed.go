package dataset

import (
	"strconv"
	"time"
)

// The kinds of applications in a mixed set; file i is of kind i modulo their number.
const (
	kindAccess = iota
	kindJSON
	kindLogfmt
	kindPlain
	kindWorker
	kinds
)

// mixed writes the lines of one application.
type mixed struct {
	kind int
	pace pace
	text []byte
}

var (
	levels   = [...]string{"info", "info", "info", "info", "info", "info", "debug", "debug", "warn", "error"}
	services = [...]string{"cart", "orders", "payment", "search", "stock", "mail"}
	actions  = [...]string{"request finished", "cache miss", "order placed", "message sent", "job done", "lock acquired", "retrying after a timeout"}
)

// append adds the next line as Docker stores it.
func (m *mixed) append(dst []byte) []byte {
	now := m.pace.next()
	draw := m.pace.draw()
	level := levels[draw%uint64(len(levels))]
	service := services[draw>>8%uint64(len(services))]
	action := actions[draw>>16%uint64(len(actions))]
	took := int64(draw >> 24 % 5000)
	b := m.text[:0]
	switch m.kind {
	case kindJSON:
		b = append(append(b, `{"level":"`...), level...)
		b = append(append(b, `","msg":"`...), action...)
		b = append(append(b, `","service":"`...), service...)
		b = strconv.AppendInt(append(b, `","took_ms":`...), took, 10)
		b = m.appendID(append(b, `,"trace":"`...))
		b = append(b, `"}`...)
	case kindLogfmt:
		b = append(append(b, `level=`...), level...)
		b = append(append(b, ` msg="`...), action...)
		b = append(append(b, `" service=`...), service...)
		b = strconv.AppendInt(append(b, ` took_ms=`...), took, 10)
		b = m.appendID(append(b, ` trace=`...))
	case kindPlain:
		b = time.Unix(0, now).UTC().AppendFormat(b, "2006-01-02 15:04:05,000")
		b = append(append(b, " ["...), service...)
		b = append(append(append(b, "] "...), level...), ": "...)
		b = append(append(b, action...), " in "...)
		b = append(strconv.AppendInt(b, took, 10), " ms"...)
	default:
		b = append(append(b, level...), ' ')
		b = append(append(b, service...), '/')
		b = m.appendID(b)
		b = append(append(b, ' '), action...)
	}
	m.text = append(b, '\n')
	return appendDocker(dst, m.text, stdout, now)
}

// appendID adds sixteen hexadecimal digits.
func (m *mixed) appendID(dst []byte) []byte {
	id := strconv.FormatUint(m.pace.draw()|1<<63, 16)
	return append(dst, id...)
}
