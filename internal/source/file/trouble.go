package file

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
)

// component is what trouble tells.
type component interface {
	Degraded(problem, remedy string)
	Healthy()
}

// Problems that are not of a file.
var (
	errNoFile  = errors.New("no file fits the patterns")
	errTooMany = fmt.Errorf("the patterns fit more than %d files or folders; the rest is not followed", maxFiles)
)

// trouble makes one state of a source of the problems of its files.
type trouble struct {
	ledger component

	mu       sync.Mutex // guards below
	problems map[string]error
}

// set notes the problem of a path, or with nil that it has none (any more). The empty path
// stands for the patterns.
func (t *trouble) set(path string, err error) {
	t.mu.Lock()
	if t.problems == nil {
		t.problems = map[string]error{}
	}
	if err == nil {
		delete(t.problems, path)
	} else {
		t.problems[path] = err
	}
	problem, remedy := t.stateLocked()
	t.mu.Unlock()
	if problem == "" {
		t.ledger.Healthy()
	} else {
		t.ledger.Degraded(problem, remedy)
	}
}

func (t *trouble) stateLocked() (problem, remedy string) {
	if len(t.problems) == 0 {
		return "", ""
	}
	paths := make([]string, 0, len(t.problems))
	for p := range t.problems {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	path := paths[len(paths)-1] // a file's problem says more than that of the patterns
	err := t.problems[path]
	problem = err.Error()
	if n := len(paths) - 1; n > 0 {
		problem = fmt.Sprintf("%s, and %d more", problem, n)
	}
	return problem, remedyFor(path, err)
}

func remedyFor(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		var pe *fs.PathError
		if path == "" && errors.As(err, &pe) {
			return "let weir's user list the folder: setfacl -m u:weir:rx " + pe.Path
		}
		return "let weir's user read it: add it to the group that may (often adm), or setfacl -m u:weir:r " + path
	case errors.Is(err, errNoFile):
		return "check paths and exclude; files that appear later will be found"
	case errors.Is(err, errTooMany):
		return "make the patterns narrower, or split them over several sources"
	}
	return "it is tried again; if it should not be read, name it in exclude"
}
