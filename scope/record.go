package scope

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// writer writes records as distlog's JSON formatter does, with the members in the same order.
// What Go has not (threads) is null, which is what Python has where it is told not to look.
type writer struct {
	places places
	second atomic.Pointer[second]
	pool   sync.Pool // of *encoder
	began  time.Time
	trace  bool

	head    []byte // up to the message
	process []byte // from relativeCreated to the context
	tail    []byte // from asctime to the end
}

// second is how created and asctime begin within a second.
type second struct {
	unix    int64
	created []byte
	clock   []byte
}

const (
	// largeBuffer is from when on a buffer is not used again.
	largeBuffer = 64 << 10
	// maxRecord is the longest record that is sent, in bytes. Servers of weir cut longer ones.
	maxRecord = 1 << 20
)

func newWriter(name string, trace bool) *writer {
	w := &writer{began: time.Now(), trace: trace}
	w.pool.New = func() any { return &encoder{buf: make([]byte, 0, 2048)} }
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	var e encoder
	e.buf = append(e.buf, `{"name": `...)
	e.quoted(name)
	e.buf = append(e.buf, `, "msg": "`...)
	w.head = e.buf
	e.buf = append([]byte(nil), `, "thread": null, "threadName": null, "processName": `...)
	e.quoted(filepath.Base(os.Args[0]))
	e.buf = append(e.buf, `, "process": `...)
	e.buf = strconv.AppendInt(e.buf, int64(os.Getpid()), 10)
	e.buf = append(e.buf, `, "context": `...)
	w.process = e.buf
	e.buf = append([]byte(nil), `", "hostname": `...)
	e.quoted(host)
	w.tail = e.buf
	return w
}

// extra are the attributes of a Handler as they are written, and the groups that are open.
type extra struct {
	json    []byte
	open    int
	pending []string // groups that have no attribute yet, which are opened with their first
}

// with returns x after a step.
func (x extra) with(s step) extra {
	if s.group != "" {
		x.pending = append(x.pending[:len(x.pending):len(x.pending)], s.group)
		return x
	}
	e := encoder{buf: append([]byte{'"'}, x.json...)} // so that something stands before it
	opened := e.opened(x.pending, x.open == 0)
	before := len(e.buf)
	for i := range s.attrs {
		e.extra(&s.attrs[i], x.open+len(x.pending) == 0)
	}
	if len(e.buf) == before {
		return x
	}
	return extra{json: e.buf[1:], open: x.open + opened}
}

// opened opens groups, the first of them perhaps at the top, and returns how many.
func (e *encoder) opened(groups []string, top bool) int {
	for i, name := range groups {
		if top && i == 0 && reserved(name) {
			name += "_"
		}
		e.open(name)
	}
	return len(groups)
}

// append writes r, which is the record of a number in s, or of none if s is nil, and returns
// where it was made.
func (w *writer) append(e *encoder, r *slog.Record, s *Scope, number int64) *place {
	when := r.Time
	if when.IsZero() {
		when = time.Now()
	}
	e.buf = append(e.buf, w.head...)
	at := len(e.buf)
	e.text(r.Message)
	message := e.buf[at:]
	where := w.places.of(r)
	e.place(where, r)
	now := w.at(when)
	w.created(e, when, now)
	b := appendContext(append(e.buf, w.process...), s, number)
	b = append(b, `, "message": "`...)
	if len(message) == len(r.Message) {
		b = append(b, message...) // nothing in it had to be escaped
	} else {
		e.buf = b
		e.oneLine(r.Message)
		b = e.buf
	}
	b = append(b, `", "asctime": "`...)
	b = appendThree(append(b, now.clock...), uint(when.Nanosecond())/1_000_000)
	e.buf = append(b, w.tail...)
	if w.trace && s != nil {
		e.buf = append(e.buf, s.trace()...)
	}
	return where
}

// place writes what stands between the message and the time.
func (e *encoder) place(p *place, r *slog.Record) {
	if p.level == r.Level && r.Level < slog.LevelError {
		e.buf = append(e.buf, p.text...)
		return
	}
	e.level(r.Level)
	e.buf = append(e.buf, p.text[p.pathname:p.exc]...)
	e.failure(r)
	e.buf = append(e.buf, p.text[p.exc+len(null):]...)
}

// level writes the end of the message, and Python's name and number of a level.
func (e *encoder) level(l slog.Level) {
	e.buf = append(e.buf, `", "args": null, "levelname": "`...)
	switch l {
	case slog.LevelDebug:
		e.buf = append(e.buf, `DEBUG", "levelno": 10, `...)
	case slog.LevelInfo:
		e.buf = append(e.buf, `INFO", "levelno": 20, `...)
	case slog.LevelWarn:
		e.buf = append(e.buf, `WARNING", "levelno": 30, `...)
	case slog.LevelError:
		e.buf = append(e.buf, `ERROR", "levelno": 40, `...)
	default:
		number := levelNumber(l)
		if name := "CRITICAL"; number == 50 {
			e.buf = append(e.buf, name...)
		} else {
			e.buf = strconv.AppendInt(append(e.buf, "Level "...), number, 10)
		}
		e.buf = append(strconv.AppendInt(append(e.buf, `", "levelno": `...), number, 10), `, `...)
	}
}

// levelNumber is Python's number of a level: ten for each four of slog's. None is below 1,
// which is the least that Python's loggers tell from no level.
func levelNumber(l slog.Level) int64 {
	const info, each, steps = 20, 10, 4
	return max(1, info+(int64(l)*each)/steps)
}

// failure writes exc_text: the first error among the attributes of a record that tells of one.
func (e *encoder) failure(r *slog.Record) {
	before := len(e.buf)
	if r.Level >= slog.LevelError {
		r.Attrs(func(a slog.Attr) bool {
			if a.Value.Kind() != slog.KindAny {
				return true
			}
			err, ok := a.Value.Any().(error)
			if ok {
				e.exception(err)
			}
			return !ok
		})
	}
	if len(e.buf) == before {
		e.buf = append(e.buf, null...)
	}
}

// exception writes an error as the last line of a traceback is, and a panic with its stack.
func (e *encoder) exception(err error) {
	before := len(e.buf)
	defer func() {
		if p := recover(); p != nil {
			e.buf = append(e.buf[:before], panicText(err, p)...)
		}
	}()
	text := fmt.Sprintf("%T: %s", err, err.Error())
	if p, ok := err.(*panicked); ok {
		text = p.Error() + "\n\n" + string(p.stack)
	}
	e.buf = append(e.buf, '"')
	e.oneLine(text)
	e.buf = append(e.buf, '"')
}

// created writes the members that tell the time as numbers.
func (w *writer) created(e *encoder, t time.Time, now *second) {
	micros := uint(t.Nanosecond()) / 1000
	b := appendFraction(append(e.buf, now.created...), micros/1000, micros%1000)
	b = append(b, `, "msecs": `...)
	b = strconv.AppendUint(b, uint64(micros/1000), 10)
	b = append(b, `.0, "relativeCreated": `...)
	since := uint(max(0, t.Sub(w.began)) / time.Microsecond)
	b = append(strconv.AppendUint(b, uint64(since/1000), 10), '.')
	e.buf = appendFraction(b, since%1000, 0)
}

// at returns how the members of a time begin.
func (w *writer) at(t time.Time) *second {
	unix := t.Unix()
	if s := w.second.Load(); s != nil && s.unix == unix {
		return s
	}
	s := &second{unix: unix}
	s.created = append(strconv.AppendInt(append(s.created, `, "created": `...), unix, 10), '.')
	s.clock = t.Local().AppendFormat(s.clock, "2006-01-02 15:04:05,")
	w.second.Store(s)
	return s
}

// appendFraction appends thousandths and millionths after a point, as short as Python does.
func appendFraction(b []byte, milli, micro uint) []byte {
	at := len(b)
	if b = appendThree(b, milli); micro > 0 {
		b = appendThree(b, micro)
	}
	end := len(b)
	for end > at+1 && b[end-1] == '0' {
		end--
	}
	return b[:end]
}

// appendThree appends a number below 1,000 with zeros before it.
func appendThree(b []byte, n uint) []byte {
	return append(b, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10))
}

// appendContext appends the key and what is bound, or that there is no scope.
func appendContext(b []byte, s *Scope, number int64) []byte {
	if s == nil {
		return append(b, null...)
	}
	b = append(appendKey(append(b, `{"key": "`...), s, number), '"')
	return append(append(b, s.bound.Load().json...), '}')
}

// attrs writes the attributes of the Handler and of r, which was made at a place, and ends the
// record.
func (e *encoder) attrs(x *extra, r *slog.Record, where *place) {
	e.buf = append(e.buf, x.json...)
	open := x.open
	if r.NumAttrs() > 0 {
		before := len(e.buf)
		opened := e.opened(x.pending, open == 0)
		empty := len(e.buf)
		top := open+opened == 0
		i := 0
		r.Attrs(func(a slog.Attr) bool {
			if name, ok := where.nameOf(i, a.Key); !ok || !top || !e.named(name, &a) {
				e.extra(&a, top)
			}
			i++
			return true
		})
		if len(e.buf) == empty {
			e.buf = e.buf[:before]
		} else {
			open += opened
		}
	}
	for range open {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, '}')
}

// named writes an attribute whose name is known as it is written, unless it may be one that
// slog leaves out.
func (e *encoder) named(name string, a *slog.Attr) bool {
	switch kind := a.Value.Kind(); kind {
	case slog.KindString:
		b := append(append(e.buf, name...), '"')
		e.buf = append(appendText(b, a.Value.String()), '"')
	case slog.KindInt64:
		e.buf = strconv.AppendInt(append(e.buf, name...), a.Value.Int64(), 10)
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
		return false
	default:
		e.buf = append(e.buf, name...)
		e.value(&a.Value, kind)
	}
	return true
}

// extra writes an attribute. At the top are the record's own members, which must not be hidden.
func (e *encoder) extra(a *slog.Attr, top bool) {
	if top {
		if a.Key == "" {
			if inner, ok := inlined(a.Value); ok {
				for i := range inner {
					e.extra(&inner[i], top)
				}
				return
			}
		}
		if reserved(a.Key) {
			a = &slog.Attr{Key: a.Key + "_", Value: a.Value}
		}
	}
	e.attr(a)
}

// reserved tells the members that every record has.
func reserved(name string) bool {
	switch name {
	case "name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info",
		"lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process",
		contextName, "message", "asctime", "hostname", "taskName", "trace_id", "span_id":
		return true
	}
	return false
}
