package metric

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"
)

// clockTicks is the unit of times in /proc: hundredths of a second on every Linux.
const clockTicks = 100

// Process adds the metrics of this process under the names that dashboards know, and
// weir_build_info. They are measured by Collect, without stopping the program.
func Process(r *Registry, version string) error {
	var failed error
	family := func(kind Kind, name, help string, labels ...string) *Family {
		f, err := r.Family(Desc{Name: name, Help: help, Kind: kind, Labels: labels, Owner: "process"})
		failed = errors.Join(failed, err)
		return f
	}
	build := family(Gauge, "weir_build_info", "1, with the version of weir and of the Go it was built with.", "version", "goversion")
	var p process
	for _, m := range []struct {
		series     **Series
		kind       Kind
		name, help string
	}{
		{&p.cpu, Counter, "process_cpu_seconds_total", "User and system CPU time spent in seconds."},
		{&p.resident, Gauge, "process_resident_memory_bytes", "Resident memory size in bytes."},
		{&p.started, Gauge, "process_start_time_seconds", "Start time of the process since the Unix epoch in seconds."},
		{&p.files, Gauge, "process_open_fds", "Number of open file descriptors."},
		{&p.goroutines, Gauge, "go_goroutines", "Number of goroutines that currently exist."},
		{&p.heap, Gauge, "go_memstats_heap_alloc_bytes", "Bytes of allocated heap objects."},
	} {
		if f := family(m.kind, m.name, m.help); f != nil {
			*m.series = f.Series()
		}
	}
	if failed != nil {
		return failed
	}
	build.Series(version, runtime.Version()).Set(1)
	p.started.Set(startTime())
	r.OnCollect(p.measure)
	return nil
}

// process has the series of this process. What cannot be measured keeps its last value.
type process struct {
	cpu, resident, started, files, goroutines, heap *Series
}

func (p process) measure() {
	var use syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &use) == nil {
		p.cpu.Set(time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds())
	}
	var buf [256]byte
	if fields := procFields("/proc/self/statm", buf[:]); len(fields) > 1 {
		if pages, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
			p.resident.Set(float64(pages) * float64(os.Getpagesize()))
		}
	}
	if n, ok := openFiles(); ok {
		p.files.Set(float64(n))
	}
	p.goroutines.Set(float64(runtime.NumGoroutine()))
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	p.heap.Set(float64(heap[0].Value.Uint64()))
}

// procFields reads a file of one line into buf and splits it.
func procFields(name string, buf []byte) [][]byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	n, err := io.ReadFull(f, buf)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil
	}
	return bytes.Fields(buf[:n])
}

func openFiles() (int, bool) {
	f, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return len(names) - 1, err == nil // f itself is one of them
}

// startTime returns when the process started in Unix seconds: when the machine did, plus
// the 22nd field of stat. Where /proc does not say, it is now.
func startTime() float64 {
	now := float64(time.Now().UnixMilli()) / 1000
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return now
	}
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return now
	}
	_, boot, found := bytes.Cut(all, []byte("\nbtime "))
	boot, _, _ = bytes.Cut(boot, []byte("\n"))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name may have spaces
	if !found || len(fields) < 20 {
		return now
	}
	booted, err1 := strconv.ParseFloat(string(boot), 64)
	ticks, err2 := strconv.ParseFloat(string(fields[19]), 64)
	if err1 != nil || err2 != nil {
		return now
	}
	return booted + ticks/clockTicks
}
