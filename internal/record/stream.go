package record

import (
	"slices"
	"strings"
)

// Label is one name and value of a stream or a series.
type Label struct{ Name, Value string }

// Labels are sorted by name, each name once. Use NewLabels to make them from a map.
type Labels []Label

// NewLabels returns m as sorted labels. Empty values are left out: as in Prometheus, an
// empty label is an absent one.
func NewLabels(m map[string]string) Labels {
	ls := make(Labels, 0, len(m))
	for k, v := range m {
		if v != "" {
			ls = append(ls, Label{k, v})
		}
	}
	slices.SortFunc(ls, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return ls
}

// Get returns the value of the label, or "" when there is none.
func (ls Labels) Get(name string) string {
	for _, l := range ls {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// String returns ls as in a LogQL selector: {container="nginx", machine="web-1"}.
func (ls Labels) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range ls {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(l.Name)
		b.WriteString(`="`)
		for _, r := range l.Value {
			switch r {
			case '"', '\\':
				b.WriteByte('\\')
				b.WriteRune(r)
			case '\n':
				b.WriteString(`\n`)
			default:
				b.WriteRune(r)
			}
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// Stream is one ordered origin of records. Its ID is stable over restarts of weir and
// over recreation of what it stands for.
type Stream struct {
	// ID is the source's name and the origin's identity, as in "docker/shop-nginx-1" or
	// "access//var/log/nginx/access.log". It is unique in a node.
	ID string
	// Source is the name of the source that reads it, as in the configuration.
	Source string
	// Labels are what rules match and queries select.
	Labels Labels
}
