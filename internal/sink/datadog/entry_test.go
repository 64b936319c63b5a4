package datadog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

// TestTags has the examples of Datadog's own tests of tags.
func TestTags(t *testing.T) {
	own := []string{"foo:bar", "baz:qux"}
	for _, c := range []struct {
		own, others []string
		want        string
	}{
		{own, nil, "baz:qux,foo:bar"},
		{own, []string{"stream1:tag3"}, "baz:qux,foo:bar,stream1:tag3"},
		{own, []string{}, "baz:qux,foo:bar"}, // which there ends with a comma
		{[]string{"foo:bar", "foo:bar"}, nil, "foo:bar"},
		{own, []string{"z:1", "a:2", "foo:bar", "z:1"}, "baz:qux,foo:bar,z:1,a:2"},
		{nil, []string{"", "a:1", ""}, "a:1"},
		{nil, nil, ""},
	} {
		if got := joinTags(c.own, c.others); got != c.want {
			t.Errorf("%v and %v are %q; want %q", c.own, c.others, got, c.want)
		}
	}
	if fmt.Sprint(own) != "[foo:bar baz:qux]" {
		t.Errorf("the configured tags are %v now", own)
	}
	if got := Tags("foo:bar baz:qux,alone ,:x,y:,a:b:c"); fmt.Sprint(got) != "[foo:bar baz:qux a:b:c]" {
		t.Errorf("of a variable they are %q", got)
	}
}

// fielded is a record with fields: names and values in turn.
func fielded(s *record.Stream, body string, fields ...string) *record.Batch {
	b := &record.Batch{Stream: s}
	b.Records = append(b.Records, record.Record{Time: 1795298373598999999, Level: record.LevelWarn, Body: b.Append([]byte(body))})
	for i := 0; i < len(fields); i += 2 {
		b.Fields = append(b.Fields, record.Field{Name: b.Append([]byte(fields[i])), Value: b.Append([]byte(fields[i+1]))})
	}
	return b
}

func encode(c Config, b *record.Batch, i int) (string, bool) {
	e := encoder{config: c, node: "web-1"}
	e.begin(b, time.UnixMilli(1700000000000))
	text, cut := e.append(nil, b, i)
	return string(text), cut
}

// TestEntry says what becomes of records.
func TestEntry(t *testing.T) {
	shop := &record.Stream{ID: "docker/shop", Source: "docker", Labels: record.NewLabels(map[string]string{"container": "shop", "image": "a,b", "source": "docker"})}
	bare := &record.Stream{ID: "acme/users", Source: "acme"}
	for name, c := range map[string]struct {
		change func(*Config)
		b      *record.Batch
		want   string
	}{
		"labels are tags": {nil, fielded(shop, "a \"b\"\n"),
			`{"timestamp":1795298373598,"hostname":"web-1","service":"shop","ddsource":"docker","ddtags":"container:shop,image:a_b,source:docker","status":"warn","message":"a \"b\"\n"}`},
		"labels are fields": {func(c *Config) { c.LabelTags, c.Tags = []string{"image"}, []string{"foo:bar", "baz:qux"} }, fielded(shop, "x", "source", "mine"),
			`{"timestamp":1795298373598,"hostname":"web-1","service":"shop","ddsource":"docker","ddtags":"baz:qux,foo:bar,image:a_b","status":"warn","source":"mine","container":"shop","message":"x"}`},
		"as configured": {func(c *Config) { c.Hostname, c.Service, c.Source = "h-{node}", "s-{container}", "nginx" }, fielded(shop, "x"),
			`{"timestamp":1795298373598,"hostname":"h-web-1","service":"s-shop","ddsource":"nginx","ddtags":"container:shop,image:a_b,source:docker","status":"warn","message":"x"}`},
		"the record's own": {func(c *Config) { c.Tags = []string{"foo:bar", "baz:qux"} },
			fielded(bare, "x", "hostname", "h", "service", "s", "ddsource", "d", "ddtags", "stream1:tag3,, alone,:x,y:, foo:bar", "status", "error", "user", "ann", "level", "info"),
			`{"timestamp":1795298373598,"hostname":"h","service":"s","ddsource":"d","ddtags":"baz:qux,foo:bar,stream1:tag3","status":"error","user":"ann","level":"info","message":"x"}`},
		"what means something else": {nil, fielded(bare, "x", "status", "200", "message", "y", "timestamp", "noon", "weir", "w", "hostname", ""),
			`{"timestamp":1795298373598,"hostname":"web-1","service":"acme","ddsource":"acme","status":"warn","fields.status":"200","fields.message":"y","fields.timestamp":"noon","fields.weir":"w","fields.hostname":"","message":"x"}`},
		"not UTF-8": {nil, fielded(bare, "a\xffb\x00"),
			`{"timestamp":1795298373598,"hostname":"web-1","service":"acme","ddsource":"acme","status":"warn","message":"a` + "\uFFFD" + `b\u0000"}`},
	} {
		config := Default()
		if c.change != nil {
			c.change(&config)
		}
		if got, cut := encode(config, c.b, 0); got != c.want || cut {
			t.Errorf("%s: %s; want\n%s", name, got, c.want)
		}
	}
}

// TestFlags says what weir has to say about a record.
func TestFlags(t *testing.T) {
	bare := &record.Stream{ID: "acme/users", Source: "acme"}
	b := fielded(bare, `a\tb`)
	r := &b.Records[0]
	r.Flags, r.Weight, r.Level, r.Time = record.Lost|record.Stderr|record.Cut|record.Escaped, 10, record.LevelUnknown, 0
	want := `{"timestamp":1700000000000,"hostname":"web-1","service":"acme","ddsource":"acme","message":"a\tb","weir":{"stderr":true,"cut":true,"lost":true,"weight":10}}`
	if got, _ := encode(Default(), b, 0); got != want {
		t.Errorf("%s; want\n%s", got, want)
	}
	r.Time = -1
	if got, _ := encode(Default(), b, 0); !strings.HasPrefix(got, `{"timestamp":-1,`) {
		t.Errorf("before 1970: %s", got)
	}
}

// TestFieldsOfOthers gives each record its own fields, also where some are left out.
func TestFieldsOfOthers(t *testing.T) {
	b := fielded(&record.Stream{ID: "a/b", Source: "a"}, "x", "n", "0")
	for i := 1; i < 4; i++ {
		b.Records = append(b.Records, b.Records[0])
		b.Fields = append(b.Fields, record.Field{Record: i, Name: b.Append([]byte("n")), Value: b.Append(fmt.Append(nil, i))})
	}
	e := encoder{config: Default()}
	e.begin(b, time.Now())
	for _, i := range []int{0, 2, 3} {
		if got, _ := e.append(nil, b, i); !bytes.Contains(got, fmt.Appendf(nil, `"n":"%d"`, i)) {
			t.Errorf("record %d is %s", i, got)
		}
	}
}

// TestTruncated cuts what is too long between two letters, and says so.
func TestTruncated(t *testing.T) {
	s := &record.Stream{ID: "a/b", Source: "a"}
	for name, b := range map[string]*record.Batch{
		"letters":          fielded(s, strings.Repeat("x", 1<<20)),
		"two bytes each":   fielded(s, strings.Repeat("é", 1<<20)),
		"four bytes each":  fielded(s, "x"+strings.Repeat("\U0001F600", 1<<20)),
		"escapes":          fielded(s, strings.Repeat("\x01", 1<<20)),
		"not UTF-8":        fielded(s, strings.Repeat("\xff", 1<<20)),
		"a field":          fielded(s, strings.Repeat("x", 1<<20), "f", strings.Repeat("\"", 1<<20), "g", "y"),
		"a name":           fielded(s, "x", strings.Repeat("n", 1<<20), "y"),
		"a host":           fielded(s, "x", "hostname", strings.Repeat("h", 1<<20)),
		"many fields":      fielded(s, "x", many(100_000)...),
		"at the very end":  fielded(s, strings.Repeat("x", maxEntry-100)),
		"at the very end2": fielded(s, strings.Repeat("x", maxEntry-200)),
	} {
		text, cut := encode(Default(), b, 0)
		var l struct {
			Message string
			Weir    struct{ Truncated bool }
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil || len(text) > maxEntry || cut != l.Weir.Truncated {
			t.Fatalf("%s: %d bytes, %v, cut: %t", name, len(text), err, cut)
		}
		body := string(b.Bytes(b.Records[0].Body))
		if kept, marked := strings.CutSuffix(l.Message, truncated); marked {
			if !cut || !strings.HasPrefix(strings.ToValidUTF8(body, "\uFFFD"), kept) && name != "not UTF-8" {
				t.Errorf("%s: it is no start of the message", name)
			}
			if name != "a field" && len(text) < maxEntry-200 {
				t.Errorf("%s: only %d bytes are sent", name, len(text))
			}
		} else if l.Message != body {
			t.Errorf("%s: %d bytes of the message are missing without a mark", name, len(body)-len(l.Message))
		}
	}
	w := newWorld(t, nil)
	b := w.batch("a", 1, 2)
	b.Records[1].Body = b.Append(bytes.Repeat([]byte("y"), 1<<20))
	w.write(b)
	if m := w.messages(); len(m) != 2 || !strings.HasSuffix(m[1], "y"+truncated) {
		t.Errorf("%d came", len(m))
	}
	w.counts(`weir_component_events_total{component="sink/central",event="truncated"} 1`)
}

func many(n int) (fields []string) {
	for i := range n {
		fields = append(fields, fmt.Sprint("field", i), "value")
	}
	return fields
}

// TestEncodeAllocates nothing for an ordinary record.
func TestEncodeAllocates(t *testing.T) {
	b := fielded(&record.Stream{ID: "a/b", Source: "a", Labels: record.NewLabels(map[string]string{"container": "shop"})}, "a message", "user", "ann", "status", "200")
	c := Default()
	c.LabelTags = nil
	e := encoder{config: c, node: "web-1"}
	e.begin(b, time.Now())
	dst, _ := e.append(nil, b, 0)
	if n := testing.AllocsPerRun(100, func() {
		e.at = 0
		dst, _ = e.append(dst[:0], b, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzEncode: whatever comes, what goes out is JSON within the intake's bounds that says the same.
func FuzzEncode(f *testing.F) {
	f.Add("a message", "user", "ann", "env:x,y", 1)
	f.Add("é\x00\xff", "status", "error", "\u2028", 70_000)
	f.Add("\U0001F600", "message", "", ",,", 250_001)
	f.Fuzz(func(t *testing.T, body, name, value, tags string, times int) {
		times = min(max(times, 1), 1<<20/(len(body)+1)+1)
		b := fielded(&record.Stream{ID: "a/b", Source: "a", Labels: record.NewLabels(map[string]string{"x": value, "y": tags})},
			strings.Repeat(body, times), name, value, "ddtags", tags)
		text, cut := encode(Default(), b, 0)
		var l map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &l); err != nil || len(text) > maxEntry || strings.Contains(text, "\n") {
			t.Fatalf("%d bytes: %v in %.200q", len(text), err, text)
		}
		var message string
		want := string(bytes.ToValidUTF8(bytes.Repeat([]byte(body), times), []byte("\uFFFD")))
		if err := json.Unmarshal(l["message"], &message); err != nil || !utf8.ValidString(message) {
			t.Fatal(err)
		}
		if !cut && utf8.ValidString(body) && message != want {
			t.Errorf("the message is %.200q", message)
		}
		var own string
		if err := json.Unmarshal(l["ddtags"], &own); l["ddtags"] != nil && (err != nil || strings.Contains(","+own+",", ",,")) {
			t.Errorf("tags %q, %v; %v", own, err, maps.Keys(l))
		}
	})
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.APIKey = "" }, "api_key: give an API key"},
		{func(c *Config) { c.APIKey = "hunter key" }, "api_key: it has spaces"},
		{func(c *Config) { c.Site = "https://datadoghq.eu" }, "site: use the site alone"},
		{func(c *Config) { c.Site = "" }, "site: use the site alone"},
		{func(c *Config) { c.Site, c.URL = "", "http://127.0.0.1:80/api/v2/logs" }, ""},
		{func(c *Config) { c.URL = "datadoghq.eu" }, "url: use https"},
		{func(c *Config) { c.URL = "https://me:hunter@a/b" }, "url: leave out the user"},
		{func(c *Config) { c.URL = "https://a" }, "url: give the path too"},
		{func(c *Config) { c.Proxy = "http://me:hunter@proxy:3128" }, ""},
		{func(c *Config) { c.Proxy = "me:hunter@proxy" }, "proxy: use http"},
		{func(c *Config) { c.Tags = []string{"a:b", "alone"} }, "tags[1]: use key:value"},
		{func(c *Config) { c.Tags = []string{"a:b,c:d"} }, "tags[0]: use key:value"},
		{func(c *Config) { c.MaxAge = time.Second }, "max_age:"},
		{func(c *Config) { c.MaxAge = 0 }, ""},
		{func(c *Config) { c.Timeout = 0 }, "timeout:"},
		{func(c *Config) { c.Match = "{" }, "match:"},
		{func(c *Config) { c.TLS.Cert = "a" }, "tls: give cert and key together"},
	} {
		c := Default()
		c.APIKey = apiKey
		test.change(&c)
		err := c.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%v; want %s", err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter") {
			t.Errorf("it tells a secret: %v", err)
		}
	}
	c := Default()
	c.Site = "us5.datadoghq.com"
	if got := c.intake(); got != "https://http-intake.logs.us5.datadoghq.com/api/v2/logs" {
		t.Errorf("the intake is %s", got)
	}
}
