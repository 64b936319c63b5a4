package dataset

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Tasks are records of tasks as Python's distlog sends them, as JSON, in one file.
type Tasks struct {
	Path string
	// ID is the task in the middle, Records how many each has, and Scopes how many scopes.
	ID              string
	Records, Scopes int
}

const (
	// taskRecords is how many records a task has, and tasksAtOnce how many tasks go on at a time.
	taskRecords = 100_000
	tasksAtOnce = 4
	// scopeRecords is how many records a scope of a task has.
	scopeRecords = 10
)

// MakeTasks writes a file in dir with several rounds of tasks that go on at the same time.
func MakeTasks(dir string, rounds int) (t Tasks, err error) {
	t = Tasks{Path: filepath.Join(dir, "tasks.log"), ID: taskID(rounds/2, 1), Records: taskRecords, Scopes: taskRecords / scopeRecords}
	f, err := os.Create(t.Path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for round := range rounds {
		for i := range taskRecords {
			for k := range tasksAtOnce {
				line = appendTask(line[:0], taskID(round, k), i)
				if _, err := w.Write(line); err != nil {
					return t, err
				}
			}
		}
	}
	return t, w.Flush()
}

func taskID(round, k int) string {
	n := uint64(round*tasksAtOnce+k+1) * 0x9e3779b97f4a7c15
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", n>>32, n>>16&0xffff, n&0xfff, n>>20&0xfff, n*0x2545f4914f6cdd1d>>16)
}

// appendTask adds record i of a task: those of its own scope at first and last, in between
// the scopes within it, one after another.
func appendTask(dst []byte, id string, i int) []byte {
	scope, n := i/scopeRecords, i%scopeRecords
	message, level, number := "step "+strconv.Itoa(n), "DEBUG", "10"
	if n == 0 || n == scopeRecords-1 {
		message, level, number = "part of the work", "INFO", "20"
	}
	key := strconv.Itoa(n) + "@" + id
	switch {
	case scope > 0:
		key += "/" + strconv.Itoa(scope)
	case n == 0 || n == scopeRecords-1:
		message = "the whole work"
	}
	created := 1795197433.5 + float64(i)*0.0005
	dst = append(dst, `{"name": "root", "msg": "`...)
	dst = append(append(dst, message...), `", "args": null, "levelname": "`...)
	dst = append(append(dst, level...), `", "levelno": `...)
	dst = append(append(dst, number...), `, "pathname": "/srv/apps/shop/emit_basic.py", "filename": "emit_basic.py", "module": "emit_basic", "exc_info": null, "exc_text": null, "stack_info": null, "lineno": 24, "funcName": "rich", "created": `...)
	dst = strconv.AppendFloat(dst, created, 'f', -1, 64)
	dst = append(dst, `, "msecs": 663.0, "relativeCreated": 85.05415916442871, "thread": 140400928568000, "threadName": "MainThread", "processName": "MainProcess", "process": 9139, "context": {"key": "`...)
	dst = append(append(dst, key...), `", "job": "count up"}, "message": "`...)
	return append(append(dst, message...), "\", \"asctime\": \"2026-11-20 17:57:13,663\", \"hostname\": \"vm\"}\n"...)
}
