package statsd

import (
	"fmt"
	"strconv"
	"strings"
)

// Inject sends a line that the caller makes, path:value|kind, with the client's prefix
// before it and neither a naming, tags nor a rate of the client. The kind is c, g, ms, h, d
// or s, and may go on with fields, as in "c|@0.1|#env:dev". The error says what is wrong:
// whatever would not be one metric to a server is dropped as invalid, not mended.
func (c *Client) Inject(path, value, kind string) error {
	if c == nil {
		return nil
	}
	if err := c.checkInjected(path, value, kind); err != nil {
		return c.refuse(invalid, fmt.Errorf("statsd: inject %.100q: %w", path, err))
	}
	return c.send([]byte(c.scope.prefix + path + ":" + value + "|" + kind))
}

func (c *Client) checkInjected(path, value, kind string) error {
	code, fields, more := strings.Cut(kind, "|")
	switch {
	case path == "":
		return fmt.Errorf("there is no path")
	case !isSafe(strings.NewReplacer(";", "", ",", "").Replace(path), inName):
		return fmt.Errorf("the path has a byte that ends it or the line, or is not UTF-8")
	case value == "" || !isSafe(value, inName):
		return fmt.Errorf("the value %.100q is empty, or has a byte that ends it or the line", value)
	case code != "c" && code != "g" && code != "ms" && code != "h" && code != "d" && code != "s":
		return fmt.Errorf("the type %.100q is not c, g, ms, h, d or s", code)
	case code != "s" && !isNumber(value):
		return fmt.Errorf("the value %.100q is not a number", value)
	case more:
		return checkFields(fields)
	}
	return nil
}

// checkFields checks what follows the type: fields that begin with @, #, c:, e:, card: or T.
func checkFields(fields string) error {
	for field := range strings.SplitSeq(fields, "|") {
		rate, sampled := strings.CutPrefix(field, "@")
		switch {
		case !isSafe(field, inField):
			return fmt.Errorf("the field %.100q has a byte that ends the line, or is not UTF-8", field)
		case sampled:
			if r, err := strconv.ParseFloat(rate, 64); err != nil || !(r > 0 && r <= 1) {
				return fmt.Errorf("the rate %.100q is not above 0 and at most 1", rate)
			}
		case strings.HasPrefix(field, "#"), strings.HasPrefix(field, "c:"), strings.HasPrefix(field, "e:"), strings.HasPrefix(field, "card:"):
		case strings.HasPrefix(field, "T") && strings.Trim(field[1:], "0123456789") == "" && len(field) > 1:
		default:
			return fmt.Errorf("the field %.100q is not known", field)
		}
	}
	return nil
}

// isSafe says whether all of s may stand in a place.
func isSafe(s string, place uint8) bool {
	for i := range len(s) {
		if forbidden[s[i]]&place != 0 {
			return string(appendMapped(nil, s[i:], place)) == s[i:]
		}
	}
	return true
}

// isNumber says whether every server reads s as a number: digits, one dot, a sign and an
// exponent, nothing hexadecimal, no underscores.
func isNumber(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && finite(v) && strings.Trim(s, "0123456789+-.eE") == ""
}
