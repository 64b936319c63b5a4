package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
)

// Journal bounds the text that is kept on this node. Counts need next to no room and are
// kept whatever these say.
type Journal struct {
	// Size is how much the kept text of all streams may take on the disk, compressed as it
	// is there. Beyond it the oldest text goes, whichever stream has it. At least 1MiB.
	// Default: 1GiB.
	Size config.Bytes `yaml:"size"`
	// Age is how long text is kept, from when weir wrote it. 0s: for as long as there is
	// room. Default: 7d.
	Age time.Duration `yaml:"age"`
	// Free is how much of the disk is left to others: with less free space than that, text
	// is counted and not kept, until there is more again. Default: 512MiB.
	Free config.Bytes `yaml:"free"`
}

// defaultJournal returns the bounds of a node that is not told any.
func defaultJournal() Journal {
	return Journal{Size: 1 << 30, Age: 7 * 24 * time.Hour, Free: 512 << 20}
}

// The least that bounds make sense for: text is removed in pieces.
const (
	minJournalSize = 1 << 20
	minKeepSize    = 64 << 10
	minKeepAge     = time.Minute
)

// Validate returns what is wrong with j.
func (j Journal) Validate() error {
	var problems []error
	if j.Size < minJournalSize {
		problems = append(problems, &config.Problem{Key: "size", Message: "want at least 1MiB; a rule with keep: none keeps no text of its streams"})
	}
	if j.Age != 0 && j.Age < minKeepAge {
		problems = append(problems, &config.Problem{Key: "age", Message: "want at least 1m, or 0s for no bound by age"})
	}
	return config.Join(problems...)
}

// Keep says how much of the text of a stream is kept: none, or what its Bounds say.
type Keep struct {
	// None keeps no text, only counts.
	None bool
	Bounds
}

// Bounds says how much of the text of a stream is kept. {} is as much as `journal` allows.
type Bounds struct {
	// Size is how much the stream's text may take on the disk, compressed as it is there;
	// beyond it the oldest goes. At least 64KiB. Default: as `journal` allows.
	Size config.Bytes `yaml:"size,omitempty"`
	// Age is how long the stream's text is kept, from when weir wrote it. At least 1m.
	// Default: as `journal` allows.
	Age time.Duration `yaml:"age,omitempty"`
	// Fields are the extracted fields that are stored beside the text, where queries find
	// them without parsing: a list of names, `all` for every field that the rules of the
	// stream extract, or `none`. With a rule whose parser takes whatever fields a line has
	// (`json`, `logfmt`, `syslog`) `all` is refused: name them. What is not stored a query
	// can extract again. Default: the fields that the rules of the stream count by.
	Fields *FieldSet `yaml:"fields"`
	// Classes are records that are kept for another time than the rest, as in
	// [{name: errors, of: {levels: [error, fatal]}, age: 30d}, {name: debug, of: {levels: [debug, trace]}, age: 1d}].
	// A record is of the first class that it fits. Each class is a stream of its own, with the
	// label class beside the labels of the stream. Default: none.
	Classes []Class `yaml:"classes,omitempty"`
}

// UnmarshalNode reads `none` or bounds.
func (k *Keep) UnmarshalNode(n *config.Node) error {
	if n.Kind() == config.Map {
		return config.Decode(n, &k.Bounds).Err()
	}
	if n.Kind() != config.Scalar || n.Text() != "none" {
		return &config.Problem{Message: "want none, or bounds as in {size: 100MiB, age: 7d}; {} keeps as much as journal allows"}
	}
	k.None = true
	return nil
}

// MarshalNode is the reverse of UnmarshalNode.
func (k Keep) MarshalNode() any {
	if k.None {
		return "none"
	}
	return k.Bounds
}

// String says for a person what k keeps.
func (k Keep) String() string {
	if f := k.Fields; f != nil {
		names := f.Names
		if f.All {
			names = []string{"every field"}
		}
		return Kept{None: k.None, Size: k.Size, Age: k.Age, Fields: names, Classes: k.Classes}.String()
	}
	return Kept{None: k.None, Size: k.Size, Age: k.Age, Classes: k.Classes}.String()
}

// Schema has both forms.
func (Keep) Schema() map[string]any {
	return map[string]any{"title": "`none` or keys", "anyOf": []any{map[string]any{"const": "none"}, Bounds{}}}
}

// Validate returns what is wrong with b.
func (b Bounds) Validate() error {
	var problems []error
	if b.Size != 0 && b.Size < minKeepSize {
		problems = append(problems, &config.Problem{Key: "size", Message: "want at least 64KiB; keep: none keeps no text"})
	}
	if b.Age != 0 && b.Age < minKeepAge {
		problems = append(problems, &config.Problem{Key: "age", Message: "want at least 1m; keep: none keeps no text"})
	}
	if len(b.Classes) > maxClasses {
		problems = append(problems, &config.Problem{Key: "classes", Message: fmt.Sprintf("use at most %d", maxClasses)})
	}
	for i, c := range b.Classes {
		if slices.ContainsFunc(b.Classes[:i], func(o Class) bool { return o.Name == c.Name }) {
			problems = append(problems, &config.Problem{Key: fmt.Sprintf("classes[%d].name", i), Message: "name each class once"})
		}
	}
	return config.Join(problems...)
}

// FieldSet is names of fields, or all of them. The zero value is none.
type FieldSet struct {
	All   bool
	Names []string
}

// UnmarshalNode reads `all`, `none` or names.
func (f *FieldSet) UnmarshalNode(n *config.Node) error {
	if n.Kind() == config.Scalar && (n.Text() == "all" || n.Text() == "none") {
		f.All = n.Text() == "all"
		return nil
	}
	if n.Kind() == config.Null {
		return &config.Problem{Message: "no value: give names of fields, all or none"}
	}
	return config.Decode(n, &f.Names).Err()
}

// MarshalNode is the reverse of UnmarshalNode.
func (f FieldSet) MarshalNode() any {
	switch {
	case f.All:
		return "all"
	case len(f.Names) == 0:
		return "none"
	}
	return f.Names
}

// Schema has all forms.
func (FieldSet) Schema() map[string]any {
	return map[string]any{"title": "`all`, `none` or list of text", "anyOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
	}}
}

// Kept is what is kept of a stream: the rules that apply to it, resolved.
type Kept struct {
	// None: no text is kept, and the others say nothing.
	None bool
	// Size and Age bound the stream; zero leaves that to the node's bounds.
	Size config.Bytes
	Age  time.Duration
	// Fields are the names of the fields that are stored; those that the stream's records
	// do not have do no harm.
	Fields []string
	// Classes are kept for another time.
	Classes []Class
}

// kept returns what is kept of a stream to which these rules apply. The last rule that says
// something about it says all of it.
func kept(rules []*rule) Kept {
	var k Kept
	var fields *FieldSet
	for _, r := range slices.Backward(rules) {
		if r.Keep != nil {
			k, fields = Kept{None: r.Keep.None, Size: r.Keep.Size, Age: r.Keep.Age, Classes: r.Keep.Classes}, r.Keep.Fields
			break
		}
	}
	var names []string
	switch {
	case k.None:
		return k
	case fields == nil:
		names = countedFields(rules)
	case fields.All:
		names = append(parsedFields(rules), countedFields(rules)...)
	default:
		names = fields.Names
	}
	for _, name := range names {
		if !slices.Contains(k.Fields, name) {
			k.Fields = append(k.Fields, name)
		}
	}
	return k
}

// parsedFields returns the fields of parsers that have fixed ones.
func parsedFields(rules []*rule) []string {
	var names []string
	for _, r := range rules {
		if r.parser != nil {
			names = append(names, r.parser.Names()...)
		}
	}
	return names
}

// countedFields returns what rules count by and what they add up, but for the level, which
// every record has anyway.
func countedFields(rules []*rule) []string {
	var names []string
	for _, r := range rules {
		for _, c := range r.Count {
			for _, name := range c.Fields() {
				if name != "level" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// String says for a person what k keeps.
func (k Kept) String() string {
	if k.None {
		return "nothing: counts alone"
	}
	text := "the text, " + atMost(k.Size, k.Age)
	if len(k.Fields) > 0 {
		text += ", with " + strings.Join(k.Fields, ", ")
	}
	for _, c := range k.Classes {
		text += "; of it " + c.Name + ", " + atMost(c.Size, c.Age)
	}
	return text
}

// atMost says for a person what bounds allow.
func atMost(size config.Bytes, age time.Duration) string {
	var parts []string
	if size > 0 {
		parts = append(parts, size.String())
	}
	if age > 0 {
		parts = append(parts, config.FormatDuration(age))
	}
	if len(parts) == 0 {
		return "as much as journal allows"
	}
	return "at most " + strings.Join(parts, " and ")
}

// keepProblems finds bounds that the node's would cut, and stored fields that have no fixed
// names.
func keepProblems(rules []Rule, node Journal) error {
	var problems []error
	add := func(i int, key, format string, args ...any) {
		problems = append(problems, &config.Problem{Key: fmt.Sprintf("rules[%d].keep.%s", i, key), Message: fmt.Sprintf(format, args...)})
	}
	for i, r := range rules {
		if r.Keep == nil {
			continue
		}
		bounded := func(key string, size config.Bytes, age time.Duration) {
			if size > node.Size {
				add(i, key+"size", "it is more than journal.size, %s, which bounds all streams together: raise that as well", node.Size)
			}
			if node.Age > 0 && age > node.Age {
				add(i, key+"age", "it is longer than journal.age, %s, which bounds every stream: raise that as well", config.FormatDuration(node.Age))
			}
		}
		bounded("", r.Keep.Size, r.Keep.Age)
		for k, c := range r.Keep.Classes {
			bounded(fmt.Sprintf("classes[%d].", k), c.Size, c.Age)
		}
		if f := r.Keep.Fields; f != nil && f.All && r.Parse != nil {
			if _, fixed := parserFields(r); !fixed && r.Parse.Format() != "" {
				add(i, "fields", "lines of %s have any fields: name those to store", r.Parse.Format())
			}
		}
	}
	return config.Join(problems...)
}
