// Package weir_test keeps the rules of the house that a machine can keep. They are numbered
// as in CONTRIBUTING.md. The tables here are meant to be read: who may import whom, which
// package owns which dependency, and which exceptions there are and why.
package weir_test

import (
	"fmt"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// layers lists what stands on what, from the bottom up: the packages of a line may import
// those named after it, which stand in lines above, and nothing else of ours. Packages of
// one line never import each other; a package and those below its own folder may.
var layers = []layer{
	{"record disk retry", ""},
	{"codec/protobuf", ""},
	{"codec/native", "codec/protobuf"},
	{"metric", "record codec/protobuf codec/native"},
	{"match", "record"},
	{"config", ""},
	{"codec/jsontext codec/packed codec/processor codec/rfc3339", ""}, // what several formats are made of
	{"codec/scan", "record codec/jsontext codec/processor"},
	{"codec/*", "record codec/protobuf codec/native codec/jsontext codec/processor codec/rfc3339 codec/scan"},
	{"follow dockerapi", "codec/packed"},
	{"zmq", "retry codec/*"},
	{"peers", "config codec/* zmq"},
	{"ledger", "metric"},
	{"flow", "record metric disk ledger"},
	{"intake", "record codec/* flow"},
	{"logfile", "record metric retry config codec/* follow ledger flow"},
	{"archive", "record disk codec/*"},
	{"journal", "record metric disk codec/* ledger flow archive"},
	{"reader", "record retry codec/* ledger flow archive"},
	{"logql", "record match codec/* archive journal"},
	{"task", "record match codec/* archive journal logql"},
	{"child", "retry config ledger"},
	{"deliver", "record metric retry match config codec/* ledger flow logql"},
	{"tsdb", "metric codec/native"},
	{"source/*", "record metric retry config codec/* follow dockerapi zmq peers ledger flow intake logfile child deliver"},
	{"stage/*", "record metric retry match config codec/* ledger flow child deliver"},
	{"sink/*", "record metric retry match config codec/* zmq peers ledger flow child deliver tsdb /statsd"},
	{"web console", "record config metric match codec/* ledger archive logql task"},
	{"agent", "record metric disk retry match config codec/* follow dockerapi zmq ledger flow intake logfile archive journal reader logql task child deliver tsdb source/* stage/* sink/* web console"},
	{"demo", "record metric config dockerapi agent"},
	{"/cmd/weir", "record metric disk match config codec/* archive journal logql task agent demo console"},
	{"response link", ""},
	{"/statsd /statsd/statsdhttp /scope /scope/scopehttp /crawl", "/statsd /scope response link"}, // public: nothing that needs third parties
}

// modules are the third parties, each with the one package that owns it.
var modules = []module{
	{"github.com/coder/websocket", "internal/web/loki", "live tails over WebSocket, as Loki's clients ask for them"},
	{"github.com/goccy/go-yaml", "internal/config", "YAML with positions, for file:line:col"},
	{"github.com/klauspost/compress", "internal/codec/compress", "zstd for kept text, snappy for Loki's push"},
	{"github.com/prometheus/common", "internal/tsdb", "durations and label names as Prometheus reads them"},
	{"github.com/prometheus/prometheus", "internal/tsdb", "the time series database and PromQL"},
	{"github.com/redis/go-redis/v9", "internal/sink/redis", "Redis' protocol, with its ways of signing in"},
	{"github.com/spf13/cobra", "cmd/weir", "commands, flags, help and completion"},
	{"go.mongodb.org/mongo-driver/v2", "internal/sink/mongodb", "MongoDB's protocol, with its ways of signing in and of finding the primary"},
	{"golang.org/x/crypto", "internal/codec/zmtp", "NaCl's boxes, of which ZeroMQ's CURVE is made"},
	{"github.com/rogpeppe/go-internal", inTests, "script tests of the command"},
}

// exceptions are the places where a rule gives way. One that is no longer needed fails the test.
var exceptions = []exception{
	{9, "scope", "a scope's own records go where the program's do, unless its context has a logger: a root logger is the API that is taken over"},
	{12, "internal/disk.File", "the disk is replaced as a whole by tests; a part of it is of no use"},
}

type (
	layer     struct{ packages, may string }
	module    struct{ path, owner, reason string }
	exception struct {
		rule          int
		where, reason string // a file, or a package's folder and a name: internal/disk.File
	}
)

// inTests owns the modules that only tests import.
const inTests = "tests"

// house collects what breaks the rules.
type house struct {
	fset     *token.FileSet
	packages []*pkg
	used     map[exception]bool
	found    map[int][]string
}

func TestHouse(t *testing.T) {
	h, err := inspect(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range slices.Sorted(maps.Keys(ruleNames)) {
		t.Run(fmt.Sprintf("rule %d: %s", rule, ruleNames[rule]), func(t *testing.T) {
			slices.Sort(h.found[rule])
			for _, v := range h.found[rule] {
				t.Error(v)
			}
		})
	}
	t.Run("exceptions", func(t *testing.T) {
		for _, e := range exceptions {
			if !h.used[e] {
				t.Errorf("rule %d, %s: the exception is not needed any more", e.rule, e.where)
			}
		}
	})
}

// inspect applies every rule to the module in dir.
func inspect(dir string) (*house, error) {
	h := &house{fset: token.NewFileSet(), used: map[exception]bool{}, found: map[int][]string{}}
	if err := h.load(dir); err != nil {
		return nil, err
	}
	for _, p := range h.packages {
		h.imports(p)
		h.state(p)
		h.contexts(p)
		h.exits(p)
		h.patience(p)
		h.comments(p)
		h.size(p)
	}
	return h, nil
}

var ruleNames = map[int]string{
	1:  "imports follow the flow",
	3:  "no init, no package state",
	5:  "context is a first parameter",
	9:  "library code never exits",
	10: "tests do not sleep",
	11: "everything exported is explained",
	12: "small",
}

// breaks notes that the code at pos breaks a rule, unless name has an exception.
func (h *house) breaks(rule int, pos token.Pos, name, format string, args ...any) {
	at := h.fset.Position(pos)
	h.breaksAt(rule, fmt.Sprintf("%s:%d", at.Filename, at.Line), []string{name, at.Filename}, fmt.Sprintf(format, args...))
}

func (h *house) breaksAt(rule int, at string, names []string, what string) {
	for _, e := range exceptions {
		if e.rule == rule && slices.Contains(names, e.where) {
			h.used[e] = true
			return
		}
	}
	h.found[rule] = append(h.found[rule], at+": "+what)
}

// imports keeps rule 1 and the ownership of third parties.
func (h *house) imports(p *pkg) {
	for _, f := range p.files {
		for _, spec := range f.ast.Imports {
			to := strings.Trim(spec.Path.Value, `"`)
			ours, internal := strings.CutPrefix(to, modulePath+"/")
			switch {
			case internal && !f.test && !mayImport(p.dir, ours):
				h.breaks(1, spec.Pos(), p.dir, "%s must not import %s: see layers", p.dir, ours)
			case !internal && strings.Contains(strings.Split(to, "/")[0], "."):
				h.thirdParty(p, f, to, spec.Pos())
			case !f.test && strings.HasPrefix(p.dir, "internal/codec/") && slices.Contains(withoutIO, to):
				h.breaks(1, spec.Pos(), p.dir, "a codec turns bytes into values; it has no use for %s", to)
			}
		}
	}
}

// withoutIO is what a byte format has no business with.
var withoutIO = []string{"os", "net", "net/http", "context", "log", "log/slog", "syscall"}

func (h *house) thirdParty(p *pkg, f *file, to string, pos token.Pos) {
	i := slices.IndexFunc(modules, func(m module) bool { return to == m.path || strings.HasPrefix(to, m.path+"/") })
	switch {
	case i < 0:
		h.breaks(1, pos, p.dir, "%s is not in the table of modules", to)
	case modules[i].owner == inTests && (f.test || isTestPackage(p.dir)):
	case p.dir != modules[i].owner && !strings.HasPrefix(p.dir, modules[i].owner+"/"):
		h.breaks(1, pos, p.dir, "%s belongs to %s", to, modules[i].owner)
	}
}

// mayImport says whether the package in folder from may import the one in folder to.
func mayImport(from, to string) bool {
	switch {
	case isTestPackage(from):
		return true
	case isTestPackage(to):
		return false
	case component(from) == component(to):
		return true
	}
	for _, l := range layers {
		if inLayer(from, l.packages) {
			return inLayer(to, l.may)
		}
	}
	return false
}

// inLayer says whether a folder, or one it stands in, is named in a list.
func inLayer(dir, list string) bool {
	for _, pattern := range strings.Fields(list) {
		full, rooted := strings.CutPrefix(pattern, "/")
		if !rooted {
			full = "internal/" + pattern
		}
		if ok, _ := path.Match(full, component(dir)); ok {
			return true
		}
	}
	return false
}

// component is the part of a folder's path that the layers name: two elements under
// internal (internal/journal), three in a group (internal/source/file).
func component(dir string) string {
	parts := strings.Split(dir, "/")
	n := len(parts)
	if parts[0] == "internal" && n > 2 {
		n = 2
		if slices.Contains([]string{"codec", "source", "stage", "sink"}, parts[1]) {
			n = 3
		}
	}
	return strings.Join(parts[:n], "/")
}

// isTestPackage says whether a package serves tests alone: enginetest, flow/flowtest, and
// what stands below such a folder. It may import everything; only tests may import it.
func isTestPackage(dir string) bool {
	return slices.ContainsFunc(strings.Split(dir, "/"), func(part string) bool { return strings.HasSuffix(part, "test") })
}

// TestLayers checks the table itself: nothing is allowed that stands in the same line or below.
func TestLayers(t *testing.T) {
	seen := []string{}
	for _, l := range layers[:len(layers)-1] { // the public packages stand apart
		for _, may := range strings.Fields(l.may) {
			if !slices.Contains(seen, may) && may != "/statsd" {
				t.Errorf("%s may import %s, which does not stand above it", l.packages, may)
			}
		}
		seen = append(seen, strings.Fields(l.packages)...)
	}
}
