package level

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// ParseMapping reads a mapping file. Unknown keys are refused.
func ParseMapping(text []byte) (*Mapping, error) {
	var f mappingFile
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("level mapping: %w", err)
	}
	if f.Default == nil {
		return nil, fmt.Errorf("level mapping: default_mapping is missing")
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
			return nil, fmt.Errorf("level mapping: %s.container_keywords is missing", name)
		}
		w, err := e.words(name)
		if err != nil {
			return nil, err
		}
		m.mappings = append(m.mappings, containerWords{e.Containers, w})
	}
	return m, nil
}

func (e mappingEntry) words(name string) (w words, err error) {
	if e.Warnings == nil || e.Errors == nil {
		return w, fmt.Errorf("level mapping: %s needs warning_keywords and error_keywords", name)
	}
	w.warnings, w.errors, w.ignored = texts(e.Warnings), texts(e.Errors), texts(e.Ignored)
	return w, nil
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
// in the same line: then it is info. A keyword that is part of a longer word, as in
// NO_ERRORS, says nothing.
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
			at, end := from+i, from+i+len(k)
			if !joined(line, at-1, k[0]) && !joined(line, end, k[len(k)-1]) {
				return true
			}
			from = at + 1
		}
	}
	return false
}

// joined says whether the byte at place i goes on the word that edge, the keyword's byte
// beside it, belongs to.
func joined(line []byte, i int, edge byte) bool {
	return i >= 0 && i < len(line) && wordByte(line[i]) && wordByte(edge)
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
