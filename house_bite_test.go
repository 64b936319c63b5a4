package weir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// offences are files that each break one rule, with a part of what must be said about it.
var offences = []struct {
	rule            int
	file, code, say string
}{
	{1, "internal/record/a.go", `import _ "github.com/weirlog/weir/internal/journal"`, "must not import"},
	{1, "internal/source/file/a.go", `import _ "github.com/weirlog/weir/internal/source/docker"`, "must not import"},
	{1, "internal/agent/a.go", `import _ "github.com/weirlog/weir/internal/realtest"`, "must not import"},
	{1, "internal/agent/a.go", `import _ "github.com/goccy/go-yaml"`, "belongs to internal/config"},
	{1, "internal/agent/a.go", `import _ "example.com/left/pad"`, "not in the table"},
	{1, "internal/codec/cri/a.go", `import _ "os"`, "no use for os"},
	{3, "internal/disk/a.go", `func init() {}`, "no init"},
	{3, "internal/disk/a.go", `var n int`, "waits for one"},
	{3, "internal/disk/a.go", `var m = make(map[string]int)`, "waits to be filled"},
	{3, "internal/disk/a.go", `var m = map[string]int{}` + "\n" + `func f() { m["a"]++ }`, "writes to"},
	{3, "internal/disk/a.go", `var n = 1` + "\n" + `func f() { p := &n; *p = 2 }`, "writes to"},
	{3, "internal/disk/a.go", `import "sync"` + "\n" + `var mu = sync.Mutex{}`, "sync at package level"},
	{3, "internal/disk/a.go", `import "os"` + "\n" + `var dir = os.Getenv("X")`, "read before main"},
	{5, "internal/disk/a.go", `import "context"` + "\n" + `type t struct{ ctx context.Context }`, "context in a struct"},
	{5, "internal/disk/a.go", `import "context"` + "\n" + `func f(n int, ctx context.Context) {}`, "not the first"},
	{5, "internal/disk/a.go", `import "context"` + "\n" + `func f() { g(context.TODO()) }`, "outside main"},
	{9, "internal/disk/a.go", `import "os"` + "\n" + `func f() { os.Exit(1) }`, "in a library"},
	{9, "internal/disk/a.go", `import "log/slog"` + "\n" + `func f() { slog.Info("x") }`, "through Deps"},
	{9, "internal/codec/cri/a.go", `func f() { panic("x") }`, "panic in a codec"},
	{10, "internal/disk/a_test.go", `import "time"` + "\n" + `func f() { time.Sleep(1) }`, "Sleep"},
	{10, "internal/disk/a_test.go", `import "net"` + "\n" + `func f() { net.Listen("tcp", "127.0.0.1:8125") }`, "fixed port"},
	{11, "internal/disk/a.go", `func F() {}`, "F has no comment"},
	{11, "internal/disk/a.go", "// F f.\nfunc F() {}", "adds nothing"},
	{11, "internal/disk/a.go", "// Config is what one can set.\ntype Config struct { Size int }", "Size has no comment"},
	{12, "internal/disk/a.go", `func f(a, b, c int, d, e string) {}`, "5 parameters"},
	{12, "internal/disk/a.go", `func f() {` + strings.Repeat("\n", 60) + `}`, "61 lines"},
	{12, "internal/disk/a.go", `type i interface { a(); b(); c(); d() }`, "4 methods"},
	{12, "internal/disk/a.go", strings.Repeat("\n", 600), "at most 600"},
}

// TestRulesBite shows that the rules find what they are for, and nothing else.
func TestRulesBite(t *testing.T) {
	for _, o := range offences {
		dir := t.TempDir()
		name := filepath.Join(dir, o.file)
		pkg := filepath.Base(filepath.Dir(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		code := "// Package " + pkg + " is here for one offence.\npackage " + pkg + "\n" + o.code + "\n"
		if err := os.WriteFile(name, []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		h, err := inspect(".")
		if err != nil {
			t.Errorf("%q: %v", o.code, err)
			continue
		}
		n := 0
		for _, found := range h.found {
			n += len(found)
		}
		if said := strings.Join(h.found[o.rule], "\n"); n != 1 || !strings.Contains(said, o.say) {
			t.Errorf("%q\n got %v\nwant rule %d: %s", o.code, h.found, o.rule, o.say)
		}
	}
}
