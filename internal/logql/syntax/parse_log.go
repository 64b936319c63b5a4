package syntax

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/logql/template"
)

// IsLabelName tells whether name can be that of a label.
func IsLabelName(name string) bool {
	for i := range len(name) {
		if !isIdent(name[i], i > 0) {
			return false
		}
	}
	return name != ""
}

// logQuery reads a selector with its pipeline.
func (p *parser) logQuery() (Expr, *failure) {
	q, f := p.selector()
	if f != nil {
		return nil, f
	}
	if _, f := p.pipeline(q, false); f != nil {
		return nil, f
	}
	if t := p.peek(); t.is("[") {
		return nil, fail(t.at, "a range belongs into a function, as in count_over_time(%s [5m])", shortened(q.String()))
	}
	return q, nil
}

// selector reads {…}, which must not match everything.
func (p *parser) selector() (*LogQuery, *failure) {
	at := p.peek().at
	m, f := p.matchers()
	if f != nil {
		return nil, f
	}
	for i := range m {
		if !m[i].Matches("") {
			return &LogQuery{Matchers: m}, nil
		}
	}
	return nil, fail(at, "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will")
}

func (p *parser) matchers() ([]Matcher, *failure) {
	if !p.peek().is("{") {
		return nil, p.unexpected(`a selector, as in {container="nginx"}`)
	}
	p.next()
	var list []Matcher
	for !p.take("}") {
		if len(list) > 0 {
			if !p.peek().is(",") {
				return nil, p.unexpected("a comma or }")
			}
			p.next()
			if p.take("}") { // a comma may end the list
				break
			}
		}
		if f := p.node(); f != nil {
			return nil, f
		}
		name, f := p.name()
		if f != nil {
			return nil, f
		}
		m, f := p.matcher(name)
		if f != nil {
			return nil, f
		}
		list = append(list, m)
	}
	return list, nil
}

// matcher reads what follows the name of a label: an operator and a string.
func (p *parser) matcher(name string) (Matcher, *failure) {
	m := Matcher{Name: name, Op: MatchOp(p.peek().text)}
	switch m.Op {
	case MatchEqual, MatchNotEqual, MatchRegexp, MatchNotRegexp:
	default:
		return m, p.unexpected("=, !=, =~ or !~ after " + shortened(name))
	}
	p.next()
	at := p.peek().at
	var f *failure
	if m.Value, f = p.text(); f != nil {
		return m, f
	}
	if m.Op == MatchRegexp || m.Op == MatchNotRegexp {
		m.Re, f = anchored(at, m.Value)
	}
	return m, f
}

// pipeline reads stages into q, and the unwrap that may end them where it has a use.
func (p *parser) pipeline(q *LogQuery, unwrap bool) (*Unwrap, *failure) {
	for {
		t := p.peek()
		switch LineOp(t.text) {
		case LineContains, LineContainsNot, LineRegexp, LineRegexpNot, LinePatternIs, LinePatternNot:
			if t.kind != tokOp {
				return nil, nil
			}
			p.next()
			s, f := p.lineFilter(LineOp(t.text))
			if f != nil {
				return nil, f
			}
			q.Stages = append(q.Stages, s)
			continue
		}
		if !p.take("|") {
			return nil, nil
		}
		if unwrap && p.peek().is("unwrap") && !p.comparison(1) {
			p.next()
			return p.unwrap()
		}
		s, f := p.stage()
		if f != nil {
			return nil, f
		}
		q.Stages = append(q.Stages, s)
	}
}

// lineFilter reads the terms after an operator: "a" or "b" or ip("10.0.0.0/8").
func (p *parser) lineFilter(op LineOp) (Stage, *failure) {
	s := &LineFilter{Op: op}
	for {
		if f := p.node(); f != nil {
			return nil, f
		}
		term, f := p.lineTerm(op)
		if f != nil {
			return nil, f
		}
		s.Terms = append(s.Terms, term)
		if !p.take("or") {
			return s, nil
		}
	}
}

func (p *parser) lineTerm(op LineOp) (t LineTerm, f *failure) {
	at := p.peek().at
	if p.peek().is("ip") {
		if op != LineContains && op != LineContainsNot {
			return t, fail(at, "ip(…) can only be used with |= and !=, not with %s", op)
		}
		r, f := p.ip()
		return LineTerm{Text: r.Text, IP: &r}, f
	}
	if t.Text, f = p.text(); f != nil {
		return t, f
	}
	switch op {
	case LineRegexp, LineRegexpNot:
		if _, f = compiled(at, t.Text); f == nil {
			t.Re, f = compiled(at, "(?s)"+t.Text)
		}
	case LinePatternIs, LinePatternNot:
		var err error
		if t.Pattern, err = filterPattern(t.Text); err != nil {
			f = fail(at, "%v", err)
		}
	}
	return t, f
}

// ip reads ip("…").
func (p *parser) ip() (r IPRange, f *failure) {
	p.next()
	if f = p.expect("("); f != nil {
		return r, f
	}
	at := p.peek().at
	text, f := p.text()
	if f != nil {
		return r, f
	}
	r, err := ParseIPRange(text)
	if err != nil {
		return r, fail(at, "ip: %v", err)
	}
	return r, p.expect(")")
}

// stage reads what follows a pipe, but unwrap.
func (p *parser) stage() (Stage, *failure) {
	if f := p.node(); f != nil {
		return nil, f
	}
	t := p.peek()
	if t.kind == tokIdent && slices.Contains(stageNames, t.text) && t.text != "unwrap" && !p.comparison(1) {
		p.next()
		return p.namedStage(t)
	}
	if t.is("(") || t.kind == tokIdent && (p.comparison(1) || t.text != "unwrap" && (p.ahead(1).is("!=") || p.ahead(1).is("!~"))) {
		filter, f := p.labelFilter(0)
		return &LabelFilterStage{filter}, f
	}
	if t.kind == tokIdent {
		return nil, unknownStage(t)
	}
	return nil, p.unexpected("a stage (json, logfmt, line_format, …) or a condition on a label")
}

// comparison tells whether the token n after the next one can only follow the name of a
// label. != and !~ also begin line filters.
func (p *parser) comparison(n int) bool {
	switch p.ahead(n).text {
	case "=", "==", "=~", ">", ">=", "<", "<=":
		return p.ahead(n).kind == tokOp
	}
	return false
}

func (p *parser) namedStage(t token) (Stage, *failure) {
	switch t.text {
	case "json":
		fields, f := p.extractions(jsonPath)
		return &JSON{fields}, f
	case "logfmt":
		return p.logfmt()
	case "unpack":
		return &Unpack{}, nil
	case "decolorize":
		return &Decolorize{}, nil
	case "drop":
		items, f := p.picks()
		return &Drop{items}, f
	case "keep":
		items, f := p.picks()
		return &Keep{items}, f
	case "label_format":
		return p.labelFormat()
	}
	at := p.peek().at
	text, f := p.text()
	if f != nil {
		return nil, f
	}
	switch t.text {
	case "regexp":
		return regexpStage(at, text)
	case "pattern":
		parts, err := parserPattern(text)
		if err != nil {
			return nil, fail(at, "invalid pattern: %v", err)
		}
		return &Pattern{text, parts}, nil
	}
	tmpl, err := template.Parse(text)
	if err != nil {
		return nil, fail(at, "invalid line template: %v", err)
	}
	return &LineFormat{text, tmpl}, nil
}

func regexpStage(at int, text string) (Stage, *failure) {
	re, f := compiled(at, text)
	if f != nil {
		return nil, f
	}
	seen := map[string]bool{}
	for _, name := range re.SubexpNames() {
		switch {
		case name == "":
		case seen[name]:
			return nil, fail(at, "duplicate extracted label name '%s'", name)
		case !IsLabelName(name) || IsErrorLabel(name):
			return nil, fail(at, "invalid extracted label name '%s'", name)
		default:
			seen[name] = true
		}
	}
	if len(seen) == 0 {
		return nil, fail(at, "at least one named capture must be supplied, as in (?P<status>\\d+)")
	}
	return &Regexp{text, re}, nil
}

func (p *parser) logfmt() (Stage, *failure) {
	s := &Logfmt{}
	for p.peek().kind == tokFlag {
		switch t := p.next(); t.text {
		case "--strict":
			s.Strict = true
		case "--keep-empty":
			s.KeepEmpty = true
		default:
			return nil, fail(t.at, "unknown flag %s, expected --strict or --keep-empty", shortened(t.text))
		}
	}
	var f *failure
	s.Fields, f = p.extractions(logfmtPath)
	return s, f
}

// extractions reads label="path", or label alone, separated by commas.
func (p *parser) extractions(path func(string) ([]PathKey, error)) (list []Extraction, f *failure) {
	if p.peek().kind != tokIdent {
		return nil, nil
	}
	for {
		t := p.peek()
		e := Extraction{}
		if e.Label, f = p.name(); f != nil {
			return nil, f
		}
		at := t.at
		if e.Path = e.Label; p.take("=") {
			at = p.peek().at
			if e.Path, f = p.text(); f != nil {
				return nil, f
			}
		}
		var err error
		if e.Keys, err = path(e.Path); err != nil {
			return nil, fail(at, "cannot parse expression [%s]: %v", shortened(e.Path), err)
		}
		if IsErrorLabel(e.Label) {
			return nil, fail(t.at, "%s cannot be extracted", e.Label)
		}
		if slices.ContainsFunc(list, func(o Extraction) bool { return o.Label == e.Label }) {
			return nil, fail(t.at, "the label %s is extracted twice", e.Label)
		}
		if list = append(list, e); !p.take(",") {
			return list, p.node()
		}
	}
}

// logfmtPath takes a key as it is, where it can be one.
func logfmtPath(text string) ([]PathKey, error) {
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == '=' || c == '"' }) {
		return nil, fmt.Errorf("expected a key, without spaces, quotes and =")
	}
	return []PathKey{{Name: text}}, nil
}

// jsonPath reads a.b[0]["c d"].
func jsonPath(text string) (keys []PathKey, err error) {
	rest := text
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, `["`) || strings.HasPrefix(rest, "[`"):
			quoted, err := strconv.QuotedPrefix(rest[1:])
			if err != nil || !strings.HasPrefix(rest[1+len(quoted):], "]") {
				return nil, fmt.Errorf(`expected a name in quotes and ], as in ["user-agent"]`)
			}
			name, _ := strconv.Unquote(quoted)
			keys = append(keys, PathKey{Name: name})
			rest = rest[len(quoted)+2:]
		case rest[0] == '[':
			index, after, ok := strings.Cut(rest[1:], "]")
			n, err := strconv.ParseUint(index, 10, 31)
			if !ok || err != nil {
				return nil, fmt.Errorf(`expected a place in an array or a name in quotes between [ and ], as in [0] or ["name"]`)
			}
			keys = append(keys, PathKey{Index: int(n), IsIndex: true})
			rest = after
		default:
			if rest[0] == '.' && keys != nil {
				rest = rest[1:]
			} else if keys != nil {
				return nil, fmt.Errorf("expected a point or [ before %q", shortened(rest))
			}
			end := strings.IndexAny(rest, ".[]\"` \t\r\n")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, fmt.Errorf("a name is missing before %q", shortened(rest))
			}
			keys = append(keys, PathKey{Name: rest[:end]})
			rest = rest[end:]
		}
	}
	if keys == nil {
		return nil, fmt.Errorf("the path is empty")
	}
	return keys, nil
}

// picks reads the labels of drop and keep.
func (p *parser) picks() (list []LabelPick, f *failure) {
	for {
		if f := p.node(); f != nil {
			return nil, f
		}
		pick := LabelPick{}
		if pick.Name, f = p.name(); f != nil {
			return nil, f
		}
		switch p.peek().text {
		case "=", "!=", "=~", "!~":
			// drop a != "b" is a condition, as in Loki, and never a line filter.
			m, f := p.matcher(pick.Name)
			if f != nil {
				return nil, f
			}
			pick.Matcher = &m
		}
		if list = append(list, pick); !p.take(",") {
			return list, nil
		}
	}
}

func (p *parser) labelFormat() (Stage, *failure) {
	s := &LabelFormat{}
	for {
		if f := p.node(); f != nil {
			return nil, f
		}
		t := p.peek()
		dst, f := p.name()
		if f == nil {
			f = p.expect("=")
		}
		if f != nil {
			return nil, f
		}
		if IsErrorLabel(dst) {
			return nil, fail(t.at, "%s cannot be formatted", dst)
		}
		if slices.ContainsFunc(s.Items, func(o LabelSetting) bool { return o.Dst == dst }) {
			return nil, fail(t.at, "multiple label name '%s' not allowed in a single format operation", dst)
		}
		item := LabelSetting{Dst: dst}
		if at := p.peek().at; p.peek().kind == tokIdent {
			if item.Src = p.next().text; IsErrorLabel(item.Src) {
				return nil, fail(at, "%s cannot be renamed; a template may read it, as in \"{{.%s}}\"", item.Src, item.Src)
			}
		} else if item.Text, f = p.text(); f != nil {
			return nil, f
		} else if tmpl, err := template.Parse(item.Text); err != nil {
			return nil, fail(at, "invalid template for label '%s': %v", dst, err)
		} else {
			item.Template = tmpl
		}
		if s.Items = append(s.Items, item); !p.take(",") {
			return s, nil
		}
	}
}
