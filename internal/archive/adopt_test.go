package archive

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
)

// TestRemovedIsNotDamaged: retention may take a segment that the last checkpoint names.
func TestRemovedIsNotDamaged(t *testing.T) {
	var fs disk.Faulty
	states := fill(t, open(t, &fs, nil), 2000)
	for _, name := range fs.Names() {
		if strings.HasSuffix(name, dataExt) || strings.HasSuffix(name, idxExt) || strings.HasSuffix(name, gramsExt) {
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := open(t, &fs, states); a.Stats().Damaged != 0 {
		t.Errorf("%d damaged", a.Stats().Damaged)
	}
}

// TestLostBlocksAreStated: what was cut off the data is stated in the stream, once.
func TestLostBlocksAreStated(t *testing.T) {
	var fs disk.Faulty
	states := fill(t, open(t, &fs, nil), 2000)
	names := fs.Names()
	name := names[slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, dataExt) })]
	fs.SetBytes(name, fs.Bytes(name)[:len(fs.Bytes(name))/2])
	for range 2 {
		a := open(t, &fs, states)
		a.Replayed()
		a.Show()
		got, _ := read(t, a)
		if stated := gaps(t, a); len(got) == 2000 || stated != 1 {
			t.Fatalf("%d lines, %d gaps", len(got), stated)
		}
		states = checkpoint(t, a)
	}
}

// TestMissedWithoutFiles: that records were not kept is remembered of a stream for which the
// disk had no room at all.
func TestMissedWithoutFiles(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	a.Stream(shop, small).Missed(nil, 7)
	states := checkpoint(t, a)
	fs.RemoveAll()
	a = open(t, &fs, states)
	a.Describe(shop)
	a.Retain(time.Now())
	a.Due(time.Now(), func(*Stream, []byte) {})
	a.Show()
	if n := gaps(t, a); n != 1 || a.Find(shop.ID).Labels().Get("container") != "shop" {
		t.Errorf("%d gaps of %v", n, a.Find(shop.ID).Labels())
	}
}

// gaps returns how many gap records shop has.
func gaps(t *testing.T, a *Archive) (n int) {
	v := a.Find(shop.ID).View()
	defer v.Close()
	var d Decoder
	for i := range v.Len() {
		text, err := v.AppendText(nil, i, &d)
		if err != nil {
			continue
		}
		for line := range kept.Lines(text) {
			if l, err := kept.Parse(line); err == nil && len(l.Gap) > 0 {
				n++
			}
		}
	}
	return n
}
