package statsd_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/statsd"
)

// read returns what the parser makes of a line, a line for each metric.
func read(dialect statsd.Dialect, line string) string {
	p := statsd.Parser{Dialect: dialect}
	var out []string
	for p.Start([]byte(line)); p.Next(); {
		if p.Bad != statsd.Good {
			out = append(out, string(p.Name)+" bad: "+p.Bad.String())
			continue
		}
		out = append(out, show(&p.Metric))
	}
	return strings.Join(out, "\n")
}

func show(m *statsd.Metric) string {
	b := fmt.Appendf(nil, "%s %s ", m.Name, m.Type)
	if m.Type == statsd.Set {
		b = fmt.Appendf(b, "%q", m.Text)
	} else {
		b = strconv.AppendFloat(b, m.Value, 'g', -1, 64)
	}
	if m.Delta {
		b = append(b, " more"...)
	}
	if m.Rate != 1 {
		b = fmt.Appendf(b, " @%v", m.Rate)
	}
	for tags := m.Tags; ; {
		name, value, ok := tags.Next()
		if !ok {
			break
		}
		b = fmt.Appendf(b, " #%s=%s", name, value)
	}
	if m.Time != 0 {
		b = fmt.Appendf(b, " T%d", m.Time)
	}
	for i, origin := range [][]byte{m.Container, m.External, m.Cardinality} {
		if origin != nil {
			b = fmt.Appendf(b, " %c:%s", "ceC"[i], origin)
		}
	}
	return string(b)
}

// TestEtsy: what etsy's statsd 0.10.2 makes of a line.
func TestEtsy(t *testing.T) {
	for line, want := range map[string]string{
		"a.b:1|c":                   "a.b counter 1",
		"a:5":                       "a bad: no type",
		"a":                         "a bad: no value",
		"a|c":                       "a|c bad: no value",
		"":                          " bad: no value",
		":1|c":                      " counter 1",
		"a:1|":                      "a counter 1",
		"a:|c":                      "a bad: not a number",
		"a:x|c":                     "a bad: not a number",
		"a:1|zz":                    "a counter 1",
		"a:1|h":                     "a counter 1",
		"a:1|c|@0.1":                "a counter 1 @0.1",
		"a:1|c|@2":                  "a counter 1 @2",
		"a:1|c|@0":                  "a bad: not a sample rate",
		"a:1|c|@-1":                 "a bad: not a sample rate",
		"a:1|c|0.1":                 "a bad: not a sample rate",
		"a:1|c|":                    "a bad: not a sample rate",
		"a:1|c|@":                   "a bad: not a sample rate",
		"a:1|c|@0.5|x":              "a counter 1 @0.5",
		"a:0x10|c":                  "a counter 16",
		"a:1e3|c":                   "a counter 1000",
		"a: 12 |c":                  "a counter 12",
		"a:1_000|c":                 "a bad: not a number",
		"a:inf|c":                   "a bad: not a number",
		"a:NaN|g":                   "a bad: not a number",
		"a:1e999|c":                 "a bad: not a number",
		"a:-3|g":                    "a gauge -3 more",
		"a:+3|g":                    "a gauge 3 more",
		"a:3|g":                     "a gauge 3",
		"a:-1|ms":                   "a bad: not a number",
		"a:1.5|ms":                  "a timer 1.5",
		"a:x y|s":                   `a set "x y"`,
		"a:|s":                      `a set "0"`,
		"pt:1|ms:2|ms:3|ms":         "pt timer 1\npt timer 2\npt timer 3",
		"a:1:2:3|c":                 "a bad: no type\na bad: no type\na counter 3",
		"a:1|c:x|c:2|g|@0.1":        "a counter 1\na bad: not a number\na gauge 2 @0.1",
		"a:1|c|#k:v,flag,x:y:z":     "a counter 1 #k=v #flag= #x=y:z",
		"a:1|c|@0.1|#k:v|c:id|T5":   "a counter 1 @0.1 #k=v c:id",
		"a;k=v;b=c:1|c":             "a counter 1 #k=v #b=c",
		"a,k=v,b=c:1|c":             "a counter 1 #k=v #b=c",
		"a#k=v:1|c|#x:y":            "a counter 1 #k=v #x=y",
		"a[k=v,l=w]:1|c":            "a counter 1 #k=v #l=w",
		"a[k=v]b:1|c":               "a[k=v]b counter 1",
		"a[k=v:1|c":                 "a[k=v counter 1",
		"a,b:1|c":                   "a,b counter 1",
		"gauges.x:123456789012|g":   "gauges.x gauge 1.23456789012e+11",
		"a:0.1|c":                   "a counter 0.1",
		"a:.5|c":                    "a counter 0.5",
		"a:5.|c":                    "a counter 5",
		"a:.|c":                     "a bad: not a number",
		"a:12345678901234567890|c":  "a counter 1.2345678901234567e+19",
		"a:9007199254740993|c":      "a counter 9.007199254740992e+15",
		"a:1|c|#":                   "a counter 1",
		"a:1|c|#,,k":                "a counter 1 #k=",
		"counters.a b/c.d\x00:1|c":  "counters.a b/c.d\x00 counter 1",
		"timers.h.GET.200:1.25| ms": "timers.h.GET.200 timer 1.25",
	} {
		if got := read(statsd.StatsD, line); got != want {
			t.Errorf("%q:\n%s, want\n%s", line, got, want)
		}
	}
}

// TestDogStatsD: what the Datadog agent makes of a line.
func TestDogStatsD(t *testing.T) {
	for line, want := range map[string]string{
		"a:1|c":                       "a counter 1",
		"a:-3|g":                      "a gauge -3",
		"a:1.5|ms":                    "a timer 1.5",
		"a:1|h":                       "a histogram 1",
		"a:1|d|@0.5":                  "a distribution 1 @0.5",
		"a:x:y|s":                     `a set "x:y"`,
		"a:1:2:3|h":                   "a histogram 1\na histogram 2\na histogram 3",
		"a:1::3|h":                    "a histogram 1\na histogram 3",
		"a:1:x:3|h":                   "a bad: not a number",
		"a:::|h":                      "a bad: no value",
		"a:|c":                        "a bad: no value",
		"a|c":                         "a bad: no value",
		":1|c":                        " bad: no name",
		"a:1":                         " bad: no type",
		"":                            " bad: no type",
		"a:1|":                        "a bad: no type",
		"a:1|zz":                      "a bad: unknown type",
		"a:inf|c":                     "a bad: not a number",
		"a:0x10|c":                    "a bad: not a number",
		"a:1|c|@0":                    "a bad: not a sample rate",
		"a:1|c|@x":                    "a bad: not a sample rate",
		"a:1|c|#k:v,b|@0.5":           "a counter 1 @0.5 #k=v #b=",
		"a:1|c|c:ci-abc,in-12|#k:v":   "a counter 1 #k=v c:ci-abc,in-12",
		"a:1|g|T1656581400":           "a gauge 1 T1656581400",
		"a:1|c|T0":                    "a bad: not a time",
		"a:1|c|Tx":                    "a bad: not a time",
		"a:1|h|T5":                    "a histogram 1",
		"a:1|c|e:it-false,cn-x|#a:b":  "a counter 1 #a=b e:it-false,cn-x",
		"a:1|c|card:low":              "a counter 1 C:low",
		"a:1|c|card:low|c:x|e:y|zz:1": "a counter 1 c:x e:y C:low",
		"a:1|c||":                     "a counter 1",
	} {
		if got := read(statsd.DogStatsD, line); got != want {
			t.Errorf("%q:\n%s, want\n%s", line, got, want)
		}
	}
}

func TestAppendName(t *testing.T) {
	for name, want := range map[string]string{
		"a.b": "a.b", "a \t b": "a_b", "a/b": "a-b", "ü%a": "a", "": "", "a;k=v": "a;k=v", " ": "_", "counters.x": "counters.x", "a b c": "a_b_c",
	} {
		if got := string(statsd.AppendName(nil, []byte(name))); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestEvent(t *testing.T) {
	for line, want := range map[string]string{
		`_e{11,18}:Deploy done|line one\nline two|d:1709210096|h:h1|k:agg|p:low|s:src|t:warning|#env:dev,bare,t:1`: `"Deploy done" "line one\\nline two" 1709210096 "h1" "agg" true "src" "warning" #env=dev #bare= #t=1 0`,
		"_e{1,0}:t||#a:b":              `"t" "" 0 "" "" false "" "" #a=b 0`,
		"_e{1,2}:t|a|":                 `"t" "a|" 0 "" "" false "" "" 0`,
		"_e{1,3}:t|a|b":                `"t" "a|b" 0 "" "" false "" "" 0`,
		"_e{7,4}:title é|tëxt|t:error": `"title é" "tëxt" 0 "" "" false "" "error" 0`,
		"_e{8,5}:title é|tëxt|t:error": `"title é" "tëxt" 0 "" "" false "" "error" 0`,
		"_e{2,3}:😀|a😀":                 `"😀" "a😀" 0 "" "" false "" "" 0`,
		"_e{1,1}:😀|a":                  "bad",
		"_e{0,1}:|t":                   "bad",
		"_e{2,1}:t|t":                  "bad",
		"_e{1,1}:t|tx":                 "bad",
		"_e{1,1}:txt":                  "bad",
		"_e{1}:t|t":                    "bad",
		"_e{1,-1}:t|t":                 "bad",
		"_e{99999999999999999,1}:t":    "bad",
		"_e{1,99999999999999999}:t":    "bad",
		"_e{1,1}t|t":                   "bad",
		"_e{":                          "bad",
		"_e{1,1}:t|t|p:high|t:bad|d:x|q|c:id|e:x|": `"t" "t" 0 "" "" false "" "" 5`,
	} {
		e, bad := statsd.ParseEvent([]byte(line))
		got := "bad"
		if bad == statsd.Good {
			b := fmt.Appendf(nil, "%q %q %d %q %q %v %q %q", e.Title, e.Text, e.Time, e.Host, e.Key, e.Low, e.Source, e.Alert)
			for {
				name, value, ok := e.Tags.Next()
				if !ok {
					break
				}
				b = fmt.Appendf(b, " #%s=%s", name, value)
			}
			got = string(fmt.Appendf(b, " %d", e.Ignored))
		}
		if got != want || !statsd.IsEvent([]byte(line)) {
			t.Errorf("%q:\n%s, want\n%s", line, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for line, want := range map[string]string{
		`_sc|db.up|2|d:1709210096|h:h1|#a:b|m:down\nm\: it`: `"db.up" 2 1709210096 "h1" "down\\nm\\: it" #a=b 0`,
		"_sc|db|0":        `"db" 0 0 "" "" 0`,
		"_sc|db|4":        "bad",
		"_sc|db|":         "bad",
		"_sc|db":          "bad",
		"_sc||0":          "bad",
		"_sc|db|00":       "bad",
		"_sc|db|1|d:x|zz": `"db" 1 0 "" "" 2`,
	} {
		c, bad := statsd.ParseCheck([]byte(line))
		got := "bad"
		if bad == statsd.Good {
			b := fmt.Appendf(nil, "%q %d %d %q %q", c.Name, c.Status, c.Time, c.Host, c.Message)
			for {
				name, value, ok := c.Tags.Next()
				if !ok {
					break
				}
				b = fmt.Appendf(b, " #%s=%s", name, value)
			}
			got = string(fmt.Appendf(b, " %d", c.Ignored))
		}
		if got != want || !statsd.IsCheck([]byte(line)) {
			t.Errorf("%q:\n%s, want\n%s", line, got, want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	lines := []string{"counters.shop.orders:1|c|@0.1|#env:prod,region:eu", "timers.h.GET.200:12.345678|ms", "a:1:2:3|d|#a:b|c:ci-1", "a:18446744073709551615|c", "a,k=v:-3|g", "a:x|s", "a:1e3|c", "a:bad|c"}
	for _, dialect := range []statsd.Dialect{statsd.StatsD, statsd.DogStatsD} {
		p := statsd.Parser{Dialect: dialect}
		for _, line := range lines {
			b := []byte(line)
			if n := testing.AllocsPerRun(100, func() {
				for p.Start(b); p.Next(); {
					tags := p.Tags
					for _, _, ok := tags.Next(); ok; _, _, ok = tags.Next() {
					}
				}
			}); n != 0 {
				t.Errorf("%s: %v allocations", line, n)
			}
		}
	}
}

// slow is what a line of DogStatsD's comes to, written down as plainly as can be.
func slow(line string) string {
	parts := strings.Split(line, "|")
	name, values, found := strings.Cut(parts[0], ":")
	if len(parts) < 2 || strings.ContainsAny(name, ";,#[") {
		return "" // tags in names are for the table
	}
	if name == "" {
		return " bad"
	}
	if !found || values == "" {
		return name + " bad"
	}
	kinds := map[string]string{"c": "counter", "g": "gauge", "ms": "timer", "h": "histogram", "d": "distribution", "s": "set"}
	kind, known := kinds[parts[1]]
	rate, tags, when, bad := 1.0, "", int64(0), !known
	origins := map[string]string{}
	for _, f := range parts[2:] {
		var err error
		switch {
		case strings.HasPrefix(f, "@"):
			rate, err = strconv.ParseFloat(f[1:], 64)
			bad = bad || !finite(f[1:], rate, err) || rate <= 0
		case strings.HasPrefix(f, "#"):
			tags = f[1:]
		case strings.HasPrefix(f, "T"):
			v, err := strconv.ParseUint(f[1:], 10, 64)
			bad = bad || err != nil || v < 1 || len(f) > 19
			if kind == "counter" || kind == "gauge" {
				when = int64(v)
			}
		}
		for i, prefix := range []string{"c:", "e:", "card:"} {
			if strings.HasPrefix(f, prefix) {
				origins["ceC"[i:i+1]] = f[len(prefix):]
			}
		}
	}
	var after strings.Builder
	if rate != 1 {
		fmt.Fprintf(&after, " @%v", rate)
	}
	for tag := range strings.SplitSeq(tags, ",") {
		if k, v, _ := strings.Cut(tag, ":"); tag != "" {
			fmt.Fprintf(&after, " #%s=%s", k, v)
		}
	}
	if when != 0 {
		fmt.Fprintf(&after, " T%d", when)
	}
	for _, o := range []string{"c", "e", "C"} {
		if v, ok := origins[o]; ok {
			fmt.Fprintf(&after, " %s:%s", o, v)
		}
	}
	var out []string
	for v := range strings.SplitSeq(values, ":") {
		if kind == "set" {
			out = []string{fmt.Sprintf("%s set %q%s", name, values, &after)}
			break
		}
		if v == "" {
			continue
		}
		f, err := strconv.ParseFloat(v, 64)
		bad = bad || !finite(v, f, err)
		out = append(out, name+" "+kind+" "+strconv.FormatFloat(f, 'g', -1, 64)+after.String())
	}
	if bad || len(out) == 0 {
		return name + " bad"
	}
	return strings.Join(out, "\n")
}

func finite(text string, f float64, err error) bool {
	return err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && !strings.ContainsAny(text, "xX_pP")
}

func FuzzDogStatsD(f *testing.F) {
	for _, line := range []string{"a:1|c", "a:1:2|h|@0.5|#a:b,c|T5|c:x|e:y|card:low", "a:x:y|s", "a:1e5|g", "a:-0.5|ms", "a:::1|d", "a:1|c|@1e-3", "a:0x1p3|c", "a:1_0|c", "a:9007199254740993|c", "a:0.30000000000000004|c"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		want := slow(line)
		got := read(statsd.DogStatsD, line)
		if i := strings.Index(got, " bad: "); i >= 0 {
			got = got[:i] + " bad"
		}
		if want != "" && got != want {
			t.Errorf("%q:\n%s, want\n%s", line, got, want)
		}
		read(statsd.StatsD, line)
	})
}

// FuzzNumber compares the numbers of etsy's dialect with the library's.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"1", "-1.5", "0.1", "123456789.123456", "9007199254740991", "9007199254740993", "1e-7", ".5", "5.", "0.000000000000001", "9999999999999.999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, ":|") || strings.TrimSpace(text) != text {
			return
		}
		want, err := strconv.ParseFloat(text, 64)
		if !finite(text, want, err) {
			return
		}
		if got := read(statsd.StatsD, "a:"+text+"|zz"); got != "a counter "+strconv.FormatFloat(want, 'g', -1, 64) {
			t.Errorf("%q: %s, want %v", text, got, want)
		}
	})
}

// FuzzEvent: lengths are never believed, and every text is a part of the line.
func FuzzEvent(f *testing.F) {
	f.Add("_e{1,1}:t|t|d:5|#a")
	f.Add("_sc|db|0|m:x")
	f.Fuzz(func(t *testing.T, line string) {
		if e, bad := statsd.ParseEvent([]byte(line)); bad == statsd.Good {
			if len(e.Title) == 0 || !strings.Contains(line, string(e.Title)+"|"+string(e.Text)) {
				t.Errorf("%q: %q %q", line, e.Title, e.Text)
			}
		}
		if c, bad := statsd.ParseCheck([]byte(line)); bad == statsd.Good && !strings.Contains(line, string(c.Name)) {
			t.Errorf("%q: %q", line, c.Name)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	lines := []string{"counters.shop.orders.made:1|c|#env:prod,region:eu", "timers.shop.GET.200:12.345678|ms|@0.1", "gauges.queue:42|g", "users:alice|s|#env:prod"}
	for _, dialect := range []statsd.Dialect{statsd.StatsD, statsd.DogStatsD} {
		b.Run([]string{"StatsD", "DogStatsD"}[dialect], func(b *testing.B) {
			p := statsd.Parser{Dialect: dialect}
			sum := 0.0
			for i := range b.N {
				for p.Start([]byte(lines[i&3])); p.Next(); {
					sum += p.Value
				}
			}
			if sum < 0 {
				b.Fatal(sum)
			}
		})
	}
}

func ExampleParser() {
	p := statsd.Parser{Dialect: statsd.DogStatsD}
	for p.Start([]byte("shop.wait:12:15|ms|@0.5|#region:eu")); p.Next(); {
		tags := p.Tags // Next takes them off a copy
		name, value, _ := tags.Next()
		fmt.Printf("%s %s %v, for %v of them, %s=%s\n", p.Name, p.Type, p.Value, 1/p.Rate, name, value)
	}
	// Output:
	// shop.wait timer 12, for 2 of them, region=eu
	// shop.wait timer 15, for 2 of them, region=eu
}
