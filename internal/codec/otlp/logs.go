package otlp

import "github.com/weirlog/weir/internal/codec/protobuf"

// Log is one record. Its bytes are valid until Log of the visitor returns.
type Log struct {
	// Time is when it happened, Observed when somebody saw it, in Unix nanoseconds; zero where
	// the sender says nothing.
	Time, Observed uint64
	// Severity is from 1 to 24; zero where the sender says nothing.
	Severity     int32
	SeverityText []byte
	Body         Value
	Attributes   []Attribute
	// Excess is how many attributes there were beyond MaxAttributes.
	Excess int
	// Dropped is how many the sender has dropped.
	Dropped uint32
	// Flags are those of the trace; TraceID and SpanID have 16 and 8 bytes, or any number.
	Flags           uint32
	TraceID, SpanID []byte
	EventName       []byte
}

// LogVisitor gets what a request of logs holds.
type LogVisitor interface {
	// Resource begins a resource. With false its records are checked but not given.
	Resource(r *Resource) bool
	// Scope begins a scope of the resource. It is not called for one that is not wanted.
	Scope(s *Scope)
	// Log is one record of it. Its error ends the visit.
	Log(l *Log) error
}

// The fields of a LogRecord.
const (
	logTime         = 1
	logSeverity     = 2
	logSeverityText = 3
	logBody         = 5
	logAttributes   = 6
	logDropped      = 7
	logFlags        = 8
	logTraceID      = 9
	logSpanID       = 10
	logObserved     = 11
	logEventName    = 12
)

// Logs gives v what an ExportLogsServiceRequest holds. Its error is a *protobuf.SyntaxError,
// or what v returned.
func (d *Decoder) Logs(body []byte, v LogVisitor) error {
	return d.visit(body, visit{
		resource: func() bool { return v.Resource(&d.resource) },
		scope:    func() { v.Scope(&d.scope) },
		item: func(r protobuf.Reader, wanted bool) error {
			if !wanted {
				return checkLog(r)
			}
			if err := d.readLog(r); err != nil {
				return err
			}
			return v.Log(&d.log)
		},
	})
}

// checkLog sees that all of a record is there that readLog reads.
func checkLog(r protobuf.Reader) error {
	for r.Next() {
		switch r.Number {
		case logBody:
			if Value(r.Bytes).isText() {
				continue
			}
			if err := check(r.Message(), maxDepth); err != nil {
				return err
			}
		case logAttributes:
			if err := checkAttribute(&r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

func (d *Decoder) readLog(r protobuf.Reader) (err error) {
	l := &d.log
	*l = Log{Attributes: l.Attributes[:0]}
	d.excess = 0
	for r.Next() {
		switch r.Number {
		case logTime:
			l.Time = r.Value
		case logObserved:
			l.Observed = r.Value
		case logSeverity:
			l.Severity = int32(r.Value)
		case logSeverityText:
			l.SeverityText = r.Bytes
		case logBody:
			l.Body = r.Bytes
			if l.Body.isText() {
				continue
			}
			if err := check(r.Message(), maxDepth); err != nil {
				return err
			}
		case logAttributes:
			if l.Attributes, err = d.attribute(l.Attributes, &r); err != nil {
				return err
			}
		case logDropped:
			l.Dropped = uint32(r.Value)
		case logFlags:
			l.Flags = uint32(r.Value)
		case logTraceID:
			l.TraceID = r.Bytes
		case logSpanID:
			l.SpanID = r.Bytes
		case logEventName:
			l.EventName = r.Bytes
		}
	}
	l.Excess = d.excess
	return r.Err()
}
