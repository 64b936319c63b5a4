package lines

import (
	"path"
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// choice is the streams that a request is about.
type choice struct {
	matchers []syntax.Matcher
	words    []word
	// known are the labels of streams, as text, that a word means only by their identity:
	// who follows sees no more of a stream than its labels.
	known map[string]bool
}

// word is what names streams.
type word struct {
	text  string
	exact bool // a stream has just this name; then those are meant that do
}

// choose finds out what words mean. A word that is the name of a stream means the streams
// with that name; any other means those in whose names or identity it is a part, in
// whatever case. In a word with an asterisk that stands for any text.
func (r *Reader) choose(q Request) choice {
	c := choice{matchers: q.Query.Matchers, known: map[string]bool{}}
	streams := r.Archive.Streams()
	for _, text := range q.Words {
		w := word{text: text}
		for _, s := range streams {
			w.exact = w.exact || s.ID() == text || slices.Contains(names(s.Labels()), text)
		}
		c.words = append(c.words, w)
	}
	for _, s := range streams {
		if labels := s.Labels(); c.stream(s.ID(), labels) && !c.named("", labels) {
			c.known[labels.String()] = true
		}
	}
	return c
}

// nameLabels are the labels whose values people call streams by.
func nameLabels() []string {
	return []string{"container", "compose_service", "compose_project", "filename", "source", "service_name", "app", "job"}
}

// names returns what a stream with these labels is called.
func names(labels record.Labels) (list []string) {
	for _, l := range nameLabels() {
		v := labels.Get(l)
		if v == "" {
			continue
		}
		list = append(list, v)
		if l == "filename" {
			list = append(list, path.Base(v))
		}
	}
	return list
}

// stream tells whether a stream is meant.
func (c *choice) stream(id string, labels record.Labels) bool {
	for i := range c.matchers {
		if !c.matchers[i].Matches(labels.Get(c.matchers[i].Name)) {
			return false
		}
	}
	return c.named(id, labels)
}

// live is stream for who does not know the identity.
func (c *choice) live(labels record.Labels) bool {
	return c.stream("", labels) || len(c.known) > 0 && c.known[labels.String()]
}

// named tells whether any word means a stream.
func (c *choice) named(id string, labels record.Labels) bool {
	if len(c.words) == 0 {
		return true
	}
	called := append(names(labels), id)
	return slices.ContainsFunc(c.words, func(w word) bool { return slices.ContainsFunc(called, w.means) })
}

func (w word) means(name string) bool {
	switch {
	case w.exact:
		return name == w.text
	case strings.Contains(w.text, "*"):
		return glob(strings.ToLower(w.text), strings.ToLower(name))
	}
	return strings.Contains(strings.ToLower(name), strings.ToLower(w.text))
}

// glob tells whether text is of a pattern in which * stands for any text.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	last := len(parts) - 1
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1:last] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[last])
}
