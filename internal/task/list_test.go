package task_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/logql"
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

// TestListKeepsWhatFits has more tasks without an end than a list may choose from, of which more
// might still be read while it chooses, beside those that fit the question.
func TestListKeepsWhatFits(t *testing.T) {
	const most, many, fitting = 100, 500, 80
	w := newWorld(t)
	w.Tasks, w.Blocks = most, logql.New(logql.Options{Archive: w.a, Workers: 1})
	for i := range 10 {
		w.key("a", "0@"+id(1+i), int64(i), "i:aborted", "process=7")
	}
	for i := range many {
		w.key("a", "0@"+id(1000+i), int64(100+i), "i:job", fmt.Sprintf("process=%d", 1000+i))
	}
	w.seal("a")
	for i := range fitting {
		w.key("a", "0@"+id(100+i), int64(10_000+i), "i:good", "process=7")
		w.key("a", "1@"+id(100+i), int64(10_000+i), "i:good", "process=7")
	}
	for i := range 2 * most {
		w.key("a", "0@"+id(2000+i), int64(20_000+i), "i:running", "process=9")
	}
	for name, c := range map[string]struct {
		q    task.ListRequest
		want map[string]int
	}{
		"succeeded": {task.ListRequest{States: []task.State{task.Success}}, map[string]int{"good=success/2": fitting}},
		"lost":      {task.ListRequest{States: []task.State{task.Lost}}, map[string]int{"aborted=lost/1": 10}},
		"all":       {task.ListRequest{}, map[string]int{"aborted=lost/1": 10, "running=open/1": most - 10}},
	} {
		got := map[string]int{}
		for _, s := range strings.Fields(w.list(c.q, 21*time.Second)) {
			if !strings.HasPrefix(s, "forgotten") {
				got[s]++
			}
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// late has the newest block come after all others, from a reader who was given it first.
type late struct{ *logql.Engine }

func (l late) Blocks(ctx context.Context, q logql.BlockQuery, visitor func() func(logql.Block) error) ([]logql.Damage, error) {
	slow, quick := visitor(), visitor()
	var newest *logql.Block
	damage, err := l.Engine.Blocks(ctx, q, func() func(logql.Block) error {
		return func(b logql.Block) error {
			if newest != nil {
				return quick(b)
			}
			head := *b.Head
			b.Head, b.Text = &head, bytes.Clone(b.Text)
			newest = &b
			return nil
		}
	})
	if err != nil || newest == nil {
		return damage, err
	}
	return damage, slow(*newest)
}

// TestListWaitsForOtherBlocks has the end of a task in a block that is read after many others,
// since another reader has it or its newest record is older.
func TestListWaitsForOtherBlocks(t *testing.T) {
	const most, many = 100, 300
	write := func(end string, ends ...int64) *world {
		w := newWorld(t)
		w.Tasks = most
		w.key("b", "0@"+id(1), 0, "i:failing", "process=1", "context_user=u1")
		w.key("b", "0@"+id(2), ends[0], "i:next", "process=1")
		w.key("b", "1@"+id(2), ends[0], "i:next", "process=1")
		w.seal("b")
		for i := range many {
			w.key("a", "0@"+id(1000+i), int64(1+i), "i:job", "process=7")
			w.key("a", "1@"+id(1000+i), int64(1+i), "i:job", "process=7")
		}
		if end != "a" {
			w.seal("a")
		}
		w.key(end, "1@"+id(1), ends[1], "e:FAILED failing", "process=1")
		w.seal(end)
		w.Blocks = logql.New(logql.Options{Archive: w.a, Workers: 1})
		return w
	}
	older, newer := write("a", many+2, many+1), write("b", many+1, many+2)
	newer.Blocks = late{logql.New(logql.Options{Archive: newer.a, Workers: 1})}
	for name, w := range map[string]*world{"older": older, "newer": newer} {
		for _, where := range [][]task.Condition{nil, {{Name: "user", Value: "u1"}}} {
			q := task.ListRequest{States: []task.State{task.Failed}, Where: where}
			if got, want := w.list(q, 7*time.Second), fmt.Sprintf("failing=failed/2 forgotten%d", many+2-most); got != want {
				t.Errorf("%s, %d conditions: %s, want %s", name, len(where), got, want)
			}
		}
	}
}

// TestListWaitsForBeginnings has the beginning of a task, which alone tells that the task is asked
// for, in a block that is read after one with its end and with many others.
func TestListWaitsForBeginnings(t *testing.T) {
	const most, many = 100, 300
	w := newWorld(t)
	w.Tasks, w.Blocks = most, logql.New(logql.Options{Archive: w.a, Workers: 1})
	w.key("a", "0@"+id(1), 0, "i:failing", "process=1", "context_user=u1")
	w.seal("a")
	w.key("a", "1@"+id(1), 5000, "e:FAILED failing", "process=1")
	for i := range many {
		w.key("a", "0@"+id(1000+i), int64(5001+i), "e:job", "process=7")
		w.key("a", "1@"+id(1000+i), int64(5001+i), "e:FAILED job", "process=7")
	}
	for name, q := range map[string]task.ListRequest{
		"where": {Where: []task.Condition{{Name: "user", Value: "u1"}}},
		"name":  {Name: "failing"},
		"slow":  {Slow: 4 * time.Second, OnlySlow: true},
	} {
		got, want := w.list(q, 7*time.Second), fmt.Sprintf("failing=failed/2 forgotten%d", many+1-most)
		if name == "slow" {
			want = strings.Replace(want, "/2", "/2/slow", 1)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestPendingIsBounded has more tasks of which more may be read than there is room for, beside
// others.
func TestPendingIsBounded(t *testing.T) {
	const many, most = 1000, 100
	table := task.FillTable(many, most, 0)
	table.FillPending(many, 2*many)
	if n := table.Len(); n < 2*most || n > 2*most+most/8+1 {
		t.Errorf("%d tasks, want up to %d and as many that are pending", n, most)
	}
	if list := table.List(); list.Total != most || list.Forgotten != 2*many-most {
		t.Errorf("%d tasks, %d forgotten", list.Total, list.Forgotten)
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
