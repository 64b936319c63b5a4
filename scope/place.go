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
	// names are the attributes that the first record had which was made here, as members that
	// are not the first begin; empty, where that has to be looked at each time.
	names []string
}

const (
	// maxPlaces bounds how many are remembered. A program with more looks those up each time.
	maxPlaces = 2048
	// maxNames is of how many attributes a place remembers the names, and maxName how long
	// those are.
	maxNames    = 8
	maxNameSize = 32
)

// Before and behind the name of a member that is not the first.
const (
	beforeName = `, "`
	behindName = `": `
)

// places remembers what program counters stand for.
type places struct {
	known atomic.Pointer[map[uintptr]*place]
	mu    sync.Mutex // held by who replaces known
}

// of returns the place where a record was made, with the level of the first one that was.
func (p *places) of(r *slog.Record) *place {
	if known := p.known.Load(); known != nil {
		if at := (*known)[r.PC]; at != nil {
			return at
		}
	}
	at := look(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	next := map[uintptr]*place{}
	if known := p.known.Load(); known != nil {
		if len(*known) >= maxPlaces {
			return at
		}
		next = maps.Clone(*known)
	}
	next[r.PC] = at
	p.known.Store(&next)
	return at
}

// look asks the runtime. What it does not know is called what Python calls it.
func look(r *slog.Record) *place {
	file, line, function := "(unknown file)", 0, "(unknown function)"
	if r.PC != 0 {
		f, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
		if f.File != "" {
			file, line, function = f.File, f.Line, f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		}
	}
	name := filepath.Base(file)
	at := &place{level: r.Level, names: namesOf(r)}
	var e encoder
	e.level(r.Level)
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

// namesOf returns the names of a record's attributes as they are written.
func namesOf(r *slog.Record) (names []string) {
	r.Attrs(func(a slog.Attr) bool {
		name := ""
		if len(a.Key) <= maxNameSize && isPlain(a.Key) && !reserved(a.Key) {
			name = beforeName + a.Key + behindName
		}
		names = append(names, name)
		return len(names) < maxNames
	})
	return names
}

// nameOf returns how attribute i of a record begins that was made here, if that is known and it
// has this name.
func (p *place) nameOf(i int, key string) (name string, ok bool) {
	if i >= len(p.names) {
		return "", false
	}
	name = p.names[i]
	return name, len(name) == len(beforeName)+len(key)+len(behindName) && name[len(beforeName):len(name)-len(behindName)] == key
}

const null = "null"
