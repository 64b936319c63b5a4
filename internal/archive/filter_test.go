package archive

import (
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// withKeys returns records, some of which have a stored field that names a task.
func withKeys(first, n int) (text []byte) {
	var a kept.Appender
	for i := range n {
		r := kept.Record{Time: int64(i), Body: fmt.Appendf(nil, "line %d", first+i), Fields: []kept.Field{{Name: []byte("status"), Value: []byte("200")}}}
		if i%2 == 0 {
			r.Fields = append(r.Fields, kept.Field{Name: []byte("key"), Value: fmt.Appendf(nil, "0@%08x-aaaa-4bbb-8ccc-%012x", (first+i)*7919, (first+i)*104729)})
		}
		text = a.Append(text, &r)
	}
	return text
}

// TestTaskFilters asks for the values of stored fields that name tasks.
func TestTaskFilters(t *testing.T) {
	a := open(t, new(disk.Faulty), nil)
	s := a.Stream(record.Stream{ID: "app"}, Bound{})
	for i := range 3 {
		s.Add(nil, kept.TextOf(withKeys(i*100, 100)))
		s.Seal(nil)
	}
	s.Add(nil, kept.TextOf(lines(0, 100)))
	s.Seal(nil)
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	a.Show()
	key := gram.NewQuery(fmt.Appendf(nil, "%08x-aaaa-4bbb-8ccc-%012x", 102*7919, 102*104729), false)
	body := gram.NewQuery([]byte("line 205"), false)
	check := func(when string, key, body *gram.Query, wantKey, wantBody, wantFields string) {
		t.Helper()
		v := s.View()
		defer v.Close()
		var hasKey, hasBody, hasFields string
		for i := range v.Len() {
			hasKey += fmt.Sprint(btoi(v.MayHaveTask(i, key)))
			hasBody += fmt.Sprint(btoi(v.MayHaveTask(i, body)))
			hasFields += fmt.Sprint(btoi(v.HasTaskFields(i)))
		}
		if hasKey != wantKey || hasBody != wantBody || hasFields != wantFields {
			t.Errorf("%s: key %s, body %s, fields %s; want %s, %s, %s", when, hasKey, hasBody, hasFields, wantKey, wantBody, wantFields)
		}
	}
	check("new", key, body, "0100", "0010", "1110")

	// A filter from before there were fields in it does not rule the block out.
	b := &s.blocks[0]
	var grams gram.Builder
	addGrams(&grams, withKeys(0, 100), false)
	old := grams.AppendFilter(nil)
	f, err := a.opts.Tree.Open(s.dir + b.segment.name(gramsExt))
	if err != nil {
		t.Fatal(err)
	}
	if len(old) > b.gramsBytes {
		t.Fatal("the old filter is larger")
	}
	if _, err := f.WriteAt(old, b.gramsAt); err != nil {
		t.Fatal(err)
	}
	b.gramsBytes, b.gramsSum = len(old), crc32.Checksum(old, castagnoli)
	s.shown = false
	a.touched = append(a.touched, s)
	a.Show()
	check("old", key, body, "1100", "1010", "1110")
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestFilterMadeAgain compares the filter of a block as it was made when it was full, when
// its tail was sealed, and when it was damaged and made again.
func TestFilterMadeAgain(t *testing.T) {
	a := open(t, new(disk.Faulty), nil)
	for name, text := range map[string][]byte{"keys": withKeys(0, 100), "none": lines(0, 100)} {
		s := a.Stream(record.Stream{ID: name}, Bound{})
		var b builder
		b.start(1)
		b.take(kept.TextOf(text), &a.grams)
		full := b.appendFilter(&a.grams)
		s.Add(nil, kept.TextOf(text))
		s.Seal(nil)
		if sealed := s.waiting[0].grams; string(sealed) != string(full) {
			t.Errorf("%s: sealed, it is another one", name)
		}
		if again := s.filterOf(text); string(again) != string(full) {
			t.Errorf("%s: made again, it is another one", name)
		}
	}
}
