package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFileBytes bounds a configuration file, and a file that ${file:…} names.
const maxFileBytes = 1 << 20

// Options are what Load needs of its surroundings.
type Options struct {
	// Env looks up an environment variable for ${VAR}; nil means that none is set.
	Env func(name string) (string, bool)
	// ReadFile and ReadDir read files and directories; nil means those of package os.
	ReadFile func(path string) ([]byte, error)
	ReadDir  func(path string) ([]fs.DirEntry, error)
	// Whole names maps whose values are not merged over files: with "sinks" it is a
	// mistake when two files give a sink of one name.
	Whole []string
}

// Load reads configuration files and merges them: maps by key, lists one after the other.
// A scalar, or an entry of a map in Whole, that two files give is a mistake. A path is a
// file, and then a conf.d directory beside it is read as well, or a directory, of which
// every *.yaml and *.yml is read in lexical order. Without a path the tree is empty.
//
// The tree holds all that could be read, and can be decoded for further mistakes, but is
// not to be used when there are any.
func Load(options Options, paths ...string) (*Tree, Mistakes) {
	if options.ReadFile == nil {
		options.ReadFile = readBounded
	}
	if options.ReadDir == nil {
		options.ReadDir = os.ReadDir
	}
	l := &loader{options: options, vault: new(vault), secretFiles: map[string]string{}}
	tree := &Tree{Root: &Node{vault: l.vault}, vault: l.vault}
	for _, path := range paths {
		l.find(path)
	}
	for _, path := range l.files {
		content, err := options.ReadFile(path)
		if err != nil {
			l.mistake(Position{File: path}, "", "read: "+reason(err))
			continue
		}
		tree.Files = append(tree.Files, path)
		if root := l.parse(path, content); root != nil {
			l.merge(tree.Root, root)
		}
	}
	return tree, l.mistakes.Sort()
}

type loader struct {
	options      Options
	files        []string
	vault        *vault
	secretFiles  map[string]string // content by path
	interpolated int               // bytes so far
	nodes        int               // made so far
	mistakes     Mistakes
}

func (l *loader) mistake(at Position, path, message string) {
	l.mistakes = append(l.mistakes, Mistake{Position: at, Path: path, Message: l.vault.mask(message)})
}

// find adds the files that a path given to Load stands for.
func (l *loader) find(path string) {
	if l.findDir(path) == nil {
		return
	}
	l.addFile(path)
	extra := filepath.Join(filepath.Dir(path), "conf.d")
	if err := l.findDir(extra); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.mistake(Position{File: extra}, "", "read: "+reason(err))
	}
}

// findDir adds the files of a directory. Hidden ones are left out: they are what editors
// and volume mounts leave behind.
func (l *loader) findDir(path string) error {
	entries, err := l.options.ReadDir(path)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && (ext == ".yaml" || ext == ".yml") {
			l.addFile(filepath.Join(path, e.Name()))
		}
	}
	return nil
}

func (l *loader) addFile(path string) {
	if !slices.Contains(l.files, path) {
		l.files = append(l.files, path)
	}
}

// reason returns an error without the path that the position or message names already.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// readBounded reads a file up to the bound and one byte, which tells that it is too large.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

// merge adds the values of map src to map dst.
func (l *loader) merge(dst, src *Node) {
	if dst.kind == Null {
		dst.kind, dst.at, dst.keyAt = src.kind, src.at, src.keyAt
	}
	byKey := make(map[string]*Node, len(dst.items))
	for _, item := range dst.items {
		byKey[item.key] = item
	}
	for _, item := range src.items {
		if first := byKey[item.key]; first != nil {
			l.mergeValue(first, item)
			continue
		}
		item.parent = dst
		dst.items = append(dst.items, item)
	}
}

func (l *loader) mergeValue(first, second *Node) {
	whole := first.parent.parent != nil && slices.Contains(l.options.Whole, first.parent.Path())
	switch {
	case first.broken || second.broken:
	case whole:
		l.mistake(second.keyAt, first.Path(), "this name is taken by "+first.keyAt.String()+": rename one of them")
	case second.kind == Null:
	case first.kind == Null:
		first.kind, first.text, first.quoted, first.at = second.kind, second.text, second.quoted, second.at
		first.keyAt = second.keyAt
		l.adopt(first, second.items)
	case first.kind != second.kind:
		l.mistake(second.keyAt, first.Path(), "this is "+second.kind.name()+", but "+first.kind.name()+" at "+first.keyAt.String()+": give it in one of the files only")
	case first.kind == Scalar:
		l.mistake(second.keyAt, first.Path(), "set already at "+first.keyAt.String()+": remove one of them")
	case first.kind == List:
		l.adopt(first, second.items)
	case first.kind == Map:
		l.merge(first, second)
	}
}

func (l *loader) adopt(parent *Node, items []*Node) {
	for _, item := range items {
		item.parent, item.index = parent, len(parent.items)
		parent.items = append(parent.items, item)
	}
}

// name returns a kind as messages call it.
func (k Kind) name() string {
	return [...]string{"nothing", "a single value", "a list", "a map of keys"}[k]
}
