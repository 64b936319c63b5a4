package reference

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Comments returns the comments of all structs, and of their fields, that the Go packages
// in dirs declare. Keys are "import/path.Type" and "import/path.Type.Field". Paragraphs are
// separated by an empty line, and are one line each.
//
// It needs the sources, so it belongs in a test or a program for "go generate", which keeps
// the map as a file for Book.
func Comments(dirs ...string) (map[string]string, error) {
	c := comments{}
	for _, dir := range dirs {
		pkg, err := importPath(dir)
		if err != nil {
			return nil, err
		}
		if err := c.addDir(dir, pkg); err != nil {
			return nil, err
		}
	}
	return c, nil
}

type comments map[string]string

func (c comments) addDir(dir, pkg string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read comments: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("read comments: %w", err)
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				c.addTypes(g, pkg)
			}
		}
	}
	return nil
}

func (c comments) addTypes(g *ast.GenDecl, pkg string) {
	for _, spec := range g.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		about := t.Doc
		if about == nil {
			about = g.Doc
		}
		key := pkg + "." + t.Name.Name
		c.add(key, about)
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range s.Fields.List {
			about := field.Doc
			if about == nil {
				about = field.Comment
			}
			for _, name := range field.Names {
				c.add(key+"."+name.Name, about)
			}
		}
	}
}

func (c comments) add(key string, about *ast.CommentGroup) {
	if about == nil {
		return
	}
	var p comment.Parser
	printer := comment.Printer{TextWidth: -1}
	if text := strings.TrimSpace(string(printer.Text(p.Parse(about.Text())))); text != "" {
		c[key] = text
	}
}

// importPath finds the module that dir is in, and so the import path of dir.
func importPath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for root := abs; ; root = filepath.Dir(root) {
		content, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err != nil && filepath.Dir(root) == root {
			return "", fmt.Errorf("find the module of %s: no go.mod above it", dir)
		}
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			if module, ok := strings.CutPrefix(line, "module "); ok {
				inside, err := filepath.Rel(root, abs)
				return path.Join(strings.TrimSpace(module), filepath.ToSlash(inside)), err
			}
		}
		return "", fmt.Errorf("find the module of %s: %s/go.mod names none", dir, root)
	}
}
