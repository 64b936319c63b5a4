package archive

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// oldMeta is a description from before there were checksums.
const oldMeta = `{
  "version": 1,
  "id": "docker/shop",
  "source": "docker",
  "labels": {
    "container": "shop"
  },
  "keep_bytes": 1048576,
  "keep_age": "1h0m0s",
  "log": "ABCDEF",
  "generation": 3
}
`

func oddStream() record.Stream {
	return record.Stream{ID: "app//var/log/\xff\xfe.log", Source: "app", Labels: record.NewLabels(map[string]string{
		"filename": "/var/log/\xff\xfe.log", "plain": "\"x\"\n", "odd\xff": "1", "odd\xfe": "2",
	})}
}

func encoded(t testing.TB, def record.Stream) []byte {
	m := newMeta(def, Bound{Size: 1 << 20, Age: time.Hour})
	m.Log, m.Generation, m.Next = "ABCDEF", 3, 17
	text, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMetaIsExact(t *testing.T) {
	for _, def := range []record.Stream{shop, oddStream(), {ID: "x", Labels: record.Labels{}}} {
		text := encoded(t, def)
		m, err := parseMeta(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got := m.stream(); got.ID != def.ID || got.Source != def.Source || !reflect.DeepEqual(got.Labels, def.Labels) {
			t.Errorf("%q became %q", def, got)
		}
		if m.bound() != (Bound{Size: 1 << 20, Age: time.Hour}) || m.Log != "ABCDEF" || m.Generation != 3 || m.Next != 17 {
			t.Errorf("%+v", m)
		}
		if again := encoded(t, m.stream()); !bytes.Equal(again, text) {
			t.Errorf("%s", again)
		}
	}
}

// TestOldMeta: a description without a checksum is read as ever.
func TestOldMeta(t *testing.T) {
	m, err := parseMeta([]byte(oldMeta))
	if err != nil || m.stream().ID != "docker/shop" || m.stream().Labels.Get("container") != "shop" || m.Generation != 3 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestMetaFlips flips each bit: all of it is noticed.
func TestMetaFlips(t *testing.T) {
	for _, def := range []record.Stream{shop, oddStream()} {
		text := encoded(t, def)
		for i := range text {
			for bit := range 8 {
				text[i] ^= 1 << bit
				if _, err := parseMeta(text); err == nil {
					t.Errorf("bit %d of byte %d, %q, is flipped", bit, i, text[max(0, i-8):min(len(text), i+8)])
				}
				text[i] ^= 1 << bit
			}
		}
		for n := range text {
			if _, err := parseMeta(text[:n]); err == nil {
				t.Errorf("cut to %d bytes", n)
			}
		}
	}
}

// TestOddNameIsNotDamaged: a file's name need not be UTF-8.
func TestOddNameIsNotDamaged(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	a.Stream(oddStream(), small).Add(nil, kept.TextOf(lines(1, 3)))
	states := checkpoint(t, a)
	for _, st := range []map[string][]byte{states, nil} {
		a = open(t, &fs, st)
		s := a.Find(oddStream().ID)
		if a.Stats().Damaged != 0 || s == nil || !reflect.DeepEqual(s.Labels(), oddStream().Labels) {
			t.Errorf("%d damaged, %v", a.Stats().Damaged, s)
		}
	}
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(oldMeta))
	f.Add(encoded(f, shop))
	f.Add(encoded(f, oddStream()))
	f.Add([]byte(`{"version":1,"keep_age":"-1h"}`))
	f.Add([]byte(`{"version":1,"labels_base64":["YQ=="],"crc32c":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMeta(text)
		if err != nil {
			return
		}
		def, bound := m.stream(), m.bound()
		made := newMeta(def, bound)
		again, err := made.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseMeta(again)
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		if got := back.stream(); got.ID != def.ID || len(got.Labels) != len(def.Labels) || len(def.Labels) > 0 && !reflect.DeepEqual(got.Labels, def.Labels) || back.bound() != bound {
			t.Fatalf("%q became %q", def, got)
		}
	})
}

// TestDamagedMetaIsUsed: where nothing else says what a stream is, or where its numbers end,
// its damaged description is better than nothing.
func TestDamagedMetaIsUsed(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, small)
	s.Until([]string{"files"})
	fill := checkpointed(t, a, s, lines(1, 50))
	name := s.Dir() + metaName
	flip := func() {
		fs.SetBytes(name, bytes.Replace(fs.Bytes(name), []byte(`"container": "shop"`), []byte(`"container": "shoq"`), 1))
	}
	flip()
	b := open(t, &fs, nil)
	if got := b.Find(shop.ID); got == nil || got.Labels().Get("container") != "shoq" || b.Stats().Damaged != 1 {
		t.Errorf("%v, %d damaged", got, b.Stats().Damaged)
	}
	s.Delivered("files", 51)
	s.Release()
	states := goes(t, a, fill)
	flip()
	for damaged := range 2 {
		a = open(t, &fs, states)
		if a.Stats().Damaged != uint64(1-damaged) || a.past.next[s.Dir()] != 51 {
			t.Errorf("%d damaged, the next number is %d", a.Stats().Damaged, a.past.next[s.Dir()])
		}
	}
}
