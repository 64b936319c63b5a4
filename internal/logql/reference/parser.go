package reference

import (
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
// underscores. Arrays and null are skipped, numbers stay as they are written. Only the object
// counts, not what follows it. What was read before a mistake stays.
func parseJSON(s *state) {
	if object(s.line, "", s) != nil {
		s.fail(syntax.JSONParserErr, BadJSON)
	}
}

// object extracts the members of an object.
func object(text, prefix string, s *state) error {
	members, err := members(text)
	for _, m := range members {
		switch value := m.value; {
		case value[0] == '{':
			if err := object(value, prefix+m.name+"_", s); err != nil {
				return err
			}
		case value[0] != '[' && value != "null":
			s.extract(prefix+m.name, scalar(value))
		}
	}
	return err
}

// parseJSONFields extracts what paths lead to. A line that is not empty has to begin with an
// object, an array or a text, else nothing is extracted. What is not there is the empty text; objects and arrays
// are extracted as they are written.
func parseJSONFields(fields []syntax.Extraction, s *state) {
	if s.line == "" {
		return
	}
	root := value(strings.TrimLeft(s.line, spaces))
	if root == "" || strings.IndexAny(root, `{["`) != 0 {
		s.fail(syntax.JSONParserErr, BadJSON)
		return
	}
	for _, f := range fields {
		s.extract(f.Label, at(root, f.Keys))
	}
}

// at goes down a path. Of members with the same name the first counts.
func at(value string, keys []syntax.PathKey) string {
	for _, key := range keys {
		found := ""
		if elements := elements(value); key.IsIndex && key.Index < len(elements) {
			found = elements[key.Index]
		}
		members, _ := members(value)
		for _, m := range members {
			if !key.IsIndex && found == "" && m.name == key.Name {
				found = m.value
			}
		}
		if value = found; value == "" {
			return ""
		}
	}
	return scalar(value)
}

const spaces = " \t\r\n"

// These take from the start of a text what JSON has there, and more than it allows: strings
// with any bytes, whose escapes may be none; numbers of any form; and of an array or an
// object all up to where as many brackets of its kind are closed as were opened.
var (
	quotedText  = regexp.MustCompile(`^"(?s:[^"\\]|\\.)*"`)
	literalText = regexp.MustCompile(`^[^ \n\r\t,}\]]+`)
)

// value returns the value that text begins with, "" if there is none.
func value(text string) string {
	if text == "" {
		return ""
	}
	switch c := text[0]; {
	case c == '"':
		return quotedText.FindString(text)
	case c == '{' || c == '[':
		depth := 0
		for i := 0; i < len(text); i++ {
			switch text[i] {
			case '"':
				inside := quotedText.FindString(text[i:])
				if inside == "" {
					return ""
				}
				i += len(inside) - 1
			case c:
				depth++
			case c + 2:
				if depth--; depth == 0 {
					return text[:i+1]
				}
			}
		}
		return ""
	}
	word := literalText.FindString(text)
	if word == "true" || word == "false" || word == "null" || strings.IndexAny(word, "-0123456789") == 0 {
		return word
	}
	return ""
}

type member struct{ name, value string }

// members returns the members of an object up to a mistake. A comma may follow the last.
func members(text string) (list []member, err error) {
	rest, ok := strings.CutPrefix(strings.TrimLeft(text, spaces), "{")
	for ok {
		rest = strings.TrimLeft(rest, spaces)
		if strings.HasPrefix(rest, "}") {
			return list, nil
		}
		quoted := quotedText.FindString(rest)
		name, good := unquote(quoted)
		rest = strings.TrimLeft(rest[len(quoted):], spaces)
		if rest, ok = strings.CutPrefix(rest, ":"); !ok || !good {
			break
		}
		rest = strings.TrimLeft(rest, spaces)
		v := value(rest)
		if v == "" {
			break
		}
		list = append(list, member{name, v})
		rest = strings.TrimLeft(rest[len(v):], spaces)
		if rest, ok = strings.CutPrefix(rest, ","); !ok && strings.HasPrefix(rest, "}") {
			return list, nil
		}
	}
	return list, errJSON
}

// elements returns the elements of an array up to a mistake.
func elements(text string) (list []string) {
	rest, ok := strings.CutPrefix(text, "[")
	for ok {
		rest = strings.TrimLeft(rest, spaces)
		v := value(rest)
		if v == "" {
			break
		}
		list = append(list, v)
		rest, ok = strings.CutPrefix(strings.TrimLeft(rest[len(v):], spaces), ",")
	}
	return list
}

// unquote returns the text of a string. It fails if an escape is none.
func unquote(quoted string) (text string, ok bool) {
	err := json.Unmarshal([]byte(escapeControls(quoted)), &text)
	return text, err == nil
}

// scalar returns the text of a string, nothing if an escape is none and for null, and other
// values as they are written.
func scalar(value string) string {
	switch {
	case value == "null":
		return ""
	case value[0] == '"':
		text, _ := unquote(value)
		return text
	}
	return value
}

// unpack takes an object apart that has a line in _entry: its texts become labels, its
// other members are left out. Other objects are left alone. Of members with the same name
// the last counts.
func unpack(s *state) {
	if s.line == "" {
		return
	}
	list, err := members(s.line)
	entry, found, texts := "", false, map[string]string{}
	var names []string
	for _, m := range list {
		switch {
		case m.value[0] != '"':
		case m.name == syntax.UnpackEntry:
			var ok bool
			if entry, ok = unquote(m.value); !ok {
				err = errJSON
			}
			found = true
		default:
			names = append(names, m.name)
			texts[syntax.SanitizeName(m.name)] = scalar(m.value)
		}
	}
	if err != nil {
		s.fail(syntax.JSONParserErr, BadJSON)
		return
	}
	if found {
		for _, name := range names {
			s.extract(name, texts[syntax.SanitizeName(name)])
		}
		s.line = entry
	}
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
		for _, p := range pairs { // the last counts
			if p.key == f.Keys[0].Name {
				value = p.value
			}
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
	p.value, ok = unquote(quoted)
	return p, rest[len(quoted):], ok
}

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
