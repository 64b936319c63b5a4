package config

import (
	"slices"
	"strconv"
	"strings"
)

// Kind is what a node is.
type Kind uint8

// The kinds of nodes. Null is a key without a value.
const (
	Null Kind = iota
	Scalar
	List
	Map
)

// Node is one value of a configuration, with its place in the file. A struct field of this
// type keeps what stands there, for a later Decode into a type that only then is known.
// The zero Node is a Null without a place.
type Node struct {
	kind   Kind
	text   string // of a scalar, interpolated
	quoted bool   // written with quotes, and nothing interpolated
	broken bool   // a mistake has been reported, there is nothing to decode

	at     Position // of the value
	keyAt  Position // of its key, or the value where there is none
	parent *Node
	key    string // in a map
	index  int    // in a list
	items  []*Node
	taken  []string // keys that Choose has taken off
	vault  *vault
}

// Kind returns what n is.
func (n *Node) Kind() Kind { return n.kind }

// Text returns a scalar's text after interpolation, "" for all else.
func (n *Node) Text() string { return n.text }

// Key returns the key of n in its map, "" where it is in none.
func (n *Node) Key() string { return n.key }

// Keys returns the keys of a map in the order of the file.
func (n *Node) Keys() []string {
	if n.kind != Map {
		return nil
	}
	keys := make([]string, len(n.items))
	for i, item := range n.items {
		keys[i] = item.key
	}
	return keys
}

// Get returns the value of a key of a map, nil if there is none.
func (n *Node) Get(key string) *Node {
	if n == nil || n.kind != Map {
		return nil
	}
	for _, item := range n.items {
		if item.key == key {
			return item
		}
	}
	return nil
}

// Items returns the values of a list. A scalar is a list of one, as in Decode.
func (n *Node) Items() []*Node {
	switch n.kind {
	case List:
		return n.items
	case Scalar:
		return []*Node{n}
	}
	return nil
}

// Position returns where n's key stands, or n itself where it has none.
func (n *Node) Position() Position { return n.keyAt }

// Path returns where n is in the configuration, as in "sources.app.paths[0]".
func (n *Node) Path() string {
	if n == nil || n.parent == nil {
		return ""
	}
	above := n.parent.Path()
	if n.parent.kind == List {
		return above + "[" + strconv.Itoa(n.index) + "]"
	}
	return joinPath(above, n.key)
}

// joinPath adds a key to a path, in brackets if it would not read as one.
func joinPath(above, key string) string {
	switch {
	case key == "" || len(key) > 100 || strings.ContainsFunc(key, isOdd):
		return above + "[" + strconv.Quote(shorten(key)) + "]"
	case above == "":
		return key
	}
	return above + "." + key
}

func isOdd(r rune) bool {
	return r <= ' ' || r == '.' || r == '[' || r == ']' || r == '"' || r == ':' || r == 0x7f
}

// Mistake returns a mistake about n. Text in the message that is secret is masked.
func (n *Node) Mistake(message string) Mistake {
	return Mistake{Position: n.at, Path: n.Path(), Message: n.vault.mask(message)}
}

// Choose takes the scalar named key, which says what type of component n configures, off
// the map n. It returns its text and n without it; where there is none, the type is the
// key of n itself. It must be one of known, else the type is "" and there is a mistake.
func (n *Node) Choose(key string, known []string) (string, *Node, Mistakes) {
	rest := *n
	rest.taken = append(slices.Clip(n.taken), key)
	given := n.Get(key)
	switch {
	case n.broken || given != nil && given.broken:
		return "", &rest, nil // reported already
	case n.kind == Scalar || n.kind == List:
		return "", &rest, Mistakes{n.Mistake("want keys with values, as in " + example([]string{key}) + ", not " + n.kind.name())}
	case given == nil && slices.Contains(known, n.key):
		return n.key, &rest, nil
	case given == nil:
		return "", &rest, Mistakes{n.noChoice(key, known)}
	case given.kind != Scalar:
		return "", &rest, Mistakes{given.Mistake("want " + quoteList(known) + ", not " + given.kind.name())}
	case !slices.Contains(known, given.text):
		return "", &rest, Mistakes{given.Mistake("no such " + key + Suggest(given.text, known))}
	}
	rest.items = slices.DeleteFunc(slices.Clone(n.items), func(item *Node) bool { return item == given })
	return given.text, &rest, nil
}

// noChoice returns the mistake that n does not say its type, and has not the name of one.
func (n *Node) noChoice(key string, known []string) Mistake {
	for _, item := range n.items {
		if hint := Suggest(item.key, []string{key}); strings.HasPrefix(hint, ", did") {
			m := item.Mistake("unknown key" + hint)
			m.Position = item.keyAt
			return m
		}
	}
	message, hint := "there is no "+key+" "+strconv.Quote(shorten(n.key)), Suggest(n.key, known)
	if !strings.HasPrefix(hint, ", did") {
		message += ": give one as " + strconv.Quote(key)
	}
	m := n.Mistake(message + hint)
	m.Position = n.keyAt
	return m
}

// display returns a scalar's text as messages quote it.
func (n *Node) display() string {
	if n.vault.isSecret(n.text) {
		return masked
	}
	return strconv.Quote(shorten(n.text))
}

// shorten cuts a text that is too long for a message.
func shorten(text string) string {
	const maxBytes = 60
	if len(text) <= maxBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxBytes], "") + "…"
}

// Tree is a loaded configuration.
type Tree struct {
	// Root is the map of the whole configuration, of kind Null if there is none.
	Root *Node
	// Files are those read, in order; those that ${file:…} names are not among them.
	Files []string
	vault *vault
}

// Mask returns text without the secrets that came into t: what ${file:…} brought in and
// what Decode put into a Secret.
func (t *Tree) Mask(text string) string {
	if t == nil {
		return text
	}
	return t.vault.mask(text)
}

// vault knows the secret texts of a tree. A nil vault knows none.
type vault struct {
	texts []string
}

// minContained is the length from which a secret is found within other text; a shorter one
// only where it is all of it, or stands in quotes.
const minContained = 6

func (v *vault) add(text string) {
	if v != nil && text != "" && !slices.Contains(v.texts, text) {
		v.texts = append(v.texts, text)
		// Longest first, so that a secret that contains another goes as a whole.
		slices.SortFunc(v.texts, func(a, b string) int { return len(b) - len(a) })
	}
}

func (v *vault) isSecret(text string) bool {
	return v != nil && slices.Contains(v.texts, text)
}

func (v *vault) mask(text string) string {
	if v == nil {
		return text
	}
	if v.isSecret(text) {
		return masked
	}
	for _, s := range v.texts {
		if len(s) >= minContained {
			text = strings.ReplaceAll(text, s, masked)
		}
		text = strings.ReplaceAll(text, strconv.Quote(s), masked)
	}
	return text
}
