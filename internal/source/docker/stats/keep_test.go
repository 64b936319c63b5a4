package stats

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/dockerapi"
)

// memory is a State.
type memory map[string][]byte

func (m memory) Load(key string) []byte { return slices.Clone(m[key]) }

func (m memory) Store(key string, value []byte) { m[key] = slices.Clone(value) }

// again is a collector that begins where r ended; orderly tells whether r was asked to end. The
// engine of r goes on.
func (r *rig) again(orderly bool, away time.Duration) *rig {
	r.t.Helper()
	if orderly {
		r.Collector.keep(true)
	}
	next := newRig(r.t, r.o.Read)
	next.eng, next.time, next.o.State = r.eng, r.time.Add(away), r.o.State
	next.restore()
	return next
}

// list has the collector hear of all containers of the engine.
func (r *rig) list() {
	var all []dockerapi.Container
	for id, d := range r.eng.details {
		all = append(all, dockerapi.Container{ID: id, State: d.Status})
	}
	r.Observe(all, true)
}

// TestRestart has containers that are removed before weir ends, and while it is away: their
// heartbeats are there when it is back, and go when their time has come.
func TestRestart(t *testing.T) {
	for _, orderly := range []bool{true, false} {
		t.Run(fmt.Sprint("orderly ", orderly), func(t *testing.T) {
			r := newRig(t, ReadAPI)
			r.o.State = memory{}
			var all []dockerapi.Details
			for i, name := range []string{"before", "meanwhile", "stays"} {
				d := r.container(string(rune('a'+i)), name, 100)
				r.eng.stats[d.ID] = dockerapi.Stats{Read: r.time}
				all = append(all, d)
			}
			r.list()
			r.pass(0)
			r.pass(roundEvery) // at 20 s
			r.remove(all[0].ID)
			r.event(all[0].ID, "die", "destroy")
			r.pass(roundEvery) // at 40 s
			r.remove(all[1].ID)

			r = r.again(orderly, 10*time.Minute)
			r.has(`container_up_timestamp_seconds{container="before"} 1795198220`, `container_up_timestamp_seconds{container="meanwhile"} 1795198240`,
				`container_up_timestamp_seconds{container="stays"} 1795198240`, `container_started_at_timestamp_seconds{container="before"} 1795198190`)
			r.list()
			r.pass(time.Second)
			r.has(`container_up_timestamp_seconds{container="before"} 1795198220`, `container_up_timestamp_seconds{container="meanwhile"} 1795198240`,
				fmt.Sprintf(`container_up_timestamp_seconds{container="stays"} %d`, r.time.Unix()))

			r = r.again(orderly, 49*time.Minute+45*time.Second) // and once more, when nothing was heard of the two
			r.pass(time.Second)
			r.lacks(`container_up_timestamp_seconds{container="before"}`, `container_started_at_timestamp_seconds{container="before"}`)
			r.has(`container_up_timestamp_seconds{container="meanwhile"} 1795198240`)
			r.pass(time.Minute)
			r.lacks(`container_up_timestamp_seconds{container="meanwhile"}`)
			r = r.again(orderly, 0)
			r.lacks(`container_up_timestamp_seconds{container="meanwhile"}`)
		})
	}
}

// TestRestartEnded has a container that runs on while weir is away, and then ends: it was
// alive until then.
func TestRestartEnded(t *testing.T) {
	r := newRig(t, ReadAPI)
	r.o.State = memory{}
	d := r.container("a", "web", 100)
	r.eng.stats[d.ID] = dockerapi.Stats{Read: r.time}
	r.list()
	r.pass(0)
	r.pass(time.Second)
	r.time = r.time.Add(5 * time.Minute)
	r.exit(d, 0)
	r = r.again(true, time.Minute)
	r.list()
	r.pass(time.Second)
	r.has(fmt.Sprintf(`container_up_timestamp_seconds{container="web"} %d`, begin.Add(time.Second+5*time.Minute).Unix()))
}

// TestRestartRenamed has containers that have another name, or are not wanted, when weir is
// back: they are not down.
func TestRestartRenamed(t *testing.T) {
	r := newRig(t, ReadAPI)
	r.o.State = memory{}
	web, job := r.container("a", "web", 100), r.container("b", "job", 101)
	for _, d := range []dockerapi.Details{web, job} {
		r.eng.stats[d.ID] = dockerapi.Stats{Read: r.time}
	}
	r.list()
	r.pass(0)
	r.pass(time.Second)
	web.Name, job.Name = "web-old", "unwanted"
	r.set(web)
	r.set(job)
	r = r.again(true, time.Minute)
	r.list()
	r.pass(time.Second)
	r.lacks(`container_up_timestamp_seconds{container="web"}`, `container_up_timestamp_seconds{container="job"}`)
	r.has(fmt.Sprintf(`container_up_timestamp_seconds{container="web-old"} %d`, r.time.Unix()))
}

// TestRestartClock has the clock set back while weir is away.
func TestRestartClock(t *testing.T) {
	r := newRig(t, ReadAPI)
	r.o.State = memory{}
	d := r.container("a", "web", 100)
	r.eng.stats[d.ID] = dockerapi.Stats{Read: r.time}
	r.list()
	r.pass(0)
	r.pass(time.Second)
	r.remove(d.ID)
	r = r.again(true, -time.Hour)
	r.has(fmt.Sprintf(`container_up_timestamp_seconds{container="web"} %d`, r.time.Unix()))
}

// TestStored has as little be stored as can be: each time is a commit.
func TestStored(t *testing.T) {
	r := newRig(t, ReadAPI)
	d := r.container("a", "web", 100)
	r.eng.stats[d.ID] = dockerapi.Stats{Read: r.time}
	stored := counting{memory{}, map[string]int{}}
	r.o.State = stored
	r.list()
	r.pass(0)
	for range 60 {
		r.pass(time.Second)
	}
	if n := stored.times; n[keyHeartbeats] > 2 || n[keyRound] != 3 {
		t.Errorf("stored %v", n)
	}
	Forget(stored)
	Forget(nil)
	if len(stored.memory[keyHeartbeats])+len(stored.memory[keyRound]) > 0 {
		t.Errorf("left %v", stored.memory)
	}
}

type counting struct {
	memory
	times map[string]int
}

func (c counting) Store(key string, value []byte) {
	c.times[key]++
	c.memory.Store(key, value)
}

func FuzzHeartbeats(f *testing.F) {
	f.Add(appendHeartbeats(nil, nil))
	f.Add(appendHeartbeats(nil, []heartbeat{{"web", id("a"), 1795198190, 0}, {"job", "", 0, 1795198240}}))
	f.Add([]byte{heartbeatFormat, 200, 1})
	f.Add([]byte{9})
	f.Fuzz(func(t *testing.T, text []byte) {
		all := parseHeartbeats(text)
		if again := parseHeartbeats(appendHeartbeats(nil, all)); !reflect.DeepEqual(all, again) {
			t.Errorf("%+v became %+v", all, again)
		}
	})
}
