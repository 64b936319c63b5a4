package cgroup_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/weirlog/weir/internal/codec/cgroup"
)

const none = cgroup.None

// What kernels say: version 1 of 6.18, version 2 as documented.
const (
	stat1 = "nr_periods 52\nnr_throttled 3\nthrottled_time 71765964\nwait_sum 12\n"
	stat2 = "usage_usec 71765\nuser_usec 40000\nsystem_usec 20000\nnice_usec 0\nnr_periods 52\nnr_throttled 3\nthrottled_usec 71\nnr_bursts 0\n"
	acct1 = "user 4\nsystem 2\n"

	memory1 = "cache 1\nrss 2\nmapped_file 3\nswap 4\npgfault 5\npgmajfault 6\ninactive_file 7\nhierarchical_memory_limit 67108864\n" +
		"total_cache 1990656\ntotal_rss 110592\ntotal_mapped_file 1744896\ntotal_swap 8\ntotal_pgfault 3678\ntotal_pgmajfault 2\ntotal_inactive_file 413696\n"
	memory2 = "anon 110592\nfile 1990656\nkernel 4096\nfile_mapped 1744896\ninactive_anon 1\ninactive_file 413696\npgfault 3678\npgmajfault 2\n"

	io2     = "8:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n254:1\n7:3 rbytes=1\n"
	bytes1  = "8:0 Read 1459200\n8:0 Write 314773504\n8:0 Sync 5\n8:0 Total 9\nTotal 9\n"
	counts1 = "8:0 Read 192\n8:0 Write 353\n"

	netDev = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
		"    lo:  100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n" +
		"  eth0:     946      11    2    3    0     0          0         0      77       5    6    7    0     0       0          0\n" +
		"eth1:12345678901 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"

	group1 = "12:pids:/docker/ab\n3:cpu,cpuacct:/docker/cd\n1:name=systemd:/docker/ab\n0::/system.slice\n"
	group2 = "0::/system.slice/docker-ab.scope\n"

	procStat = "cpu  100 20 30 4000 50 6 7 99 0 0\ncpu0 50 10 15 2000 25 3 3 50 0 0\ncpu1 50 10 15 2000 25 3 4 49 0 0\nintr 123 0 0\ncpuidle 3\n"
)

func ExampleCPU_ParseStat() {
	c := cgroup.NoCPU()
	c.ParseStat([]byte("usage_usec 1500000\nnr_periods 20\nnr_throttled 5\nthrottled_usec 250000\n"))
	fmt.Printf("used %.1f s, waited %.2f s in %d of %d periods\n", float64(c.Usage)/1e9, float64(c.Waited)/1e9, c.Throttled, c.Periods)
	// Output: used 1.5 s, waited 0.25 s in 5 of 20 periods
}

func ExampleNumber() {
	limit, _ := cgroup.Number([]byte("67108864\n"))
	all, _ := cgroup.Number([]byte("max\n"))
	fmt.Println(limit, all == cgroup.None)
	// Output: 67108864 true
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]uint64{
		"0\n": 0, "42": 42, " 7 \n": 7, "max": none, "-1\n": none, "9223372036854771712\n": none, "9223372036854775807": none,
	} {
		if n, ok := cgroup.Number([]byte(text)); n != want || !ok {
			t.Errorf("%q gives %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "\n", "x", "1x", "1 2", "99999999999999999999999", "+1", "-"} {
		if n, ok := cgroup.Number([]byte(text)); ok {
			t.Errorf("%q gives %d", text, n)
		}
	}
}

func TestCPU(t *testing.T) {
	one := cgroup.NoCPU()
	one.ParseStat([]byte(stat1))
	one.ParseAcct([]byte(acct1))
	if want := (cgroup.CPU{Usage: none, User: 40e6, System: 20e6, Periods: 52, Throttled: 3, Waited: 71765964}); one != want {
		t.Errorf("version 1: %+v", one)
	}
	two := cgroup.NoCPU()
	two.ParseStat([]byte(stat2))
	if want := (cgroup.CPU{Usage: 71765e3, User: 40e6, System: 20e6, Periods: 52, Throttled: 3, Waited: 71e3}); two != want {
		t.Errorf("version 2: %+v", two)
	}
}

func TestQuota(t *testing.T) {
	for text, want := range map[string][2]uint64{"max 100000\n": {none, 100000}, "50000 100000": {50000, 100000}} {
		if quota, period, ok := cgroup.Quota([]byte(text)); !ok || quota != want[0] || period != want[1] {
			t.Errorf("%q gives %d %d %v", text, quota, period, ok)
		}
	}
	for _, text := range []string{"", "max", "1 0", "x 1", "1 max"} {
		if _, _, ok := cgroup.Quota([]byte(text)); ok {
			t.Errorf("%q is a quota", text)
		}
	}
}

func TestCountCPUs(t *testing.T) {
	for text, want := range map[string]int{"0": 1, "0-3\n": 4, "0-3,7": 5, "2,4,6-7": 4} {
		if n, ok := cgroup.CountCPUs([]byte(text)); n != want || !ok {
			t.Errorf("%q gives %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "\n", "3-1", "a", "0-", "0,", "0-99999999", "18446744073709551615"} {
		if n, ok := cgroup.CountCPUs([]byte(text)); ok {
			t.Errorf("%q gives %d", text, n)
		}
	}
}

func TestMemory(t *testing.T) {
	want := cgroup.Memory{Anon: 110592, File: 1990656, Mapped: 1744896, InactiveFile: 413696, Swapped: 8, Faults: 3678, MajorFaults: 2}
	one := cgroup.NoMemory()
	one.ParseStat([]byte(memory1))
	if one != want {
		t.Errorf("version 1: %+v", one)
	}
	want.Swapped = none
	two := cgroup.NoMemory()
	two.ParseStat([]byte(memory2))
	if two != want {
		t.Errorf("version 2: %+v", two)
	}
	if n, ok := cgroup.Value([]byte("low 0\noom 2\noom_kill 1\n"), "oom_kill"); n != 1 || !ok {
		t.Errorf("oom_kill: %d %v", n, ok)
	}
}

func TestDevices(t *testing.T) {
	first := cgroup.Device{Major: 8, ReadBytes: 1459200, WriteBytes: 314773504, Reads: 192, Writes: 353}
	two := cgroup.AppendIOStat(nil, []byte(io2))
	if want := []cgroup.Device{first, {Major: 254, Minor: 1}, {Major: 7, Minor: 3, ReadBytes: 1}}; !reflect.DeepEqual(two, want) {
		t.Errorf("version 2: %+v", two)
	}
	one := cgroup.AppendBlkioCounts(cgroup.AppendBlkioBytes(nil, []byte(bytes1)), []byte(counts1))
	if want := []cgroup.Device{first}; !reflect.DeepEqual(one, want) {
		t.Errorf("version 1: %+v", one)
	}
}

func TestNetDev(t *testing.T) {
	got := cgroup.AppendNetDev(nil, []byte(netDev))
	want := []cgroup.Interface{
		{Name: []byte("eth0"), RxBytes: 946, RxPackets: 11, RxErrors: 2, RxDropped: 3, TxBytes: 77, TxPackets: 5, TxErrors: 6, TxDropped: 7},
		{Name: []byte("eth1"), RxBytes: 12345678901, RxPackets: 1, TxBytes: 9, TxPackets: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestGroup(t *testing.T) {
	for _, c := range []struct{ text, controller, want string }{
		{group1, "pids", "/docker/ab"}, {group1, "cpuacct", "/docker/cd"}, {group1, "cpu", "/docker/cd"}, {group1, "", "/system.slice"},
		{group2, "", "/system.slice/docker-ab.scope"}, {group2, "memory", ""}, {"0::relative\n", "", ""}, {"0:", "", ""},
	} {
		if path, ok := cgroup.Group([]byte(c.text), c.controller); string(path) != c.want || ok != (c.want != "") {
			t.Errorf("%q of %q: %q, %v", c.controller, c.text, path, ok)
		}
	}
}

func TestSystem(t *testing.T) {
	ns, cpus, ok := cgroup.System([]byte(procStat))
	if want := uint64(100+20+30+4000+50+6+7) * 1e7; ns != want || cpus != 2 || !ok {
		t.Errorf("got %d, %d, %v; want %d", ns, cpus, ok, want)
	}
	if size, ok := cgroup.MemTotal([]byte("MemTotal:       24684096 kB\nMemFree: 1 kB\n")); size != 24684096<<10 || !ok {
		t.Errorf("MemTotal %d %v", size, ok)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var c cgroup.CPU
	var m cgroup.Memory
	devices, nets := make([]cgroup.Device, 0, 8), make([]cgroup.Interface, 0, 8)
	texts := map[string][]byte{}
	for _, s := range []string{stat1, stat2, acct1, memory1, memory2, io2, bytes1, netDev, procStat, group1} {
		texts[s] = []byte(s)
	}
	n := testing.AllocsPerRun(100, func() {
		c.ParseStat(texts[stat1])
		c.ParseStat(texts[stat2])
		c.ParseAcct(texts[acct1])
		m.ParseStat(texts[memory1])
		m.ParseStat(texts[memory2])
		devices = cgroup.AppendIOStat(devices[:0], texts[io2])
		devices = cgroup.AppendBlkioBytes(devices[:0], texts[bytes1])
		nets = cgroup.AppendNetDev(nets[:0], texts[netDev])
		cgroup.System(texts[procStat])
		cgroup.Group(texts[group1], "memory")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzNumbers: whatever the text, what is read is within bounds and written as it was.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "max", "-1", "0-3,7", "50000 100000", "max 100000", "18446744073709551615", "9223372036854771712\n", procStat, "MemTotal: 1 kB"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, ok := cgroup.Number(text); ok && n != none && fmt.Sprint(n) != string(bytes.TrimLeft(bytes.TrimSpace(text), "0")) && n != 0 {
			t.Errorf("%q gives %d", text, n)
		}
		if n, ok := cgroup.CountCPUs(text); ok && (n < 1 || n > 1<<16) {
			t.Errorf("%q gives %d processors", text, n)
		}
		if _, period, ok := cgroup.Quota(text); ok && period == 0 {
			t.Errorf("%q gives a period of 0", text)
		}
		cgroup.System(text)
		cgroup.MemTotal(text)
	})
}

// FuzzStat: a file that is read twice changes nothing the second time.
func FuzzStat(f *testing.F) {
	for _, s := range []string{stat1, stat2, acct1, memory1, memory2, "usage_usec 99999999999999999999\n", "usage_usec 18446744073709551615", "anon\nfile -1\n\x00 1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, m := cgroup.NoCPU(), cgroup.NoMemory()
		c.ParseStat(text)
		c.ParseAcct(text)
		m.ParseStat(text)
		again, more := c, m
		again.ParseStat(text)
		again.ParseAcct(text)
		more.ParseStat(text)
		if again != c || more != m {
			t.Errorf("%q read twice: %+v then %+v, %+v then %+v", text, c, again, m, more)
		}
	})
}

// FuzzLists: there are no more devices and interfaces than the bound, each device once.
func FuzzLists(f *testing.F) {
	for _, s := range []string{io2, bytes1, counts1, netDev, "8:0 rbytes==1 =", ":::", "4294967296:0 Read 1\n", "eth0: 1 2 3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		devices := cgroup.AppendBlkioCounts(cgroup.AppendBlkioBytes(cgroup.AppendIOStat(nil, text), text), text)
		seen := map[[2]uint32]bool{}
		for _, d := range devices {
			key := [2]uint32{d.Major, d.Minor}
			if seen[key] {
				t.Errorf("%q: %v twice", text, key)
			}
			seen[key] = true
		}
		nets := cgroup.AppendNetDev(nil, text)
		for _, n := range nets {
			if len(n.Name) == 0 || string(n.Name) == "lo" || bytes.IndexByte(n.Name, '\n') >= 0 {
				t.Errorf("%q: interface %q", text, n.Name)
			}
		}
		if len(devices) > cgroup.MaxDevices || len(nets) > cgroup.MaxDevices {
			t.Errorf("%d devices, %d interfaces", len(devices), len(nets))
		}
	})
}

// FuzzGroup: a path is absolute and on one line.
func FuzzGroup(f *testing.F) {
	f.Add([]byte(group1), "memory")
	f.Add([]byte(group2), "")
	f.Add([]byte("1:a,,b:/\n::/x"), "b")
	f.Fuzz(func(t *testing.T, text []byte, controller string) {
		path, ok := cgroup.Group(text, controller)
		if ok && (len(path) == 0 || path[0] != '/' || bytes.IndexByte(path, '\n') >= 0) {
			t.Errorf("%q of %q: %q", controller, text, path)
		}
		cgroup.Value(text, controller)
	})
}

func TestOverflow(t *testing.T) {
	var c cgroup.CPU
	c.ParseStat([]byte(fmt.Sprintf("usage_usec %d\n", uint64(math.MaxUint64))))
	if c.Usage != none {
		t.Errorf("usage %d", c.Usage)
	}
}
