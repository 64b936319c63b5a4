package demo

import (
	"bytes"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// pattern is the one that users of the nginx tailer have in their configurations.
const pattern = `(?P<remote_addr>\S+) - \S+ \[(?P<time_local>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) \S+" ` +
	`(?P<status>\d+) (?P<bytes>\d+) "[^"]*" "[^"]*" "[^"]*" rt=(?P<rt>\S+) uct="(?P<uct>[^"]*)" ` +
	`uht="(?P<uht>[^"]*)" urt="(?P<urt>[^"]*)" upstream=(?P<upstream>\S+) rid=(?P<rid>\S+) cache=(?P<cache>\S+)`

// loose fits every line of the log_format, the odd ones too.
const loose = `^\S+ - [^\[]+ \[[^\]]+\] "[^"]*" (\d{3}) (?:\d+|-) "[^"]*" "[^"]*" "[^"]*" rt=\d+\.\d{3} ` +
	`uct="[^"]*" uht="[^"]*" urt="[^"]*" upstream=.* rid=[0-9a-f]{32} cache=[A-Z-]+\n$`

func start() time.Time { return time.Date(2026, 11, 20, 18, 15, 38, 160676363, time.UTC) }

func TestTrafficFitsThePattern(t *testing.T) {
	users, format := regexp.MustCompile(pattern), regexp.MustCompile(loose)
	traffic := NewTraffic(7)
	seen, odd := map[int]int{}, 0
	now := start()
	for i := range 12_000 {
		traffic.Trouble = i > 9_000
		line, hit := traffic.Append(nil, now)
		now = now.Add(3 * time.Millisecond)
		if m := format.FindSubmatch(line); m == nil || string(m[1]) != strconv.Itoa(hit.Status) {
			t.Fatalf("line %d is not of the log format with status %d: %s", i, hit.Status, line)
		}
		if fits := users.Match(line); fits == hit.Odd {
			t.Fatalf("line %d: odd is %v, the pattern fits: %v: %s", i, hit.Odd, fits, line)
		}
		seen[hit.Status]++
		if hit.Odd {
			odd++
		}
	}
	for _, status := range []int{200, 201, 204, 301, 302, 304, 400, 401, 403, 404, 408, 429, 499, 500, 502, 503, 504} {
		if seen[status] == 0 {
			t.Errorf("no line has status %d", status)
		}
	}
	if odd < 60 || odd > 140 {
		t.Errorf("%d of 12000 lines are odd, want about 96", odd)
	}
	if seen[502] < 500 {
		t.Errorf("%d lines have status 502 though there was trouble", seen[502])
	}
}

func TestTrafficRepeats(t *testing.T) {
	make100 := func(seed uint64) []byte {
		traffic, now := NewTraffic(seed), start()
		var out []byte
		for range 100 {
			out, _ = traffic.Append(out, now)
			now = now.Add(time.Second / 3)
		}
		return out
	}
	if !bytes.Equal(make100(1), make100(1)) {
		t.Error("the same seed gave different lines")
	}
	if bytes.Equal(make100(1), make100(2)) {
		t.Error("different seeds gave the same lines")
	}
}

func TestTrafficAllocates(t *testing.T) {
	traffic, now := NewTraffic(3), start()
	line := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() { line, _ = traffic.Append(line[:0], now) }); n != 0 {
		t.Errorf("a line costs %v allocations, want 0", n)
	}
}

func FuzzSecondsAreNginxTimes(f *testing.F) {
	f.Add(0)
	f.Add(60_017)
	format := regexp.MustCompile(`^\d+\.\d{3}$`)
	f.Fuzz(func(t *testing.T, ms int) {
		ms &= 1<<40 - 1
		out := appendSeconds(nil, ms)
		v, err := strconv.ParseFloat(string(out), 64)
		if err != nil || !format.Match(out) || int(v*1000+0.5) != ms {
			t.Errorf("%d ms is written %q", ms, out)
		}
	})
}
