package template

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"text/template"
)

// numberFunctions take numbers and texts of numbers. A text that is none counts as 0.
func numberFunctions() template.FuncMap {
	return template.FuncMap{
		"int":     func(v any) int { return int(toInt(v)) },
		"float64": toFloat,
		"add":     func(v ...any) int64 { return fold(toInt, 0, v, func(a, b int64) int64 { return a + b }) },
		"mul":     func(a any, v ...any) int64 { return fold(toInt, toInt(a), v, func(a, b int64) int64 { return a * b }) },
		"sub":     func(a, b any) int64 { return toInt(a) - toInt(b) },
		"div":     func(a, b any) (int64, error) { return divide(toInt(a), toInt(b), false) },
		"mod":     func(a, b any) (int64, error) { return divide(toInt(a), toInt(b), true) },
		"max": func(a any, v ...any) int64 {
			return fold(toInt, toInt(a), v, func(a, b int64) int64 { return max(a, b) })
		},
		"min": func(a any, v ...any) int64 {
			return fold(toInt, toInt(a), v, func(a, b int64) int64 { return min(a, b) })
		},
		"addf": func(v ...any) float64 { return fold(toFloat, 0, v, func(a, b float64) float64 { return a + b }) },
		"subf": func(a any, v ...any) float64 {
			return fold(toFloat, toFloat(a), v, func(a, b float64) float64 { return a - b })
		},
		"mulf": func(a any, v ...any) float64 {
			return fold(toFloat, toFloat(a), v, func(a, b float64) float64 { return a * b })
		},
		"divf": func(a any, v ...any) float64 {
			return fold(toFloat, toFloat(a), v, func(a, b float64) float64 { return a / b })
		},
		"maxf":  func(a any, v ...any) float64 { return fold(toFloat, toFloat(a), v, math.Max) },
		"minf":  func(a any, v ...any) float64 { return fold(toFloat, toFloat(a), v, math.Min) },
		"ceil":  func(v any) float64 { return math.Ceil(toFloat(v)) },
		"floor": func(v any) float64 { return math.Floor(toFloat(v)) },
		"round": round,
	}
}

func fold[T int64 | float64](to func(any) T, first T, rest []any, f func(a, b T) T) T {
	for _, v := range rest {
		first = f(first, to(v))
	}
	return first
}

func divide(a, b int64, rest bool) (int64, error) {
	switch {
	case b == 0:
		return 0, errors.New("division by zero")
	case rest:
		return a % b, nil
	}
	return a / b, nil
}

// round rounds to so many digits after the point; up from half on, or from another part.
func round(v any, digits int, from ...float64) float64 {
	up := .5
	if len(from) > 0 {
		up = from[0]
	}
	x, scale := toFloat(v), math.Pow(10, float64(digits))
	whole, part := math.Modf(x * scale)
	switch {
	case part >= up:
		whole++
	case part <= -up:
		whole--
	}
	return whole / scale
}

func toInt(v any) int64 {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		s := r.String()
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		whole, part, _ := strings.Cut(s, ".")
		if strings.Trim(part, "0") == "" {
			n, _ := strconv.ParseInt(whole, 10, 64)
			return n
		}
		return 0
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(r.Uint())
	case reflect.Float32, reflect.Float64:
		return int64(r.Float())
	case reflect.Bool:
		if r.Bool() {
			return 1
		}
	}
	return 0
}

func toFloat(v any) float64 {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.String:
		f, err := strconv.ParseFloat(r.String(), 64)
		if err != nil {
			return 0
		}
		return f
	case reflect.Float32, reflect.Float64:
		return r.Float()
	}
	return float64(toInt(v))
}
