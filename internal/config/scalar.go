package config

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// want says what a scalar of type t is, with an example.
func want(v reflect.Value) string {
	switch v.Type() {
	case bytesType:
		return "a size such as 64KiB, 10MB or 1GiB"
	case durationType:
		return "a duration such as 10s, 1h30m or 7d"
	}
	if e, ok := v.Interface().(Enum); ok {
		return quoteList(e.Values())
	}
	switch v.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number such as 0.5"
	}
	return "a whole number such as 10"
}

func (d *decoder) scalar(n *Node, v reflect.Value) {
	wanted := want(v)
	if !d.isScalar(n, wanted) {
		return
	}
	switch v.Type() {
	case bytesType:
		size, err := ParseBytes(n.text)
		d.set(n, v, int64(size), err)
		return
	case durationType:
		duration, err := ParseDuration(n.text)
		d.set(n, v, int64(duration), err)
		return
	case secretType:
		n.vault.add(n.text)
	}
	switch v.Kind() {
	case reflect.String:
		d.text(n, v)
		return
	case reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	default:
		panic("config: " + v.Type().String() + " cannot be decoded")
	}
	if n.quoted {
		d.fail(n, "want "+wanted+", not text: remove the quotes")
		return
	}
	switch {
	case v.Kind() == reflect.Bool:
		d.boolean(n, v)
	case v.CanInt():
		i, err := parseInt(n.text)
		d.set(n, v, i, err)
	case v.CanUint():
		d.unsigned(n, v)
	default:
		d.float(n, v)
	}
}

func (d *decoder) text(n *Node, v reflect.Value) {
	if e, ok := v.Interface().(Enum); ok && !slices.Contains(e.Values(), n.text) {
		message := "want " + quoteList(e.Values()) + ", not " + n.display()
		if hint := Suggest(n.text, e.Values()); strings.HasPrefix(hint, ", did") && !n.vault.isSecret(n.text) {
			message += hint
		}
		d.fail(n, message)
		return
	}
	v.SetString(n.text)
}

func (d *decoder) boolean(n *Node, v reflect.Value) {
	switch n.text {
	case "true", "True", "TRUE":
		v.SetBool(true)
	case "false", "False", "FALSE":
		v.SetBool(false)
	default:
		d.fail(n, "want true or false, not "+n.display())
	}
}

// set stores a whole number, or reports why there is none.
func (d *decoder) set(n *Node, v reflect.Value, i int64, err error) {
	switch {
	case errors.Is(err, errOctal):
		d.fail(n, n.display()+" is ambiguous: write 0o for octal, or no leading zero")
	case errors.Is(err, errRange) || err == nil && v.OverflowInt(i):
		d.fail(n, n.display()+" is out of range: "+rangeOf(v))
	case err != nil && (v.Type() == bytesType || v.Type() == durationType) && strings.HasPrefix(n.text, "-"):
		d.fail(n, n.display()+" is negative: want "+want(v))
	case err != nil:
		d.fail(n, "want "+want(v)+", not "+n.display())
	default:
		v.SetInt(i)
	}
}

func rangeOf(v reflect.Value) string {
	switch v.Type() {
	case bytesType:
		return "the largest size is 8388607TiB"
	case durationType:
		return "the longest duration is 53375d"
	}
	bits := uint(v.Type().Bits())
	if v.CanUint() {
		return "want 0 to " + strconv.FormatUint(math.MaxUint64>>(64-bits), 10)
	}
	return "want " + strconv.FormatInt(math.MinInt64>>(64-bits), 10) + " to " + strconv.FormatInt(math.MaxInt64>>(64-bits), 10)
}

func (d *decoder) unsigned(n *Node, v reflect.Value) {
	u, err := parseUint(n.text)
	switch _, signedErr := parseInt(n.text); {
	case errors.Is(err, errOctal):
		d.set(n, v, 0, err)
	case errors.Is(err, errRange) || err == nil && v.OverflowUint(u) || err != nil && signedErr == nil:
		d.fail(n, n.display()+" is out of range: "+rangeOf(v))
	case err != nil:
		d.fail(n, "want "+want(v)+", not "+n.display())
	default:
		v.SetUint(u)
	}
}

func (d *decoder) float(n *Node, v reflect.Value) {
	f, err := strconv.ParseFloat(n.text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && v.OverflowFloat(f):
		d.fail(n, n.display()+" is out of range")
	case err != nil || math.IsNaN(f) || math.IsInf(f, 0):
		d.fail(n, "want "+want(v)+", not "+n.display())
	default:
		v.SetFloat(f)
	}
}

var errOctal = errors.New("leading zero")

func parseInt(text string) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	u, err := parseUint(digits)
	switch {
	case err != nil:
		return 0, err
	case negative && u <= -math.MinInt64:
		return -int64(u), nil
	case u > math.MaxInt64:
		return 0, errRange
	}
	return int64(u), nil
}

// parseUint reads decimal digits, or hexadecimal ones after 0x and octal ones after 0o.
func parseUint(text string) (uint64, error) {
	digits, base := text, 10
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = rest, 16
	} else if rest, ok := strings.CutPrefix(text, "0o"); ok {
		digits, base = rest, 8
	} else if len(text) > 1 && text[0] == '0' && strings.Trim(text, "0123456789") == "" {
		return 0, errOctal
	}
	u, err := strconv.ParseUint(digits, base, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errRange
	}
	return u, err
}
