package remotewrite_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/weirlog/weir/internal/codec/remotewrite"
	"github.com/weirlog/weir/internal/codec/remotewrite/remotewritetest"
)

// stale is the value with which Prometheus marks the end of a series.
var stale = math.Float64frombits(0x7ff0000000000002)

func example() []remotewrite.Series {
	return []remotewrite.Series{
		{
			Labels:  []remotewrite.Label{{"__name__", "hits_total"}, {"path", "/a"}, {"status", "200"}},
			Samples: []remotewrite.Sample{{1700000000000, 1}, {1700000015000, 2.5}},
			Type:    remotewrite.Counter, Help: "Hits.", Start: 1699999999999,
		},
		{
			Labels:  []remotewrite.Label{{"__name__", "up"}, {"status", "200"}},
			Samples: []remotewrite.Sample{{1700000015000, math.Inf(1)}, {-1, math.Copysign(0, -1)}},
			Type:    remotewrite.Gauge,
		},
	}
}

// TestBytes holds the bytes against what the definitions of both messages say, worked out by
// hand.
func TestBytes(t *testing.T) {
	var v1 remotewrite.V1
	v1.Add(&remotewrite.Series{Labels: []remotewrite.Label{{"__name__", "up"}}, Samples: []remotewrite.Sample{{15, 1}}})
	if got, want := hex.EncodeToString(v1.Body()), "0a1d"+"0a0e"+"0a085f5f6e616d655f5f"+"12027570"+"120b"+"09000000000000f03f"+"100f"; got != want {
		t.Errorf("version 1: %s\nwant %s", got, want)
	}
	var v2 remotewrite.V2
	v2.Add(&remotewrite.Series{Labels: []remotewrite.Label{{"__name__", "up"}}, Samples: []remotewrite.Sample{{15, 1}}, Type: remotewrite.Counter, Help: "x", Start: 3})
	if got, want := hex.EncodeToString(v2.Body()), "2200"+"22085f5f6e616d655f5f"+"22027570"+"220178"+"2a19"+"0a020102"+"120d"+"09000000000000f03f"+"100f"+"1803"+"2a04"+"0801"+"1803"; got != want {
		t.Errorf("version 2: %s\nwant %s", got, want)
	}
}

// TestRoundTrip reads what was written, also from a writer that is used again.
func TestRoundTrip(t *testing.T) {
	var v1 remotewrite.V1
	var v2 remotewrite.V2
	for range 2 {
		v1.Reset()
		v2.Reset()
		want := example()
		for i := range want {
			v1.Add(&want[i])
			v2.Add(&want[i])
		}
		if got, err := remotewritetest.ReadV2(v2.Body()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("version 2: %v, %v\nwant %v", got, err, want)
		}
		for i := range want {
			want[i].Type, want[i].Help, want[i].Start = 0, "", 0
		}
		if got, err := remotewritetest.ReadV1(v1.Body()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("version 1: %v, %v\nwant %v", got, err, want)
		}
	}
}

// TestStale keeps the bits of the marker of ended series.
func TestStale(t *testing.T) {
	var v1 remotewrite.V1
	v1.Add(&remotewrite.Series{Samples: []remotewrite.Sample{{1, stale}}})
	got, err := remotewritetest.ReadV1(v1.Body())
	if err != nil || math.Float64bits(got[0].Samples[0].Value) != math.Float64bits(stale) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestEmpty has bodies without series: a receiver of version 2 wants the empty symbol.
func TestEmpty(t *testing.T) {
	var v2 remotewrite.V2
	if got, err := remotewritetest.ReadV2(v2.Body()); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	var v1 remotewrite.V1
	if len(v1.Body()) != 0 {
		t.Errorf("%x", v1.Body())
	}
}

// TestNoAllocations writes series into memory that is there.
func TestNoAllocations(t *testing.T) {
	all := example()
	var v1 remotewrite.V1
	var v2 remotewrite.V2
	if n := testing.AllocsPerRun(100, func() {
		v1.Reset()
		v2.Reset()
		for i := range all {
			v1.Add(&all[i])
			v2.Add(&all[i])
		}
		v1.Body()
		v2.Body()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRoundTrip writes a series of any texts and numbers and reads it again.
func FuzzRoundTrip(f *testing.F) {
	f.Add("__name__", "up", "help", int64(1700000000000), 1.5, int64(5))
	f.Add("", "", "", int64(-1), math.NaN(), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, name, value, help string, at int64, v float64, start int64) {
		want := remotewrite.Series{
			Labels: []remotewrite.Label{{name, value}, {value, name}}, Samples: []remotewrite.Sample{{at, v}, {at, -v}},
			Type: remotewrite.HistogramType, Help: help, Start: start,
		}
		var v1 remotewrite.V1
		var v2 remotewrite.V2
		v1.Add(&want)
		v2.Add(&want)
		check := func(got []remotewrite.Series, err error) {
			t.Helper()
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].Labels, want.Labels) || fmt.Sprint(got[0].Samples) != fmt.Sprint(want.Samples) {
				t.Fatalf("%v, %v\nwant %v", got, err, want)
			}
		}
		check(remotewritetest.ReadV1(v1.Body()))
		got, err := remotewritetest.ReadV2(v2.Body())
		check(got, err)
		wantStart := start
		if start > at {
			wantStart = 0
		}
		if got[0].Help != help || got[0].Type != remotewrite.HistogramType || got[0].Start != wantStart {
			t.Fatalf("%+v\nwant %+v", got[0], want)
		}
	})
}
