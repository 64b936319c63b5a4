package agent

import (
	"regexp"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/filter"
)

// Class is a part of the records of a stream that is kept for another time than the rest.
type Class struct {
	// Name is what the class is called: the value of the label class.
	Name string `yaml:"name"`
	// Of says which records are of the class, as the conditions of a filter do:
	// {levels: [error, fatal]}, {fields: {task: "import.*"}}, {contains: slow}. It is asked of what
	// filters and plugins leave.
	Of *filter.Condition `yaml:"of"`
	// Size is how much the text of the class may take on the disk, for each stream. At least 64KiB.
	// Default: as `journal` allows.
	Size config.Bytes `yaml:"size,omitempty"`
	// Age is how long it is kept. At least 1m. Default: as `journal` allows.
	Age time.Duration `yaml:"age,omitempty"`
}

const (
	maxClasses = 16
	// classLabel is the label that tells the classes of a stream apart, and otherClassLabel
	// where the stream has a label of that name already.
	classLabel      = "class"
	otherClassLabel = "weir_class"
)

var className = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Validate returns what is wrong with c.
func (c Class) Validate() error {
	var problems []error
	if !className.MatchString(c.Name) {
		problems = append(problems, &config.Problem{Key: "name", Message: "give the class a name, as errors: letters, digits, and _ . - within"})
	}
	if c.Of == nil {
		problems = append(problems, &config.Problem{Key: "of", Message: "say which records are of the class, as {levels: [error, fatal]}"})
	} else {
		problems = append(problems, c.Of.Problems("of")...)
	}
	return config.Join(append(problems, Bounds{Size: c.Size, Age: c.Age}.Validate())...)
}

// conditions returns those of classes, in order.
func conditions(classes []Class) []filter.Condition {
	var all []filter.Condition
	for _, c := range classes {
		if c.Of == nil { // it says so itself
			return all
		}
		all = append(all, *c.Of)
	}
	return all
}

// classFields returns the fields that classes are told by.
func classFields(classes []Class) []string {
	return filter.Config{Drop: conditions(classes)}.Fields()
}

// classStreams returns how classes of a stream are kept.
func classStreams(s record.Stream, classes []Class) (all []journal.Class) {
	label := classLabel
	if s.Labels.Get(label) != "" {
		label = otherClassLabel
	}
	for _, c := range classes {
		labels := map[string]string{label: c.Name}
		for _, l := range s.Labels {
			labels[l.Name] = l.Value
		}
		own := record.Labels{{Name: label, Value: c.Name}}
		all = append(all, journal.Class{
			Stream: record.Stream{ID: s.ID + own.String(), Source: s.Source, Labels: record.NewLabels(labels)},
			Bound:  archive.Bound{Size: int64(c.Size), Age: c.Age},
		})
	}
	return all
}
