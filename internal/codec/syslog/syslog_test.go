package syslog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/syslog"
	"github.com/weirlog/weir/internal/record"
)

func fields(line string) string {
	var all []string
	syslog.Each([]byte(line), func(name string, value []byte) bool {
		all = append(all, name+"="+string(value))
		return true
	})
	if len(all) == 0 {
		return "no match"
	}
	return strings.Join(all, "|")
}

func TestEach(t *testing.T) {
	for line, want := range map[string]string{
		"<34>Oct 11 22:14:15 web-1 su[230]: 'su root' failed": "priority=34|facility=4|severity=2|timestamp=Oct 11 22:14:15|hostname=web-1|appname=su|procid=230|message='su root' failed",
		"Oct  1 02:14:15 web-1 cron: done":                    "timestamp=Oct  1 02:14:15|hostname=web-1|appname=cron|message=done",
		"2026-11-20T17:56:45.1+01:00 web-1 sshd[7]: bye":      "timestamp=2026-11-20T17:56:45.1+01:00|hostname=web-1|appname=sshd|procid=7|message=bye",
		"<13>Oct 11 22:14:15 web-1 just words":                "priority=13|facility=1|severity=5|timestamp=Oct 11 22:14:15|hostname=web-1|message=just words",
		`<165>1 2026-10-11T22:14:15.003Z web-1 shop 8710 ID47 [order@1 id="7" q="a \"b\" \]"][x] ` + "\xef\xbb\xbfout": `priority=165|facility=20|severity=5|timestamp=2026-10-11T22:14:15.003Z|hostname=web-1|appname=shop|procid=8710|msgid=ID47|message=out|sd.order@1.id=7|sd.order@1.q=a "b" ]`,
		"<0>1 - - - - - -":                                "priority=0|facility=0|severity=0",
		"<0>1 - - - - - - ":                               "priority=0|facility=0|severity=0|message=",
		`<14>1 - a b - - [x y="1" y="2" z=""][u] -`:       "priority=14|facility=1|severity=6|hostname=a|appname=b|message=-|sd.x.y=1|sd.x.y=2|sd.x.z=",
		"<30>Oct 11 22:14:15 app[7]: to the local daemon": "priority=30|facility=3|severity=6|timestamp=Oct 11 22:14:15|appname=app|procid=7|message=to the local daemon",
		"<34>hello":                         "priority=34|facility=4|severity=2|message=hello",
		"<34>app: hello":                    "priority=34|facility=4|severity=2|appname=app|message=hello",
		"Oct 11 22:14:15 fe80::1 kernel: x": "timestamp=Oct 11 22:14:15|hostname=fe80::1|appname=kernel|message=x",
		"Oct 11 22:14:15 web-1 postfix/smtpd[7]: a: b": "timestamp=Oct 11 22:14:15|hostname=web-1|appname=postfix/smtpd|procid=7|message=a: b",
		"Oct 11 22:14:15 web-1 app[x y]: b":            "timestamp=Oct 11 22:14:15|hostname=web-1|message=app[x y]: b",
		"Oct 11 22:14:15 web-1":                        "no match",
		"Oct 11 22:14:1x web-1 a: b":                   "no match",
		"Oct 11 22:x4:15 web-1 a: b":                   "no match",
		"Oct 1  22:14:15 web-1 a: b":                   "no match",
		"Okt 11 22:14:15 web-1 a: b":                   "no match",
		"2026-11-20 17:56:45 web-1 a: b":               "no match",
		"<192>1 - - - - - - x":                         "no match",
		"<012>1 - - - - - - x":                         "no match",
		"<>1 - - - - - - x":                            "no match",
		"<1":                                           "no match",
		"<1>1 - - - - -":                               "no match",
		"<1>1 - - - - -x":                              "no match",
		"<1>1 - - - -  - x":                            "no match",
		"<1>1 - - - - - -x":                            "no match",
		"<1>1 - - - - - [a]x":                          "no match",
		"<1>1 - - - - - [a b=c] x":                     "no match",
		"<1>1 - - - - - [] x":                          "no match",
		"<1>1 - - - - - [a =\"c\"] x":                  "no match",
		"hello world":                                  "no match",
		"<165>1 - - - - - [a b=\"c":                    "no match",
		"":                                             "no match",
	} {
		if got := fields(line); got != want {
			t.Errorf("%q\n got %s\nwant %s", line, got, want)
		}
	}
}

// match returns the fields of a line, those that are absent as "<none>".
func match(line string, names ...string) (got []string, ok bool) {
	b := new(record.Batch)
	b.Append([]byte("something before"))
	body := b.Append([]byte(line))
	b.Append([]byte("something after"))
	row := make([]record.Span, len(names))
	ok = syslog.New(names).Match(b, body, row)
	for _, v := range row {
		if v == (record.Span{}) {
			got = append(got, "<none>")
		} else {
			got = append(got, string(b.Bytes(v)))
		}
	}
	return got, ok
}

func TestMatch(t *testing.T) {
	good := func(line, want string) {
		t.Helper()
		got, ok := match(line, "appname", "severity", "facility", "msgid", "message", "sd.a.b", "sd.a@1.x.y", "other")
		if strings.Join(got, "|") != want || !ok {
			t.Errorf("%s gives %q, %v; want %s", line, got, ok, want)
		}
	}
	good(`<165>1 - - shop - - [a b="c\]"][a@1 x.y=""] text`, `shop|5|20|<none>|text|c]||<none>`)
	good(`Oct 11 22:14:15 web-1 app: sd.a.b`, `app|<none>|<none>|<none>|sd.a.b|<none>|<none>|<none>`)
	good(`<8>1 - - - - M [a b="1" b="2\x\"\\"] -`, `<none>|0|1|M|-|2\x"\|<none>|<none>`)
	if got, ok := match("hello", "message"); ok || got[0] != "<none>" {
		t.Errorf("got %q, %v", got, ok)
	}
}

// FuzzMatch compares Match with Each.
func FuzzMatch(f *testing.F) {
	f.Add(`<165>1 2026-10-11T22:14:15.003Z web-1 shop 8710 ID47 [a b="7"][x y="\]"] stock`)
	f.Add("<34>Oct 11 22:14:15 web-1 su[230]: failed")
	f.Add("2026-11-20T17:56:45.1+01:00 web-1 sshd[7]: bye")
	f.Add("<34>x")
	f.Fuzz(func(t *testing.T, line string) {
		last := map[string]string{}
		syslog.Each([]byte(line), func(name string, value []byte) bool {
			last[name] = string(value)
			return true
		})
		names := []string{"priority", "facility", "severity", "timestamp", "hostname", "appname", "procid", "msgid", "message", "sd.a.b"}
		got, ok := match(line, names...)
		if ok != (len(last) > 0) {
			t.Fatalf("%q: %v, but %q", line, ok, last)
		}
		for i, name := range names {
			if want, there := last[name]; there && got[i] != want || !there && got[i] != "<none>" {
				t.Errorf("%q: %s is %q; want %q", line, name, got[i], want)
			}
		}
	})
}

// FuzzRoundTrip writes structured data and reads it.
func FuzzRoundTrip(f *testing.F) {
	f.Add("value", "message")
	f.Add("a \"b\" ] \\", "")
	f.Fuzz(func(t *testing.T, value, text string) {
		line := fmt.Sprintf(`<14>1 2026-10-11T22:14:15Z h a p m [id n="%s"] %s`, strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(value), text)
		got, ok := match(line, "sd.id.n", "message")
		if !ok || got[0] != value || got[1] != strings.TrimPrefix(text, "\xef\xbb\xbf") {
			t.Errorf("%q gives %q, %v", line, got, ok)
		}
	})
}

const line = `<165>1 2026-10-11T22:14:15.003Z web-1 shop 8710 ID47 [order@1 id="7" item="an \"odd\" one"] stock is out`

func TestMatchDoesNotAllocate(t *testing.T) {
	m := syslog.New([]string{"appname", "severity", "message", "sd.order@1.item"})
	b := &record.Batch{Arena: make([]byte, 0, 4096)}
	row := make([]record.Span, 4)
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(nil)
		for _, s := range []string{line, "<34>Oct 11 22:14:15 web-1 su[230]: failed", "junk"} {
			off := len(b.Arena)
			b.Arena = append(b.Arena, s...)
			m.Match(b, record.Span{Off: uint32(off), Len: uint32(len(s))}, row)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	m := syslog.New([]string{"appname", "message"})
	batch := &record.Batch{}
	body := batch.Append([]byte(line))
	row := make([]record.Span, 2)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if !m.Match(batch, body, row) {
			b.Fatal("no match")
		}
	}
}

func Example() {
	syslog.Each([]byte("<34>Oct 11 22:14:15 web-1 su[230]: failed"), func(name string, value []byte) bool {
		fmt.Printf("%s: %s\n", name, value)
		return name != "severity"
	})
	// Output:
	// priority: 34
	// facility: 4
	// severity: 2
}
