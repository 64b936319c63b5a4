package weir_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/weirlog/weir"

// pkg is a folder of Go files.
type pkg struct {
	dir   string // relative to the root, with slashes
	files []*file
	uses  map[*ast.Ident]types.Object // of the files that are not tests, within the package
}

type file struct {
	path string
	ast  *ast.File
	test bool
}

func (p *pkg) main() bool {
	return len(p.files) > 0 && p.files[0].ast.Name.Name == "main"
}

// code returns the files that are not tests.
func (p *pkg) code() []*file {
	var code []*file
	for _, f := range p.files {
		if !f.test {
			code = append(code, f)
		}
	}
	return code
}

// load parses every hand-written Go file of the module under root.
func (h *house) load(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || path == "tmp" || path == "bin") {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
			return fs.SkipDir // a module of its own
		}
		return h.loadPackage(path)
	})
}

func (h *house) loadPackage(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		return err
	}
	p := &pkg{dir: filepath.ToSlash(dir), uses: map[*ast.Ident]types.Object{}}
	for _, name := range names {
		parsed, err := parser.ParseFile(h.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(parsed) {
			p.files = append(p.files, &file{name, parsed, strings.HasSuffix(name, "_test.go")})
		}
	}
	h.packages = append(h.packages, p)
	h.resolve(p)
	return nil
}

// resolve finds what the identifiers of a package mean. Imports are left out, because
// reading them takes longer than all the rest; within the package names are resolved anyway.
func (h *house) resolve(p *pkg) {
	var code []*ast.File
	for _, f := range p.code() {
		code = append(code, f.ast)
	}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}}
	_, _ = conf.Check(p.dir, h.fset, code, &types.Info{Uses: p.uses, Defs: p.uses})
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not needed") }

// selected returns the import path and the name of what a selector like os.Exit refers to.
func (p *pkg) selected(n ast.Node) (path, name string, ok bool) {
	sel, isSel := n.(*ast.SelectorExpr)
	if !isSel {
		return "", "", false
	}
	id, isIdent := sel.X.(*ast.Ident)
	if !isIdent {
		return "", "", false
	}
	imported, isPkg := p.uses[id].(*types.PkgName)
	if !isPkg {
		return "", "", false
	}
	return imported.Imported().Path(), sel.Sel.Name, true
}
