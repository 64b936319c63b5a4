package datadog

import (
	"slices"
	"strings"

	"github.com/weirlog/weir/internal/record"
)

// isTag tells whether a configured text is a tag: key:value, which can stand in a list.
func isTag(text string) bool {
	key, value, ok := strings.Cut(text, ":")
	return ok && key != "" && value != "" && !strings.ContainsAny(text, ",\r\n")
}

// Tags returns the tags of a text like that of DD_TAGS, between spaces or commas. What is not
// key:value is left out.
func Tags(text string) (tags []string) {
	for _, tag := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		if isTag(tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// listed returns the tags of a list between commas, as a record has it. What is not key:value is
// left out.
func listed(text string) (tags []string) {
	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); isTag(tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// joinTags returns tags as ddtags has them: the node's own, each once, in the order of their
// letters, then the others as they come, but for those that were there already. Nothing
// makes an empty place in the list.
func joinTags(own, others []string) string {
	sorted := slices.Compact(slices.Sorted(slices.Values(own)))
	all := make([]string, 0, len(sorted)+len(others))
	for _, tag := range append(sorted, others...) {
		if tag != "" && !slices.Contains(all, tag) {
			all = append(all, tag)
		}
	}
	return strings.Join(all, ",")
}

// labelTags returns the labels of a stream that are tags, by the names in the configuration.
func labelTags(labels record.Labels, names []string) (tags []string) {
	for _, l := range labels {
		if isTagged(l.Name, names) {
			tags = append(tags, l.Name+":"+strings.ReplaceAll(l.Value, ",", "_"))
		}
	}
	return tags
}

func isTagged(label string, names []string) bool {
	return slices.Contains(names, "*") || slices.Contains(names, label)
}

// expand puts this machine and labels into a text that has {node} and {label}.
func expand(text, node string, labels record.Labels) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "{")
		out.WriteString(before)
		name, rest, closed := strings.Cut(after, "}")
		switch {
		case !found:
			return out.String()
		case !closed:
			return out.String() + "{" + after
		case name == "node":
			out.WriteString(node)
		default:
			out.WriteString(labels.Get(name))
		}
		text = rest
	}
}
