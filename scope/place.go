package scope

import (
	"maps"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// place is where in the program a record is made, as it is written.
type place struct {
	file     []byte // the members pathname, filename, module
	function []byte // lineno, funcName
}

// maxPlaces bounds how many are remembered. A program with more looks those up each time.
const maxPlaces = 2048

// places remembers what program counters stand for.
type places struct {
	known atomic.Pointer[map[uintptr]place]
	mu    sync.Mutex // held by who replaces known
}

// of returns the place of a program counter.
func (p *places) of(pc uintptr) place {
	if known := p.known.Load(); known != nil {
		if at, ok := (*known)[pc]; ok {
			return at
		}
	}
	at := look(pc)
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
func look(pc uintptr) place {
	file, line, function := "(unknown file)", 0, "(unknown function)"
	if pc != 0 {
		f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		if f.File != "" {
			file, line, function = f.File, f.Line, f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		}
	}
	name := filepath.Base(file)
	var e encoder
	e.buf = append(e.buf, `"pathname": `...)
	e.quoted(file)
	e.buf = append(e.buf, `, "filename": `...)
	e.quoted(name)
	e.buf = append(e.buf, `, "module": `...)
	e.quoted(strings.TrimSuffix(name, filepath.Ext(name)))
	split := len(e.buf)
	e.buf = append(e.buf, `"lineno": `...)
	e.buf = strconv.AppendInt(e.buf, int64(line), 10)
	e.buf = append(e.buf, `, "funcName": `...)
	e.quoted(function)
	return place{e.buf[:split:split], e.buf[split:]}
}
