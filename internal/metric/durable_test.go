package metric_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/metric"
	"github.com/weirlog/weir/internal/record"
)

var (
	statusDesc = metric.Desc{Name: "status_total", Labels: []string{"status", "path"}, Owner: "rule 1 abc", Durable: true, MaxSeries: 3}
	plainDesc  = metric.Desc{Name: "lines_total", Owner: "rule 1 abc", Durable: true}
	rtDesc     = metric.Desc{Name: "rt", Kind: metric.Histogram, Buckets: []float64{0.1, 1}, Labels: []string{"a"}, Owner: "rule 1 abc", Durable: true}
)

// restart returns a registry with what r has stored.
func restart(t *testing.T, r *metric.Registry) *metric.Registry {
	t.Helper()
	next := metric.New()
	for _, d := range r.Snapshot() {
		if err := next.Restore(d); err != nil {
			t.Fatal(err)
		}
	}
	return next
}

func counted(t *testing.T) *metric.Registry {
	r := metric.New()
	status, lines, rt := family(t, r, statusDesc), family(t, r, plainDesc), family(t, r, rtDesc)
	var deltas []record.Delta
	for i, values := range [][]string{{"200", "/"}, {"404", ""}, {"", "/"}, {"500", "/over"}, {"501", "/over"}} {
		deltas = append(deltas, record.Delta{Series: status.Series(values...).ID(), Add: float64(i + 1)})
	}
	r.Apply(append(deltas,
		record.Delta{Series: lines.Series().ID(), Add: 15},
		record.Delta{Series: rt.Series("x").ID(), Cell: 1, Add: 2},
		record.Delta{Series: rt.Series("x").ID(), Cell: 3, Add: 0.7},
		record.Delta{Series: rt.Series("x").ID(), Cell: 4, Add: 1}, // no such cell
		record.Delta{Series: 0, Add: 1},
		record.Delta{Series: 4711, Add: 1},
	))
	return r
}

func TestRestart(t *testing.T) {
	r := counted(t)
	want := string(r.AppendText(nil, metric.Text))
	for i := range 3 {
		r = restart(t, r)
		if text := r.AppendText(nil, metric.Text); len(text) > 0 {
			t.Errorf("unclaimed series are shown:\n%s", text)
		}
		for _, d := range []metric.Desc{statusDesc, plainDesc, rtDesc} {
			family(t, r, d)
		}
		compare(t, string(r.AppendText(nil, metric.Text)), want)
		if n := r.DropUnclaimed(); n != 0 {
			t.Errorf("restart %d: %d series were not claimed", i, n)
		}
	}
	f := family(t, r, statusDesc)
	id := f.Series("200", "/").ID()
	if id != 1 || f.Series("502", "/new") != f.Series("503", "/new") {
		t.Errorf("after restarts: number %d, or the bound is lost", id)
	}
	if d, ok := r.Describe(id); !ok || d.Cells[0] != 1 {
		t.Errorf("Describe(%d) = %v, %v", id, d, ok)
	}
}

func TestNumbersAreNotUsedTwice(t *testing.T) {
	r := restart(t, counted(t))
	family(t, r, plainDesc)
	if n := r.DropUnclaimed(); n != 5 {
		t.Errorf("dropped %d series; want 4 of status and 1 of rt", n)
	}
	s := family(t, r, metric.Desc{Name: "new_total", Durable: true}).Series()
	r.Apply([]record.Delta{{Series: 1, Add: 100}}) // of a commit made for the dropped series
	if s.ID() <= 6 || s.Value() != 0 {
		t.Errorf("a new series got number %d and value %v", s.ID(), s.Value())
	}
	if _, ok := r.Describe(1); ok {
		t.Error("a dropped series is described")
	}
}

// TestForgottenFamily: who still holds a family that was forgotten cannot make series that
// are stored, let alone beside those of its successor.
func TestForgottenFamily(t *testing.T) {
	r := metric.New()
	former := family(t, r, plainDesc)
	status := family(t, r, statusDesc)
	status.Series("200", "/")
	r.Forget(plainDesc.Name)
	r.Forget(statusDesc.Name)
	if n := r.Forgotten(); n != 1 {
		t.Errorf("%d series have gone, want 1", n)
	}
	present := family(t, r, plainDesc).Series()
	if s := former.Series(); s.ID() != 0 || present.ID() == 0 {
		t.Errorf("the forgotten family's series has number %d, its successor's %d", s.ID(), present.ID())
	}
	if all := r.Snapshot(); len(all) != 1 || all[0].ID != present.ID() {
		t.Errorf("stored: %v", all)
	}
}

func TestChangedRuleStartsNewSeries(t *testing.T) {
	for name, change := range map[string]func(*metric.Desc){
		"owner":   func(d *metric.Desc) { d.Owner = "rule 1 abd" },
		"labels":  func(d *metric.Desc) { d.Labels = []string{"path", "status"} },
		"kind":    func(d *metric.Desc) { d.Kind = metric.Gauge },
		"name":    func(d *metric.Desc) { d.Name = "status_count_total" },
		"durable": func(d *metric.Desc) { d.Durable = false },
	} {
		r := restart(t, counted(t))
		d := statusDesc
		change(&d)
		if v := family(t, r, d).Series("200", "/").Value(); v != 0 {
			t.Errorf("%s changed, value is %v", name, v)
		}
	}
}

func TestRestoreAfterItsFamily(t *testing.T) {
	old := counted(t)
	r := metric.New()
	family(t, r, statusDesc).Series("999", "here before")
	for i, d := range old.Snapshot() {
		d.ID += 10
		if err := r.Restore(d); err != nil {
			t.Errorf("series %d: %v", i, err)
		}
	}
	if v := family(t, r, statusDesc).Series("404", "").Value(); v != 2 {
		t.Errorf("value %v; want 2", v)
	}
}

func TestRestoreRefuses(t *testing.T) {
	stored := counted(t).Snapshot()
	byKey := func(part string) metric.Durable {
		for _, d := range stored {
			if len(d.Key) > len(part) && d.Key[:len(part)] == part {
				d.ID += 100
				return d
			}
		}
		t.Fatalf("no series %q", part)
		return metric.Durable{}
	}
	bad := func(what string, d metric.Durable) {
		t.Helper()
		for _, claimed := range []bool{true, false} {
			r := restart(t, counted(t))
			if claimed {
				family(t, r, statusDesc)
				family(t, r, plainDesc)
				family(t, r, rtDesc)
			}
			before := string(r.AppendText(nil, metric.Text))
			err := r.Restore(d)
			family(t, r, statusDesc)
			family(t, r, rtDesc)
			family(t, r, plainDesc)
			r.DropUnclaimed()
			if claimed && err == nil {
				t.Errorf("%s: no error", what)
			}
			if after := string(r.AppendText(nil, metric.Text)); claimed && after != before {
				t.Errorf("%s changed the registry to\n%s", what, after)
			}
		}
	}
	d := byKey("status_total")
	bad("a series that is there", d)
	d.ID = 1
	bad("a number that is taken", d)
	d.ID = 0
	bad("number 0", d)
	d.ID = 1 << 31
	bad("a huge number", d)
	d = byKey("status_total")
	d.Key += "\xffmore"
	bad("too many values", d)
	bad("too few values", metric.Durable{ID: 200, Key: "status_total\x00counter\x00rule 1 abc\x00status,path\x00\x00\xffone", Cells: []float64{1}})
	bad("no separator", metric.Durable{ID: 200, Key: "status_total\x00counter\x00rule 1 abc\x00status,path\x00\x00x", Cells: []float64{1}})
	bad("values of none", metric.Durable{ID: 200, Key: "lines_total\x00counter\x00rule 1 abc\x00\x00\x00\xffx", Cells: []float64{1}})
	d = byKey("rt")
	d.Key += "z"
	d.Cells = d.Cells[:2]
	bad("too few cells", d)
}

func TestSnapshotKeepsWhenCountingBegan(t *testing.T) {
	r := counted(t)
	at := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	next := metric.New()
	for _, d := range r.Snapshot() {
		d.Created = at
		if err := next.Restore(d); err != nil {
			t.Fatal(err)
		}
	}
	s := family(t, next, plainDesc).Series()
	if !s.Created().Equal(at) || s.Value() != 15 {
		t.Errorf("restored %v from %v", s.Value(), s.Created())
	}
}

func TestApplyDoesNotAllocate(t *testing.T) {
	r := counted(t)
	deltas := []record.Delta{{Series: 1, Add: 1}, {Series: 2, Add: 1}}
	if n := testing.AllocsPerRun(100, func() { r.Apply(deltas) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleRegistry_Apply() {
	reg := metric.New()
	f, _ := reg.Family(metric.Desc{Name: "lines_total", Owner: "rule 1", Durable: true})
	delta := record.Delta{Series: f.Series().ID(), Add: 3} // rides on a batch

	reg.Apply([]record.Delta{delta}) // once the batch's commit is synced
	fmt.Println(f.Series().Value())
	// Output: 3
}
