package level

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/record"
)

// Mapping is the collector's file of keywords: which words make a line of which containers
// an error or a warning. It does not change and may be used concurrently.
type Mapping struct {
	standard *words
	mappings []containerWords
}

type containerWords struct {
	containers []string // parts of names
	words      words
}

// words are matched as they stand, anywhere in a line.
type words struct {
	warnings, errors, ignored [][]byte
	// odd is set when a keyword may look different in escaped text.
	odd bool
}

type mappingFile struct {
	Default  *mappingEntry  `json:"default_mapping"`
	Mappings []mappingEntry `json:"mappings"`
}

type mappingEntry struct {
	Containers []string `json:"container_keywords"`
	Warnings   []string `json:"warning_keywords"`
	Errors     []string `json:"error_keywords"`
	Ignored    []string `json:"messages_to_ignore_errors"`
}

// ParseMapping reads a mapping file. Unknown keys are refused. Errors say what is wrong and
// what to do, but not in which file.
func ParseMapping(text []byte) (*Mapping, error) {
	var f mappingFile
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(&f)
	if err == nil && dec.More() {
		err = errors.New("something follows the object")
	}
	if err != nil {
		return nil, located(err, text, int(dec.InputOffset()))
	}
	if f.Default == nil {
		return nil, errors.New(`default_mapping is missing; it needs "warning_keywords" and "error_keywords"`)
	}
	if f.Default.Containers != nil {
		return nil, errors.New("default_mapping is for all containers; move container_keywords to an entry of mappings")
	}
	m := &Mapping{}
	standard, err := f.Default.words("default_mapping")
	if err != nil {
		return nil, err
	}
	m.standard = &standard
	for i, e := range f.Mappings {
		name := fmt.Sprintf("mappings[%d]", i)
		if len(e.Containers) == 0 {
			return nil, fmt.Errorf("%s.container_keywords is missing: without it the entry is for no container", name)
		}
		w, err := e.words(name)
		if err != nil {
			return nil, err
		}
		m.mappings = append(m.mappings, containerWords{e.Containers, w})
	}
	return m, nil
}

// located says in which line of text the decoder that has come as far as at found err.
func located(err error, text []byte, at int) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	_, key, unknown := strings.Cut(err.Error(), "unknown field ")
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		at, err = len(bytes.TrimSpace(text)), errors.New("the JSON ends too early")
	case errors.As(err, &syntax):
		at = int(syntax.Offset)
	case errors.As(err, &typ):
		at = int(typ.Offset)
	case unknown:
		at = max(0, bytes.Index(text, []byte(key)))
		err = fmt.Errorf("%w; there are default_mapping and mappings, and in these container_keywords, error_keywords, warning_keywords and messages_to_ignore_errors", err)
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(text[:min(at, len(text))], []byte("\n")), err)
}

func (e mappingEntry) words(name string) (w words, err error) {
	if e.Warnings == nil || e.Errors == nil {
		return w, fmt.Errorf("%s needs warning_keywords and error_keywords", name)
	}
	w.warnings, w.errors, w.ignored = texts(e.Warnings), texts(e.Errors), texts(e.Ignored)
	w.odd = slices.ContainsFunc(slices.Concat(w.warnings, w.errors), isOdd)
	return w, nil
}

// isOdd says whether a keyword has bytes that a JSON string may hold in another form.
func isOdd(keyword []byte) bool {
	return bytes.ContainsFunc(keyword, func(r rune) bool {
		return r != ' ' && r != ':' && r != '-' && r != '.' && (r >= 0x80 || !wordByte(byte(r)))
	})
}

// mayMatch says whether escaped text can hold a keyword.
func (w *words) mayMatch(escaped []byte) bool {
	if w.odd {
		return true
	}
	for _, list := range [...][][]byte{w.errors, w.warnings} {
		for _, k := range list {
			if bytes.Contains(escaped, k) {
				return true
			}
		}
	}
	return false
}

func texts(list []string) [][]byte {
	var all [][]byte
	for _, s := range list {
		if s != "" { // an empty keyword would be in every line
			all = append(all, []byte(s))
		}
	}
	return all
}

// Applies says whether the mapping is about a stream: it is about containers alone.
func (m *Mapping) Applies(container string) bool { return m != nil && container != "" }

// of returns the words for a container: those of the first entry one of whose keywords is
// part of its name, else the default's; nil for a stream that is no container.
func (m *Mapping) of(container string) *words {
	if !m.Applies(container) {
		return nil
	}
	for i := range m.mappings {
		for _, keyword := range m.mappings[i].containers {
			if strings.Contains(container, keyword) {
				return &m.mappings[i].words
			}
		}
	}
	return m.standard
}

// level classifies one line. An error keyword makes an error, unless a message to ignore is
// in the same line: then it is info. A keyword that is part of another word, as in
// NO_ERRORS or ERROR_COUNT, says nothing.
func (w *words) level(line []byte) record.Level {
	switch {
	case contains(line, w.errors):
		for _, ignored := range w.ignored {
			if bytes.Contains(line, ignored) {
				return record.LevelInfo
			}
		}
		return record.LevelError
	case contains(line, w.warnings):
		return record.LevelWarn
	}
	return record.LevelInfo
}

func contains(line []byte, keywords [][]byte) bool {
	for _, k := range keywords {
		for from := 0; ; {
			i := bytes.Index(line[from:], k)
			if i < 0 {
				break
			}
			at := from + i
			if !goesOn(line, at-1, k[0]) && !goesOn(line, at+len(k), k[len(k)-1]) || endsName(line, at, k) {
				return true
			}
			from = at + 1
		}
	}
	return false
}

// goesOn says whether the byte at place i is of the word that edge, the keyword's byte
// beside it, belongs to.
func goesOn(line []byte, i int, edge byte) bool {
	return i >= 0 && i < len(line) && wordByte(line[i]) && wordByte(edge)
}

// endsName says whether the keyword at place at is the last part of a name in mixed case:
// the Exception of NullPointerException, which people look for.
func endsName(line []byte, at int, keyword []byte) bool {
	first := keyword[0]
	return at > 0 && isLower(line[at-1]) && first >= 'A' && first <= 'Z' &&
		len(keyword) > 1 && isLower(keyword[1]) && !goesOn(line, at+len(keyword), keyword[len(keyword)-1])
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
