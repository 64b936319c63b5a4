package reference

import (
	"fmt"
	"math"
	"strings"
)

// Diff says where two answers differ first, or "" if they are the same. Numbers may differ
// by a billionth, since sums may be made in another order. Streams and series have to be
// in the same order, as have the samples of a moment.
func Diff(want, got Result) string {
	switch {
	case (want.Scalar == nil) != (got.Scalar == nil):
		return fmt.Sprintf("scalar: want %v, got %v", want.Scalar, got.Scalar)
	case want.Scalar != nil && !near(*want.Scalar, *got.Scalar):
		return fmt.Sprintf("scalar: want %v, got %v", *want.Scalar, *got.Scalar)
	case len(want.Streams) != len(got.Streams):
		return fmt.Sprintf("want %d streams, got %d\n%s", len(want.Streams), len(got.Streams), Text(want)+"\n--- got\n"+Text(got))
	case len(want.Matrix) != len(got.Matrix):
		return fmt.Sprintf("want %d series, got %d\n%s", len(want.Matrix), len(got.Matrix), Text(want)+"\n--- got\n"+Text(got))
	case len(want.Vector) != len(got.Vector):
		return fmt.Sprintf("want %d samples, got %d\n%s", len(want.Vector), len(got.Vector), Text(want)+"\n--- got\n"+Text(got))
	}
	for i, w := range want.Streams {
		if d := diffStream(w, got.Streams[i]); d != "" {
			return fmt.Sprintf("stream %d: %s", i, d)
		}
	}
	for i, w := range want.Matrix {
		if d := diffSeries(w, got.Matrix[i]); d != "" {
			return fmt.Sprintf("series %d: %s", i, d)
		}
	}
	for i, w := range want.Vector {
		if g := got.Vector[i]; compareLabels(w.Labels, g.Labels) != 0 || !near(w.Value, g.Value) {
			return fmt.Sprintf("sample %d: want %s %v, got %s %v", i, w.Labels, w.Value, g.Labels, g.Value)
		}
	}
	return ""
}

func diffStream(want, got LogStream) string {
	if compareLabels(want.Labels, got.Labels) != 0 {
		return fmt.Sprintf("want labels %s, got %s", want.Labels, got.Labels)
	}
	if len(want.Lines) != len(got.Lines) {
		return fmt.Sprintf("%s: want %d lines, got %d", want.Labels, len(want.Lines), len(got.Lines))
	}
	for i, w := range want.Lines {
		if g := got.Lines[i]; w != g {
			return fmt.Sprintf("%s: line %d: want %d %q, got %d %q", want.Labels, i, w.Time, w.Text, g.Time, g.Text)
		}
	}
	return ""
}

func diffSeries(want, got Series) string {
	if compareLabels(want.Labels, got.Labels) != 0 {
		return fmt.Sprintf("want labels %s, got %s", want.Labels, got.Labels)
	}
	if len(want.Points) != len(got.Points) {
		return fmt.Sprintf("%s: want %d points, got %d", want.Labels, len(want.Points), len(got.Points))
	}
	for i, w := range want.Points {
		if g := got.Points[i]; w.Time != g.Time || !near(w.Value, g.Value) {
			return fmt.Sprintf("%s: point %d: want %d %v, got %d %v", want.Labels, i, w.Time, w.Value, g.Time, g.Value)
		}
	}
	return ""
}

func near(a, b float64) bool {
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return true
	}
	return math.Abs(a-b) <= 1e-9*math.Max(1, math.Max(math.Abs(a), math.Abs(b)))
}

// Text returns an answer as text, a line for each line, point or sample.
func Text(r Result) string {
	var b strings.Builder
	for _, s := range r.Streams {
		fmt.Fprintf(&b, "%s\n", s.Labels)
		for _, l := range s.Lines {
			fmt.Fprintf(&b, "  %d %q\n", l.Time, l.Text)
		}
	}
	for _, s := range r.Matrix {
		fmt.Fprintf(&b, "%s", s.Labels)
		for _, p := range s.Points {
			fmt.Fprintf(&b, " %v@%d", p.Value, p.Time)
		}
		b.WriteByte('\n')
	}
	for _, s := range r.Vector {
		fmt.Fprintf(&b, "%s %v\n", s.Labels, s.Value)
	}
	if r.Scalar != nil {
		fmt.Fprintf(&b, "%v\n", *r.Scalar)
	}
	return b.String()
}
