package logql

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
	// Parsers are those that extract the field, json or logfmt, sorted; none for fields that
	// lines come with, or that the query makes.
	Parsers []string
}

// fieldsLimit is how many lines are looked at if nothing else is said.
const fieldsLimit = 1000

// DetectedFields looks at the newest lines of a log query, as many as its limit says (0 is
// 1000), and returns the fields they have: those stored with them, those that the query
// extracts, and, if it has no parser, those that json or logfmt would. They are sorted by
// name.
func (e *Engine) DetectedFields(ctx context.Context, p Params) ([]Field, error) {
	if p.Expr == nil {
		q, err := syntax.ParseLog(p.Query)
		if err != nil {
			return nil, err
		}
		p.Expr = q
	}
	q, ok := p.Expr.(*syntax.LogQuery)
	if !ok {
		return nil, &LimitError{"fields are detected in the lines of a log query, and this query has numbers"}
	}
	if p.Limit <= 0 {
		p.Limit = min(fieldsLimit, e.opts.MaxEntries)
	}
	p.Direction = Backward
	res, err := e.Query(ctx, p)
	if err != nil {
		return nil, err
	}
	d := newDetector(!hasParser(q))
	for i := range res.Entries {
		d.look(&res.Entries[i])
	}
	return d.list(), nil
}

func hasParser(q *syntax.LogQuery) bool {
	return slices.ContainsFunc(q.Stages, func(s syntax.Stage) bool {
		switch s.(type) {
		case *syntax.JSON, *syntax.Logfmt, *syntax.Regexp, *syntax.Pattern, *syntax.Unpack:
			return true
		}
		return false
	})
}

// detector collects the fields of lines.
type detector struct {
	parsers []tryParser
	fields  map[string]*detected
	labels  []pipeline.Label
}

type tryParser struct {
	name   string
	runner *pipeline.Runner
}

type detected struct {
	values  map[string]bool
	parsers map[string]bool
}

func newDetector(parse bool) *detector {
	d := &detector{fields: map[string]*detected{}}
	if parse {
		for name, stage := range map[string]syntax.Stage{"json": &syntax.JSON{}, "logfmt": &syntax.Logfmt{}} {
			p := pipeline.Compile(pipeline.Spec{Stages: []syntax.Stage{stage}, Need: pipeline.Need{All: true}})
			d.parsers = append(d.parsers, tryParser{name, p.NewRunner()})
		}
		slices.SortFunc(d.parsers, func(a, b tryParser) int { return strings.Compare(a.name, b.name) })
	}
	return d
}

func (d *detector) look(e *Entry) {
	for _, l := range e.Labels {
		if l.Category != pipeline.OfStream && !syntax.IsErrorLabel(l.Name) {
			d.note(l, "")
		}
	}
	for _, p := range d.parsers {
		// Lines that begin otherwise are not JSON; those that do are not tried as logfmt.
		if isObject := strings.HasPrefix(strings.TrimSpace(e.Line), "{"); isObject != (p.name == "json") {
			continue
		}
		p.runner.SetRecord(e.Labels, []byte(e.Line))
		if !p.runner.Run() || p.runner.Err() != "" {
			continue
		}
		d.labels = p.runner.AppendLabels(d.labels[:0])
		for _, l := range d.labels {
			// A word of prose is a key of logfmt without a value.
			if l.Category == pipeline.OfParsed && l.Value != "" {
				d.note(l, p.name)
			}
		}
	}
}

func (d *detector) note(l pipeline.Label, parser string) {
	f := d.fields[l.Name]
	if f == nil {
		f = &detected{map[string]bool{}, map[string]bool{}}
		d.fields[l.Name] = f
	}
	f.values[l.Value] = true
	if parser != "" {
		f.parsers[parser] = true
	}
}

func (d *detector) list() []Field {
	list := []Field{}
	for name, f := range d.fields {
		field := Field{Name: name, Values: slices.Sorted(maps.Keys(f.values)), Parsers: slices.Sorted(maps.Keys(f.parsers))}
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
