package weir_test

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// comments keeps rule 11: every package says what it owns, every exported name has a
// comment that adds something, and so has every field of a Config, because these comments
// are the reference manual.
func (h *house) comments(p *pkg) {
	code := p.code()
	if len(code) == 0 {
		return // tests alone
	}
	h.packageComment(p, code)
	if p.main() {
		return
	}
	for _, f := range code {
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
					h.explained(p, d.Name, d.Doc)
				}
			case *ast.GenDecl:
				h.genDecl(p, d)
			}
		}
	}
}

func (h *house) packageComment(p *pkg, code []*file) {
	var said []string
	for _, f := range code {
		if f.ast.Doc != nil {
			said = append(said, f.ast.Doc.Text())
		}
	}
	want := "Package " + code[0].ast.Name.Name + " "
	if p.main() {
		want = "Command "
	}
	switch {
	case len(said) == 0:
		h.breaks(11, code[0].ast.Package, p.dir, "the package has no comment")
	case len(said) > 1:
		h.breaks(11, code[0].ast.Package, p.dir, "the package has %d comments; one is enough", len(said))
	case !strings.HasPrefix(said[0], want):
		h.breaks(11, code[0].ast.Package, p.dir, "the package comment does not begin with %q", want)
	}
}

func (h *house) genDecl(p *pkg, d *ast.GenDecl) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() {
					h.explained(p, name, s.Doc, s.Comment, d.Doc)
				}
			}
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				h.explained(p, s.Name, s.Doc, s.Comment, d.Doc)
				h.members(p, s)
			}
		}
	}
}

// members looks at the fields of a Config, and at the methods of an interface that has more
// than one: the single one is what the interface's own comment is about.
func (h *house) members(p *pkg, s *ast.TypeSpec) {
	var fields []*ast.Field
	switch t := s.Type.(type) {
	case *ast.StructType:
		if strings.HasSuffix(s.Name.Name, "Config") {
			fields = t.Fields.List
		}
	case *ast.InterfaceType:
		if t.Methods.NumFields() > 1 {
			fields = t.Methods.List
		}
	}
	for _, field := range fields {
		for _, name := range field.Names {
			if name.IsExported() {
				h.explained(p, name, field.Doc, field.Comment)
			}
		}
	}
}

// explained wants one of the comments to hold more than the name itself.
func (h *house) explained(p *pkg, name *ast.Ident, comments ...*ast.CommentGroup) {
	adds := func(c *ast.CommentGroup) bool { return len(strings.Fields(c.Text())) >= 3 }
	if slices.IndexFunc(comments, adds) >= 0 {
		return
	}
	if slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c != nil && c.Pos() != token.NoPos }) {
		h.breaks(11, name.Pos(), p.dir+"."+name.Name, "the comment on %s adds nothing to its name", name.Name)
		return
	}
	h.breaks(11, name.Pos(), p.dir+"."+name.Name, "%s has no comment", name.Name)
}
