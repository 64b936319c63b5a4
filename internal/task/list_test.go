package task_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/task"
)

// list returns a list as text: "name state", and what else there is.
func (w *world) list(q task.ListRequest, after time.Duration) string {
	w.t.Helper()
	w.show()
	q.Now = time.Unix(0, moment).Add(after)
	if q.WentOn == 0 {
		q.WentOn = 10 * time.Second
	}
	l, err := w.List(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return listText(l)
}

func listText(l *task.List) string {
	var list []string
	for _, s := range l.Tasks {
		text := fmt.Sprintf("%s=%s/%d", s.Name, s.State, s.Records)
		if s.Slow {
			text += "/slow"
		}
		list = append(list, text)
	}
	if l.Total > len(l.Tasks) {
		list = append(list, fmt.Sprintf("of%d", l.Total))
	}
	if l.Forgotten > 0 {
		list = append(list, fmt.Sprintf("forgotten%d", l.Forgotten))
	}
	return strings.Join(list, " ")
}

// id returns the name of task number n.
func id(n int) string { return fmt.Sprintf("%08x-6a48-4fac-be7e-f34721792d8c", n) }

// tasks writes one of each kind.
func (w *world) tasks() {
	w.key("a", "0@"+id(1), 0, "i:good", "process=1", "context_user=u1")
	w.key("a", "1@"+id(1), 10, "i:good", "process=1", "context_user=u1")
	w.key("a", "0@"+id(2), 20, "i:bad", "process=1", "context_user=u2")
	w.key("a", "1@"+id(2), 30, "e:FAILED bad", "process=1", "context_user=u2")
	w.key("a", "0@"+id(3), 40, "i:aborted", "process=1")
	w.key("a", "0@"+id(3)+"/1", 41, "w:part", "process=1", "user=u1")
	w.key("a", "0@"+id(4), 50, "i:slow", "process=2")
	w.key("a", "1@"+id(4), 20_050, "i:slow", "process=2")
	w.key("a", "0@"+id(5), 60, "i:running", "process=1")
	w.key("a", "1@"+id(5), 25_000, "i:step", "process=1")
	w.json("b", 70, `{"trace_id":"`+strings.ReplaceAll(uuid, "-", "")+`","msg":"a trace","user":"u3"}`)
	w.json("b", 80, `{"msg":"nothing","user":"u3","key":"me@example.com"}`)
}

func TestList(t *testing.T) {
	const all = "aborted=lost/2 bad=failed/2 slow=success/2/slow running=open/2/slow a trace=unknown/1 good=success/2"
	for name, c := range map[string]struct {
		q    task.ListRequest
		want string
	}{
		"all":        {task.ListRequest{Slow: 10 * time.Second}, all},
		"two":        {task.ListRequest{Limit: 2}, "aborted=lost/2 bad=failed/2 of6"},
		"failed":     {task.ListRequest{States: []task.State{task.Failed, task.Lost}}, "aborted=lost/2 bad=failed/2"},
		"slow":       {task.ListRequest{Slow: 20 * time.Second, OnlySlow: true}, "slow=success/2/slow running=open/2/slow"},
		"slow, bad":  {task.ListRequest{Slow: 20 * time.Second, OnlySlow: true, States: []task.State{task.Failed}}, "bad=failed/2 slow=success/2/slow running=open/2/slow"},
		"name":       {task.ListRequest{Name: "OO"}, "good=success/2"},
		"a field":    {task.ListRequest{Where: []task.Condition{{Name: "user", Value: "u1"}}}, "aborted=lost/2 good=success/2"},
		"of JSON":    {task.ListRequest{Where: []task.Condition{{Name: "user", Value: "u3"}}}, "a trace=unknown/1"},
		"two fields": {task.ListRequest{Where: []task.Condition{{Name: "user", Value: "u1"}, {Name: "process", Value: "2"}}}, ""},
		"a label":    {task.ListRequest{Where: []task.Condition{{Name: "source", Value: "b"}}}, "a trace=unknown/1"},
		"patient":    {task.ListRequest{Patience: task.Patience{WentOn: time.Hour}, States: []task.State{task.Open}}, "running=open/2 aborted=open/2"},
		"impatient":  {task.ListRequest{Patience: task.Patience{Silent: time.Second}, States: []task.State{task.Open}}, ""},
	} {
		for _, sealed := range []bool{false, true} {
			w := newWorld(t)
			w.tasks()
			if sealed {
				w.seal("a")
				w.seal("b")
			}
			want := c.want
			if name == "all" {
				want = strings.Replace(want, "slow=success/2/slow running=open/2/slow", "running=open/2/slow slow=success/2/slow", 1)
			}
			got := w.list(c.q, 26*time.Second)
			if got != c.want && got != want && got != swapped(c.want) {
				t.Errorf("%s, sealed %t: %s\nwant %s", name, sealed, got, c.want)
			}
		}
	}
}

// swapped has the two slow ones in the order in which they were heard of last.
func swapped(s string) string {
	return strings.Replace(s, "slow=success/2/slow running=open/2/slow", "running=open/2/slow slow=success/2/slow", 1)
}

// TestListFindsOlderBeginnings lists a task that began before the time that is asked for.
func TestListFindsOlderBeginnings(t *testing.T) {
	w := newWorld(t)
	w.key("a", "0@"+id(1), 0, "i:long", "context_user=u1")
	w.key("a", "0@"+id(2), 0, "i:short")
	w.key("a", "1@"+id(2), 1, "i:short")
	w.seal("a")
	w.key("a", "1@"+id(1), 60_000, "i:step")
	q := task.ListRequest{Start: time.Unix(0, moment).Add(30 * time.Second)}
	if got, want := w.list(q, time.Minute), "long=open/2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestListIsBounded has more open tasks than a list may choose from.
func TestListIsBounded(t *testing.T) {
	w := newWorld(t)
	w.Tasks = 100
	for i := range 1000 {
		w.key("a", "0@"+id(i), int64(i), "i:job")
	}
	w.seal("a")
	for i := range 1000 {
		w.key("a", "1@"+id(i), int64(i+1000), "i:step")
	}
	w.show()
	l, err := w.List(t.Context(), task.ListRequest{Now: time.Unix(0, moment).Add(3 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if l.Total != 100 || l.Forgotten != 900 || l.Omitted != 0 {
		t.Errorf("%d tasks, %d forgotten", l.Total, l.Forgotten)
	}
	for _, s := range l.Tasks {
		// Blocks are read by several goroutines: of a task that was forgotten in between only a
		// half may be known, and then nothing is said of its fate.
		if s.Start.Before(time.Unix(0, moment)) || s.State != task.Open && s.State != task.Unknown || s.State == task.Open && s.Records != 2 {
			t.Errorf("%+v", s)
		}
	}
}

// TestListKeepsWhatCounts has many more tasks than a list may choose from, after those that are
// asked for.
func TestListKeepsWhatCounts(t *testing.T) {
	const most, many = 100, 2000
	w := newWorld(t)
	w.Tasks = most
	w.key("a", "0@"+id(1), 0, "i:failing", "process=1")
	w.key("a", "1@"+id(1), 1, "e:FAILED failing", "process=1")
	w.key("a", "0@"+id(2), 2, "i:going on", "process=2")
	w.key("a", "0@"+id(3), 3, "i:slow", "process=3")
	w.key("a", "1@"+id(3), 3003, "i:slow", "process=3")
	w.key("a", "0@"+id(4), 4, "i:rare", "process=4", "context_user=u1")
	w.key("a", "1@"+id(4), 5, "i:rare", "process=4")
	for i := range many {
		w.key("a", "0@"+id(1000+i), int64(4000+i), "i:job", "process=7")
		w.key("a", "1@"+id(1000+i), int64(4000+i), "i:job", "process=7")
		if i%500 == 0 {
			w.seal("a")
		}
	}
	for name, c := range map[string]struct {
		q    task.ListRequest
		want string
	}{
		"all":       {task.ListRequest{Limit: 3, Slow: 2 * time.Second}, "failing=failed/2 slow=success/2/slow going on=open/1/slow of100"},
		"failed":    {task.ListRequest{States: []task.State{task.Failed}}, "failing=failed/2"},
		"open":      {task.ListRequest{States: []task.State{task.Open}}, "going on=open/1"},
		"slow":      {task.ListRequest{Slow: 2 * time.Second, OnlySlow: true}, "slow=success/2/slow going on=open/1/slow"},
		"a name":    {task.ListRequest{Name: "RARE"}, "rare=success/2"},
		"a field":   {task.ListRequest{Where: []task.Condition{{Name: "process", Value: "4"}}}, "rare=success/2"},
		"argument":  {task.ListRequest{Where: []task.Condition{{Name: "user", Value: "u1"}}}, "rare=success/2"},
		"succeeded": {task.ListRequest{Limit: 1, States: []task.State{task.Success}}, "job=success/2 of100"},
	} {
		q := c.q
		q.WentOn = time.Hour
		if got, want := w.list(q, 7*time.Second), c.want+fmt.Sprintf(" forgotten%d", many+4-most); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestListWaitsForEnds has more tasks between the beginning and the end of another one than a
// list may choose from, in the block that is being read and in a newer one.
func TestListWaitsForEnds(t *testing.T) {
	const most, many = 100, 500
	for _, sealed := range []bool{false, true} {
		w := newWorld(t)
		w.Tasks = most
		w.key("a", "0@"+id(1), 0, "i:failing", "process=1", "context_user=u1")
		for i := range many {
			w.key("a", "0@"+id(1000+i), int64(1+i), "i:job", "process=7")
			w.key("a", "1@"+id(1000+i), int64(1+i), "i:job", "process=7")
		}
		if sealed {
			w.seal("a")
		}
		w.key("a", "1@"+id(1), many+1, "e:FAILED failing", "process=1")
		for name, q := range map[string]task.ListRequest{
			"failed": {States: []task.State{task.Failed}},
			"where":  {States: []task.State{task.Failed}, Where: []task.Condition{{Name: "user", Value: "u1"}}},
		} {
			if got, want := w.list(q, 7*time.Second), fmt.Sprintf("failing=failed/2 forgotten%d", many+1-most); got != want {
				t.Errorf("%s, sealed %t: %s, want %s", name, sealed, got, want)
			}
		}
	}
}

// TestOmitted: what is beyond even that which was forgotten is counted by records.
func TestOmitted(t *testing.T) {
	const many, most, gone = 5000, 100, 1000
	list := task.FillTable(many, most, gone).List()
	if list.Total != most || list.Forgotten < gone || list.Total+list.Forgotten+list.Omitted != many || list.Omitted == 0 {
		t.Errorf("%d tasks, %d forgotten, %d omitted", list.Total, list.Forgotten, list.Omitted)
	}
}

// TestMillionOpenTasks measures what a task takes.
func TestMillionOpenTasks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes memory")
	}
	const many = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := task.FillTable(many, many, 0)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / many
	t.Logf("%.0f bytes a task", each)
	if n := table.Len(); n != many || each > 256 {
		t.Errorf("%d tasks of %.0f bytes, want a million of at most 256", n, each)
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	bounded := task.FillTable(many, 100_000, 0)
	runtime.GC()
	runtime.ReadMemStats(&after)
	list := bounded.List()
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 32<<20 || bounded.Len() > 100_000 || bounded.Len()+bounded.Forgotten() != many {
		t.Errorf("%d tasks in %d MiB and %d forgotten", bounded.Len(), held>>20, bounded.Forgotten())
	}
	if list.Total != bounded.Len() || list.Forgotten != bounded.Forgotten() || list.Omitted != 0 {
		t.Errorf("%d tasks, %d forgotten, %d omitted", list.Total, list.Forgotten, list.Omitted)
	}
	runtime.KeepAlive(table)
}

func TestFollowTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		ended := make(chan error, 1)
		parsed, _ := task.ParseID(uuid)
		go func() {
			ended <- w.FollowTree(ctx, task.TreeRequest{ID: parsed, Now: time.Unix(0, moment)}, func(tree *task.Tree) error {
				got = append(got, text(tree))
				return nil
			})
		}()
		synctest.Wait()
		for _, record := range [][2]string{{"0@" + uuid, "i:job"}, {"0@" + uuid2, "i:other"}, {"1@" + uuid, "i:job"}} {
			w.key("a", record[0], 0, record[1])
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if want := " | job=open/1 | job=success/2"; strings.Join(got, " | ") != want {
			t.Errorf("%q, want %q", strings.Join(got, " | "), want)
		}
	})
}

func TestFollowList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var got []string
		enough := errors.New("enough")
		ended := make(chan error, 1)
		go func() {
			ended <- w.FollowList(t.Context(), task.ListRequest{Now: time.Unix(0, moment)}, func(l *task.List) error {
				if got = append(got, listText(l)); len(got) == 3 {
					return enough
				}
				return nil
			})
		}()
		synctest.Wait()
		w.json("b", 0, "GET / 200")
		time.Sleep(2 * time.Second)
		w.key("a", "0@"+uuid, 0, "i:job")
		time.Sleep(2 * time.Second)
		w.key("a", "1@"+uuid, 1, "i:job")
		if err := <-ended; !errors.Is(err, enough) {
			t.Error(err)
		}
		if want := " | job=open/1 | job=success/2"; strings.Join(got, " | ") != want {
			t.Errorf("%q, want %q", strings.Join(got, " | "), want)
		}
	})
}
