package level

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

// TestHasControl compares with an expression that says the same.
func TestHasControl(t *testing.T) {
	control := regexp.MustCompile(`\\u00[01]`)
	rng := rand.New(rand.NewPCG(1, 2))
	with := 0
	for range 100_000 {
		text := make([]byte, rng.IntN(40))
		for i := range text {
			text[i] = `\\\uuu000011ab`[rng.IntN(14)]
		}
		// As in escaped text, something follows the two digits.
		text = append(text, "ab"...)
		want := control.Match(text)
		if got := hasControl(text); got != want {
			t.Fatalf("%s: %v", text, got)
		}
		if want {
			with++
		}
	}
	if with < 1000 {
		t.Errorf("only %d texts have one", with)
	}
}
