package statsd

import (
	"slices"
	"strings"
	"testing"
	"time"

	server "github.com/weirlog/weir/internal/codec/statsd"
)

// FuzzServer: weir's own server reads back what the client was called with.
func FuzzServer(f *testing.F) {
	f.Add("name", "key:value", "bare", "member", 1.5, uint8(0))
	f.Add("a\nb:1|c", "x|y,z:1\n", "\xff\x00", "m|s\nq:1|c", -2.0, uint8(1))
	f.Add("a;b=c,d#e@f", "k=1:v=2", ":", "é\u2028", 7.25, uint8(2))
	f.Add(" ", "a b:c d", ",#|:", "|", 1e300, uint8(7))
	f.Fuzz(func(t *testing.T, name, tag1, tag2, member string, value float64, how uint8) {
		o := Options{Dialect: Dialect(how % 4), Aggregate: -1, QueueBytes: 1 << 30}
		if how&4 > 0 {
			o.Aggregate = time.Second
		}
		reads := server.Parser{}
		if o.Dialect == DogStatsD {
			reads.Dialect = server.DogStatsD
		}
		var tags, want []string
		for _, tag := range []string{tag1, tag2} {
			if tag != "" {
				tags = append(tags, tag)
				tag = wantTag(tag, o.Dialect)
				if o.Dialect >= Graphite {
					tag = strings.Replace(tag, "=", ":", 1)
				}
				want = append(want, tag)
			}
		}
		c, lines := offline(t, o)
		check := func(k server.Type, call func()) {
			t.Helper()
			call()
			if reads.Dialect == server.StatsD && (k == server.Histogram || k == server.Distribution) {
				k = server.Counter // what etsy's takes every type for that it does not know
			}
			got := lines()
			if len(got) == 0 {
				return // FuzzLine knows when
			}
			metrics := strings.Split(got[0], "\n")
			for i, line := range metrics {
				reads.Start([]byte(line))
				if !reads.Next() || reads.Bad != server.Good {
					t.Fatalf("%q is bad: %v", line, reads.Bad)
				}
				var read []string
				for all := reads.Tags; ; {
					key, v, ok := all.Next()
					if !ok {
						break
					}
					tag := string(key)
					if v != nil {
						tag += ":" + string(v)
					}
					read = append(read, tag)
				}
				if string(reads.Name) != slowly(name, ":@[]#,;|") || reads.Type != k || !slices.Equal(read, want) || reads.Rate != 1 {
					t.Errorf("%q is %s %v %q, want %q", line, reads.Name, reads.Type, read, want)
				}
				switch last := i == len(metrics)-1; {
				case !last && reads.Value != 0, reads.Delta != (k == server.Gauge && o.Dialect != DogStatsD && last && value < 0):
					t.Errorf("%q is %g, a change: %t", line, reads.Value, reads.Delta)
				case k == server.Set && string(reads.Text) != slowly(member, ":@[]#,;|"), k != server.Set && last && reads.Value != value:
					t.Errorf("%q is %g %q", line, reads.Value, reads.Text)
				}
				if reads.Next() {
					t.Errorf("%q is more than one metric", line)
				}
			}
		}
		check(server.Counter, func() { c.Add(name, value, tags...) })
		check(server.Gauge, func() { c.Gauge(name, value, tags...) })
		check(server.Timer, func() { c.Milliseconds(name, value, tags...) })
		check(server.Histogram, func() { c.Histogram(name, value, tags...) })
		check(server.Distribution, func() { c.Distribution(name, value, tags...) })
		check(server.Set, func() { c.Set(name, member, tags...) })
	})
}
