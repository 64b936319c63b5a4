package logql

import (
	"bytes"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/unit"
)

// FieldType is what the values of a field look like, named as Loki names it.
type FieldType string

// The types of fields.
const (
	StringField   FieldType = "string"
	IntField      FieldType = "int"
	FloatField    FieldType = "float"
	BooleanField  FieldType = "boolean"
	DurationField FieldType = "duration"
	BytesField    FieldType = "bytes"
)

// Field is what was found out about a field of the lines of a query.
type Field struct {
	Name string
	Type FieldType
	// Values are those that were met, sorted.
	Values []string
	// Parsers are those that take what has the field apart, json or logfmt, sorted; none for
	// fields that lines come with.
	Parsers []string
	// Path is which members of a line's objects lead to the field, none unless json takes it.
	Path []string
}

const (
	// fieldsLimit is how many lines are looked at if nothing else is said.
	fieldsLimit = 1000
	// maxFields is how many fields are looked for, and about how many of one line.
	maxFields = 1000
	// fieldBytes and valueBytes are about what a field and a value take beside their text.
	fieldBytes, valueBytes = 320, 64
)

// DetectedFields looks at the newest lines of a log query, as many as its limit says (0 is
// 1000) unless they are very long, and returns the fields they have, sorted by name: those
// stored with them, those that the query makes, and those that json or, of a line that is no
// object, logfmt extracts. Of more than a thousand it returns those found first. name, unless
// empty, is the only field that is looked for.
//
// What the query made counts, as in Loki, as extracted by the parser that takes the line.
func (e *Engine) DetectedFields(ctx context.Context, p Params, name string) ([]Field, error) {
	if p.Expr == nil {
		q, err := syntax.ParseLog(p.Query)
		if err != nil {
			return nil, err
		}
		p.Expr = q
	}
	if _, ok := p.Expr.(*syntax.LogQuery); !ok {
		return nil, &LimitError{"fields are detected in the lines of a log query, and this query has numbers"}
	}
	if p.Limit <= 0 {
		p.Limit = min(fieldsLimit, e.opts.MaxEntries)
	}
	p.Direction, p.Bytes = Backward, e.opts.MaxMemory/8
	res, err := e.Query(ctx, p)
	if err != nil {
		return nil, err
	}
	d := newDetector(name)
	d.budget.left.Store(e.opts.MaxMemory / 2)
	for i := range res.Entries {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := e.turns.do(ctx, func() error { return d.look(&res.Entries[i]) }); err != nil {
			return nil, err
		}
	}
	return d.list(), nil
}

// detector collects the fields of lines.
type detector struct {
	name         string // the only one that is wanted, unless empty
	most         int    // how many fields of a line are extracted
	json, logfmt *pipeline.Runner
	fields       map[string]*detected
	budget       budget
	own          []pipeline.Label
	labels       []pipeline.Label
	line         []byte
	short        shortener
}

type detected struct {
	values  map[string]bool
	parsers map[string]bool
	path    []string
}

func newDetector(name string) *detector {
	runner := func(st syntax.Stage) *pipeline.Runner {
		spec := pipeline.Spec{Stages: []syntax.Stage{st}, Need: pipeline.Need{All: name == ""}}
		if name != "" {
			spec.Need.Names = []string{name}
		}
		return pipeline.Compile(spec).NewRunner()
	}
	d := &detector{name: name, most: maxFields, json: runner(&syntax.JSON{}), logfmt: runner(&syntax.Logfmt{}), fields: map[string]*detected{}}
	if name != "" {
		d.most = math.MaxInt // one costs little wherever it is
	}
	return d
}

// look notes the fields of a line.
func (d *detector) look(e *Entry) error {
	d.own = d.own[:0]
	for _, l := range e.Labels {
		if l.Category == pipeline.OfStream {
			d.own = append(d.own, l) // of the others, those extracted may have the names
		}
	}
	d.line = append(d.line[:0], e.Line...)
	var object []byte
	if text := bytes.TrimSpace(d.line); len(text) > 0 && text[0] == '{' {
		object = d.short.object(d.line, d.most)
	}
	parser := "json"
	if object == nil || !d.parse(d.json, object) {
		parser = "logfmt" // it takes any line
		d.parse(d.logfmt, firstPairs(d.line, d.most))
	}
	for _, l := range e.Labels {
		var err error
		switch {
		case syntax.IsErrorLabel(l.Name):
		case l.Category == pipeline.OfMetadata:
			err = d.note(l, "")
		case l.Category == pipeline.OfParsed:
			err = d.note(l, parser)
		}
		if err != nil {
			return err
		}
	}
	for _, l := range d.labels {
		// A word of prose is a key of logfmt without a value.
		if l.Category != pipeline.OfParsed || l.Value == "" {
			continue
		}
		if err := d.note(l, parser); err != nil {
			return err
		}
	}
	if parser == "json" && d.name == "" {
		return d.paths(object)
	}
	return nil
}

// paths notes what leads to the fields that json found in an object, where it is not known
// yet. With it Grafana's Logs Drilldown makes filters of what one clicks in an object.
func (d *detector) paths(object []byte) error {
	unknown := func(name string) bool {
		f := d.fields[name]
		return f != nil && f.path == nil && f.parsers["json"]
	}
	if !slices.ContainsFunc(d.labels, func(l pipeline.Label) bool { return l.Category == pipeline.OfParsed && unknown(l.Name) }) {
		return nil
	}
	var err error
	pipeline.JSONPaths(object, func(label string, path []string) {
		for _, name := range [...]string{label, label + syntax.ExtractedSuffix} {
			if err != nil || !unknown(name) {
				continue
			}
			size := 0
			for _, member := range path {
				size += valueBytes + len(member)
			}
			if err = d.budget.charge(size); err == nil {
				d.fields[name].path = slices.Clone(path)
			}
		}
	})
	if err != nil {
		return errManyValues()
	}
	return nil
}

// parse fills d.labels with what a parser finds in a line, and tells whether it can take it.
func (d *detector) parse(r *pipeline.Runner, line []byte) bool {
	d.labels = d.labels[:0]
	r.SetRecord(d.own, line)
	if !r.Run() || r.Err() != "" {
		return false
	}
	d.labels = r.AppendLabels(d.labels)
	return true
}

// note adds a value, and the parser that the field comes from.
func (d *detector) note(l pipeline.Label, parser string) error {
	if d.name != "" && l.Name != d.name {
		return nil
	}
	f := d.fields[l.Name]
	if f == nil {
		if len(d.fields) == maxFields {
			return nil
		}
		if err := d.budget.charge(fieldBytes + len(l.Name)); err != nil {
			return errManyValues()
		}
		f = &detected{values: map[string]bool{}, parsers: map[string]bool{}}
		d.fields[l.Name] = f
	}
	if !f.values[l.Value] {
		if err := d.budget.charge(valueBytes + len(l.Value)); err != nil {
			return errManyValues()
		}
		f.values[l.Value] = true
	}
	if parser != "" {
		f.parsers[parser] = true
	}
	return nil
}

func errManyValues() error {
	return &LimitError{"the fields of these lines have more values than one answer may; lower line_limit or narrow the query"}
}

// shortener cuts objects short.
type shortener struct {
	closing []byte // of the objects and arrays that are open, the innermost last
	text    []byte
}

// object returns a JSON object with its first members alone, about so many, those of objects
// inside of it counted. It is valid until the next call.
func (s *shortener) object(text []byte, members int) []byte {
	if bytes.Count(text, []byte(":")) <= members {
		return text
	}
	s.closing = s.closing[:0]
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			if at = jsontext.End(text, at+1); at < 0 {
				return text // it is not JSON
			}
		case '{', '[':
			s.closing = append(s.closing, text[at]+2) // as it is in ASCII
		case '}', ']':
			if s.closing = s.closing[:max(0, len(s.closing)-1)]; len(s.closing) == 0 {
				return text
			}
		case ':':
			members--
		case ',':
			if members <= 0 {
				s.text = append(s.text[:0], text[:at]...)
				slices.Reverse(s.closing)
				return append(s.text, s.closing...)
			}
		}
	}
	return text
}

// firstPairs returns the beginning of a line of logfmt that has about so many pairs.
func firstPairs(line []byte, pairs int) []byte {
	if bytes.Count(line, []byte("=")) <= pairs {
		return line
	}
	at := 0
	for range pairs {
		at += bytes.IndexByte(line[at:], '=') + 1
	}
	if n := bytes.IndexByte(line[at:], ' '); n >= 0 {
		at += n
	}
	return line[:at]
}

func (d *detector) list() []Field {
	list := []Field{}
	for name, f := range d.fields {
		field := Field{Name: name, Values: slices.Sorted(maps.Keys(f.values)), Parsers: slices.Sorted(maps.Keys(f.parsers)), Path: f.path}
		field.Type = typeOf(field.Values)
		list = append(list, field)
	}
	slices.SortFunc(list, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// typeOf returns the type that all values have.
func typeOf(values []string) FieldType {
	var is FieldType
	for _, v := range values {
		switch t := typeOfValue(v); {
		case v == "":
		case is == "" || is == t:
			is = t
		case is == IntField && t == FloatField, is == FloatField && t == IntField:
			is = FloatField
		default:
			return StringField
		}
	}
	if is == "" {
		return StringField
	}
	return is
}

func typeOfValue(v string) FieldType {
	if _, err := strconv.ParseInt(v, 10, 64); err == nil {
		return IntField
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return FloatField
	}
	if v == "true" || v == "false" {
		return BooleanField
	}
	if _, err := time.ParseDuration(v); err == nil {
		return DurationField
	}
	if _, err := unit.ParseBytes(v); err == nil {
		return BytesField
	}
	return StringField
}
