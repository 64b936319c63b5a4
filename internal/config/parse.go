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
// number and length are bounded together; its time grows with the square of the keys and of
// the empty lines in a row.
const (
	maxDepth      = 32
	maxKeyBytes   = 256
	maxTokens     = 100_000
	maxKeys       = 10_000
	maxEmptyLines = 200
	maxPaths      = 256 << 20 // bytes
	maxNodes      = 200_000   // of all files, aliases expanded
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
	line, column, empty := 1, 1, 0
	for i, r := range text {
		switch r {
		case '\n', '\r':
			empty++
		case ' ', '\t':
		default:
			empty = 0
		}
		switch {
		case empty > maxEmptyLines:
			return "", Position{path, line, column}, "more than " + strconv.Itoa(maxEmptyLines) + " empty lines: remove them"
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
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
	m := measure{}
	for _, t := range tokens {
		m.add(t)
		at := Position{path, t.Position.Line, t.Position.Column}
		switch {
		case m.depth() > maxDepth:
			return at, "nested deeper than " + strconv.Itoa(maxDepth) + " levels"
		case m.longest > maxKeyBytes:
			return at, "a key of more than " + strconv.Itoa(maxKeyBytes) + " bytes"
		case m.flow > 0 && t.Type == token.SequenceEntryType:
			return at, "a \"- \" inside { } or [ ]: use commas"
		}
	}
	if len(tokens) > maxTokens || m.keys > maxKeys || len(tokens)*(m.deepest+1)*(m.longest+4) > maxPaths {
		return Position{File: path}, "too many values for one file: split it"
	}
	return Position{}, ""
}

// measure follows the nesting of tokens.
type measure struct {
	flow    int   // open brackets
	columns []int // where the open block collections begin
	deepest int
	keys    int
	longest int // key, in bytes
}

func (m *measure) depth() int { return m.flow + len(m.columns) }

func (m *measure) add(t *token.Token) {
	column := t.Position.Column
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		m.flow++
	case token.SequenceEndType, token.MappingEndType:
		m.flow = max(m.flow-1, 0)
	case token.MappingValueType:
		m.keys++
		if t.Prev != nil {
			column = t.Prev.Position.Column
			m.longest = max(m.longest, len(t.Prev.Value))
		}
		m.block(column)
	case token.SequenceEntryType, token.MappingKeyType:
		m.block(column)
	}
	m.deepest = max(m.deepest, m.depth())
}

// block notes an entry of a block collection that begins at column.
func (m *measure) block(column int) {
	if m.flow > 0 {
		return
	}
	for len(m.columns) > 0 && m.columns[len(m.columns)-1] > column {
		m.columns = m.columns[:len(m.columns)-1]
	}
	if len(m.columns) == 0 || m.columns[len(m.columns)-1] < column {
		m.columns = append(m.columns, column)
	}
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
