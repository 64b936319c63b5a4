// Package otlp reads and writes OTLP's requests: logs and metrics in protobuf, and JSON, which
// is turned into protobuf first.
//
//	body, err := otlp.AppendProtobuf(nil, otlp.Logs, json) // if it is JSON
//	err = decoder.Logs(body, visitor)
//
// A visitor gets resources and their records or points in the order of the body. Nothing is
// built for a record: its bytes are parts of the body, or of memory that the next one reuses,
// and values stay as they are on the wire until somebody asks for their text. A body that is
// damaged in its middle has been visited up to there: whoever wants all of it or nothing
// visits it first with a visitor that refuses every resource.
//
// A Decoder serves one goroutine at a time; the functions are pure. The package leaves out
// compression, transport, and what a record's time or text may be.
package otlp

import (
	"github.com/weirlog/weir/internal/codec/protobuf"
)

const (
	// MaxAttributes is how many attributes of one resource, scope, record or point are read.
	MaxAttributes = 128
	// MaxBuckets is how many buckets, limits or quantiles of one point are read.
	MaxBuckets = 4096
	// MaxExemplars is how many exemplars of one point are read.
	MaxExemplars = 16
	// maxDepth is how deep values may nest.
	maxDepth = 32
)

// Attribute is a name with a value.
type Attribute struct {
	Key   []byte
	Value Value
}

// Resource is what records or points come from.
type Resource struct {
	Attributes []Attribute
	// Excess is how many attributes there were beyond MaxAttributes.
	Excess int
}

// Scope is the part of a program that made records or points.
type Scope struct {
	Name, Version []byte
	Attributes    []Attribute
}

// Decoder reads requests. The zero value is ready. It keeps memory for the next one.
type Decoder struct {
	resource Resource
	scope    Scope
	log      Log
	metric   Metric
	point    Point
	excess   int
}

// maxScratch is how many numbers a Decoder keeps memory for.
const maxScratch = 4096

// The fields that requests of logs and of metrics have in common.
const (
	requestResources = 1 // ResourceLogs, ResourceMetrics

	partsOrigin = 1 // Resource of a ResourceLogs, InstrumentationScope of a ScopeLogs
	partsItems  = 2 // ScopeLogs of a ResourceLogs, LogRecord or Metric of a ScopeLogs

	resourceAttributes = 1

	scopeName       = 1
	scopeVersion    = 2
	scopeAttributes = 3

	pairKey   = 1
	pairValue = 2
)

// origin returns the origin of a ResourceLogs, ScopeLogs or alike, which may stand behind
// what it is the origin of.
func origin(parts protobuf.Reader) (found protobuf.Reader, err error) {
	for parts.Next() {
		if parts.Number == partsOrigin {
			found = parts.Message()
		}
	}
	return found, parts.Err()
}

// visit is what is done with the parts of a request.
type visit struct {
	// resource begins one, and tells whether it is wanted; scope begins one that is.
	resource func() bool
	scope    func()
	// item is a record or a metric.
	item func(r protobuf.Reader, wanted bool) error
}

// visit goes through a request.
func (d *Decoder) visit(body []byte, v visit) error {
	defer d.trim()
	r := protobuf.NewReader(body)
	for r.Next() {
		if r.Number != requestResources {
			continue
		}
		if err := d.parts(r.Message(), &v); err != nil {
			return err
		}
	}
	return r.Err()
}

// Resources gives do each resource of a request of logs or of metrics, without a look at the
// records or points. They are valid until do returns. Its error is a *protobuf.SyntaxError.
func (d *Decoder) Resources(body []byte, do func(r *Resource)) error {
	defer d.trim()
	r := protobuf.NewReader(body)
	for r.Next() {
		if r.Number != requestResources {
			continue
		}
		if err := d.readResource(r.Message()); err != nil {
			return err
		}
		do(&d.resource)
	}
	return r.Err()
}

// parts goes through a ResourceLogs or ResourceMetrics.
func (d *Decoder) parts(r protobuf.Reader, v *visit) error {
	if err := d.readResource(r); err != nil {
		return err
	}
	wanted := v.resource()
	for r.Next() {
		if r.Number != partsItems {
			continue
		}
		scope := r.Message()
		if err := d.readScope(scope); err != nil {
			return err
		}
		if wanted {
			v.scope()
		}
		for scope.Next() {
			if scope.Number != partsItems {
				continue
			}
			if err := v.item(scope.Message(), wanted); err != nil {
				return err
			}
		}
		if err := scope.Err(); err != nil {
			return err
		}
	}
	return r.Err()
}

// readResource reads the resource of a ResourceLogs or ResourceMetrics.
func (d *Decoder) readResource(parts protobuf.Reader) error {
	r, err := origin(parts)
	if err != nil {
		return err
	}
	d.resource.Attributes, d.excess = d.resource.Attributes[:0], 0
	for r.Next() {
		if r.Number == resourceAttributes {
			if d.resource.Attributes, err = d.attribute(d.resource.Attributes, &r); err != nil {
				return err
			}
		}
	}
	d.resource.Excess = d.excess
	return r.Err()
}

// readScope reads the scope of a ScopeLogs or ScopeMetrics.
func (d *Decoder) readScope(parts protobuf.Reader) error {
	r, err := origin(parts)
	if err != nil {
		return err
	}
	d.excess = 0
	d.scope = Scope{Attributes: d.scope.Attributes[:0]}
	for r.Next() {
		switch r.Number {
		case scopeName:
			d.scope.Name = r.Bytes
		case scopeVersion:
			d.scope.Version = r.Bytes
		case scopeAttributes:
			if d.scope.Attributes, err = d.attribute(d.scope.Attributes, &r); err != nil {
				return err
			}
		}
	}
	return r.Err()
}

// attribute appends the KeyValue that r is at.
func (d *Decoder) attribute(to []Attribute, r *protobuf.Reader) ([]Attribute, error) {
	if key, value := shortPair(r.Bytes); len(key) > 0 && len(to) < MaxAttributes {
		return append(to, Attribute{key, value}), nil
	}
	var a Attribute
	m := r.Message()
	for m.Next() {
		switch m.Number {
		case pairKey:
			a.Key = m.Bytes
		case pairValue:
			a.Value = m.Bytes
			if a.Value.isText() && m.Wire == protobuf.Sized {
				continue
			}
			if err := check(m.Message(), maxDepth); err != nil {
				return to, err
			}
		}
	}
	if err := m.Err(); err != nil {
		return to, err
	}
	if len(a.Key) == 0 {
		return to, nil
	}
	if len(to) == MaxAttributes {
		d.excess++
		return to, nil
	}
	return append(to, a), nil
}

// shortPair returns the parts of a KeyValue that has a key and then a text, both short, and
// nothing else, as nearly all have.
func shortPair(pair []byte) (key []byte, value Value) {
	const keyTag, valueTag = pairKey<<3 | byte(protobuf.Sized), pairValue<<3 | byte(protobuf.Sized)
	if len(pair) < 2 || pair[0] != keyTag || pair[1] >= 0x80 {
		return nil, nil
	}
	end := 2 + int(pair[1])
	if len(pair) < end+2 || pair[end] != valueTag || pair[end+1] >= 0x80 || int(pair[end+1]) != len(pair)-end-2 {
		return nil, nil
	}
	if value = Value(pair[end+2:]); !value.isText() {
		return nil, nil
	}
	return pair[2:end:end], value
}

// checkAttribute sees that all of a KeyValue is there.
func checkAttribute(r *protobuf.Reader) error {
	if key, _ := shortPair(r.Bytes); len(key) > 0 {
		return nil
	}
	m := r.Message()
	for m.Next() {
		if m.Number != pairValue || m.Wire == protobuf.Sized && Value(m.Bytes).isText() {
			continue
		}
		if err := check(m.Message(), maxDepth); err != nil {
			return err
		}
	}
	return m.Err()
}

// trim lets go of the body, and of memory that an unusual one needed.
func (d *Decoder) trim() {
	clear(d.resource.Attributes[:cap(d.resource.Attributes)])
	clear(d.scope.Attributes[:cap(d.scope.Attributes)])
	clear(d.log.Attributes[:cap(d.log.Attributes)])
	d.resource = Resource{Attributes: d.resource.Attributes[:0]}
	d.scope = Scope{Attributes: d.scope.Attributes[:0]}
	d.log = Log{Attributes: d.log.Attributes[:0]}
	d.metric = Metric{}
	d.point.trim()
}
