package severity

import (
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/record"
)

// TestFromWords compares with a look at each pair of bytes by itself.
func TestFromWords(t *testing.T) {
	pieces := []string{"ERROR", "error", "warn", "INFO", " ", ":", "=", "[", "]", "(", "\t", `"`, "level", "GET /", "https://", "x", "\x1b[31m", "7", "FATAL: ", "NO_"}
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 100_000 {
		var line []byte
		for range random.IntN(12) {
			line = append(line, pieces[random.IntN(len(pieces))]...)
		}
		want := record.LevelUnknown
		for i := 1; i < len(line) && want == record.LevelUnknown; i++ {
			if pairs[line[i-1]].first&pairs[line[i]].second != 0 {
				want = at(line, i)
			}
		}
		if got := fromWords(line); got != want {
			t.Fatalf("fromWords(%q) = %v, want %v", line, got, want)
		}
		if want != record.LevelUnknown {
			found++
		}
	}
	if found < 10_000 {
		t.Errorf("only %d lines have a level", found)
	}
}
