package kept_test

import (
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// anyLine returns a line, without its newline, with all that may stand behind a body.
func anyLine(r *rand.Rand) []byte {
	values := []string{"200", "503", `"`, `a"b\`, "{", `","fields":{"x":"y"}}`, `","stream":"stderr`, "r", "\xff", ""}
	rec := kept.Record{Time: 1e9, Level: record.Level(r.IntN(7)), Body: []byte(values[r.IntN(len(values))])}
	if r.IntN(3) == 0 {
		rec.Flags |= record.Stderr
	}
	if r.IntN(8) == 0 {
		rec.Flags |= record.Cut
	}
	if r.IntN(8) == 0 {
		rec.Weight = 3
	}
	if r.IntN(8) == 0 {
		rec.Gap = values[r.IntN(len(values))]
	}
	for _, name := range []string{"status", "stream", "fields"} {
		if r.IntN(2) == 0 {
			rec.Fields = append(rec.Fields, kept.Field{Name: []byte(name), Value: []byte(values[r.IntN(len(values))])})
		}
	}
	line := new(kept.Appender).Append(nil, &rec)
	return line[:len(line)-1]
}

// TestBodyBefore holds the short way to the long one, for pairs of all kinds of lines.
func TestBodyBefore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	used, shorter := 0, 0
	for range 200_000 {
		line, other := anyLine(random), anyLine(random)
		_, end := kept.BodyAt(other)
		if random.IntN(4) == 0 {
			_, end := kept.BodyAt(line)
			line = append(line[:end], other[len(other)-random.IntN(len(other)):]...)
		}
		if random.IntN(10) == 0 {
			line[len(line)-1-random.IntN(len(line)/2)] = `"\{r`[random.IntN(4)] // damage
		}
		shorter += compareBodies(t, line, other[end:], &used)
	}
	if used < 1000 || shorter == 0 {
		t.Errorf("%d tails were those of other lines, %d only their ends", used, shorter)
	}
}

// compareBodies counts in used whether tail tells where the body of line ends; it returns 1 if
// line ends with it and it does not.
func compareBodies(t *testing.T, line, tail []byte, used *int) int {
	if _, err := kept.Rest(tail, 0); err != nil || !kept.IsTail(tail) {
		return 0
	}
	start, end, ok := kept.BodyBefore(line, tail)
	if !ok {
		if len(line) >= len(tail) && string(line[len(line)-len(tail):]) == string(tail) {
			return 1
		}
		return 0
	}
	*used++
	if wantStart, wantEnd := kept.BodyAt(line); start != wantStart || end != wantEnd {
		t.Fatalf("%s with %s: the body is %d:%d, want %d:%d", line, tail, start, end, wantStart, wantEnd)
	}
	return 0
}

// FuzzBodyBefore does the same with whatever lines and tails there may be.
func FuzzBodyBefore(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		line := anyLine(random)
		_, end := kept.BodyAt(line)
		f.Add(line, line[end:])
	}
	f.Fuzz(func(t *testing.T, line, tail []byte) {
		used := 0
		compareBodies(t, line, tail, &used)
		compareBodies(t, append(line[:len(line):len(line)], tail...), tail, &used)
	})
}
