package docker

import (
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

// Labels of containers that say how they are to be followed.
const (
	settingEnable = "weir.enable"  // true or false
	settingName   = "weir.name"    // in place of the container's name
	settingStart  = "weir.start"   // as Config.Start
	settingLabels = "weir.labels." // and a name: a label of the stream
)

// Labels that compose gives its containers.
const (
	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeNumber  = "com.docker.compose.container-number"
	composeOneOff  = "com.docker.compose.oneoff"
)

// wanted tells whether the configuration and its own labels let a container be followed.
func (c *Config) wanted(d *dockerapi.Details) bool {
	switch strings.ToLower(d.Labels[settingEnable]) {
	case "true", "1", "yes", "on":
		return true
	case "false", "0", "no", "off":
		return false
	}
	name := displayName(d)
	return matchAny(c.Include, name) && !matchAny(c.Exclude, name) &&
		(len(c.IncludeLabels) == 0 || labelled(c.IncludeLabels, d.Labels)) && !labelled(c.ExcludeLabels, d.Labels) &&
		(len(c.IncludeImages) == 0 || matchAny(c.IncludeImages, d.Image)) && !matchAny(c.ExcludeImages, d.Image)
}

// labelled tells whether one of the wishes, "name" or "name=pattern", is true of labels.
func labelled(wishes []string, labels map[string]string) bool {
	for _, w := range wishes {
		name, pattern, valued := strings.Cut(w, "=")
		if v, ok := labels[name]; ok && (!valued || matchPattern(pattern, v)) {
			return true
		}
	}
	return false
}

func matchAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if matchPattern(p, text) {
			return true
		}
	}
	return false
}

// matchPattern tells whether text is of a pattern in which * stands for any text.
func matchPattern(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}

// stream returns the stream that a container's log belongs to. Its identity outlives the
// container: that of its place in a compose project, else its name.
func (c *Config) stream(source string, d *dockerapi.Details) record.Stream {
	name := displayName(d)
	identity := name
	labels := map[string]string{}
	for k, v := range c.Labels {
		labels[k] = v
	}
	for k, v := range d.Labels {
		if k, ok := strings.CutPrefix(k, settingLabels); ok && k != "" {
			labels[labelName(k)] = v
		}
	}
	if service := d.Labels[composeService]; service != "" {
		labels["compose_service"] = service
		labels["compose_project"] = d.Labels[composeProject]
		if number := d.Labels[composeNumber]; number != "" && d.Labels[settingName] == "" && !oneOff(d) {
			identity = d.Labels[composeProject] + "-" + service + "-" + number
		}
	}
	labels["container"] = name
	labels["image"] = d.Image
	return record.Stream{ID: source + "/" + identity, Source: source, Labels: record.NewLabels(labels)}
}

// oneOff tells whether it was made by compose run, beside the service's own containers.
func oneOff(d *dockerapi.Details) bool { return strings.EqualFold(d.Labels[composeOneOff], "true") }

// displayName is the container's name. While compose replaces a container, the old one has
// the name with its own id before it: that is not a new name.
func displayName(d *dockerapi.Details) string {
	if n := d.Labels[settingName]; n != "" {
		return n
	}
	if id, rest, ok := strings.Cut(d.Name, "_"); ok && rest != "" && len(id) == 12 && strings.HasPrefix(d.ID, id) {
		return rest
	}
	if d.Name == "" {
		return dockerapi.Short(d.ID)
	}
	return d.Name
}

// labelName is name with everything that a label's name may not have replaced by _.
func labelName(name string) string {
	b := []byte(name)
	for i, c := range b {
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			b[i] = '_'
		}
	}
	return string(b)
}

// start returns what the container's label says about its start, else what c does.
func (c *Config) start(d *dockerapi.Details) string {
	if s := d.Labels[settingStart]; s != "" {
		if _, _, err := parseStart(s); err == nil {
			return s
		}
	}
	return c.Start
}

var _ config.Validator = Config{}
