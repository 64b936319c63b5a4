package stats

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDescriptorsOfOurOwn counts the descriptors of this process in both ways.
func TestDescriptorsOfOurOwn(t *testing.T) {
	h := newHost("")
	pid := fmt.Sprint(os.Getpid())
	count := func() uint64 {
		n, ok := h.descriptors(pid)
		if !ok {
			t.Fatal("not known")
		}
		return n
	}
	for _, told := range []bool{true, false} {
		if told && !h.counts {
			continue // a kernel before 6.2
		}
		if h.counts = told; h.list == nil {
			h.list = make([]byte, 1000) // less than a directory takes
		}
		before := count()
		var open []*os.File
		for range 100 {
			f, err := os.Open("/dev/null")
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, f)
		}
		if n := count(); n < before+100 || n > before+110 {
			t.Errorf("told %v: %d, before %d", told, n, before)
		}
		for _, f := range open {
			_ = f.Close()
		}
	}
	h.counts = false
	if n, ok := h.descriptors("999999999"); n != 0 || !ok {
		t.Errorf("a process that ended: %d, %v", n, ok)
	}
	if _, ok := h.descriptors("0"); ok {
		t.Error("a process of another space has descriptors")
	}
}

// TestProcesses has processes come and go, and be more than are looked at.
func TestProcesses(t *testing.T) {
	r := newRig(t, ReadFile)
	d := r.container("a", "web", 100)
	r.v2(d, 1, 1)
	r.event(d.ID, "start")
	r.pass(0)
	group := "sys/fs/cgroup/system.slice/docker-" + d.ID + ".scope/cgroup.procs"
	whole := `{container="web",id="` + d.ID + `",image="img:1",name="web"} `
	r.has("container_processes"+whole+"1", "container_file_descriptors"+whole+"3")
	r.open(101, 5)
	r.write(group, "100\n101\n102\n") // the last has ended since
	r.pass(time.Second)
	r.has("container_processes"+whole+"3", "container_file_descriptors"+whole+"8")
	r.open(101, maxListed+1)
	r.pass(time.Second)
	r.has("container_processes" + whole + "3")
	r.lacks("container_file_descriptors")
	r.write(group, strings.Repeat("100\n", maxProcesses+1))
	r.pass(time.Second)
	r.has(fmt.Sprint("container_processes", whole, maxProcesses+1))
	r.lacks("container_file_descriptors")
	r.write(group, "0\n")
	r.pass(time.Second)
	r.has("container_processes" + whole + "1")
	r.lacks("container_file_descriptors")
	if err := os.Remove(r.root + "/" + group); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Second)
	r.lacks("container_processes", "container_file_descriptors")
	r.has(fmt.Sprintf(`container_up_timestamp_seconds{container="web"} %d`, r.time.Unix()))
}

func FuzzCountEntries(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(make([]byte, 16), 24, 0, 8, 'a', 0, 0, 0, 0))
	f.Add(append(make([]byte, 16), 0, 0, 8, '.', 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, list []byte) {
		if n := countEntries(list); n > uint64(len(list)/20) {
			t.Errorf("%d entries in %d bytes", n, len(list))
		}
	})
}
