package file

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
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

// kindError says that a path is there, but is no file that can be followed.
type kindError struct {
	path string
	mode fs.FileMode
}

// Error implements error.
func (e *kindError) Error() string { return e.path + " is a " + e.kind() }

func (e *kindError) kind() string {
	switch {
	case e.mode.IsDir():
		return "directory"
	case e.mode&fs.ModeNamedPipe != 0:
		return "FIFO"
	case e.mode&fs.ModeSocket != 0:
		return "socket"
	case e.mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

func (e *kindError) remedy() string {
	if e.mode.IsDir() {
		return "to follow the files in it, name " + strings.TrimSuffix(e.path, "/") + "/*"
	}
	return "name a regular file: let the program write to one, or log in another way"
}

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
	var kind *kindError
	var mine *ownError
	switch {
	case errors.As(err, &mine):
		return "give weir's data and its file sinks directories of their own, away from the logs"
	case errors.As(err, &kind):
		return kind.remedy()
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
