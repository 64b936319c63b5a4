package weir_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

const (
	maxFileLines  = 600
	maxFuncLines  = 60
	maxParameters = 4
	maxMethods    = 3
)

// state keeps rule 3: no init function, and no package-level variable that changes, or that
// is made to change. Errors, compiled tables and interface checks are fine; what serves
// tests alone may share what is costly to make.
func (h *house) state(p *pkg) {
	vars := map[types.Object]bool{}
	for _, f := range p.code() {
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					h.breaks(3, d.Pos(), p.dir+".init", "no init functions")
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR && !isTestPackage(p.dir) {
					h.packageVars(p, d, vars)
				}
			}
		}
	}
	for _, f := range p.code() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			for _, target := range written(n) {
				if id := root(target); id != nil && vars[p.uses[id]] {
					h.breaks(3, n.Pos(), p.dir+"."+id.Name, "writes to the package variable %s", id.Name)
				}
			}
			return true
		})
	}
}

func (h *house) packageVars(p *pkg, d *ast.GenDecl, vars map[types.Object]bool) {
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		for _, name := range spec.Names {
			vars[p.uses[name]] = true
			if why := p.mutable(d, spec); why != "" && name.Name != "_" {
				h.breaks(3, name.Pos(), p.dir+"."+name.Name, "package variable %s: %s", name.Name, why)
			}
		}
	}
}

// mutable says what in a package variable's declaration only makes sense if it changes, or
// depends on where and when the program runs.
func (p *pkg) mutable(d *ast.GenDecl, spec *ast.ValueSpec) (why string) {
	embedded := d.Doc != nil && strings.Contains(rawText(d.Doc), "//go:embed")
	if len(spec.Values) == 0 && !embedded {
		return "has no value, so it waits for one"
	}
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // what it makes is a table, checked by its uses
		case *ast.ChanType:
			why = "a channel"
		case *ast.UnaryExpr:
			if _, lit := n.X.(*ast.CompositeLit); n.Op == token.AND && lit {
				why = "a pointer that anyone may write through"
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "make" || id.Name == "new") {
				why = "made empty, so it waits to be filled"
			}
		}
		switch path, name, _ := p.selected(n); {
		case path == "sync" || path == "sync/atomic":
			why = path + " at package level"
		case path == "os" && !strings.HasPrefix(name, "Err"), path == "time" && name == "Now":
			why = path + "." + name + " is read before main"
		}
		return true
	}
	ast.Inspect(spec, look)
	return why
}

func rawText(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

// written returns the expressions that a node writes to.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		// A pointer to an element of a table is a way to read it; one to a whole variable is not.
		if _, element := n.X.(*ast.IndexExpr); n.Op == token.AND && !element {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		id, ok := n.Fun.(*ast.Ident)
		if ok && slices.Contains([]string{"delete", "clear", "copy"}, id.Name) && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns x of x, x[i], x.f, (*x).f and x[i:j].
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// contexts keeps rule 5.
func (h *house) contexts(p *pkg) {
	isContext := func(e ast.Expr) bool {
		path, name, _ := p.selected(e)
		return path == "context" && name == "Context"
	}
	for _, f := range p.code() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				for _, field := range n.Fields.List {
					if isContext(field.Type) {
						h.breaks(5, field.Pos(), p.dir, "a context in a struct")
					}
				}
			case *ast.FuncType:
				for i, field := range n.Params.List {
					if i > 0 && isContext(field.Type) {
						h.breaks(5, field.Pos(), p.dir, "a context that is not the first parameter")
					}
				}
			case *ast.SelectorExpr:
				path, name, _ := p.selected(n)
				if path == "context" && (name == "Background" || name == "TODO") && !p.main() && !isTestPackage(p.dir) {
					h.breaks(5, n.Pos(), p.dir, "context.%s outside main and tests", name)
				}
			}
			return true
		})
	}
}

// exits keeps rule 9 as far as one can see it: who may end the process, who may log without
// a logger of its own, and that no codec panics.
func (h *house) exits(p *pkg) {
	if p.main() {
		return
	}
	codec := strings.HasPrefix(p.dir, "internal/codec/")
	for _, f := range p.code() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch path, name, _ := p.selected(n); {
			case path == "os" && name == "Exit", path == "log":
				h.breaks(9, n.Pos(), p.dir, "%s.%s in a library", path, name)
			case path == "log/slog" && slices.Contains([]string{"Default", "SetDefault", "Debug", "Info", "Warn", "Error"}, name):
				h.breaks(9, n.Pos(), p.dir, "slog.%s: the logger comes in through Deps", name)
			}
			if call, ok := n.(*ast.CallExpr); ok && codec {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
					h.breaks(9, n.Pos(), p.dir, "a panic in a codec: what it reads is not to be trusted")
				}
			}
			return true
		})
	}
}

var fixedPort = regexp.MustCompile(`^"[a-z0-9.\[\]:]*:[1-9][0-9]+"$`)

// patience keeps rule 10: a test waits for what happens, or runs in synctest's time, and
// takes whatever port is free.
func (h *house) patience(p *pkg) {
	for _, f := range p.files {
		if !f.test {
			continue
		}
		fakeTime := slices.ContainsFunc(f.ast.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && sel.Sel.Name == "Sleep" && !fakeTime {
				h.breaks(10, n.Pos(), p.dir, "time.Sleep in a test")
			}
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && strings.HasPrefix(sel.Sel.Name, "Listen") && fixedPort.MatchString(lit.Value) {
					h.breaks(10, n.Pos(), p.dir, "listens on a fixed port %s", lit.Value)
				}
			}
			return true
		})
	}
}

// size keeps rule 12. Generated code is not looked at; tests may have long functions.
func (h *house) size(p *pkg) {
	for _, f := range p.files {
		if lines := h.fset.File(f.ast.FileStart).LineCount(); lines > maxFileLines+1 {
			h.breaks(12, f.ast.Package, f.path, "%d lines; at most %d", lines-1, maxFileLines)
		}
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				h.funcSize(p, d)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				h.methods(p, spec)
			}
			return true
		})
	}
}

func (h *house) funcSize(p *pkg, d *ast.FuncDecl) {
	name := p.dir + "." + funcName(d)
	if lines := h.fset.Position(d.End()).Line - h.fset.Position(d.Pos()).Line + 1; lines > maxFuncLines {
		h.breaks(12, d.Pos(), name, "%s has %d lines; at most %d", funcName(d), lines, maxFuncLines)
	}
	if n := d.Type.Params.NumFields(); n > maxParameters {
		h.breaks(12, d.Pos(), name, "%s has %d parameters; at most %d", funcName(d), n, maxParameters)
	}
}

func (h *house) methods(p *pkg, spec *ast.TypeSpec) {
	i, ok := spec.Type.(*ast.InterfaceType)
	if ok && i.Methods.NumFields() > maxMethods {
		h.breaks(12, spec.Pos(), p.dir+"."+spec.Name.Name, "interface %s has %d methods; at most %d", spec.Name.Name, i.Methods.NumFields(), maxMethods)
	}
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	return receiver(d) + "." + d.Name.Name
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
