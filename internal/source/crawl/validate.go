package crawl

import (
	"time"

	"github.com/weirlog/weir/internal/config"
)

// datadogAge is how old a record may be that Datadog takes.
const datadogAge = 18 * time.Hour

// defaultStart is how far back the first run goes.
const defaultStart = time.Minute

// startOf reads the setting start: a time before now, or all there is.
func startOf(text string, once bool) (before time.Duration, all bool) {
	switch text {
	case "":
		return defaultStart, once
	case "beginning":
		return 0, true
	case "end":
		return 0, false
	}
	d, _ := config.ParseDuration(text) // it was checked
	return d, false
}

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	add := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if len(c.Streams) == 0 {
		add("streams", "give at least one stream, as events: {url: …}")
	}
	return config.Join(problems...)
}
