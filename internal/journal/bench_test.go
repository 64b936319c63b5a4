package journal

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

// busy is a node with 1,000 inputs and 10,000 series; each input feeds its own ten.
func busy(b *testing.B, fs disk.Tree) (*Journal, func()) {
	b.Helper()
	reg := metric.New()
	j, err := Open(Options{FS: fs, Registry: reg})
	if err != nil {
		b.Fatal(err)
	}
	f, err := reg.Family(metric.Desc{Name: "status_total", Labels: []string{"input", "status"}, Owner: "rule", Durable: true, MaxSeries: 10000})
	if err != nil {
		b.Fatal(err)
	}
	batch := &record.Batch{Position: record.Position{Source: make([]byte, 60)}}
	var writers []*Writer
	var series [][]record.Delta
	for i := range 1000 {
		name := fmt.Sprintf("container-%04d", i)
		writers = append(writers, j.Input(inputOf(name)))
		var deltas []record.Delta
		for k := range 10 {
			deltas = append(deltas, record.Delta{Series: f.Series(name, fmt.Sprint(200+k)).ID(), Add: 1})
		}
		series = append(series, deltas)
	}
	return j, func() {
		for i, w := range writers {
			batch.Deltas = series[i]
			if err := w.Write(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// null is a disk that keeps nothing, to measure what the journal itself costs.
type null struct{ disk.Faulty }

type nullFile struct{ disk.File }

func (d *null) Open(name string) (disk.File, error) {
	f, err := d.Faulty.Open(name)
	return nullFile{f}, err
}

func (nullFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// BenchmarkWriteBusy is 1,000 batches with ten deltas each.
func BenchmarkWriteBusy(b *testing.B) {
	j, fill := busy(b, new(null))
	fill()
	b.ReportAllocs()
	for b.Loop() {
		fill()
	}
	_ = j
}

// BenchmarkCommitBusy is a commit with 1,000 positions and 10,000 series, its 1,000
// batches, and its part of the snapshots.
func BenchmarkCommitBusy(b *testing.B) {
	j, fill := busy(b, new(null))
	b.ReportAllocs()
	for b.Loop() {
		fill()
		if err := j.commit.sync(j); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSnapshotBusy is the snapshot that begins a generation.
func BenchmarkSnapshotBusy(b *testing.B) {
	j, fill := busy(b, new(null))
	fill()
	b.ReportAllocs()
	for b.Loop() {
		if err := j.commit.begin(j); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(j.commit.offset), "bytes")
}
