package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// own knows the directories that weir writes to: of what is in them a source would make
// more of it. It looks at the file system as it is during one look at the patterns.
type own struct {
	dirs   []ownDir
	places map[string]place // by path of a directory
}

// ownDir is one of the directories. It may be reached by other paths, over links and mounts.
type ownDir struct {
	path string // without symbolic links
	info fs.FileInfo
}

// place is where a directory is.
type place struct {
	path string // without symbolic links
	in   string // the directory of weir's that it is in, or ""
}

func newOwn(dirs []string) *own {
	o := &own{places: map[string]place{"/": {path: "/"}}}
	resolved := make([]ownDir, 0, len(dirs))
	for _, dir := range dirs {
		if abs, err := filepath.Abs(dir); err == nil && dir != "" {
			info, _ := os.Stat(abs) // not there yet: known by its path
			resolved = append(resolved, ownDir{o.place(abs).path, info})
		}
	}
	o.dirs = resolved
	o.places = map[string]place{"/": {path: "/"}}
	return o
}

// holds returns the directory of weir's that a directory is in, or "".
func (o *own) holds(dir string) string {
	if o == nil || len(o.dirs) == 0 {
		return ""
	}
	return o.place(filepath.Clean(dir)).in
}

// file is the same of a file, which may be a link.
func (o *own) file(path string, link bool) string {
	in := o.holds(filepath.Dir(path))
	if in == "" && link {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			return o.holds(filepath.Dir(target))
		}
	}
	return in
}

// place finds out where a directory is, with one look at it: what is above it is known.
func (o *own) place(dir string) place {
	if p, ok := o.places[dir]; ok {
		return p
	}
	p := o.place(filepath.Dir(dir))
	info, err := os.Lstat(dir)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if target, err := filepath.EvalSymlinks(dir); err == nil && target != dir {
			p = o.place(target)
			o.places[dir] = p
			return p
		}
	}
	p.path = filepath.Join(p.path, filepath.Base(dir))
	for _, d := range o.dirs {
		if d.path == p.path || d.info != nil && err == nil && os.SameFile(d.info, info) {
			p.in = d.path
		}
	}
	o.places[dir] = p
	return p
}

// ownError says that patterns fit nothing but what weir writes itself.
type ownError struct{ dir string }

// Error implements error.
func (e *ownError) Error() string {
	return fmt.Sprintf("%v but in %s, which weir writes to itself", errNoFile, e.dir)
}
