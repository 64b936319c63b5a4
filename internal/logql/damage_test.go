package logql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
)

// flip changes a byte in the middle of each file of blocks, or changes it back.
func (w *world) flip() {
	for _, name := range w.disk.Names() {
		if strings.HasSuffix(name, ".zst") {
			b := w.disk.Bytes(name)
			b[len(b)/2] ^= 0x55
			w.disk.SetBytes(name, b)
		}
	}
}

// TestWarnings has a block that cannot be read: whatever is about it says so, and no more.
func TestWarnings(t *testing.T) {
	w := newWorld(t)
	w.fill(w.stream("app=shop"), 100, 10, func(i int) kept.Record { return line(fmt.Sprint("line ", i)) })
	w.fill(w.stream("app=other"), 10, 10, func(int) kept.Record { return line("other") })
	e := w.engine(logql.Options{Workers: 2})
	w.flip()
	answer := func(q string, sum float64, want ...string) {
		t.Helper()
		res := query(t, e, all(q))
		got := float64(len(res.Entries))
		if res.Kind == logql.Vector {
			got = res.Series[0].Points[0].Value
		}
		if got != sum {
			t.Errorf("%s: %v; want %v", q, got, sum)
		}
		warnings := res.Warnings()
		if len(warnings) != len(want) {
			t.Fatalf("%s: %q; want %q", q, warnings, want)
		}
		for i, beginning := range want {
			if !strings.HasPrefix(warnings[i], "10 records of stream test/app=shop cannot be read and "+beginning) || !strings.HasSuffix(warnings[i], ".ndjson.zst is damaged") {
				t.Errorf("%s: %q; want %q", q, warnings[i], want)
			}
		}
	}
	const (
		left    = "are left out: the block at byte "
		counted = "are counted from the index: the block at byte "
		scan    = `sum(count_over_time({app="shop"} |= "line" [200h]))`
		index   = `sum(count_over_time({app="shop"}[200h]))`
	)
	answer(index, 100) // nobody has met it yet
	answer(`{app="shop"}`, 90, left)
	answer(`{app="shop"} |= "line"`, 90, left)
	answer(scan, 90, left)
	answer(index, 100, counted)
	answer(scan+"+"+scan, 180, left) // once
	answer(scan+"+"+index, 190, left, counted)
	answer(`{app="shop"} |= "not in any block"`, 0)
	answer(`sum(count_over_time({app="none"}[200h])) or vector(1)`, 1)
	res, err := e.Records(t.Context(), "test/app=shop", []logql.Range{{First: 1, Last: 100}})
	if err != nil || len(res.Entries) != 90 || len(res.Warnings()) != 1 {
		t.Errorf("%d entries, %q, %v", len(res.Entries), res.Warnings(), err)
	}
	w.flip()
	answer(index, 100, counted)
	answer(scan, 100)
	answer(index, 100) // it was read meanwhile
}

func TestManyWarnings(t *testing.T) {
	var damage []logql.Damage
	for i := range 13 {
		damage = append(damage, logql.Damage{Stream: "f/a", Records: i, File: "x", Offset: int64(13 - i)})
	}
	list := logql.Warnings(damage)
	if len(list) != 11 || list[0] != "12 records of stream f/a cannot be read and are left out: the block at byte 1 of x is damaged" || list[10] != "and 3 more" {
		t.Errorf("%q", list)
	}
	if list := logql.Warnings(slices.Clone(damage[:10])); len(list) != 10 || strings.HasPrefix(list[9], "and") {
		t.Errorf("%q", list)
	}
}
