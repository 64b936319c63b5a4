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
	if !syslog.Each([]byte(line), func(name string, value []byte) bool {
		all = append(all, name+"="+string(value))
		return true
	}) {
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
		"<0>1 - - - - - -":          "priority=0|facility=0|severity=0|message=",
		"<192>1 - - - - - - x":      "no match",
		"<34>hello":                 "no match",
		"hello world":               "no match",
		"<165>1 - - - - - [a b=\"c": "no match",
		"":                          "no match",
	} {
		if got := fields(line); got != want {
			t.Errorf("%q\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	names := []string{"appname", "severity", "msgid", "sd.a.b"}
	m := syslog.New(names)
	b := new(record.Batch)
	b.Append([]byte("something before"))
	body := b.Append([]byte(`<165>1 - - shop - - [a b="c\]"] text`))
	row := make([]record.Span, len(names))
	if !m.Match(b, body, row) {
		t.Fatal("no match")
	}
	got := ""
	for _, v := range row {
		got += string(b.Bytes(v)) + "|"
	}
	if got != "shop|5||c]|" {
		t.Errorf("got %s", got)
	}
}

func FuzzEach(f *testing.F) {
	f.Add([]byte(`<165>1 2026-10-11T22:14:15.003Z web-1 shop 8710 ID47 [order@1 id="7"][x y="\]"] stock`))
	f.Add([]byte("<34>Oct 11 22:14:15 web-1 su[230]: failed"))
	f.Fuzz(func(t *testing.T, line []byte) {
		b := new(record.Batch)
		body := b.Append(line)
		row := make([]record.Span, 2)
		if syslog.New([]string{"message", "sd.a.b"}).Match(b, body, row) {
			for _, v := range row {
				b.Bytes(v)
			}
		}
	})
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
