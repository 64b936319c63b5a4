package logfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/record"
)

// BenchmarkRead reads a file of Docker's json-file lines, as long as nginx writes them,
// from the page cache into batches.
func BenchmarkRead(bm *testing.B) {
	const rows = 50000
	var content bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&content, `{"log":"192.0.2.%d - - [20/Nov/2026:18:07:46 +0000] \"GET /api/v1/items/%d HTTP/1.1\" 200 %d \"https://shop.example/\" `+
			`\"Mozilla/5.0 (X11; Linux x86_64)\" \"-\" rt=0.012 uct=\"0.001\" uht=\"0.010\" urt=\"0.012\" upstream=10.0.0.7:8080 rid=0123456789abcdef0123456789abcdef cache=MISS\n",`+
			`"stream":"stdout","time":"2026-11-20T18:07:46.%09dZ"}`+"\n", i%256, i, i%9000, i)
	}
	path := filepath.Join(bm.TempDir(), "x-json.log")
	if err := os.WriteFile(path, content.Bytes(), 0o644); err != nil {
		bm.Fatal(err)
	}
	b := newBench(bm)
	b.opt.Path = path
	bm.SetBytes(int64(content.Len()))
	bm.ReportAllocs()
	batch := new(record.Batch)
	for bm.Loop() {
		tail := New(b.opt)
		if err := tail.log.Look(time.Now()); err != nil {
			bm.Fatal(err)
		}
		n := 0
		for tail.log.Unread() {
			batch.Reset(&tail.opt.Stream)
			if _, err := tail.fill(batch); err != nil {
				bm.Fatal(err)
			}
			n += len(batch.Records)
			tail.log.Keep(tail.log.Pos())
		}
		if n != rows {
			bm.Fatalf("%d records", n)
		}
		tail.Close()
	}
	bm.ReportMetric(float64(bm.Elapsed().Nanoseconds())/float64(bm.N)/rows, "ns/line")
}
