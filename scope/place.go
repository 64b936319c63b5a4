package scope

import (
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// place is where in the program a record is made, as it is written: what stands between the
// message and the time of one that has this level and tells of no error.
type place struct {
	level    slog.Level
	text     []byte
	exc      int // where in text exc_text has its null, from which on all levels are alike
	pathname int // and pathname its name, up to which they differ
}

// maxPlaces bounds how many are remembered. A program with more looks those up each time.
const maxPlaces = 2048

// places remembers what program counters stand for.
type places struct {
	known atomic.Pointer[map[uintptr]place]
	mu    sync.Mutex // held by who replaces known
}

// of returns the place of a program counter, with the level that it was first seen with.
func (p *places) of(pc uintptr, level slog.Level) place {
	if known := p.known.Load(); known != nil {
		if at, ok := (*known)[pc]; ok {
			return at
		}
	}
	at := look(pc, level)
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[uintptr]place{}
	if known := p.known.Load(); known != nil {
		if len(*known) >= maxPlaces {
			return at
		}
		next = maps.Clone(*known)
	}
	next[pc] = at
	p.known.Store(&next)
	return at
}

// look asks the runtime. What it does not know is called what Python calls it.
func look(pc uintptr, level slog.Level) place {
	file, line, function := "(unknown file)", 0, "(unknown function)"
	if pc != 0 {
		f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		if f.File != "" {
			file, line, function = f.File, f.Line, f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		}
	}
	name := filepath.Base(file)
	at := place{level: level}
	var e encoder
	e.level(level)
	at.pathname = len(e.buf)
	e.buf = append(e.buf, `"pathname": `...)
	e.quoted(file)
	e.buf = append(e.buf, `, "filename": `...)
	e.quoted(name)
	e.buf = append(e.buf, `, "module": `...)
	e.quoted(strings.TrimSuffix(name, filepath.Ext(name)))
	e.buf = append(e.buf, `, "exc_info": null, "exc_text": `...)
	at.exc = len(e.buf)
	e.buf = append(e.buf, null+`, "stack_info": null, "lineno": `...)
	e.buf = strconv.AppendInt(e.buf, int64(line), 10)
	e.buf = append(e.buf, `, "funcName": `...)
	e.quoted(function)
	at.text = e.buf
	return at
}

const null = "null"
