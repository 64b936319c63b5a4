package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds on one look at the patterns.
const (
	maxFiles = 20000
	maxDirs  = 20000
)

// pattern is a path with wildcards, cut at its slashes.
type pattern []string

func newPattern(p string) pattern {
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	parts := strings.Split(strings.Trim(filepath.Clean(p), "/"), "/")
	if parts[len(parts)-1] == "**" {
		parts = append(parts, "*") // all files below
	}
	return parts
}

// matches tells whether the absolute path fits.
func (p pattern) matches(path string) bool {
	return matchParts(p, strings.Split(strings.Trim(path, "/"), "/"))
}

func matchParts(p, parts []string) bool {
	for len(p) > 0 {
		if p[0] == "**" {
			for i := 0; i <= len(parts); i++ {
				if matchParts(p[1:], parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 {
			return false
		}
		if ok, _ := filepath.Match(p[0], parts[0]); !ok {
			return false
		}
		p, parts = p[1:], parts[1:]
	}
	return len(parts) == 0
}

// found is what patterns led to.
type found struct {
	files   map[string]bool // the value says that it is a symbolic link
	dirs    map[string]bool // in which new files may appear
	problem error           // the first directory that could not be read, or path that is no file
	odd     error           // the first path that fits a wildcard and is no file
	full    bool            // there are more files or directories than are looked at

	named    bool // the pattern at hand has no wildcards
	excluded func(path string) bool
	own      *own
	left     map[string]bool // directories of weir's in which something fits, or may
}

func newFound(excluded func(path string) bool, mine *own) *found {
	return &found{files: map[string]bool{}, dirs: map[string]bool{}, excluded: excluded, own: mine, left: map[string]bool{}}
}

// all adds what fits a pattern.
func (f *found) all(p pattern) {
	f.named = !slices.ContainsFunc(p, isWild)
	f.expand("/", p)
}

func isWild(part string) bool { return strings.ContainsAny(part, `*?[\`) }

// expand adds what fits the rest p of a pattern below dir, which ends in a slash.
func (f *found) expand(dir string, p pattern) {
	switch in := f.own.holds(dir); {
	case len(p) == 0:
		return
	case in != "":
		f.left[in] = true
	case p[0] == "**":
		f.expand(dir, p[1:])
		f.each(dir, func(name string, isDir bool) {
			if isDir {
				f.expand(dir+name+"/", p)
			}
		})
	case isWild(p[0]):
		f.each(dir, func(name string, isDir bool) {
			if ok, _ := filepath.Match(p[0], name); ok {
				f.step(dir+name, p[1:])
			}
		})
	default:
		if len(p) == 1 {
			f.dirs[dir] = true
		}
		f.step(dir+p[0], p[1:])
	}
}

// step goes on at path, which fits all of the pattern but rest.
func (f *found) step(path string, rest pattern) {
	if len(rest) > 0 {
		f.expand(path+"/", rest)
		return
	}
	link, err := os.Lstat(path)
	if err != nil {
		return
	}
	in, err := os.Stat(path)
	if err != nil {
		return
	}
	if !in.Mode().IsRegular() {
		f.other(path, in.Mode())
		return
	}
	isLink := link.Mode()&os.ModeSymlink != 0
	if in := f.own.file(path, isLink); in != "" {
		f.left[in] = true
		return
	}
	if len(f.files) >= maxFiles {
		f.full = true
		return
	}
	f.files[path] = isLink
}

// other notes a path that fits and is no regular file. Wildcards fit many, and rightly so,
// unless nothing else does.
func (f *found) other(path string, mode fs.FileMode) {
	switch {
	case f.excluded(path):
	case f.named && f.problem == nil:
		f.problem = &kindError{path, mode}
	case !f.named && f.odd == nil:
		f.odd = fmt.Errorf("%w: %w", errNoFile, &kindError{path, mode})
	}
}

// each calls visit for the entries of a directory, which may be a link to one. isDir is not
// true of links: following those for ** would not end.
func (f *found) each(dir string, visit func(name string, isDir bool)) {
	if len(f.dirs) >= maxDirs && !f.dirs[dir] {
		f.full = true
		return
	}
	f.dirs[dir] = true
	entries, err := os.ReadDir(dir)
	if err != nil && f.problem == nil && errors.Is(err, fs.ErrPermission) {
		f.problem = err
	}
	for _, e := range entries {
		visit(e.Name(), e.IsDir())
	}
}

// withoutTwins takes out links to files that were found themselves.
func (f *found) withoutTwins() {
	for path, link := range f.files {
		if !link {
			continue
		}
		if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
			if _, ok := f.files[target]; ok {
				delete(f.files, path)
			}
		}
	}
}

func (f *found) sortedDirs() []string {
	dirs := make([]string, 0, len(f.dirs))
	for d := range f.dirs {
		dirs = append(dirs, d)
	}
	slices.Sort(dirs)
	return dirs
}
