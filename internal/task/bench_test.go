package task_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/task"
)

// BenchmarkTree draws a task of 100,000 records, a third of what is kept near it.
func BenchmarkTree(b *testing.B) {
	w := newWorld(b)
	sample, err := os.ReadFile("testdata/rich.ndjson")
	if err != nil {
		b.Fatal(err)
	}
	line := bytes.SplitN(sample, []byte("\n"), 2)[0]
	def := record.Stream{ID: "app"}
	var a kept.Appender
	for i := range 300_000 {
		key := fmt.Sprintf("%d@%s/%d", i/3%10, []string{uuid, uuid2, uuid3}[i%3], i/30+1)
		body := bytes.Replace(line, []byte("0@"+uuid), []byte(key), 1)
		w.a.Stream(def, archive.Bound{}).Add(nil, kept.TextOf(a.Append(nil, &kept.Record{Time: moment + int64(i), Body: body})))
	}
	w.show()
	q := request(b, uuid, 0)
	b.ResetTimer()
	for b.Loop() {
		tree, err := w.Tree(b.Context(), q)
		if err != nil || tree.Records != 100_000 {
			b.Fatal(err, tree.Records)
		}
	}
	_ = task.Success
}
