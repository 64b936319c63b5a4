package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// tutorial runs the part of a document that is marked so: it writes the files that stand in its blocks, and runs the commands of
// its consoles, each of which has to print what stands there. In that, … stands for any text in a
// line; alone in a line for any lines. What its JSON blocks hold is what the API answers from there on.
type tutorial struct {
	ts   *testscript.TestScript
	root string // of this module
	dir  string // where commands run
	api  string // stands for https://api.NAME.test

	mu      sync.Mutex // guards answers
	answers map[string]string
}

// fence is a block: its language, what it is for, and its text.
var fence = regexp.MustCompile("(?ms)^```(\\w+)(?: (\\S+))?\n(.*?)^```$")

var madeUpHost = regexp.MustCompile(`https://api\.\w+\.test`)

// runTutorial is a command of scripts: tutorial FILE.
func runTutorial(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tutorial file")
	}
	root, err := filepath.Abs("../..")
	ts.Check(err)
	text, err := os.ReadFile(filepath.Join(root, args[0]))
	ts.Check(err)
	_, part, begins := strings.Cut(string(text), "<!-- tutorial: begin -->")
	part, _, ends := strings.Cut(part, "<!-- tutorial: end -->")
	if !begins || !ends {
		ts.Fatalf("%s has no tutorial", args[0])
	}
	t := &tutorial{ts: ts, root: root, dir: ts.MkAbs("."), answers: map[string]string{}}
	server := httptest.NewServer(t)
	defer server.Close()
	t.api = server.URL
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		ts.Check(err)
		ts.Setenv(name, strings.TrimSpace(string(out)))
	}
	for name, value := range map[string]string{"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"} {
		ts.Setenv(name, value)
	}
	ran := 0
	for _, block := range fence.FindAllStringSubmatch(part, -1) {
		switch language, name, text := block[1], block[2], block[3]; {
		case language == "console":
			ran += t.console(text)
		case language == "json" && name != "":
			t.mu.Lock()
			t.answers[name] = text
			t.mu.Unlock()
		case name != "":
			ts.Check(os.WriteFile(filepath.Join(t.dir, name), []byte(text), 0o644))
		}
	}
	if ran == 0 {
		ts.Fatalf("%s has no commands", args[0])
	}
}

// ServeHTTP is the API.
func (t *tutorial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, ok := t.answers[r.URL.RequestURI()]
	if !ok {
		text, ok = t.answers[r.URL.Path]
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, text)
}

// console runs the commands of a block.
func (t *tutorial) console(text string) (ran int) {
	for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		ran++
		if dir, ok := strings.CutPrefix(command, "cd "); ok {
			t.dir = filepath.Join(t.dir, dir)
			continue
		}
		if command == "go mod tidy" { // this weir is no release
			command = "go mod edit -replace github.com/weirlog/weir='" + t.root + "' && go mod tidy 2>&1 | grep -v '^go: found '; true"
		}
		t.placeAPI()
		err := t.ts.Exec("sh", "-c", "cd '"+t.dir+"' && export PWD='"+t.dir+"' && { "+command+"\n} 2>&1")
		got := t.ts.ReadFile("stdout")
		got = strings.ReplaceAll(got, t.api, "https://api.acme.test")
		got = strings.ReplaceAll(got, strings.TrimPrefix(t.api, "http://"), "api.acme.test")
		if !matches(strings.TrimRight(got, "\n"), strings.TrimRight(want, "\n")) {
			t.ts.Fatalf("$ %s (%v)\n%s\nand the document says\n%s", command, err, got, want)
		}
	}
	return ran
}

// placeAPI puts the API's real address into the files.
func (t *tutorial) placeAPI() {
	files, err := filepath.Glob(filepath.Join(t.dir, "*.yaml"))
	t.ts.Check(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		t.ts.Check(err)
		if placed := madeUpHost.ReplaceAll(text, []byte(t.api)); string(placed) != string(text) {
			t.ts.Check(os.WriteFile(file, placed, 0o644))
		}
	}
}

// matches tells whether what was printed is what was said.
func matches(got, want string) bool {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for i, line := range strings.Split(want, "\n") {
		if i > 0 {
			pattern.WriteString(`\n`)
		}
		if line == "…" {
			pattern.WriteString(`(?s:.*)`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	ok, err := regexp.MatchString(pattern.String()+`\z`, got)
	return ok && err == nil
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		got, want string
		is        bool
	}{
		{"a\nb", "a\nb", true}, {"a\nb", "a", false}, {"a 1.2s b", "a … b", true}, {"a\nb\nc", "…\nc", true}, {"a\nb", "…", true}, {"a.b", "a.b", true}, {"axb", "a.b", false},
	} {
		if matches(c.got, c.want) != c.is {
			t.Errorf("%q is %q: %t", c.got, c.want, !c.is)
		}
	}
}
