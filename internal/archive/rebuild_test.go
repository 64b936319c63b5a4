package archive

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/gram"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
)

// dated returns n lines with that time.
func dated(at time.Time, n int) (text []byte) {
	var a kept.Appender
	for i := range n {
		text = a.Append(text, &kept.Record{Time: at.UnixNano() + int64(i), Body: fmt.Appendf(nil, "%d a line of some length", i+1)})
	}
	return text
}

// TestRebuiltAge: text whose index was damaged is kept for its age from when it was written,
// whatever times its records have: at least, and at most about once more.
func TestRebuiltAge(t *testing.T) {
	const age = 24 * time.Hour
	for name, at := range map[string]time.Time{"old records": time.Now().AddDate(0, 0, -10), "records to come": time.Now().AddDate(50, 0, 0)} {
		for _, damage := range []string{"flipped", "cut", "removed"} {
			var fs disk.Faulty
			a := open(t, &fs, nil)
			s := a.Stream(shop, Bound{Size: 512 << 10, Age: age})
			s.Seal(s.Add(nil, kept.TextOf(dated(at, 3000))))
			if err := a.Flush(); err != nil {
				t.Fatal(err)
			}
			states := checkpoint(t, a)
			idx := s.dir + baseName(1) + idxExt
			data := fs.Bytes(idx)
			switch damage {
			case "flipped":
				data[30] ^= 1
				fs.SetBytes(idx, data)
			case "cut":
				fs.SetBytes(idx, data[:len(data)-3])
			case "removed":
				if err := fs.Remove(idx); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the second time with the index that was made again
				a = open(t, &fs, states)
				now := time.Now()
				a.Retain(now)
				if got, _ := read(t, a); len(got) != 3000 {
					t.Errorf("%s, %s: %d lines are left at once", name, damage, len(got))
				}
				a.Retain(now.Add(age - time.Minute))
				if got, _ := read(t, a); len(got) != 3000 {
					t.Errorf("%s, %s: %d lines are left before their age", name, damage, len(got))
				}
				states = nil
			}
			a.Retain(time.Now().Add(age + time.Minute))
			if got, _ := read(t, a); len(got) != 0 {
				t.Errorf("%s, %s: %d lines are left after their age", name, damage, len(got))
			}
		}
	}
}

// TestRebuiltBlocks: what is sound of a damaged index is taken over, when a block was
// written too; of others that is bounded by the block behind.
func TestRebuiltBlocks(t *testing.T) {
	var fs disk.Faulty
	a := open(t, &fs, nil)
	s := a.Stream(shop, Bound{Size: 512 << 10})
	for i := range 3 {
		s.Add(nil, kept.TextOf(lines(1+i*100, 100)))
		s.Seal(nil)
		s.waiting[i].b.written = int64(1000 * (i + 1))
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, a)
	idx, grams := s.dir+baseName(1)+idxExt, s.dir+baseName(1)+gramsExt
	data, filters := fs.Bytes(idx), slices.Clone(fs.Bytes(grams))
	data[s.blocks[1].entryAt+20] ^= 1
	fs.SetBytes(idx, data)
	a = open(t, &fs, nil)
	blocks := a.Find(shop.ID).blocks
	if len(blocks) != 3 || blocks[0].written != 1000 || blocks[1].written != 3000 || blocks[2].written != 3000 {
		t.Fatalf("%d blocks: %+v", len(blocks), blocks)
	}
	if got, _ := read(t, a); len(got) != 300 || a.Stats().Damaged != 1 {
		t.Errorf("%d lines, %+v", len(got), a.Stats())
	}
	if !slices.Equal(fs.Bytes(grams), filters) {
		t.Error("the filters are not what they were")
	}
	again := open(t, &fs, nil).Find(shop.ID)
	if fmt.Sprint(again.blocks[1].Head) != fmt.Sprint(s.blocks[1].Head) || again.blocks[1].written != 3000 || again.a.Stats().Damaged != 0 {
		t.Errorf("opened again: %+v, %+v", again.blocks[1], again.a.Stats())
	}
}

// TestFilterDamage: a damaged filter rules nothing out, is reported once, found by Verify,
// and made again by the process that writes; with a lost index filters are made again too.
func TestFilterDamage(t *testing.T) {
	absent := gram.NewQuery([]byte("not in any line"), false)
	for _, damage := range []string{"flipped", "cut", "removed", "index removed", "removed meanwhile"} {
		var fs disk.Faulty
		a := open(t, &fs, nil)
		fill(t, a, 2000)
		dir := a.Find(shop.ID).dir
		name := dir + baseName(1) + gramsExt
		good := slices.Clone(fs.Bytes(name))
		bad := slices.Clone(good)
		bad[5] ^= 1
		switch damage {
		case "flipped":
			fs.SetBytes(name, bad)
		case "cut":
			fs.SetBytes(name, good[:len(good)-3])
		case "index removed":
			fs.SetBytes(name, bad)
			if err := fs.Remove(dir + baseName(1) + idxExt); err != nil {
				t.Fatal(err)
			}
		default:
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		reader, err := Open(Options{Tree: &fs, ReadOnly: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		found := reader.Find(shop.ID).Verify()
		var corrupt *CorruptError
		if damage != "index removed" && (len(found.Damage) == 0 || !errors.As(found.Damage[0], &corrupt) || corrupt.File != name) || found.Records != 2000 {
			t.Errorf("%s: Verify found %+v", damage, found)
		}
		reader.Retain(time.Now())
		if slices.Equal(fs.Bytes(name), good) {
			t.Errorf("%s: a reader changed the file", damage)
		}
		if damage != "removed meanwhile" {
			a = open(t, &fs, nil)
		}
		for range 2 {
			v := a.Find(shop.ID).View()
			for i := range v.Len() {
				v.MayContain(i, absent)
			}
			v.Close()
		}
		if st := a.Stats(); st.Damaged == 0 || damage == "flipped" && st.Damaged != 1 {
			t.Errorf("%s: %+v", damage, st)
		}
		for i := range 20 {
			a.Retain(time.Now().Add(time.Duration(i) * time.Minute))
		}
		if !slices.Equal(fs.Bytes(name), good) {
			t.Errorf("%s: the filters are not what they were", damage)
		}
		a = open(t, &fs, nil)
		if found := a.Find(shop.ID).Verify(); len(found.Damage) > 0 || a.Stats().Damaged > 0 {
			t.Errorf("%s: afterwards %+v", damage, found)
		}
		v := a.Find(shop.ID).View()
		if v.MayContain(0, absent) {
			t.Errorf("%s: the filter rules nothing out", damage)
		}
		v.Close()
	}
}
