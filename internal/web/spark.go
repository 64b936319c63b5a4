package web

import (
	"math"
	"strconv"
	"time"
)

// spark is a line that shows what a number did.
type spark struct {
	Path string // in a box of sparkWide by sparkHigh; "" if nothing is known
	Says string // the same in words
}

const (
	sparkWide = 100
	sparkHigh = 16
)

// sparkOf draws values of equal steps, from zero to the greatest. Where one is not known the
// line has a gap.
func sparkOf(values []float64, of time.Duration, text func(float64) string) (s spark) {
	most, known := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			most, known = max(most, v), known+1
		}
	}
	if known < 2 || len(values) < 2 {
		return s
	}
	b := make([]byte, 0, 16*known)
	pen := false // it is on the paper
	for i, v := range values {
		if math.IsNaN(v) {
			pen = false
			continue
		}
		b = append(b, "ML"[btoi(pen)])
		b = strconv.AppendFloat(b, float64(i)*sparkWide/float64(len(values)-1), 'f', 1, 64)
		y := float64(sparkHigh) - 1
		if most > 0 {
			y -= max(v, 0) / most * (sparkHigh - 2)
		}
		b = strconv.AppendFloat(append(b, ' '), y, 'f', 1, 64)
		if !pen {
			b = append(b, "h.1"...) // so that a value between two gaps is seen
		}
		pen = true
	}
	s.Path = string(b)
	s.Says = "at most " + text(most) + " in the last " + durationText(of)
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
