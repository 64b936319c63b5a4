package template_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql/template"
)

func run(t *testing.T, text string) (string, error) {
	t.Helper()
	p, err := template.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	r := p.NewRunner()
	r.Line = "the line"
	r.Time = time.Unix(1700000000, 123456789).UTC()
	r.Now = time.Unix(1700000100, 0).UTC()
	out, err := r.Append([]byte(">"), map[string]string{
		"status": "200", "path": "/a/b", "took": "1.5s", "size": "5KiB", "name": "héllo wörld", "json": `{"a":[1,"x"]}`,
	})
	return strings.TrimPrefix(string(out), ">"), err
}

func TestFunctions(t *testing.T) {
	for text, want := range map[string]string{
		``:                                        ``,
		`{{/* nothing */}}`:                       ``,
		`{{.status}} {{.path}} [{{.missing}}]`:    `200 /a/b []`,
		`{{__line__ | upper}}`:                    `THE LINE`,
		`{{__timestamp__ | unixEpoch}}`:           `1700000000`,
		`{{__timestamp__ | unixEpochMillis}}`:     `1700000000123`,
		`{{unixEpochNanos __timestamp__}}`:        `1700000000123456789`,
		`{{date "2006-01-02" now}}`:               `2023-11-14`,
		`{{unixToTime "1700000000" | unixEpoch}}`: `1700000000`,
		`{{toDateInZone "2006-01-02" "UTC" "2021-11-02" | unixEpoch}}`:                          `1635811200`,
		`{{.path | replace "/" "_" | trunc 2 | upper}}`:                                         `_A`,
		`{{trunc -5 "hello world"}}`:                                                            `world`,
		`{{substr 6 11 "hello world"}}|{{substr -1 5 "hello world"}}`:                           `world|hello`,
		`{{title "hello wor-ld"}}`:                                                              `Hello Wor-Ld`,
		`{{trim "  a "}}|{{trimAll "$" "$5$"}}|{{trimPrefix "-" "-a"}}|{{trimSuffix "-" "a-"}}`: `a|5|a|a`,
		`{{repeat 3 "ab"}}`:                                                                     `ababab`,
		`{{indent 2 "a\nb"}}`:                                                                   "  a\n  b",
		`{{nindent 1 "a"}}`:                                                                     "\n a",
		`{{alignLeft 5 "hi"}}|{{alignRight 5 "hi"}}|{{alignLeft 2 .name}}|{{alignRight 2 .name}}`:                          `hi   |   hi|hé|ld`,
		`{{default "-" .missing}}{{default "-" .status}}`:                                                                  `-200`,
		`{{if contains "he" "hello"}}yes{{else}}no{{end}}`:                                                                 `yes`,
		`{{if and (hasPrefix "/a" .path) (hasSuffix "b" .path)}}yes{{end}}`:                                                `yes`,
		`{{if eq .status "200"}}ok{{end}}`:                                                                                 `ok`,
		`{{add 3 2 .status}} {{sub 5 "2"}} {{mul 5 2 3}} {{div 10 3}} {{mod 10 3}} {{max 1 3 2}} {{min 2 1}}`:              `205 3 30 3 1 3 1`,
		`{{addf 3.5 2}} {{subf 5.5 2 1.5}} {{mulf 5.5 2}} {{divf 10 2 4}} {{maxf 1 2.5}} {{minf 1 2.5}}`:                   `5.5 2 11 1.25 2.5 1`,
		`{{ceil 1.1}} {{floor "1.9"}} {{round 123.555555 3}} {{round 123.88571428571 5 .2}} {{int "3"}} {{float64 "3.5"}}`: `2 1 123.556 123.88572 3 3.5`,
		`{{int "3.0"}} {{int "x"}} {{int "08"}}`:                                                                           `3 0 8`,
		`{{duration .took}} {{duration_seconds "1m"}} {{bytes .size}}`:                                                     `1.5 60 5120`,
		`{{count "l+" .name}}`: `2`,
		`{{regexReplaceAll "(h)é" .name "${1}e"}} {{regexReplaceAllLiteral "l+" .name "$1"}}`: `hello wörld hé$1o wör$1d`,
		`{{urlencode .path}} {{urldecode "a%20b"}}`:                                           `%2Fa%2Fb a b`,
		`{{b64enc "foo"}} {{b64dec "Zm9v"}}`:                                                  `Zm9v foo`,
		`{{range $q := (fromJson .json).a}}<{{$q}}>{{end}}`:                                   `<1><x>`,
		`{{fromJson "nope"}}`:                                                                 ``,
		`{{printf "%-6s|%3d" .status 7}}`:                                                     `200   |  7`,
		`{{ToUpper .status}} {{Replace "aaa" "a" "b" 2}} {{TrimLeft "xxa" "x"}}`:              `200 bba a`,
		`{{html "<&>"}} {{print .status 1}}`:                                                  `&lt;&amp;&gt; 2001`,
	} {
		if got, err := run(t, text); err != nil || got != want {
			t.Errorf("%s\nis     %q, %v\nwanted %q", text, got, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{{.x`:                             "template line 1: unclosed action",
		`{{nope .x}}`:                      `template line 1: function "nope" not defined`,
		`{{define "a"}}x{{end}}`:           "define, block and template are not supported in templates of queries",
		`{{block "a" .}}x{{end}}`:          "define, block and template are not supported in templates of queries",
		`{{if .x}}{{template "a"}}{{end}}`: "define, block and template are not supported in templates of queries",
		strings.Repeat("x", 65<<10):        "the template is longer than 64 KiB",
	} {
		if _, err := template.Parse(text); err == nil || err.Error() != want {
			t.Errorf("Parse(%.40s) = %v\nwanted %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`a{{div 1 0}}`:                             `division by zero`,
		`{{b64dec "%"}}`:                           `illegal base64`,
		`{{duration "x"}}`:                         `invalid duration`,
		`{{bytes "x"}}`:                            `not a size`,
		`{{regexReplaceAll "(" .a "b"}}`:           `missing closing )`,
		`{{range 1000000}}{{end}}`:                 `more than 10000 turns`,
		`{{range 200}}{{range 200}}{{end}}{{end}}`: `more than 10000 turns`,
		`{{repeat 2000000 "x"}}`:                   `longer than 1 MiB`,
		`{{$x := repeat 1000000 "x"}}{{$x}}{{$x}}`: `longer than 1 MiB`,
		`{{$x := repeat 1000000 "x"}}{{range 100}}{{len ($x | b64enc)}}{{end}}`:             `longer than 1 MiB`,
		`{{$x := repeat 1000 "\\"}}{{$x` + strings.Repeat("|js", 30) + `}}`:                 `longer than 1 MiB`,
		`{{$x := repeat 500000 "x"}}{{range 100}}{{len (print $x)}}{{end}}`:                 `more than 16 MiB`,
		`{{printf "` + strings.Repeat("%9999999d", 5000) + `" 1}}`:                          `longer than 1 MiB`,
		`{{$x := repeat 1000000 "x"}}{{printf "` + strings.Repeat("%[1]s", 5000) + `" $x}}`: `longer than 1 MiB`,
		`{{alignLeft 99999999 "x"}}`:                                                        `longer than 1 MiB`,
		`{{indent 99999999 "x"}}`:                                                           `longer than 1 MiB`,
		`{{replace "" "yyyyyyyyyy" (repeat 500000 "x")}}`:                                   `longer than 1 MiB`,
		`{{regexReplaceAll "" (repeat 500000 "x") (repeat 500000 "y")}}`:                    `longer than 1 MiB`,
	} {
		out, err := run(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%.60s: %.40q, %v\nwanted %s", text, out, err, want)
		}
	}
}

func TestRunnersAreSeparate(t *testing.T) {
	p, err := template.Parse(`{{__line__}}`)
	if err != nil {
		t.Fatal(err)
	}
	a, b := p.NewRunner(), p.NewRunner()
	a.Line, b.Line = "a", "b"
	x, _ := a.Append(nil, nil)
	y, _ := b.Append(nil, nil)
	if string(x) != "a" || string(y) != "b" || p.String() != "{{__line__}}" {
		t.Errorf("%s, %s", x, y)
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(`{{.a | upper}}{{range $i, $x := fromJson .b}}{{$i}}{{$x}}{{end}}`)
	f.Add(`{{printf "%5s%q" .a .b}}{{repeat 3 .a | b64enc | js}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := template.Parse(text)
		if err != nil {
			return
		}
		r := p.NewRunner()
		r.Time, r.Now = time.Unix(1, 2), time.Unix(3, 4)
		labels := map[string]string{"a": "x<y", "b": `[1,{"c":null}]`}
		one, err := r.Append(nil, labels)
		two, err2 := r.Append(nil, labels)
		if string(one) != string(two) || fmt.Sprint(err) != fmt.Sprint(err2) || len(one) > 1<<20 {
			t.Fatalf("%q: %.40q, %v and %.40q, %v", text, one, err, two, err2)
		}
	})
}
