package parse

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weirlog/weir/internal/codec/jsonline"
	"github.com/weirlog/weir/internal/codec/logfmt"
	"github.com/weirlog/weir/internal/codec/nginx"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/codec/syslog"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/record"
)

// Config says how a rule takes fields from a record. Exactly one of the formats is given.
type Config struct {
	// Nginx is `combined`, which fits every format that begins with it, or the string of
	// any log_format directive.
	Nginx string `yaml:"nginx,omitempty"`
	// Regex is a regular expression in RE2 syntax; its named groups are the fields. It
	// may match anywhere in the line; begin it with ^ to bind it to the start.
	Regex string `yaml:"regex,omitempty"`
	// Pattern is a pattern in Loki's syntax: <ip> - - <_> "<method> <path> <_>" <status>.
	Pattern string `yaml:"pattern,omitempty"`
	// JSON takes lines that are JSON objects; fields of nested objects have dotted names,
	// as in http.status. Written as json: {}.
	JSON *Object `yaml:"json"`
	// Logfmt takes lines of key=value pairs. Written as logfmt: {}.
	Logfmt *Object `yaml:"logfmt"`
	// Syslog takes lines of RFC 3164 and RFC 5424. Written as syslog: {}.
	Syslog *Object `yaml:"syslog"`
	// Fields takes the fields that came with a record beside its text: those of distlog's
	// records, Loki's structured metadata. Written as fields: {}.
	Fields *Object `yaml:"fields"`
}

// Object stands for a format that has no settings.
type Object struct{}

// Format returns the name of the given format, "" for none.
func (c Config) Format() string {
	if f := c.formats(); len(f) > 0 {
		return f[0]
	}
	return ""
}

func (c Config) formats() []string {
	var given []string
	add := func(name string, ok bool) {
		if ok {
			given = append(given, name)
		}
	}
	add("nginx", c.Nginx != "")
	add("regex", c.Regex != "")
	add("pattern", c.Pattern != "")
	add("json", c.JSON != nil)
	add("logfmt", c.Logfmt != nil)
	add("syslog", c.Syslog != nil)
	add("fields", c.Fields != nil)
	return given
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	given := c.formats()
	if len(given) == 0 {
		return &config.Problem{Message: "give one of nginx, regex, pattern, json, logfmt, syslog, fields"}
	}
	if len(given) > 1 {
		return &config.Problem{Key: given[1], Message: fmt.Sprintf("a rule parses in one way; %s is given already: write a second rule", given[0])}
	}
	p, err := New(c, nil)
	if err != nil {
		return &config.Problem{Key: given[0], Message: err.Error()}
	}
	if given[0] == "regex" && len(p.Names()) == 0 {
		return &config.Problem{Key: "regex", Message: "name at least one group, as in (?P<status>\\d+)"}
	}
	return nil
}

// Parser takes the fields of one format from records. One of a format with fixed fields may
// be used concurrently; of the others each line needs its own (see Wanting).
type Parser struct {
	config  Config
	format  string
	names   []string
	text    textMatcher
	plain   plainMatcher
	stopped func(text []byte) int
	came    bool // it takes the fields that came with the record
	each    func(text []byte, visit func(name string, value []byte) bool)
	engine  string
}

// textMatcher works on text that may still be escaped.
type textMatcher interface {
	Match(row []record.Span, arena []byte, body record.Span, escaped bool) scan.Result
}

// plainMatcher works on plain text, and may append values to the batch's arena.
type plainMatcher interface {
	Match(b *record.Batch, body record.Span, row []record.Span) bool
}

// New returns the parser of a valid c. want are the fields that the rules read; formats
// with a field for whatever the line has extract just these.
func New(c Config, want []string) (*Parser, error) {
	p := &Parser{config: c, format: c.Format(), engine: "scanner"}
	switch p.format {
	case "nginx":
		f, err := nginx.Compile(c.Nginx)
		if err != nil {
			return nil, err
		}
		p.text, p.names, p.stopped = f, f.Names(), f.Stopped
	case "regex", "pattern":
		compile, expr := scan.Compile, c.Regex
		if p.format == "pattern" {
			compile, expr = scan.CompilePattern, c.Pattern
		}
		f, err := compile(expr)
		if err != nil {
			return nil, err
		}
		p.text, p.names, p.stopped = f, f.Names(), f.Stopped
		if fast, why := f.Engine(); !fast {
			p.engine = "regexp, which is slower: " + why
		}
	case "json":
		p.plain, p.names, p.each = jsonline.New(want), slices.Clone(want), jsonline.Each
	case "logfmt":
		p.plain, p.names, p.each = logfmt.New(want), slices.Clone(want), logfmt.Each
	case "syslog":
		p.plain, p.names = syslog.New(want), slices.Clone(want)
		p.each = func(text []byte, visit func(string, []byte) bool) { syslog.Each(text, visit) }
	case "fields":
		p.came, p.names = true, slices.Clone(want)
		p.each = func([]byte, func(string, []byte) bool) {} // a line alone has none
	default:
		return nil, errors.New("no format is given")
	}
	return p, nil
}

// Wanting returns the parser for a line whose rules read the fields want: p itself where
// the format fixes the fields, so that a thousand lines share one compiled pattern.
func (p *Parser) Wanting(want []string) (*Parser, error) {
	if p.text != nil {
		return p, nil
	}
	return New(p.config, want)
}

// Names returns the fields that p extracts, in the order of a row.
func (p *Parser) Names() []string { return p.names }

// Format returns the format's key in the configuration.
func (p *Parser) Format() string { return p.format }

// Engine says how p works: "scanner", or "regexp" with the reason.
func (p *Parser) Engine() string { return p.engine }

// Field is one extracted value.
type Field struct{ Name, Value string }

// Explain parses one plain line for a person. When it does not match, stopped is the
// number of bytes that the format still fitted.
func (p *Parser) Explain(line []byte) (fields []Field, matched bool, stopped int) {
	if p.each != nil {
		p.each(line, func(name string, value []byte) bool {
			fields = append(fields, Field{name, string(value)})
			return true
		})
		return fields, len(fields) > 0, 0
	}
	row := make([]record.Span, len(p.names))
	b := record.Batch{}
	body := b.Append(line)
	if p.text.Match(row, b.Arena, body, false) != scan.Matched {
		return nil, false, p.stopped(line)
	}
	for i, name := range p.names {
		fields = append(fields, Field{name, string(b.Bytes(row[i]))})
	}
	return fields, true, 0
}
