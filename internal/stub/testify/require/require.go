// Package require stands in for the assertions that Prometheus' helpers of tests use, which
// its database is linked with. Weir's tests use none of them. An assertion that is asked
// fails, so that nobody takes it for one that holds.
package require

// TestingT is the part of a testing.T that an assertion needs.
type TestingT interface {
	Errorf(format string, args ...any)
	FailNow()
}

func refuse(t TestingT) {
	t.Errorf("the assertions of testify are not built into weir")
	t.FailNow()
}

// Equal refuses.
func Equal(t TestingT, _, _ any, _ ...any) { refuse(t) }

// Fail refuses.
func Fail(t TestingT, _ string, _ ...any) { refuse(t) }

// Len refuses.
func Len(t TestingT, _ any, _ int, _ ...any) { refuse(t) }

// NoError refuses.
func NoError(t TestingT, _ error, _ ...any) { refuse(t) }

// True refuses.
func True(t TestingT, _ bool, _ ...any) { refuse(t) }
