package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weirlog/weir/internal/logql/syntax"
)

// BadJSON and BadLogfmt are what __error_details__ says of a line that is not what its
// parser expected.
const (
	BadJSON   = "the line is not valid JSON"
	BadLogfmt = "the line has a malformed key=value pair"
)

var errJSON = errors.New(BadJSON)

// parseJSON extracts all scalars of an object, the names of nested ones joined by
// underscores. Arrays are skipped, null is the empty text, numbers stay as they are
// written. Only the object counts, not what follows it. What was read before a mistake
// stays.
func parseJSON(s *state) {
	d := json.NewDecoder(strings.NewReader(s.line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') || object(d, "", s) != nil {
		s.fail(syntax.JSONParserErr, BadJSON)
	}
}

// object reads the members of an object whose brace was read.
func object(d *json.Decoder, prefix string, s *state) error {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name := prefix + key.(string)
		value, err := d.Token()
		if err != nil {
			return err
		}
		switch value := value.(type) {
		case json.Delim:
			if value == '{' {
				err = object(d, name+"_", s)
			} else {
				err = skipArray(d)
			}
			if err != nil {
				return err
			}
		case string:
			s.extract(name, value)
		case json.Number:
			s.extract(name, value.String())
		case bool:
			s.extract(name, strconv.FormatBool(value))
		case nil:
			s.extract(name, "")
		}
	}
	_, err := d.Token()
	return err
}

func skipArray(d *json.Decoder) error {
	for depth := 1; depth > 0; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}

// parseJSONFields extracts what paths lead to. The line has to begin with a valid object
// or array, else nothing is extracted. What is not there is the empty text; objects and
// arrays are extracted as they are written.
func parseJSONFields(fields []syntax.Extraction, s *state) {
	root, err := firstValue(s.line)
	if err != nil || root[0] != '{' && root[0] != '[' {
		s.fail(syntax.JSONParserErr, BadJSON)
		return
	}
	for _, f := range fields {
		s.extract(f.Label, at(root, f.Keys))
	}
}

func firstValue(text string) (raw json.RawMessage, err error) {
	err = json.NewDecoder(strings.NewReader(text)).Decode(&raw)
	return raw, err
}

// at goes down a path. Of members with the same name the first counts.
func at(value json.RawMessage, keys []syntax.PathKey) string {
	for _, key := range keys {
		members, elements := children(value)
		found := false
		if key.IsIndex && key.Index < len(elements) {
			value, found = elements[key.Index], true
		}
		for _, m := range members {
			if !key.IsIndex && !found && m.name == key.Name {
				value, found = m.value, true
			}
		}
		if !found {
			return ""
		}
	}
	return scalar(value)
}

type member struct {
	name  string
	value json.RawMessage
}

// children returns the members of an object, or the elements of an array.
func children(value json.RawMessage) (members []member, elements []json.RawMessage) {
	if value[0] == '[' {
		_ = json.Unmarshal(value, &elements)
	}
	if value[0] != '{' {
		return nil, elements
	}
	d := json.NewDecoder(bytes.NewReader(value))
	_, _ = d.Token()
	for d.More() {
		name, _ := d.Token()
		m := member{name: name.(string)}
		_ = d.Decode(&m.value)
		members = append(members, m)
	}
	return members, nil
}

func scalar(value json.RawMessage) string {
	var text string
	switch {
	case string(value) == "null":
		return ""
	case value[0] == '"':
		_ = json.Unmarshal(value, &text)
		return text
	}
	return string(value)
}

// unpack takes an object apart that has a line in _entry: its texts become labels, its
// other members are left out. Other objects are left alone.
func unpack(s *state) {
	if s.line == "" {
		return
	}
	root, err := firstValue(s.line)
	if err == nil && root[0] != '{' {
		err = errJSON
	}
	if err != nil {
		s.fail(syntax.JSONParserErr, BadJSON)
		return
	}
	members, _ := children(root)
	members = slices.DeleteFunc(members, func(m member) bool { return m.value[0] != '"' })
	entry := slices.IndexFunc(members, func(m member) bool { return m.name == syntax.UnpackEntry })
	if entry < 0 {
		return
	}
	for _, m := range members {
		if m.name != syntax.UnpackEntry {
			s.extract(m.name, scalar(m.value))
		}
	}
	s.line = scalar(members[entry].value)
}

// pair is key=value of logfmt.
type pair struct{ key, value string }

// parseLogfmt extracts pairs. Words without = are keys with an empty value. Empty values
// are left out unless they are asked for, by --keep-empty or by name. A malformed pair is
// left out; with --strict it is an error and the end, where what was read before stays.
func parseLogfmt(stage *syntax.Logfmt, s *state) {
	pairs, ok := logfmtPairs(s.line, stage.Strict)
	if len(stage.Fields) == 0 {
		for _, p := range pairs {
			if p.value != "" || stage.KeepEmpty {
				s.extract(p.key, p.value)
			}
		}
	}
	for _, f := range stage.Fields {
		value := ""
		if i := slices.IndexFunc(pairs, func(p pair) bool { return p.key == f.Keys[0].Name }); i >= 0 {
			value = pairs[i].value
		}
		s.extract(f.Label, value)
	}
	if !ok {
		s.fail(syntax.LogfmtParserErr, BadLogfmt)
	}
}

// logfmtPairs reads a line until its end or, if strict, until the first malformed pair.
func logfmtPairs(line string, strict bool) (pairs []pair, ok bool) {
	for {
		line = strings.TrimLeftFunc(line, func(c rune) bool { return c <= ' ' })
		if line == "" {
			return pairs, true
		}
		p, rest, ok := logfmtPair(line)
		if ok {
			pairs = append(pairs, p)
		} else if strict {
			return pairs, false
		}
		line = rest
	}
}

// logfmtPair reads one pair. A key consists of anything but spaces, = and quotes; so does a
// value unless it is quoted, as in Go. What is malformed reaches to the next space, or to
// the closing quote if there is one, or to the end of the line if there should be one. The
// next pair may follow a closing quote at once.
func logfmtPair(line string) (p pair, rest string, ok bool) {
	key := line[:wordEnd(line)]
	if strings.HasPrefix(line, "=") || strings.HasPrefix(line[len(key):], `"`) {
		return p, afterSpace(line), false
	}
	p.key, rest = key, line[len(key):]
	if !strings.HasPrefix(rest, "=") {
		return p, rest, true
	}
	rest = rest[1:]
	if !strings.HasPrefix(rest, `"`) {
		value := rest[:wordEnd(rest)]
		if after := rest[len(value):]; strings.HasPrefix(after, "=") || strings.HasPrefix(after, `"`) {
			return p, afterSpace(rest), false
		}
		p.value = value
		return p, rest[len(value):], true
	}
	quoted := quotedText.FindString(rest)
	if quoted == "" {
		return p, "", false
	}
	// The escapes are those of JSON; control characters may stand for themselves.
	err := json.Unmarshal([]byte(escapeControls(quoted)), &p.value)
	return p, rest[len(quoted):], err == nil
}

var quotedText = regexp.MustCompile(`^"(?s:[^"\\]|\\.)*"`)

func wordEnd(s string) int {
	if end := strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c == '=' || c == '"' }); end >= 0 {
		return end
	}
	return len(s)
}

func afterSpace(s string) string {
	if end := strings.IndexFunc(s, func(c rune) bool { return c <= ' ' }); end >= 0 {
		return s[end:]
	}
	return ""
}

func escapeControls(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' {
			b.WriteString(`\u00` + strconv.FormatInt(int64(c)+0x100, 16)[1:])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// parseRegexp extracts the named groups of the first match; groups that took no part in it
// are empty. No match is no error.
func parseRegexp(re *regexp.Regexp, s *state) {
	m := re.FindStringSubmatch(s.line)
	if m == nil {
		return
	}
	for i, name := range re.SubexpNames() {
		if name != "" {
			s.extract(name, m[i])
		}
	}
}

// parsePattern extracts captures. A literal at the start has to begin the line. A capture
// reaches to the first place of the literal after it; where that is missing, the capture
// takes the rest of the line and is the last.
func parsePattern(parts []syntax.PatternPart, s *state) {
	rest := s.line
	if rest == "" {
		return
	}
	for i, part := range parts {
		if part.Literal != "" {
			if i == 0 && !strings.HasPrefix(rest, part.Literal) {
				return
			}
			if i == 0 {
				rest = rest[len(part.Literal):]
			}
			continue
		}
		value, after, found := rest, "", false
		if i+1 < len(parts) {
			value, after, found = strings.Cut(rest, parts[i+1].Literal)
		}
		if part.Name != "" {
			s.extract(part.Name, value)
		}
		if rest = after; !found {
			return
		}
	}
}

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
