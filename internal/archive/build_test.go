package archive

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// TestTake has text described that was just made, and again as if it came from a disk.
func TestTake(t *testing.T) {
	var a kept.Appender
	var text kept.Text
	for i := range 500 {
		r := kept.Record{Time: int64(i%7) * 1e8, Level: record.Level(i % 9), Body: fmt.Appendf(nil, "line %d \"quoted\"\n\t\\%s\x01", i, strings.Repeat("é\xff", i%5))}
		switch i % 10 {
		case 1:
			r.Flags |= record.Stderr
		case 2:
			r.Weight = 3
		case 3:
			r.Gap, r.GapBytes = "truncated", 10
		}
		for k := range i % 4 {
			r.Fields = append(r.Fields, kept.Field{Name: fmt.Appendf(nil, "f%d", k), Value: fmt.Appendf(nil, `v{"fields":{%d`, i%3)})
		}
		a.AppendTo(&text, &r)
	}
	var made, read builder
	made.start(1)
	read.start(1)
	made.take(text, new(gram.Builder))
	if n := read.add(text.Bytes); n != 500 {
		t.Errorf("%d lines", n)
	}
	if !reflect.DeepEqual(made.Head, read.Head) || !reflect.DeepEqual(made.counted, read.counted) {
		t.Errorf("made %+v\nread %+v", made.Head, read.Head)
	}
	if read.Gaps != 50 || !read.Weighted || len(read.counted.Facets) != 3 {
		t.Errorf("%+v", read.Head)
	}
}
