package config

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of what a file may hold. The parser keeps a path with every node, so their
// number and length are bounded together.
const (
	maxDepth    = 32
	maxKeyBytes = 256
	maxTokens   = 200_000
	maxPaths    = 256 << 20 // bytes
	maxNodes    = 200_000   // of all files, aliases expanded
)

// parse returns the tree of one file, nil for one that is empty or cannot be parsed.
func (l *loader) parse(path string, content []byte) *Node {
	text, at, message := checkText(path, content)
	if message == "" {
		tokens := lexer.Tokenize(text)
		if at, message = checkTokens(path, tokens); message == "" {
			return l.parseTokens(path, text, tokens)
		}
	}
	l.mistake(at, "", message)
	return nil
}

func (l *loader) parseTokens(path, text string, tokens token.Tokens) *Node {
	p := &fileParser{loader: l, path: path, anchors: map[string]ast.Node{}, active: map[string]bool{}}
	file, err := parseYAML(tokens)
	if err != nil {
		at, message := p.syntax(err, text)
		l.mistake(at, "", message)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			l.mistake(p.position(doc.Body), "", "a second document: a file holds one, remove the ---")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		return nil
	}
	root := &Node{vault: l.vault}
	p.fill(root, body, 0)
	switch {
	case root.kind == Null || root.broken:
		return nil
	case root.kind != Map:
		l.mistake(root.at, "", "this is "+root.kind.name()+": a configuration begins with a key, as in \"sources:\"")
		return nil
	}
	root.keyAt = root.at
	return root
}

// parseYAML keeps a fault of the parser from ending the process.
func parseYAML(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, errNotYAML
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

type yamlError string

func (e yamlError) Error() string { return string(e) }

const errNotYAML = yamlError("this is not YAML")

// checkText refuses what the scanner would silently change.
func checkText(path string, content []byte) (text string, at Position, message string) {
	if len(content) > maxFileBytes {
		return "", Position{File: path}, "larger than " + formatBytes(maxFileBytes) + ": split it"
	}
	text = strings.TrimPrefix(string(content), "\ufeff")
	line, column := 1, 1
	for i, r := range text {
		switch {
		case r == utf8.RuneError && strings.HasPrefix(text[i:], "\ufffd") == false:
			return "", Position{path, line, column}, "not UTF-8: save the file as UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return "", Position{path, line, column}, "a control character: remove it, or write it in double quotes as \\x" + strconv.FormatInt(int64(r)+0x100, 16)[1:]
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
	}
	return text, Position{}, ""
}

// checkTokens bounds depth and size before the parser recurses into them.
func checkTokens(path string, tokens token.Tokens) (Position, string) {
	flow, deepest, longest := 0, 0, 0
	var columns []int // where the open block collections begin
	for _, t := range tokens {
		at := Position{path, t.Position.Line, t.Position.Column}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			column := at.Column
			if key := t.Prev; t.Type == token.MappingValueType && key != nil {
				column = key.Position.Column
				longest = max(longest, len(key.Value))
			}
			for flow == 0 && len(columns) > 0 && columns[len(columns)-1] > column {
				columns = columns[:len(columns)-1]
			}
			if flow == 0 && (len(columns) == 0 || columns[len(columns)-1] < column) {
				columns = append(columns, column)
			}
		}
		deepest = max(deepest, flow+len(columns))
		switch {
		case flow+len(columns) > maxDepth:
			return at, "nested deeper than " + strconv.Itoa(maxDepth) + " levels"
		case longest > maxKeyBytes:
			return at, "a key of more than " + strconv.Itoa(maxKeyBytes) + " bytes"
		}
	}
	if len(tokens) > maxTokens || len(tokens)*(deepest+1)*(longest+4) > maxPaths {
		return Position{File: path}, "too many values for one file: split it"
	}
	return Position{}, ""
}

// syntax turns the parser's error into a place and a message that says what to do.
func (p *fileParser) syntax(err error, text string) (Position, string) {
	located, ok := err.(interface {
		GetToken() *token.Token
		GetMessage() string
	})
	if !ok || located.GetToken() == nil {
		return Position{File: p.path}, errNotYAML.Error()
	}
	at, message := located.GetToken().Position, located.GetMessage()
	line := lineOf(text, at.Line)
	invalidKey := message == "found an invalid key for this map"
	inFlow := invalidKey || strings.Contains(message, "must be specified") || strings.Contains(message, "flow ")
	switch {
	case inFlow && strings.Contains(line, "${"):
		message = `put quotes around a value with ${…} inside { } and [ ]`
	case invalidKey:
		message = "a key must be plain text"
	case strings.HasPrefix(message, "could not find flow") || strings.HasPrefix(message, "sequence end token"):
		message = "this bracket is not closed"
	case strings.Contains(message, `'	'`) || strings.HasPrefix(line, "\t"):
		message = "a tab: indent with spaces"
	case strings.HasPrefix(message, "mapping value is not allowed"):
		message = `a key is not allowed here: align it with the keys around it, or put quotes around a value with ": " in it`
	case strings.HasPrefix(message, "could not find end character of"):
		message = "this quote is not closed"
	case message == "non-map value is specified":
		message = "this is not a key: align it with the keys around it, or write it as \"key: value\""
	case strings.HasSuffix(message, "is a reserved character"):
		message += ": put quotes around the value"
	case strings.HasPrefix(message, "unexpected directive"):
		message = "a value cannot begin with %: put quotes around it"
	}
	return Position{p.path, at.Line, at.Column}, message
}

func lineOf(text string, number int) string {
	for ; number > 1; number-- {
		_, text, _ = strings.Cut(text, "\n")
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}
