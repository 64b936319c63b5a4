package filter

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/record"
)

// Config says which of the records that the rule applies to are taken out: those that a
// rule's parser does not fit stay. Everything is counted before. First go those that
// drop_levels, drop and only say; of the rest sample keeps some, and of these rate lets pass
// what it allows.
type Config struct {
	// DropLevels lists levels whose records go: trace, debug, info, warn, error, fatal.
	DropLevels []string `yaml:"drop_levels,omitempty"`
	// Drop lists conditions; a record that fits one of them goes. A regular expression
	// (RE2) may be written alone: [healthz, {levels: [debug], contains: cache}].
	Drop []Condition `yaml:"drop,omitempty"`
	// Only lists conditions, as in drop; a record that fits none of them goes.
	Only []Condition `yaml:"only,omitempty"`
	// Sample keeps one of several records in place of all. Default: keeps all.
	Sample *Sample `yaml:"sample"`
	// Rate bounds how many records of each stream are kept in a time: 1000/s, 100/m,
	// 5000/10s. The time is that of the records, so that what is read late is not taken
	// for a flood, or that of the clock, whichever leaves more room. What goes is counted,
	// and a record in its place, at most one a second, says how many went. Default: no
	// bound.
	Rate Rate `yaml:"rate,omitempty"`
	// Burst is how many records may come at once before rate bounds them. Default: the
	// number in rate.
	Burst int `yaml:"burst,omitempty"`
}

// Condition is what may be so of a record. All that is given has to hold.
type Condition struct {
	// Regex is a regular expression (RE2) that has a match in the text.
	Regex string `yaml:"regex,omitempty"`
	// Contains is a piece of the text, as it is.
	Contains string `yaml:"contains,omitempty"`
	// Levels lists levels, one of which is the record's.
	Levels []string `yaml:"levels,omitempty"`
	// Fields are regular expressions (RE2) by the names of extracted fields, each of which
	// matches the whole value: {status: "2..|304", path: /healthz}. A field that a record
	// does not have is empty; level is that of the record.
	Fields map[string]string `yaml:"fields,omitempty"`
	// Unless is a condition that does not hold.
	Unless *Condition `yaml:"unless"`
}

// Sample says of how many records one is kept. Each kept record has a weight, the number of
// records that it stands for, so that sums over kept records can be right.
type Sample struct {
	// OneIn is that number: 10 keeps a tenth. Of each 10 records that follow each other in
	// a stream one is kept, now this, now that one.
	OneIn int `yaml:"one_in"`
	// By is an extracted field that decides which records are kept: all that have the same
	// value, or none, in every stream. So the lines of a request stay together. Records
	// without the field are kept as if it were not given.
	By string `yaml:"by,omitempty"`
	// Of is a condition: records for which it does not hold are all kept, as in
	// {levels: [debug, info]}. Default: every record is sampled.
	Of *Condition `yaml:"of"`
}

// Rate is a number of records in a time. The zero value is no bound.
type Rate struct {
	Records int
	Per     time.Duration
}

var errRate = errors.New("want records per time, as in 1000/s, 100/m or 5000/10s")

// UnmarshalText reads a rate.
func (r *Rate) UnmarshalText(text []byte) error {
	number, per, ok := strings.Cut(string(text), "/")
	records, err := strconv.Atoi(number)
	if !ok || err != nil || records < 1 || records > math.MaxInt32 {
		return errRate
	}
	if per == "s" || per == "m" || per == "h" || per == "d" {
		per = "1" + per
	}
	d, err := config.ParseDuration(per)
	if err != nil || d <= 0 {
		return errRate
	}
	r.Records, r.Per = records, d
	return nil
}

// MarshalText returns the rate as UnmarshalText reads it, "" for none.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String returns what MarshalText returns.
func (r Rate) String() string {
	if r.Records == 0 {
		return ""
	}
	per := config.FormatDuration(r.Per)
	if short, one := strings.CutPrefix(per, "1"); one && len(short) == 1 {
		per = short
	}
	return strconv.Itoa(r.Records) + "/" + per
}

// conditionKeys are those of a Condition that is not a regular expression alone.
type conditionKeys Condition

// UnmarshalNode reads a regular expression, or keys.
func (c *Condition) UnmarshalNode(n *config.Node) error {
	if n.Kind() != config.Scalar {
		return config.Decode(n, (*conditionKeys)(c)).Err()
	}
	c.Regex = n.Text()
	return nil
}

// MarshalNode is the reverse of UnmarshalNode.
func (c Condition) MarshalNode() any {
	if c.Regex != "" && c.Contains == "" && len(c.Levels) == 0 && len(c.Fields) == 0 && c.Unless == nil {
		return c.Regex
	}
	return conditionKeys(c)
}

// Schema has both forms.
func (Condition) Schema() map[string]any {
	return map[string]any{"title": "text or keys", "anyOf": []any{map[string]any{"type": "string"}, Condition{}}}
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	problems := levelProblems("drop_levels", c.DropLevels)
	for i, x := range c.Drop {
		problems = append(problems, x.Problems(fmt.Sprintf("drop[%d]", i))...)
	}
	for i, x := range c.Only {
		problems = append(problems, x.Problems(fmt.Sprintf("only[%d]", i))...)
	}
	if c.Sample != nil {
		if c.Sample.OneIn < 1 || c.Sample.OneIn > maxOneIn {
			problems = append(problems, &config.Problem{Key: "sample.one_in", Message: "want a number from 1 to 1000000: 10 keeps one in 10"})
		}
		if c.Sample.Of != nil {
			problems = append(problems, c.Sample.Of.Problems("sample.of")...)
		}
	}
	switch {
	case c.Burst < 0:
		problems = append(problems, &config.Problem{Key: "burst", Message: "want a number of records"})
	case c.Burst > 0 && c.Rate.Records == 0:
		problems = append(problems, &config.Problem{Key: "burst", Message: "it goes with rate, as in rate: 1000/s"})
	}
	return config.Join(problems...)
}

// maxOneIn keeps the weights of two samples on a line within a uint32, nearly.
const maxOneIn = 1000000

func levelProblems(key string, names []string) (problems []error) {
	for i, name := range names {
		if severity.FromValue([]byte(name)).String() != name || name == record.LevelUnknown.String() {
			problems = append(problems, &config.Problem{Key: fmt.Sprintf("%s[%d]", key, i), Message: fmt.Sprintf("%q is no level; use trace, debug, info, warn, error, fatal", name)})
		}
	}
	return problems
}

// Problems returns what is wrong with the condition at key.
func (c Condition) Problems(key string) []error {
	if c.Regex == "" && c.Contains == "" && len(c.Levels) == 0 && len(c.Fields) == 0 && c.Unless == nil {
		return []error{&config.Problem{Key: key, Message: "it asks for nothing: give a regular expression, contains, levels or fields"}}
	}
	problems := levelProblems(key+".levels", c.Levels)
	if _, err := regexp.Compile(c.Regex); err != nil {
		at := key // of an expression that is written alone, and of one in keys
		if _, alone := c.MarshalNode().(string); !alone {
			at += ".regex"
		}
		problems = append(problems, &config.Problem{Key: at, Message: err.Error()})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		if _, err := regexp.Compile(c.Fields[name]); err != nil {
			problems = append(problems, &config.Problem{Key: key + ".fields." + name, Message: err.Error()})
		}
	}
	if c.Unless != nil {
		problems = append(problems, c.Unless.Problems(key+".unless")...)
	}
	return problems
}

// Summary says in a few words what c takes out.
func (c Config) Summary() []string {
	var parts []string
	if len(c.DropLevels) > 0 {
		parts = append(parts, "drops "+strings.Join(c.DropLevels, ", "))
	}
	if n := len(c.Drop); n > 0 {
		parts = append(parts, "drops what fits one of "+strconv.Itoa(n)+" conditions")
	}
	if n := len(c.Only); n > 0 {
		parts = append(parts, "keeps what fits one of "+strconv.Itoa(n)+" conditions")
	}
	if c.Sample != nil {
		what := "one in " + strconv.Itoa(c.Sample.OneIn)
		if c.Sample.By != "" {
			what += " by " + c.Sample.By
		}
		parts = append(parts, "keeps "+what)
	}
	if c.Rate.Records > 0 {
		parts = append(parts, "keeps at most "+c.Rate.String())
	}
	return parts
}

// Fields returns the extracted fields that c looks at.
func (c Config) Fields() []string {
	var names []string
	c.each(func(x *Condition) {
		for _, name := range slices.Sorted(maps.Keys(x.Fields)) {
			if name != levelField {
				names = append(names, name)
			}
		}
	})
	if c.Sample != nil && c.Sample.By != "" {
		names = append(names, c.Sample.By)
	}
	return names
}

// ReadsLevel tells whether c looks at the level of records.
func (c Config) ReadsLevel() bool {
	reads := len(c.DropLevels) > 0
	c.each(func(x *Condition) {
		_, field := x.Fields[levelField]
		reads = reads || field || len(x.Levels) > 0
	})
	return reads
}

// each calls visit with every condition of c.
func (c Config) each(visit func(*Condition)) {
	all := slices.Concat(c.Drop, c.Only)
	if c.Sample != nil && c.Sample.Of != nil {
		all = append(all, *c.Sample.Of)
	}
	for i := range all {
		for x := &all[i]; x != nil; x = x.Unless {
			visit(x)
		}
	}
}

// levelField is the name by which Condition.Fields knows the level.
const levelField = "level"
