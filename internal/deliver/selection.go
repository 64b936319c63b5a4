package deliver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/logql/pipeline"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/match"
	"github.com/weirlog/weir/internal/record"
)

// Selection says which records a sink gets. The configuration of a sink has it inlined, with
// SelectAll as default, and calls its Validate.
type Selection struct {
	// Match chooses records as LogQL does: a selector of streams, and maybe filters of their
	// records: '{system="production"} |= "timeout" | task=~"import.*" | json | amount > 100'. Labels
	// and stored fields may be asked for by name, the level as detected_level, others once a parser (json, logfmt, regexp,
	// pattern) has extracted them. Records go out as they were kept, so what would change
	// them (line_format and alike) is refused. That records are missing is always told.
	// Default {}, every record.
	Match string `yaml:"match"`
	// Level is the least severe level that goes out: trace, debug, info, warn, error or
	// fatal. Records without a level do not reach any. Default: all records.
	Level string `yaml:"level,omitempty"`
	// Start is how far back the first run goes: `end` (default), `beginning`, or a duration
	// as 1h. Later runs go on where the last one ended.
	Start string `yaml:"start"`
}

// SelectAll returns the selection of a sink that says nothing.
func SelectAll() Selection { return Selection{Match: "{}", Start: "end"} }

// Selected returns s, also of a configuration that has it inlined.
func (s Selection) Selected() Selection { return s }

// Validate returns what is wrong with s.
func (s Selection) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if _, _, err := s.parse(); err != nil {
		problem("match", err.Error())
	}
	if _, ok := s.least(); !ok {
		problem("level", "use trace, debug, info, warn, error or fatal")
	}
	if _, err := s.since(); err != nil {
		problem("start", "use end, beginning, or how far back, as 1h")
	}
	return config.Join(problems...)
}

// parse returns the selector of streams and the filters of their records.
func (s Selection) parse() (match.Selector, []syntax.Stage, error) {
	text := strings.TrimSpace(s.Match)
	end := selectorEnd(text)
	streams, err := match.Parse(text[:end])
	if err != nil {
		return match.Selector{}, nil, err
	}
	if strings.TrimSpace(text[end:]) == "" {
		return streams, nil, nil
	}
	// LogQL refuses a selector that chooses every stream, which is what a sink may want.
	q, err := syntax.ParseLog(anySelector + text[end:])
	if err != nil {
		var wrong *syntax.ParseError
		if errors.As(err, &wrong) {
			err = fmt.Errorf("at character %d: %s", end+max(wrong.Offset-len(anySelector), 0)+1, wrong.Message)
		}
		return match.Selector{}, nil, err
	}
	for _, stage := range q.Stages {
		switch stage.(type) {
		case *syntax.LineFormat, *syntax.LabelFormat, *syntax.Decolorize, *syntax.Drop, *syntax.Keep:
			return match.Selector{}, nil, fmt.Errorf("%s changes records, and a sink's match only chooses them: leave it out", stage)
		}
	}
	return streams, q.Stages, nil
}

const anySelector = `{x="x"}`

// selectorEnd returns where the selector ends that text begins with.
func selectorEnd(text string) int {
	for i, quote := 0, byte(0); i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\' && quote == '"':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '`':
			quote = c
		case c == '}':
			return i + 1
		}
	}
	return len(text)
}

// least returns the least severe level; LevelUnknown: every record.
func (s Selection) least() (record.Level, bool) {
	if s.Level == "" {
		return record.LevelUnknown, true
	}
	l := severity.FromValue([]byte(s.Level))
	return l, l != record.LevelUnknown && l.String() == s.Level
}

// since returns how far back the first run goes; negative: to the beginning.
func (s Selection) since() (time.Duration, error) {
	switch s.Start {
	case "end", "":
		return 0, nil
	case "beginning":
		return -1, nil
	}
	d, err := config.ParseDuration(s.Start)
	if err == nil && d < 0 {
		err = errors.New("a time to come")
	}
	return d, err
}

// Since returns how far back the first run goes; negative: to the beginning.
func (s Selection) Since() time.Duration {
	since, _ := s.since() // Validate says what is wrong
	return since
}

// Streams returns which streams are read.
func (s Selection) Streams() (match.Selector, error) {
	streams, _, err := s.parse()
	return streams, err
}

// Chooser tells which records of the streams go out. It belongs to one goroutine.
type Chooser struct {
	least  record.Level
	runner *pipeline.Runner // nil: the level alone decides
}

// Chooser returns what chooses records, nil if all of the streams go out.
func (s Selection) Chooser() (*Chooser, error) {
	_, stages, err := s.parse()
	if err != nil {
		return nil, err
	}
	least, _ := s.least()
	if len(stages) == 0 && least == record.LevelUnknown {
		return nil, nil
	}
	c := &Chooser{least: least}
	if len(stages) > 0 {
		c.runner = pipeline.Compile(pipeline.Spec{Stages: stages}).NewRunner()
	}
	return c, nil
}

// Stream says whose records the lines to come are.
func (c *Chooser) Stream(labels record.Labels) {
	if c.runner != nil {
		c.runner.Stream(labels)
	}
}

// Chooses tells whether a record goes out, which is a whole line as it was kept.
func (c *Chooser) Chooses(line []byte, level record.Level) bool {
	if level < c.least {
		return false
	}
	if c.runner == nil {
		return true
	}
	c.runner.Block(line)
	return c.runner.Next() && c.runner.Process()
}
