package pickle_test

import (
	"math"
	"testing"

	"github.com/weirlog/weir/internal/codec/pickle"
)

// sameFlat fails unless Flat, if it reads body, has what Decode has.
func sameFlat(t *testing.T, body []byte) (flat bool) {
	t.Helper()
	var d, other pickle.Decoder
	pairs, ok := d.Flat(nil, body, "context")
	if !ok {
		return false
	}
	v, err := other.Decode(body)
	if err != nil || v.Kind() != pickle.Dict {
		t.Fatalf("Flat reads %q, which is %v, %v", body, v.Kind(), err)
	}
	next := func(key, value pickle.Value, inner bool) {
		if len(pairs) == 0 {
			t.Fatalf("%q: a pair is missing", body)
		}
		p := pairs[0]
		pairs = pairs[1:]
		if p.Inner != inner || p.Kind != value.Kind() || key.Kind() != pickle.Text || string(p.Key.Of(body)) != string(key.Text()) {
			t.Fatalf("%q: pair %+v of %q is a %v", body, p, key.Text(), value.Kind())
		}
		i, _ := value.Int()
		f, _ := value.Float()
		switch p.Kind {
		case pickle.Text:
			ok = string(p.Value.Of(body)) == string(value.Text())
		case pickle.Int, pickle.Bool:
			ok = int64(p.Number) == i
		case pickle.Float:
			ok = p.Number == math.Float64bits(f)
		default:
			ok = p.Kind == pickle.None
		}
		if !ok {
			t.Fatalf("%q: the value of %+v is another", body, p)
		}
	}
	for key, value := range v.Pairs() {
		if value.Kind() != pickle.Dict || string(key.Text()) != "context" {
			next(key, value, false)
			continue
		}
		for key, value := range value.Pairs() {
			next(key, value, true)
		}
	}
	if len(pairs) > 0 {
		t.Fatalf("%q: %d pairs too many", body, len(pairs))
	}
	return true
}

// TestFlat has pickles of all kinds read in both ways, and those of records in the fast one.
func TestFlat(t *testing.T) {
	for _, s := range samples(t) {
		for n := range min(len(s.body), 1000) {
			sameFlat(t, s.body[:n])
		}
		sameFlat(t, s.body)
	}
	for i, body := range records(t) {
		if !sameFlat(t, body) {
			t.Errorf("record %d is not flat: %q", i, body)
		}
	}
	is := func(body string, flat bool) {
		t.Helper()
		if sameFlat(t, []byte(body)) != flat {
			t.Errorf("%q: flat is not %v", body, flat)
		}
	}
	is("\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x05X\x01\x00\x00\x00bq\x02h\x01X\x01\x00\x00\x00cq\x03\x8a\x01\xffu.", true)
	is("\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94\x88\x8c\x01b\x94Nu.", true)
	is("\x80\x04}(\x8c\x01aM\x01\x02\x8c\x01bJ\xff\xff\xff\xff\x8c\x01cG\x3f\xf0\x00\x00\x00\x00\x00\x00\x8c\x01d\x89u.", true)
	is("\x80\x04}(\x8c\x07context}\x8c\x03key\x8c\x01ks\x8c\x01bNu.", true)
	is("\x80\x04}(\x8c\x07context}(\x8c\x03key\x8c\x01k\x8c\x01nK\x01u\x8c\x01bNu.", true)
	is("\x80\x04}(\x8c\x07contextNu.", true)
	is("\x80\x04}(u.", true)
	is("\x80\x04}(\x8c\x07context}\x8c\x01bNu.", false)                            // an empty one
	is("\x80\x04}(\x8c\x07context}u.", false)                                      // the same, at the end
	is("\x80\x04}(\x8c\x01a}(\x8c\x01bNuu.", false)                                // another one
	is("\x80\x04}(\x8c\x07context}(\x8c\x07context}(uuu.", false)                  // one within
	is("\x80\x04}(\x8c\x01a]u.", false)                                            // a list
	is("\x80\x04}\x8c\x01aNs.", false)                                             // a single pair
	is("\x80\x04}(\x8c\x01aN\x8c\x01bu.", false)                                   // a key alone
	is("\x80\x04}(\x8c\x01aq\x01Nu.", false)                                       // a gap in the memo
	is("\x80\x04}q\x00(\x8c\x01ah\x00u.", false)                                   // within itself
	is("\x80\x04}(\x8c\x01ah\x07u.", false)                                        // nothing there
	is("\x80\x04}(K\x01Nu.", false)                                                // a key that is no text
	is("\x80\x04}(\x8c\x01aNu", false)                                             // no end
	is("\x80\x06}(\x8c\x01aNu.", false)                                            // what comes after 5
	is("\x80\x04}(X\xff\xff\xff\x7faNu.", false)                                   // a length beyond the end
	is("\x80\x04}(\x8c\x01a\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09u.", false) // a long number
}

// BenchmarkFlat reads a record of Python's logging without the machine.
func BenchmarkFlat(b *testing.B) {
	bodies := records(b)
	var d pickle.Decoder
	var pairs []pickle.Pair
	for i := range b.N {
		var ok bool
		if pairs, ok = d.Flat(pairs[:0], bodies[i%len(bodies)], "context"); !ok {
			b.Fatal("it is not flat")
		}
	}
}
