package otlp

import (
	"slices"
	"strings"

	wire "github.com/weirlog/weir/internal/codec/otlp"
	"github.com/weirlog/weir/internal/metric"
)

// units are the suffixes of names that OpenTelemetry's units become in Prometheus.
var units = map[string]string{
	"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
	"By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes",
	"KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
	"m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz", "%": "percent",
	"1": "",
}

// perUnits are those behind a slash.
var perUnits = map[string]string{"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

// nameOf returns the name that Prometheus gives a metric.
func nameOf(m *wire.Metric) string {
	words := strings.FieldsFunc(string(m.Name), notOfName)
	main, per, divided := strings.Cut(string(m.Unit), "/")
	if word := unitWord(main, units); word != "" && !slices.Contains(words, word) {
		words = append(words, strings.FieldsFunc(word, notOfName)...)
	}
	if divided {
		if word := unitWord(per, perUnits); word != "" && !slices.Contains(words, word) {
			words = append(append(words, "per"), strings.FieldsFunc(word, notOfName)...)
		}
	}
	counter := m.Kind == wire.Sum && m.Monotonic
	if counter {
		words = append(slices.DeleteFunc(words, func(w string) bool { return w == "total" }), "total")
	}
	if m.Kind == wire.Gauge && string(m.Unit) == "1" {
		words = append(slices.DeleteFunc(words, func(w string) bool { return w == "ratio" }), "ratio")
	}
	name := strings.Join(words, "_")
	if name != "" && name[0]-'0' <= 9 {
		name = "_" + name
	}
	return name
}

// unitWord returns the word of a unit; what stands in braces is a remark.
func unitWord(unit string, known map[string]string) string {
	unit = strings.TrimSpace(unit)
	if strings.ContainsAny(unit, "{}") {
		return ""
	}
	if word, ok := known[unit]; ok {
		return word
	}
	return strings.Join(strings.FieldsFunc(unit, notOfName), "_")
}

func notOfName(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != ':'
}

// labelOf returns the name that Prometheus gives an attribute.
func labelOf(key string) string {
	name := strings.Map(func(r rune) rune {
		if r == ':' || notOfName(r) {
			return '_'
		}
		return r
	}, key)
	switch {
	case name == "":
		return ""
	case name[0]-'0' <= 9:
		return "key_" + name
	case strings.HasPrefix(name, "__"):
		return "key" + name
	}
	return name
}

// labelled collects the labels of a series.
type labelled struct{ pairs []labelPair }

type labelPair struct{ name, value string }

func (l *labelled) reset() { l.pairs = l.pairs[:0] }

// add adds a label. Attributes that come to the same name have their values behind each other.
func (l *labelled) add(key, value string) {
	name := labelOf(key)
	if name == "" || value == "" {
		return
	}
	for i := range l.pairs {
		if p := &l.pairs[i]; p.name == name {
			p.value += ";" + value
			return
		}
	}
	l.pairs = append(l.pairs, labelPair{name, value})
}

// set makes value that of a label. An attribute of that name gets exported_ before it.
func (l *labelled) set(name, value string) {
	if value == "" {
		return
	}
	for i := range l.pairs {
		if l.pairs[i].name == name {
			l.pairs[i].name = "exported_" + name
		}
	}
	l.pairs = append(l.pairs, labelPair{name, value})
}

// clean returns text as a series has it.
func clean(text string) string {
	if len(text) > maxText {
		text = string(cutText([]byte(text), maxText))
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// hash returns the same number for the same texts, over restarts of weir.
func hash(texts ...[]byte) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, text := range texts {
		for _, c := range text {
			h = (h ^ uint64(c)) * 1099511628211
		}
		h = (h ^ 0x100) * 1099511628211 // the end of a text is no byte
	}
	return h
}

// hashAll returns the same number for the same attributes, in whatever order they come.
func hashAll(all []wire.Attribute) (h uint64) {
	for i := range all {
		h += hash(all[i].Key, all[i].Value)
	}
	return h
}

func (l *labelled) attributes(all []wire.Attribute) {
	for i := range all {
		text, _ := all[i].Value.Plain(nil)
		l.add(string(all[i].Key), string(text))
	}
}

// values returns names and values in turn, sorted, as a series of f has them: cut where the
// registry would do it. What f cannot have gets exported_ before it, as in Prometheus.
func (l *labelled) values(f *metric.Family) []string {
	for i := range l.pairs {
		if p := &l.pairs[i]; !f.ValidLabel(p.name) {
			p.name = "exported_" + p.name
		}
	}
	slices.SortFunc(l.pairs, func(a, b labelPair) int { return strings.Compare(a.name, b.name) })
	values := make([]string, 0, 2*len(l.pairs))
	for i, p := range l.pairs {
		if i > 0 && p.name == l.pairs[i-1].name {
			continue
		}
		values = append(values, clean(p.name), clean(p.value))
	}
	return values
}
