package redact

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/weirlog/weir/internal/codec/secret"
	"github.com/weirlog/weir/internal/config"
)

// Pattern is one kind of what is replaced: built in, as in redact: [secrets, cards], or a
// regular expression of one's own.
type Pattern struct {
	// Builtin names what is replaced, where that is built in. `secrets`: keys and tokens of
	// AWS, GitHub, GitLab, Slack, Stripe, OpenAI, Google and others, JSON Web Tokens,
	// private keys, passwords in URLs, what follows Bearer, and the values of what is named
	// password, secret, token, api_key, Authorization and the like, in the text and as a field
	// that a rule parses, whatever stands around it there; in JSON also arrays and objects. Of
	// a private key over several lines each line is replaced, up to 200 behind the first, that
	// is nothing but base64; a line with more in it, such as a time, is not, and after a
	// restart in the middle of a key its rest is not known to be of one. With `join` a key is
	// one record, and replaced as a whole. `cards`: numbers of
	// payment cards, with or without separators, if their check digit is right. `emails`:
	// addresses of e-mail. {builtin: cards} with nothing else may be written as cards.
	Builtin string `yaml:"builtin,omitempty" json:",omitempty"`
	// Name is the pattern's name in the metric weir_rule_redactions_total. Default: that of
	// what is built in.
	Name string `yaml:"name"`
	// Regex is what is replaced, in RE2 syntax.
	Regex string `yaml:"regex,omitempty"`
	// Replace is what stands there instead; $1 is the first group of regex. Default "****".
	Replace string `yaml:"replace"`
}

// asterisks replace what is not told otherwise.
const asterisks = "****"

// keys are those of a Pattern that is not written as a name.
type keys Pattern

// SetDefaults gives a pattern its default.
func (p *Pattern) SetDefaults() { p.Replace = asterisks }

// UnmarshalNode reads the name of what is built in, or keys.
func (p *Pattern) UnmarshalNode(n *config.Node) error {
	if n.Kind() != config.Scalar {
		err := config.Decode(n, (*keys)(p)).Err()
		if p.Name == "" {
			p.Name = p.Builtin
		}
		return err
	}
	p.Builtin, p.Name = n.Text(), n.Text()
	return unknown("", p.Builtin)
}

// MarshalNode is the reverse of UnmarshalNode.
func (p Pattern) MarshalNode() any {
	if p == (Pattern{Builtin: p.Builtin, Name: p.Builtin, Replace: asterisks}) {
		return p.Builtin
	}
	return keys(p)
}

// Schema has both forms.
func (Pattern) Schema() map[string]any {
	return map[string]any{"title": "name or keys", "anyOf": []any{map[string]any{"enum": secret.Names()}, Pattern{Replace: asterisks}}}
}

// unknown returns what is wrong with the name of what is built in, nil for nothing.
func unknown(key, name string) error {
	if _, ok := secret.Named(name); ok {
		return nil
	}
	hint := config.Suggest(name, secret.Names())
	if !strings.HasPrefix(hint, ", did") {
		hint = "; write {name: …, regex: …} for a pattern of your own"
	}
	return &config.Problem{Key: key, Message: fmt.Sprintf("%q is not built in%s", name, hint)}
}

// Validate returns what is wrong with p.
func (p Pattern) Validate() error {
	var problems []error
	wrong := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	if p.Builtin != "" {
		if p.Regex != "" {
			wrong("regex", "give builtin or regex, not both: write a second pattern")
		}
		return config.Join(append(problems, unknown("builtin", p.Builtin))...)
	}
	if p.Name == "" {
		wrong("name", "give the pattern a name, as in token")
	}
	re, err := regexp.Compile(p.Regex)
	switch {
	case err != nil:
		wrong("regex", err.Error())
	case p.Regex == "":
		wrong("regex", "give a regular expression, or as builtin one of secrets, cards, emails")
	case re.MatchString(""):
		wrong("regex", "it matches the empty text, so it would be everywhere; ask for at least one character")
	}
	return config.Join(problems...)
}
