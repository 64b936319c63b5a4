package logql

import (
	"testing"
	"time"
)

func TestAlign(t *testing.T) {
	for _, c := range [][4]int64{{0, 10, 0, 10}, {1, 11, 0, 20}, {9, 20, 0, 20}, {-1, 1, -10, 10}, {-10, -1, -10, 0}} {
		start, end := Align(time.Unix(c[0], 0), time.Unix(c[1], 0), 10*time.Second)
		if start.Unix() != c[2] || end.Unix() != c[3] {
			t.Errorf("%d to %d becomes %d to %d", c[0], c[1], start.Unix(), end.Unix())
		}
	}
}
