package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
)

// withFields returns n lines with fields many fields, whose names and values field says.
func withFields(n, fields int, field func(i, k int) (name, value string)) (text []byte) {
	var a kept.Appender
	for i := range n {
		r := kept.Record{Time: int64(i) * 1e9, Body: fmt.Appendf(nil, "line %d", i)}
		for k := range fields {
			name, value := field(i, k)
			r.Fields = append(r.Fields, kept.Field{Name: []byte(name), Value: []byte(value)})
		}
		text = a.Append(text, &r)
	}
	return text
}

// TestFieldsBound: whatever fields come in, the index of a block stays small, and says so
// where it does not know.
func TestFieldsBound(t *testing.T) {
	for name, c := range map[string]struct {
		field        func(i, k int) (name, value string)
		fields       int
		facets, open int
		many         bool
	}{
		"few values":     {field: func(i, k int) (string, string) { return fmt.Sprint("f", k), fmt.Sprint(i % 5) }, fields: 8, facets: 8},
		"many values":    {field: func(i, k int) (string, string) { return fmt.Sprint("f", k), fmt.Sprint(i % (1 + 20*k)) }, fields: 8, facets: 4, open: 4},
		"long values":    {field: func(i, k int) (string, string) { return fmt.Sprint("f", k), strings.Repeat("x", 1+128*k) }, fields: 2, facets: 1, open: 1},
		"large together": {field: func(i, k int) (string, string) { return fmt.Sprintf("f%02d", k), fmt.Sprintf("%0*d", 100-k, i%5) }, fields: 16, facets: 8, open: 8},
		"many fields":    {field: func(i, k int) (string, string) { return fmt.Sprintf("f%02d", k), "v" }, fields: 100, facets: 16, open: 84},
		"many names":     {field: func(i, k int) (string, string) { return fmt.Sprint(i, "-", k), "v" }, fields: 8, many: true},
		"long names":     {field: func(i, k int) (string, string) { return strings.Repeat(fmt.Sprint(k), 500), "v" }, fields: 8, many: true},
	} {
		text := withFields(2000, c.fields, c.field)
		var b builder
		b.start(1)
		b.add(text)
		f := b.counted.fields()
		if len(f.Facets) != c.facets || len(f.Open) != c.open || f.Many != c.many {
			t.Errorf("%s: %d facets, %d open, many %v", name, len(f.Facets), len(f.Open), f.Many)
		}
		for _, facet := range f.Facets {
			n := 0
			for _, v := range facet.Values {
				n += v.Records
			}
			if n != 2000 {
				t.Errorf("%s: %s says that %d records have it", name, facet.Name, n)
			}
		}
		whole := b.counted.appendTo(nil, 1<<20)
		if len(whole) > maxNameBytes+maxCountBytes+256 || !reflect.DeepEqual(parseFields(whole), f) {
			t.Errorf("%s: %d bytes, that say %+v; want %+v", name, len(whole), parseFields(whole), f)
		}
		little := b.counted.appendTo(nil, 16<<10)
		if p := parseFields(little); len(little) > minFieldBytes || !c.many && !p.Many && len(p.Facets)+len(p.Open) != c.facets+c.open {
			t.Errorf("%s: %d bytes for a small block, that say %+v", name, len(little), p)
		}
	}
}

// TestFieldsRead: what is not held in memory is read from the index when it is asked for,
// after a restart too; without the index any record may have any field.
func TestFieldsRead(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, Bound{})
	text := withFields(6000, 5, func(i, k int) (string, string) { return fmt.Sprintf("f%d", k), fmt.Sprintf("value-%d", i%(20*k+1)) })
	s.Add(nil, kept.TextOf(text))
	s.Seal(nil)
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	a.Show()
	checkpoint(t, a)
	for _, a := range []*Archive{a, open(t, &fs, nil)} {
		v := a.Find(shop.ID).View()
		defer v.Close()
		if v.Len() < 2 || v.blocks[0].fields != nil || !v.blocks[0].unheld {
			t.Fatalf("%d blocks, the first holds %d bytes", v.Len(), len(v.blocks[0].fields))
		}
		for i := range v.Len() {
			f := v.Fields(i)
			if f.Many || len(f.Open) > 1 || len(f.Facets) < 4 || f.Facets[3].Values[0].Records == 0 {
				t.Errorf("block %d: %+v", i, f)
			}
		}
	}
	v := a.Find(shop.ID).View()
	defer v.Close()
	idx := s.dir + baseName(1) + idxExt
	data := fs.Bytes(idx)
	data[60] ^= 1
	fs.SetBytes(idx, data)
	if f := v.Fields(0); !f.Many {
		t.Errorf("of a damaged index: %+v", f)
	}
	if err := fs.Remove(idx); err != nil {
		t.Fatal(err)
	}
	if f := v.Fields(1); !f.Many {
		t.Errorf("without an index: %+v", f)
	}
}

// TestOldEntry: entries of version 1, whose fields have no byte that says whether there are
// too many, are read as they are.
func TestOldEntry(t *testing.T) {
	f := Fields{Facets: []Facet{{"status", []FacetValue{{"200", 2}}}}, Open: []string{"id"}}
	b := block{Head: Head{First: 7, Records: 3}, fields: appendFields(nil, &f)[1:]}
	old := appendEntry(nil, &b)
	old[entryHeader] = 1
	sign(old)
	e, n, err := parseEntry(old)
	if err != nil || n != len(old) || !reflect.DeepEqual(parseFields(e.fields), f) || e.First != 7 {
		t.Errorf("%+v, %d, %v", e, n, err)
	}
	if e, _, err = parseEntry(appendEntry(nil, &e)); err != nil || !reflect.DeepEqual(parseFields(e.fields), f) {
		t.Errorf("written again: %+v, %v", e, err)
	}
	old[entryHeader] = entryVersion + 1
	sign(old)
	if _, _, err := parseEntry(old); err == nil {
		t.Error("an entry of a version to come was taken")
	}
}

// sign makes the checksum of an entry right.
func sign(entry []byte) {
	binary.LittleEndian.PutUint32(entry[4:], crc32.Checksum(entry[entryHeader:], castagnoli))
}

func FuzzFields(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendFields(nil, &Fields{Many: true}))
	f.Add(appendFields(nil, &Fields{Facets: []Facet{{"status", []FacetValue{{"200", 2}}}}, Open: []string{"id"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parseFields(b)
		if again := parseFields(appendFields(nil, &p)); !reflect.DeepEqual(again, p) {
			t.Errorf("%+v came back as %+v", p, again)
		}
	})
}

// TestCountsAsBefore: what is counted of a record does not depend on how the one before was
// written.
func TestCountsAsBefore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	values := []string{"x", "xy", `a "quoted" one`, `\`, "é", strings.Repeat("v", maxValueBytes), strings.Repeat("v", maxValueBytes+1), `x","b":"y`}
	for range 50 {
		var counted, slow fieldCounter
		var a kept.Appender
		names := 1 + rnd.IntN(30)
		var fields []kept.Field
		for i := range 1 + rnd.IntN(400) {
			if rnd.IntN(3) == 0 { // else as the record before, but for some values
				fields = fields[:0]
				for range rnd.IntN(8) {
					name := fmt.Sprintf("n%d", rnd.IntN(names))
					switch rnd.IntN(10) {
					case 0, 1:
						name = "key"
					case 2:
						name = strings.Repeat("n", maxSaidBytes/2-2) + name // remembered or not
					}
					fields = append(fields, kept.Field{Name: []byte(name), Value: []byte(values[rnd.IntN(len(values))])})
				}
				if rnd.IntN(40) == 0 {
					for n := range 2 * maxNames {
						fields = append(fields, kept.Field{Name: fmt.Appendf(nil, "m%d", n%(maxNames/2)), Value: []byte("1")})
					}
				}
			}
			for k := range fields {
				if rnd.IntN(4) == 0 {
					fields[k].Value = []byte(fmt.Sprint(rnd.IntN(3 + i)))
				}
			}
			line := a.Append(nil, &kept.Record{Body: []byte("b"), Fields: fields})
			l, err := kept.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			counted.countAll(&l, nil)
			slow.at, slow.order = 0, nil
			for name, value := range l.Fields() {
				slow.count(name, value)
			}
		}
		if !reflect.DeepEqual(counted.Fields, slow.Fields) || counted.tasks != slow.tasks || counted.valueBytes != slow.valueBytes {
			t.Fatalf("counted %+v\nwant    %+v", counted.Fields, slow.Fields)
		}
	}
}

// TestCountingHoldsLittle: what is remembered of the fields of a record is bounded, whatever
// their names, over many blocks too.
func TestCountingHoldsLittle(t *testing.T) {
	const most = maxNames * maxSaidBytes * 3 / 2 // texts grow by steps
	for _, nameBytes := range []int{1, maxSaidBytes / 2, maxSaidBytes/2 + 1, 1000} {
		var c fieldCounter
		var a kept.Appender
		for before := maxNames - 1; before >= 0; before-- {
			fields := slices.Repeat([]kept.Field{{Name: []byte("x"), Value: []byte("v")}}, before)
			long := append(bytes.Repeat([]byte("n"), nameBytes-1), byte('a'+before%20))
			fields = append(fields, kept.Field{Name: long, Value: bytes.Repeat([]byte("v"), maxValueBytes)})
			l, err := kept.Parse(a.Append(nil, &kept.Record{Body: []byte("b"), Fields: fields}))
			if err != nil {
				t.Fatal(err)
			}
			c.reset()
			for range 2 {
				c.countAll(&l, nil)
			}
		}
		held := 0
		for _, p := range c.order[:cap(c.order)] {
			held += cap(p.said) + len(p.name)
		}
		if held > most {
			t.Errorf("names of %d bytes: %d bytes held, want %d at most", nameBytes, held, most)
		}
	}
}
