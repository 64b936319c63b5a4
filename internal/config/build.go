package config

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// fileParser makes nodes of one file's syntax tree.
type fileParser struct {
	*loader
	path    string
	anchors map[string]ast.Node
	active  map[string]bool // anchors being expanded
}

func (p *fileParser) position(y ast.Node) Position {
	t := y.GetToken()
	if m, ok := y.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		t = m.Values[0].Key.GetToken()
	}
	if m, ok := y.(*ast.MappingValueNode); ok {
		t = m.Key.GetToken()
	}
	if t == nil {
		return Position{File: p.path}
	}
	return Position{p.path, t.Position.Line, t.Position.Column}
}

// refuse reports that y, the value of n, cannot be used.
func (p *fileParser) refuse(n *Node, y ast.Node, message string) {
	n.broken = true
	p.mistake(p.position(y), n.Path(), message)
}

// fill gives n, whose parent and key are set, the value y.
func (p *fileParser) fill(n *Node, y ast.Node, depth int) {
	if y == nil {
		return
	}
	if n.at = p.position(y); n.keyAt.Line == 0 {
		n.keyAt = n.at
	}
	p.nodes++
	switch {
	case p.nodes == maxNodes:
		p.refuse(n, y, "more than "+strconv.Itoa(maxNodes)+" values: use fewer aliases")
		return
	case p.nodes > maxNodes:
		n.broken = true
		return
	case depth > maxDepth:
		p.refuse(n, y, "nested deeper than "+strconv.Itoa(maxDepth)+" levels")
		return
	}
	switch y := y.(type) {
	case *ast.NullNode:
	case *ast.AnchorNode:
		p.anchors[y.Name.GetToken().Value] = y.Value
		p.fill(n, y.Value, depth)
	case *ast.AliasNode:
		p.expand(n, y, depth)
	case *ast.MappingNode:
		n.kind = Map
		p.fillMap(n, y.Values, depth)
	case *ast.MappingValueNode:
		n.kind = Map
		p.fillMap(n, []*ast.MappingValueNode{y}, depth)
	case *ast.SequenceNode:
		n.kind = List
		for i, value := range y.Values {
			item := &Node{parent: n, index: i, vault: n.vault}
			n.items = append(n.items, item)
			p.fill(item, value, depth+1)
		}
	case *ast.TagNode:
		p.refuse(n, y, "tags are not used here: remove "+strconv.Quote(shorten(y.Start.Value)))
	default:
		p.fillScalar(n, y)
	}
}

// expand fills n with what the anchor of an alias holds. Positions stay those of the
// anchor, where the text is.
func (p *fileParser) expand(n *Node, y *ast.AliasNode, depth int) {
	name := y.Value.GetToken().Value
	value, ok := p.anchors[name]
	switch {
	case !ok:
		p.refuse(n, y, "no anchor &"+shorten(name)+" stands above")
	case p.active[name]:
		p.refuse(n, y, "*"+shorten(name)+" contains itself")
	default:
		p.active[name] = true
		p.fill(n, value, depth+1)
		delete(p.active, name)
	}
}

func (p *fileParser) fillMap(n *Node, values []*ast.MappingValueNode, depth int) {
	byKey := make(map[string]*Node, len(values))
	var merges []ast.Node
	for _, value := range values {
		key, ok := p.key(n, value.Key)
		if !ok {
			continue
		}
		if _, ok := value.Key.(*ast.MergeKeyNode); ok {
			merges = append(merges, value.Value)
			continue
		}
		item := &Node{parent: n, key: key, keyAt: p.position(value.Key), vault: n.vault}
		if first := byKey[key]; first != nil {
			p.mistake(item.keyAt, item.Path(), "this key is given already at "+first.keyAt.String()+": remove one of them")
			continue
		}
		byKey[key] = item
		n.items = append(n.items, item)
		p.fill(item, value.Value, depth+1)
	}
	for _, y := range merges {
		p.mergeKey(n, byKey, y, depth)
	}
}

// key returns a key's text.
func (p *fileParser) key(n *Node, key ast.MapKeyNode) (string, bool) {
	switch y := key.(type) {
	case *ast.StringNode:
		return y.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.MergeKeyNode:
		return y.GetToken().Value, true
	}
	p.mistake(p.position(key), n.Path(), "a key must be plain text")
	return "", false
}

// mergeKey adds what "<<: *base" brings to map n, except what n has itself.
func (p *fileParser) mergeKey(n *Node, byKey map[string]*Node, y ast.Node, depth int) {
	base := &Node{parent: n.parent, key: n.key, index: n.index, vault: n.vault}
	p.fill(base, y, depth+1)
	bases := []*Node{base}
	if base.kind == List {
		bases = base.items
	}
	for _, b := range bases {
		if b.broken {
			continue
		}
		if b.kind != Map {
			p.mistake(b.at, n.Path(), "<< takes the alias of a map, as in \"<<: *name\"")
			continue
		}
		for _, item := range b.items {
			if byKey[item.key] == nil {
				item.parent = n
				byKey[item.key] = item
				n.items = append(n.items, item)
			}
		}
	}
}

func (p *fileParser) fillScalar(n *Node, y ast.Node) {
	n.kind = Scalar
	switch y := y.(type) {
	case *ast.StringNode:
		n.text = y.Value
		first := strings.TrimLeft(y.Token.Origin, " \t\r\n")
		n.quoted = strings.HasPrefix(first, `"`) || strings.HasPrefix(first, `'`)
	case *ast.LiteralNode:
		n.text = y.Value.Value
	default:
		n.text = y.GetToken().Value
	}
	text, secret, message := p.interpolate(n.text, p.path)
	if message != "" {
		p.refuse(n, y, message)
		return
	}
	if text != n.text {
		n.quoted = false
	}
	if secret {
		n.vault.add(text) // what is in it could not be found alone
	}
	n.text = text
}
