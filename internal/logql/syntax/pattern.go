package syntax

import (
	"errors"
	"fmt"
)

// PatternPart is a literal of a pattern or, if Literal is empty, a capture.
type PatternPart struct {
	Literal string
	Name    string // of a capture; empty for <_>
}

// LinePattern is the pattern of |> and !>: its captures are all unnamed.
type LinePattern struct {
	Parts []PatternPart // captures and literals take turns; none for the empty pattern
}

// parsePattern splits a pattern into literals and captures: <name> or <_>. A < that does
// not begin a capture stands for itself.
func parsePattern(text string) ([]PatternPart, error) {
	var parts []PatternPart
	literal := 0 // where the literal that is being read begins
	seen := map[string]bool{}
	for i := 0; i < len(text); {
		end := captureEnd(text, i)
		if end < 0 {
			i++
			continue
		}
		if literal < i {
			parts = append(parts, PatternPart{Literal: text[literal:i]})
		} else if len(parts) > 0 {
			return nil, fmt.Errorf("two captures follow each other at %q: put the text between them that separates them", text[i:end])
		}
		name := text[i+1 : end-1]
		if name == "_" {
			name = ""
		} else if seen[name] {
			return nil, fmt.Errorf("the capture <%s> is there twice", name)
		} else if IsErrorLabel(name) {
			return nil, fmt.Errorf("%s cannot be extracted", name)
		}
		seen[name] = name != ""
		parts = append(parts, PatternPart{Name: name})
		i, literal = end, end
	}
	if literal < len(text) {
		parts = append(parts, PatternPart{Literal: text[literal:]})
	}
	return parts, nil
}

// captureEnd returns the place after a capture that begins at i, or -1.
func captureEnd(text string, i int) int {
	if text[i] != '<' {
		return -1
	}
	j := i + 1
	for j < len(text) && isIdent(text[j], j > i+1) {
		j++
	}
	if j == i+1 || j >= len(text) || text[j] != '>' {
		return -1
	}
	return j + 1
}

func parserPattern(text string) ([]PatternPart, error) {
	parts, err := parsePattern(text)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Name != "" {
			return parts, nil
		}
	}
	return nil, errors.New("the pattern has no named capture, as in <status>")
}

func filterPattern(text string) (*LinePattern, error) {
	parts, err := parsePattern(text)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.Name != "" {
			return nil, fmt.Errorf("the pattern of a line filter has captures without names only: write <_> for <%s>", p.Name)
		}
	}
	return &LinePattern{Parts: parts}, nil
}
