package file

import (
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver"
)

// Config says where text is written, and how much of it stays.
type Config struct {
	// Dir is the directory, made if need be. Each stream has a folder and a file in it of
	// its name: <dir>/shop/shop.log; of a second stream that is called so shop-1f2e3d4c. A
	// folder stays its stream's. Another file sink's directory must not be this one, nor in
	// it, nor around it; sources of files do not follow what is in it. Needed.
	Dir               string `yaml:"dir"`
	deliver.Selection `yaml:",inline"`
	// MaxSize is how large a file grows before it becomes <name>.log.1, and .1 becomes .2.
	// Lines are not divided. Default 10MiB; 0 never rotates.
	MaxSize config.Bytes `yaml:"max_size"`
	// MaxFiles is how many rotated files stay. When it is lowered the surplus is removed, at
	// the start and at the next rotation. Default 10; 0 never rotates, and removes nothing.
	MaxFiles int `yaml:"max_files"`
	// MaxAge is how long a rotated file stays after the last line that was written to it. It
	// is looked at once a minute, while there is anything to write. Default 0s: as long as
	// there are not too many.
	MaxAge time.Duration `yaml:"max_age"`
	// Compress packs rotated files with gzip from the second on, <name>.log.2.gz, so that
	// whoever follows the first can finish it. Default false.
	Compress bool `yaml:"compress"`
	// Template is how a line is written, in the syntax of Go's text/template, with .Time,
	// .Level, .Text, .Stream (the identity) and .Label "name":
	// '{{.Time.Format "15:04:05.000"}} {{.Level}} {{.Text}}'. Default: the text alone.
	Template string `yaml:"template"`
}

// Default returns the configuration of a sink that says nothing.
func Default() Config {
	return Config{Selection: deliver.SelectAll(), MaxSize: 10 << 20, MaxFiles: 10}
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if c.Dir == "" {
		problem("dir", "name the directory that the files go to")
	}
	if c.MaxSize < 0 {
		problem("max_size", "use 0 or more")
	}
	if c.MaxFiles < 0 || c.MaxFiles > maxFiles {
		problem("max_files", "use 0 to "+strconv.Itoa(maxFiles))
	}
	if c.MaxAge != 0 && c.MaxAge < minAge {
		problem("max_age", "use 1m or more, or 0s for no bound by age")
	}
	if _, err := c.template(); err != nil {
		problem("template", err.Error())
	}
	return config.Join(append(problems, c.Selection.Validate())...)
}

// minAge is the least max_age.
const minAge = time.Minute

// maxFiles bounds how many rotated files are looked for.
const maxFiles = 1000

// template returns how lines are written, nil for the text alone.
func (c Config) template() (*template.Template, error) {
	if c.Template == "" {
		return nil, nil
	}
	t, err := template.New("template").Parse(strings.TrimSuffix(c.Template, "\n"))
	if err != nil {
		return nil, err
	}
	return t, t.Execute(new(strings.Builder), &entry{})
}
