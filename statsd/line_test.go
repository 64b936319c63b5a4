package statsd

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// offline returns a client without a sender, and what brings its lines to light.
func offline(t testing.TB, o Options) (*Client, func() []string) {
	t.Helper()
	all, err := o.resolve()
	if err != nil {
		t.Fatal(err)
	}
	c := &core{settings: all, queue: newQueue(all), texts: &texts{seed: maphash.MakeSeed()}}
	c.sender = newSender(all, c.queue, nil) // not run
	if all.Aggregate > 0 {
		c.aggregate = newAggregate(all, c.queue, 2)
	}
	s := scope{dialect: o.Dialect, naming: o.Naming, prefix: safePrefix(o.Prefix), rate: 1}
	s.tags = string(s.appendTags(nil, o.Tags, false))
	return &Client{scope: newScope(s), core: c}, func() (lines []string) {
		hand := newQueue(settings{Options: Options{QueueLines: maxInt, QueueBytes: maxInt}})
		if c.aggregate != nil {
			if err := c.aggregate.flush(hand, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range []*queue{c.queue, hand} {
			for q.lines > 0 {
				line, _ := q.front()
				lines = append(lines, string(line))
				q.pop(len(line))
			}
		}
		return lines
	}
}

func TestDialects(t *testing.T) {
	record := func(c *Client) {
		c = c.WithPrefix("app.").WithTags("env:x", "bare")
		c.Incr("n", 1, "a:1")
		c.Gauge("g", -1.5)
		c.Timing("t", 1500*time.Microsecond)
		c.WithRate(0.25).Histogram("h", 7, "", "b:2")
		c.Set("s", "m:|,é")
	}
	want := map[Dialect][]string{
		StatsD: {"app.n:1|c|#env:x,bare,a:1", "app.g:0|g|#env:x,bare\napp.g:-1.5|g|#env:x,bare", "app.t:1.5|ms|#env:x,bare",
			"app.h:7|h|@0.25|#env:x,bare,b:2", "app.s:m___é|s|#env:x,bare"},
		DogStatsD: {"app.n:1|c|#env:x,bare,a:1", "app.g:-1.5|g|#env:x,bare", "app.t:1.5|ms|#env:x,bare",
			"app.h:7|h|@0.25|#env:x,bare,b:2", "app.s:m___é|s|#env:x,bare"},
		Graphite: {"app.n;env=x;bare=true;a=1:1|c", "app.g;env=x;bare=true:0|g\napp.g;env=x;bare=true:-1.5|g", "app.t;env=x;bare=true:1.5|ms",
			"app.h;env=x;bare=true;b=2:7|h|@0.25", "app.s;env=x;bare=true:m___é|s"},
		Influx: {"app.n,env=x,bare=true,a=1:1|c", "app.g,env=x,bare=true:0|g\napp.g,env=x,bare=true:-1.5|g", "app.t,env=x,bare=true:1.5|ms",
			"app.h,env=x,bare=true,b=2:7|h|@0.25", "app.s,env=x,bare=true:m___é|s"},
	}
	for dialect, want := range want {
		for _, aggregate := range []time.Duration{-1, time.Second} {
			c, lines := offline(t, Options{Dialect: dialect, Aggregate: aggregate})
			for len(want) == 5 { // until chance records the histogram
				record(c)
				got := lines()
				if len(got) < 5 {
					continue
				}
				slices.Sort(got)
				if sorted := slices.Sorted(slices.Values(want)); !slices.Equal(got, sorted) {
					t.Errorf("dialect %d, aggregate %s:\n%q, want\n%q", dialect, aggregate, got, sorted)
				}
				break
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", time.Nanosecond: "0.000001", 1500 * time.Microsecond: "1.5", time.Second: "1000", 12340*time.Millisecond + 7: "12340.000007",
		-time.Microsecond: "-0.001", -1500 * time.Microsecond: "-1.5", math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808",
	} {
		if got := string(appendMilliseconds(nil, d)); got != want {
			t.Errorf("appendMilliseconds(%d) = %s, want %s", d, got, want)
		}
	}
	for v, want := range map[float64]string{
		0: "0", 1: "1", -5: "-5", 3.25: "3.25", 1e15: "1000000000000000", 1e20: "100000000000000000000", 1e21: "1e+21", 1e-7: "0.0000001", 1e-10: "1e-10", math.Copysign(0, -1): "0",
	} {
		if got := string(appendNumber(nil, v)); got != want {
			t.Errorf("appendNumber(%g) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{
		0: "0.0", 12340: "12340.0", 1.0000000000000002e-06: "1.0000000000000002e-06", 1000.0 / 3: "333.3333333333333", 1e16: "1e+16", 9e15: "9000000000000000.0", 1e-4: "0.0001", 5e-5: "5e-05", 1e100: "1e+100", -1.5: "-1.5",
	} {
		if got := string(appendPython(nil, v)); got != want {
			t.Errorf("appendPython(%g) = %s, want %s", v, got, want)
		}
	}
}

func TestPackedTimers(t *testing.T) {
	for dialect, want := range map[Dialect]string{StatsD: "t:1|ms:2.5|ms:3|ms|#a:b", DogStatsD: "t:1:2.5:3|ms|#a:b"} {
		c, lines := offline(t, Options{Dialect: dialect, PackTimers: true})
		c.Timing("t", time.Millisecond, "a:b")
		c.Milliseconds("t", 2.5, "a:b")
		c.Timing("t", 3*time.Millisecond, "a:b")
		if got := lines(); len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
		for range 1000 {
			c.Timing("t", time.Millisecond, "a:b")
		}
		values := 0
		for _, line := range lines() {
			if values += strings.Count(line, ":1"); len(line) > etherPacket {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		if values != 1000 {
			t.Errorf("%d values of 1000", values)
		}
	}
}

// TestRates: of many calls about that share is recorded, and gauges and sets all.
func TestRates(t *testing.T) {
	c, lines := offline(t, Options{Aggregate: -1, QueueLines: -1})
	const calls = 10_000
	sampled := c.WithRate(0.25)
	for range calls {
		sampled.Incr("n", 1)
	}
	// Six standard deviations are 260.
	if n := len(lines()); n < calls/4-260 || n > calls/4+260 {
		t.Errorf("%d of %d calls", n, calls)
	}
	for range 100 {
		sampled.Gauge("g", 1)
		sampled.Set("s", "m")
	}
	if got := lines(); len(got) != 200 || got[0] != "g:1|g" || got[1] != "s:m|s" {
		t.Errorf("%d lines, %q", len(got), got[:2])
	}
	for _, rate := range []float64{0, 1, 2, -1, math.NaN(), math.Inf(1)} {
		sampled.WithRate(rate).Incr("n", 1)
		if got := lines(); len(got) != 1 || got[0] != "n:1|c" {
			t.Errorf("at a rate of %g: %q", rate, got)
		}
	}
}

// TestBadValues: what is no metric is counted, and nothing is sent.
func TestBadValues(t *testing.T) {
	for _, aggregate := range []time.Duration{-1, time.Second} {
		c, lines := offline(t, Options{Aggregate: aggregate})
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			c.Add("n", v)
			c.Gauge("g", v)
			c.GaugeDelta("g", v)
			c.Milliseconds("t", v)
			c.Histogram("h", v)
			c.Distribution("d", v)
		}
		c.Incr("", 1)
		c.Gauge("", 1)
		c.Set("", "m")
		c.Set("s", "")
		c.Timing("t", -1)
		c.Milliseconds("t", -0.5)
		if c.Event(Event{Title: "t"}) == nil || c.ServiceCheck(ServiceCheck{Name: "s"}) == nil {
			t.Error("StatsD has no events or checks")
		}
		if got := lines(); len(got) > 0 || c.core.queue.drops[invalid] != 26 {
			t.Errorf("%q, %d dropped", got, c.core.queue.drops[invalid])
		}
		long := strings.Repeat("x", 64<<10)
		c.Incr(long, 1)
		c.Incr("n", 1, long)
		c.Gauge(long, 1)
		c.Gauge("g", 1, "a:b", long)
		c.Set("s", long)
		c.Timing(long, 1)
		c.WithPrefix(long).Incr("n", 1)
		if err := c.Inject(long, "1", "c"); err == nil {
			t.Error("Inject takes 64 KiB")
		}
		if got := lines(); len(got) > 0 || c.core.queue.drops[tooLong] != 8 {
			t.Errorf("%d lines, %d dropped", len(got), c.core.queue.drops[tooLong])
		}
	}
	c, _ := offline(t, Options{Dialect: DogStatsD})
	if c.GaugeDelta("g", 1); c.core.queue.drops[invalid] != 1 {
		t.Error("DogStatsD has changes of gauges")
	}
}

func TestEvents(t *testing.T) {
	c, lines := offline(t, Options{Dialect: DogStatsD, Tags: []string{"env:dev"}})
	at := time.Unix(1709210096, 0)
	errs := []error{
		c.Event(Event{Title: "Deploy done", Text: "line one\nline two", Time: at, Host: "h1", AggregationKey: "agg", LowPriority: true, Source: "src", Alert: "warning", Tags: []string{"bare", "t:1"}}),
		c.Event(Event{Title: "t|\x00é\r\n", Host: "a|b"}),
		c.ServiceCheck(ServiceCheck{Name: "db|up", Status: Critical, Time: at, Host: "h", Message: "m: no\nway |d:1", Tags: []string{"a,b"}}),
		c.ServiceCheck(ServiceCheck{Name: "ok"}),
	}
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{
		`_e{11,18}:Deploy done|line one\nline two|d:1709210096|h:h1|k:agg|p:low|s:src|t:warning|#env:dev,bare,t:1`,
		`_e{7,0}:t__é\n||h:a_b|#env:dev`,
		`_sc|db_up|2|d:1709210096|h:h|#env:dev,a_b|m:m\: no\nway _d:1`,
		`_sc|ok|0|#env:dev`,
	}
	if got := lines(); !slices.Equal(got, want) {
		t.Errorf("\n%q, want\n%q", got, want)
	}
	for _, err := range []error{c.Event(Event{}), c.Event(Event{Title: "t", Alert: "loud"}), c.ServiceCheck(ServiceCheck{}), c.ServiceCheck(ServiceCheck{Name: "n", Status: 4}), c.Event(Event{Title: strings.Repeat("x", maxLine)})} {
		if err == nil {
			t.Error("taken, and should not be")
		}
	}
	if got := lines(); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
}

func TestInject(t *testing.T) {
	c, lines := offline(t, Options{Prefix: "p", Tags: []string{"not:mine"}, Naming: Sprockets})
	good := [][3]string{
		{"a", "1", "c"}, {"a b", "-1.5e3", "g"}, {"a", "+3", "g"}, {"a", "x y", "s"}, {"a", "1", "ms|@0.1"}, {"a", "1", "d|#x:y,z|@1"}, {"a;k=v", "1", "h|c:abc|e:x|card:low|T123"}, {"é", "1", "c|#"},
	}
	for _, g := range good {
		if err := c.Inject(g[0], g[1], g[2]); err != nil {
			t.Errorf("Inject%q: %v", g, err)
		}
		if got, want := lines(), "p."+g[0]+":"+g[1]+"|"+g[2]; len(got) != 1 || got[0] != want {
			t.Errorf("Inject%q sent %q, want %q", g, got, want)
		}
	}
	bad := [][3]string{
		{"", "1", "c"}, {"a:b", "1", "c"}, {"a\nb", "1", "c"}, {"a|b", "1", "c"}, {"a\xff", "1", "c"}, {"a\x00", "1", "c"}, {"a", "", "c"}, {"a", "1\n", "c"}, {"a", "1:2", "c"}, {"a", "x", "c"}, {"a", "0x10", "c"},
		{"a", "NaN", "g"}, {"a", "Inf", "g"}, {"a", "1e999", "g"}, {"a", "1_0", "g"}, {"a", "1", ""}, {"a", "1", "zz"}, {"a", "1", "c\n"}, {"a", "1", "c|"}, {"a", "1", "c|@0"}, {"a", "1", "c|@2"}, {"a", "1", "c|@x"}, {"a", "1", "c|x"},
		{"a", "1", "c|#a\nb:1|c"}, {"a", "1", "c|T"}, {"a", "1", "c|Tx"}, {"a", "a|c\n", "s"}, {"a", "a:b", "s"}, {"a", "1", "c|#\u2028"},
	}
	for _, b := range bad {
		if err := c.Inject(b[0], b[1], b[2]); err == nil {
			t.Errorf("Inject%q has no error", b)
		}
	}
	if got := lines(); len(got) > 0 || c.core.queue.drops[invalid] != uint64(len(bad)) {
		t.Errorf("sent %q, dropped %d", got, c.core.queue.drops[invalid])
	}
}

// slowly is what a text becomes, by a list of what has a meaning.
func slowly(s, meaning string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || strings.ContainsRune(meaning, r) {
			b.WriteByte('_')
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// read is a metric as a server reads it.
type readBack struct {
	name, value, code, rate string
	tags                    []string
}

// readSlowly reads one line the slow and obvious way: split it at everything that splits
// anything for any server, and see what is where.
func readSlowly(line string, d Dialect) (m readBack, err error) {
	if n := len(strings.FieldsFunc(line+"x", func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 })); n != 1 || !utf8.ValidString(line) {
		return m, fmt.Errorf("%d lines", n)
	}
	fields := strings.Split(line, "|")
	if len(fields) < 2 {
		return m, fmt.Errorf("no type")
	}
	m.code = fields[1]
	for _, field := range fields[2:] {
		switch {
		case strings.HasPrefix(field, "@") && m.rate == "":
			m.rate = field[1:]
		case strings.HasPrefix(field, "#") && m.tags == nil && d < Graphite:
			m.tags = strings.Split(field[1:], ",")
		default:
			return m, fmt.Errorf("field %q", field)
		}
	}
	parts := strings.Split(fields[0], ":")
	if len(parts) != 2 {
		return m, fmt.Errorf("%d parts", len(parts))
	}
	m.name, m.value = parts[0], parts[1]
	switch d {
	case Graphite:
		m.tags = strings.Split(m.name, ";")
	case Influx:
		m.tags = strings.Split(m.name, ",")
	default:
		if strings.ContainsAny(m.name, ";,[]") {
			return m, fmt.Errorf("tags in the name")
		}
		return m, nil
	}
	m.name, m.tags = m.tags[0], m.tags[1:]
	return m, nil
}

func wantTag(tag string, d Dialect) string {
	if d < Graphite {
		return slowly(tag, "|,#;")
	}
	key, value, _ := strings.Cut(tag, ":")
	if key == "" {
		key = "_"
	}
	if value == "" {
		value = "true"
	}
	return slowly(key, ":|@#,;[]=!^ ") + "=" + slowly(value, ":|@#,;[] ")
}

func FuzzLine(f *testing.F) {
	f.Add("name", "key:value", "bare", "member", 1.5, uint8(0))
	f.Add("a\nb:1|c", "x|y,z:1\n", "\xff\x00", "m|s\nq:1|c", -2.0, uint8(1))
	f.Add("a;b=c,d#e@f", "k=1:v=2", ":", "é\u2028", math.Inf(1), uint8(2))
	f.Add(" ", "a b:c d", ",#|:", "|", 1e300, uint8(7))
	f.Fuzz(func(t *testing.T, name, tag1, tag2, member string, value float64, how uint8) {
		d := Dialect(how % 4)
		o := Options{Dialect: d, Aggregate: -1, QueueBytes: 1 << 30}
		if how&4 > 0 {
			o.Aggregate = time.Second
		}
		var tags []string
		for _, tag := range []string{tag1, tag2} {
			if tag != "" {
				tags = append(tags, tag)
			}
		}
		want := readBack{name: slowly(name, ":@[]#,;|")}
		for _, tag := range tags {
			want.tags = append(want.tags, wantTag(tag, d))
		}
		c, lines := offline(t, o)
		check := func(k kind, wanted string, call func()) {
			t.Helper()
			call()
			got := lines()
			if o.Aggregate < 0 && len(got) == 1 {
				call() // from here on the text is remembered
				call()
				if again := lines(); len(again) != 2 || again[0] != got[0] || again[1] != got[0] {
					t.Fatalf("%s: first %q, then %q", k.code(), got, again)
				}
			}
			drops := c.core.queue.drops[invalid] + c.core.queue.drops[tooLong]
			c.core.queue.drops = [causes]uint64{}
			if len(got) == 0 && drops == 1 {
				if name != "" && finite(value) && (k != timer || value >= 0) && (k != set || member != "") && len(name)+len(tag1)+len(tag2)+len(member) < maxLine/8 {
					t.Errorf("%s is dropped", k.code())
				}
				return
			}
			if len(got) != 1 || drops > 0 {
				t.Fatalf("%s: %d lines %q, %d drops", k.code(), len(got), got, drops)
			}
			parts := strings.Split(got[0], "\n")
			if k == gauge && value < 0 && d != DogStatsD && wanted[0] == '-' {
				if zero, err := readSlowly(parts[0], d); err != nil || zero.value != "0" || len(parts) != 2 {
					t.Errorf("%q, %v", got, err)
				}
				parts = parts[1:]
			}
			m, err := readSlowly(parts[0], d)
			if err != nil || len(parts) != 1 {
				t.Fatalf("%q: %v", got, err)
			}
			if m.name != want.name || m.code != k.code() || m.value != wanted || m.rate != "" || !slices.Equal(m.tags, want.tags) {
				t.Errorf("%q is %+v, want %+v and %q", got, m, want, wanted)
			}
		}
		number := string(appendNumber(nil, value))
		if v, err := strconv.ParseFloat(number, 64); finite(value) && (err != nil || v != value) {
			t.Errorf("%g is written %s", value, number)
		}
		check(counter, "1", func() { c.Incr(name, 1, tags...) })
		check(counter, number, func() { c.Add(name, value, tags...) })
		check(gauge, number, func() { c.Gauge(name, value, tags...) })
		check(timer, number, func() { c.Milliseconds(name, value, tags...) })
		check(histogram, number, func() { c.Histogram(name, value, tags...) })
		check(distribution, number, func() { c.Distribution(name, value, tags...) })
		check(set, slowly(member, ":@[]#,;|"), func() { c.Set(name, member, tags...) })
		if err := c.Inject(name, member, "s"); err == nil {
			if got := lines(); len(got) != 1 || got[0] != name+":"+member+"|s" {
				t.Errorf("Inject(%q, %q) sent %q", name, member, got)
			} else if strings.ContainsAny(name, ";,") {
			} else if m, err := readSlowly(got[0], StatsD); err != nil || m.name != name || m.value != member {
				t.Errorf("Inject(%q, %q) is %+v, %v", name, member, m, err)
			}
		}
	})
}
