package console

import (
	"path"
	"strings"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
)

const levelLabel = syntax.LevelLabel

// maxColumn is how wide the column for names gets; a longer name takes the room it needs.
const maxColumn = 32

// names gives streams their names and colours, in the order in which they appear.
type names struct {
	full  bool
	known map[string]named // by identity
	taken map[string]bool  // names
	width int              // of the column
}

type named struct{ text, color string }

func newNames(n Names, terminal bool) names {
	return names{full: n == Full || !terminal, known: map[string]named{}, taken: map[string]bool{}}
}

// maxNames bounds what is remembered of streams.
const maxNames = 100_000

// meet gives the stream of a line its name.
func (n *names) meet(l *lines.Line) {
	if _, ok := n.known[l.Stream]; ok {
		return
	}
	if len(n.known) >= maxNames {
		clear(n.known)
		clear(n.taken)
	}
	text := l.Stream
	if !n.full {
		text = n.short(l)
	}
	n.taken[text] = true
	shown := string(AppendHarmless(nil, text))
	n.known[l.Stream] = named{shown, nameColor(len(n.known))}
	n.width = max(n.width, min(utf8.RuneCountInString(shown), maxColumn))
}

// of returns the name, which is harmless, and the colour of a line's stream.
func (n *names) of(l *lines.Line) (text, color string) {
	known := n.known[l.Stream]
	return known.text, known.color
}

// short returns a name that no other stream has: that of the container or service, as much
// of a file's path as tells it apart, or the identity without the source.
func (n *names) short(l *lines.Line) string {
	of := map[string]string{}
	for _, label := range l.Labels {
		if label.Category == pipeline.OfStream {
			of[label.Name] = label.Value
		}
	}
	for _, label := range []string{"container", "service_name", "app", "job"} {
		if name := of[label]; name != "" && of["filename"] == "" && !n.taken[name] {
			return name
		}
	}
	if file := of["filename"]; file != "" {
		name := path.Base(file)
		for dir := path.Dir(file); n.taken[name] && dir != "/" && dir != "."; dir = path.Dir(dir) {
			name = path.Base(dir) + "/" + name
		}
		if !n.taken[name] {
			return name
		}
	}
	if _, name, ok := strings.Cut(l.Stream, "/"); ok && !n.taken[name] {
		return name
	}
	return l.Stream
}

// nameColor returns the colour of the nth stream. Red and yellow are for levels.
func nameColor(n int) string {
	colors := [...]string{"\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m", "\x1b[95m", "\x1b[94m"}
	return colors[n%len(colors)]
}
