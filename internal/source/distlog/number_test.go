package distlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/record"
)

// TestClock: a float is the time that its digits say.
func TestClock(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	known := 0
	same := func(f float64) {
		t.Helper()
		got, ok := clock(f)
		if !ok {
			return
		}
		known++
		if want, _ := decimal(pickle.AppendFloat(nil, f)); got != want {
			t.Fatalf("%v is %d, want %d", f, got, want)
		}
	}
	const first, last = 1 << 30, 1 << 31
	for _, f := range []float64{first, math.Nextafter(last, 0), 1795197433.5, 1795197433.0010772, 1795197433.9999999, 1795197433.999999} {
		if same(f); known == 0 {
			t.Errorf("%v is not known", f)
		}
		known = 0
	}
	const many = 200_000
	for range many {
		whole := first + rnd.Int64N(last-first)
		same(float64(whole) + rnd.Float64())
		same(float64(whole) + float64(rnd.IntN(1e6))/1e6)
		same(float64(whole) + float64(rnd.IntN(1e3))/1e3)
		same(math.Float64frombits(math.Float64bits(float64(whole)) + rnd.Uint64N(1<<22)))
	}
	if known < 4*many*99/100 {
		t.Errorf("%d of %d are known", known, 4*many)
	}
	for _, f := range []float64{0, -1795197433.5, 1 << 29, math.Nextafter(first, 0), last, math.NaN(), math.Inf(1)} {
		if ns, ok := clock(f); ok {
			t.Errorf("%v is %d", f, ns)
		}
	}
}

// numbers returns a pickle of whole numbers by the names a, b and so on.
func numbers(values []int) []byte {
	b := []byte("\x80\x02}q\x00(")
	for i, v := range values {
		b = append(b, 'X', 3, 0, 0, 0, 'n', byte('a'+i/26), byte('a'+i%26), 'J')
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return append(b, "X\x07\x00\x00\x00messageX\x01\x00\x00\x00xu."...)
}

// madeOf is made for a pickle.
func madeOf(t testing.TB, x *builder, b *record.Batch, body []byte) (text string) {
	t.Helper()
	var d pickle.Decoder
	pairs, ok := d.Flat(nil, body, contextName)
	if !ok {
		t.Fatalf("%q is not flat", body)
	}
	x.excess = 0
	x.begin(b)
	x.base = b.Append(body).Off
	x.flat(pairs, body)
	if err := x.whole(&d, pickle.Value{}, body); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Fields[x.first:] {
		text += fmt.Sprintf(" %s=%s", b.Bytes(f.Name), b.Bytes(f.Value))
	}
	return fmt.Sprintf("%s, %d left out", text, x.excess)
}

// TestNumbers: what numbers become does not depend on those of the records before, whose
// digits they may have.
func TestNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var experienced builder
	b := new(record.Batch)
	for i := range 5_000 {
		values := make([]int, rnd.IntN(maxSlots+3))
		for k := range values {
			values[k] = rnd.IntN(3) - 1
		}
		switch rnd.IntN(100) {
		case 0:
			b.Reset(nil)
			experienced.reset()
		case 1: // the record before is taken back
			b.Arena = b.Arena[:experienced.base]
			b.Records, b.Fields = b.Records[:max(len(b.Records)-1, 0)], b.Fields[:experienced.first]
			experienced.reset()
		}
		experienced.left = maxFieldBytes
		body := numbers(values)
		if got, want := madeOf(t, &experienced, b, body), madeOf(t, new(builder), new(record.Batch), body); got != want {
			t.Fatalf("record %d, %v\nbecomes %s\n   want %s", i, values, got, want)
		}
	}
}

// TestNumbersRefused: the digits of a number that there was no room for are not those of the
// next one.
func TestNumbersRefused(t *testing.T) {
	var x builder
	b := new(record.Batch)
	body := numbers([]int{17, 18})
	madeOf(t, &x, b, numbers([]int{1, 2}))
	pairs, _ := new(pickle.Decoder).Flat(nil, body, contextName)
	x.begin(b)
	x.base = b.Append(body).Off
	x.left = 0
	x.flat(pairs, body)
	x.begin(b)
	b.Arena = append(b.Arena, "overwritten"...)
	if got, want := madeOf(t, &x, b, body), " naa=17 nab=18, 0 left out"; got != want {
		t.Errorf("got%s, want%s", got, want)
	}
}
