package deliver

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// sendAll sends n records of one byte each from the number first on, and returns the numbers in each request.
func sendAll(p *Parts, stream string, first, n int, answer func(from, records int) (Verdict, error)) (requests []string, r Result, err error) {
	b := batch(stream, first, n)
	var numbers []int
	p.Encode(b, func(i int) int {
		numbers = append(numbers, first+i)
		return len(numbers)
	})
	r, err = p.Send(func(from, to, records int) (Verdict, error) {
		if to-from != records {
			return Verdict{}, fmt.Errorf("%d bytes for %d records", to-from, records)
		}
		requests = append(requests, fmt.Sprint(numbers[from:to]))
		return answer(numbers[from], records)
	})
	return requests, r, err
}

func TestParts(t *testing.T) {
	p := &Parts{MaxRecords: 4, MaxBytes: 3}
	good := func(int, int) (Verdict, error) { return Verdict{}, nil }
	check := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
	}
	requests, r, err := sendAll(p, "a", 1, 5, good)
	check(requests, "[1 2 3]", "[4 5]")
	if r != (Result{}) || err != nil {
		t.Error(r, err)
	}
	failed := errors.New("away")
	fails := func(from, records int) (Verdict, error) {
		if from == 9 {
			return Verdict{}, failed
		}
		return Verdict{Refused: 1, Why: "old"}, nil
	}
	requests, _, err = sendAll(p, "a", 6, 5, fails)
	check(requests, "[6 7 8]", "[9 10]")
	if !errors.Is(err, failed) {
		t.Error(err)
	}
	// The same batch comes again, with more: it goes on, and what was refused before is told.
	requests, r, err = sendAll(p, "a", 6, 6, good)
	check(requests, "[9 10 11]")
	if r != (Result{Refused: 1, Why: "old"}) || err != nil {
		t.Error(r, err)
	}
	// Other records begin anew, and so does another stream; then the first goes on where it was.
	_, _, _ = sendAll(p, "a", 6, 5, fails)
	requests, _, _ = sendAll(p, "a", 20, 2, good)
	check(requests, "[20 21]")
	_, _, _ = sendAll(p, "a", 6, 5, fails)
	_, _, _ = sendAll(p, "c", 6, 5, fails)
	requests, r, _ = sendAll(p, "b", 7, 3, good)
	check(requests, "[7 8 9]")
	if r != (Result{}) {
		t.Error(r)
	}
	for _, stream := range []string{"a", "c"} {
		requests, r, err = sendAll(p, stream, 6, 5, good)
		check(requests, "[9 10]")
		if r != (Result{Refused: 1, Why: "old"}) || err != nil {
			t.Error(r, err)
		}
	}
	for i := range 2 * maxUnfinished {
		if _, _, _ = sendAll(p, fmt.Sprint(i), 6, 5, fails); len(p.begun) > maxUnfinished {
			t.Fatalf("%d streams are remembered", len(p.begun))
		}
	}
	p.begun = nil
	bad := func(from, records int) (Verdict, error) {
		return Verdict{Bad: from <= 31 && from+records > 31, Why: "bad"}, nil
	}
	requests, r, err = sendAll(p, "a", 30, 3, bad)
	check(requests, "[30 31 32]", "[30]", "[31 32]", "[31]", "[32]")
	if r != (Result{Refused: 1, Why: "bad"}) || err != nil {
		t.Error(r, err)
	}
}
