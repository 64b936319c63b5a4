package join

import (
	"bytes"

	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

// language is a set of languages.
type language uint8

const (
	java language = 1 << iota
	python
	golang
	ruby
	dotnet
	node
)

// presets are the languages by their names in the configuration.
var presets = map[string]language{
	"java":   java,
	"python": python,
	"go":     golang,
	"ruby":   ruby,
	"dotnet": dotnet,
	"node":   node,
	"auto":   java | python | golang | ruby | dotnet | node,
}

// phase is where in a trace the last line was.
type phase uint8

const (
	outside  phase = iota
	headline       // a line about trouble, which a trace may follow
	thrown         // behind an exception's name and message, which may have further lines
	within
	grouped // within the trace of Python's exception groups, whose lines are all indented
	closed  // behind the line that ends Python's traces
	chained // behind the line that announces Python's next trace
)

// traces finds stack traces. A line that announces trouble, because a logger wrote it with
// a trace, is part of the record; lines that do not are records of their own at once, so
// that they need not wait.
type traces struct {
	languages language // that are looked for
	of        language // that the present trace may be of
	phase     phase
	waiting   int // how many lines wait for a frame, which makes them ones of a message
}

// maxWaiting is how many lines may wait. They are held back, and mostly in vain.
const maxWaiting = 8

// messages are the languages whose traces may begin with a message of several lines.
const messages = java | dotnet | node

func (t *traces) reset() { t.phase, t.waiting = outside, 0 }

// judged is how much of a line is looked at.
const judged = 1024

func (t *traces) next(line []byte) verdict {
	v := t.judge(bytes.TrimRight(line, "\r\n"))
	if v == waits {
		t.waiting++
	} else {
		t.waiting = 0
	}
	return v
}

func (t *traces) judge(line []byte) verdict {
	if t.phase > headline && t.goesOn(line) {
		return goesOn
	}
	announced := t.phase == headline
	if of := t.languages.opens(line); of != 0 {
		t.begin(line, of)
		if announced {
			return goesOn
		}
		return begins
	}
	if announced && (indented(line) || t.languages&ruby != 0 && isRubyFrame(line)) {
		t.phase, t.of = within, t.languages&(java|dotnet|ruby|node)
		return goesOn
	}
	switch {
	case t.languages.announces(line):
		t.phase = headline
		return begins
	case t.languages&java != 0 && isClass(line):
		t.phase, t.of = thrown, java
		if announced {
			return waits // it may be a logger's name
		}
		return begins
	case t.phase == thrown && t.waiting < maxWaiting:
		return waits
	}
	t.phase = outside
	return alone
}

// begin begins a trace with a line, which those of the languages can begin with.
func (t *traces) begin(line []byte, of language) {
	t.phase, t.of = within, of
	switch {
	case isGroup(line):
		t.phase = grouped
	case of&messages != 0:
		t.phase = thrown
	}
}

// announces says whether a trace may follow the line, which does not belong to one.
func (l language) announces(line []byte) bool {
	if len(line) == 0 || indented(line) {
		return false
	}
	if l&dotnet != 0 && len(line) > 6 && line[4] == ':' && line[5] == ' ' {
		switch string(line[:4]) {
		case "trce", "dbug", "info", "warn", "fail", "crit":
			return true // the text is in the indented lines below
		}
	}
	if l&golang != 0 && bytes.Contains(line, []byte(": panic serving ")) {
		return true
	}
	return severity.FromLine(line) >= record.LevelWarn || bytes.Contains(line, []byte("xception"))
}

// opens returns the languages whose traces can begin with the line, 0 for none.
func (l language) opens(line []byte) (of language) {
	if l&(python|ruby) != 0 && isTraceback(line) {
		return python // Ruby's, up to 2.7, look like it
	}
	if isException(bytes.TrimLeft(line, " \t")) {
		of |= java | dotnet | ruby | node
	}
	if l&java != 0 && bytes.HasPrefix(line, []byte("Exception in thread ")) {
		of |= java
	}
	if l&dotnet != 0 && (bytes.HasPrefix(line, []byte("Unhandled exception. ")) || bytes.HasPrefix(line, []byte("Unhandled Exception: "))) {
		of |= dotnet
	}
	if l&ruby != 0 && (bytes.HasSuffix(line, []byte(")")) && isRubyFrame(line) || isRailsError(line)) {
		of |= ruby
	}
	if l&golang != 0 && isGoCrash(line) {
		of |= golang
	}
	return of & l
}

// goesOn says whether the line belongs to the present trace, and moves on in it.
func (t *traces) goesOn(line []byte) bool {
	switch t.phase {
	case grouped:
		if isGroupEnd(line) {
			t.phase = closed // what is indented still belongs to it
		}
		return indented(line) && !isGroup(line)
	case closed:
		switch {
		case len(line) == 0 || indented(line):
			return !isGroup(line)
		case bytes.HasPrefix(line, []byte("During handling of the above exception")), bytes.HasPrefix(line, []byte("The above exception was the direct cause")):
			t.phase = chained
			return true
		}
		return false
	case chained:
		switch {
		case isGroup(line):
			t.phase = grouped
		case isTraceback(line):
			t.phase = within
		default:
			return len(line) == 0
		}
		return true
	}
	if t.of&(java|dotnet) != 0 && isCause(bytes.TrimLeft(line, " \t")) {
		t.phase = thrown
		return true
	}
	if t.phase == thrown {
		if isFrame(line) || t.of&ruby != 0 && isRubyFrame(line) {
			t.phase = within
			return true
		}
		if t.waiting > 0 {
			return false
		}
	}
	if len(line) == 0 {
		return t.of&(golang|ruby) != 0 && t.of&java == 0
	}
	if indented(line) {
		return true
	}
	if t.of&python != 0 && !isTraceback(line) && startsWithName(line) {
		t.phase = closed
		return true
	}
	return t.of&(java|dotnet) != 0 && bytes.HasPrefix(line, []byte("--- End of ")) ||
		t.of&node != 0 && string(line) == "}" ||
		t.of&ruby != 0 && isRubyFrame(line) ||
		t.of&golang != 0 && isGoLine(line)
}

func indented(line []byte) bool {
	return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && len(bytes.TrimSpace(line)) > 0
}

// isTraceback recognizes the first line of Python's traces, in exception groups as well.
func isTraceback(line []byte) bool {
	line = bytes.TrimLeft(line, " +|")
	line = bytes.TrimPrefix(line, []byte("Exception Group "))
	return bytes.HasPrefix(line, []byte("Traceback (most recent call last):"))
}

// isGroup recognizes the first line of an exception group that is in no other.
func isGroup(line []byte) bool {
	return bytes.HasPrefix(line, []byte("  + Exception Group Traceback (most recent call last):"))
}

// isGroupEnd recognizes +------------------------------------, which ends a group.
func isGroupEnd(line []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("+---"))
	return ok && len(bytes.Trim(rest, "-")) == 0
}

// startsWithName says whether a dotted name begins the line, up to a colon or its end: the
// exception that closes Python's traces, or Ruby's old ones with a place before it.
func startsWithName(line []byte) bool {
	n := 0
	for n < len(line) && (isNameByte(line[n]) || line[n] == '.') {
		n++
	}
	return n > 0 && (n == len(line) || line[n] == ':') || isRubyFrame(line)
}

// isException says whether the line begins with the name of an exception's class:
// java.lang.IllegalStateException: …, System.FormatException, TypeError: ….
func isException(line []byte) bool {
	n := 0
	for n < len(line) && (isNameByte(line[n]) || line[n] == '.' || line[n] == '$' || line[n] == '/') {
		n++
	}
	name, rest := line[:n], line[n:]
	if i := bytes.LastIndexAny(name, ".$"); i >= 0 {
		name = name[i+1:]
	}
	if len(name) == 0 || name[0] < 'A' || name[0] > 'Z' || len(rest) > 0 && rest[0] != ':' {
		return false
	}
	for _, end := range [...]string{"Exception", "Error", "Throwable", "Failure", "Fault"} {
		if bytes.HasSuffix(name, []byte(end)) {
			return len(name) > len(end) || n > len(name) || len(rest) > 1
		}
	}
	return false
}

// isClass recognizes a Java exception whose name does not say that it is one, up to its
// message: com.acme.Boom: ….
func isClass(line []byte) bool {
	n, dots, last := 0, 0, 0
	for n < len(line) && (isNameByte(line[n]) || line[n] == '.' || line[n] == '$' || line[n] == '/') {
		if line[n] == '.' {
			dots, last = dots+1, n
		}
		n++
	}
	if dots < 2 || last+1 == n || n < len(line) && (line[n] != ':' || n+1 < len(line) && line[n+1] != ' ') {
		return false
	}
	return 'a' <= line[0] && line[0] <= 'z' && 'A' <= line[last+1] && line[last+1] <= 'Z'
}

// isCause recognizes the lines within traces of Java and .NET that name a further exception.
func isCause(line []byte) bool {
	for _, start := range [...]string{"Caused by: ", "Suppressed: ", "Wrapped by: "} {
		if bytes.HasPrefix(line, []byte(start)) {
			return true
		}
	}
	return false
}

// isFrame recognizes a frame of a trace, or what stands for several: ... 9 more.
func isFrame(line []byte) bool {
	text := bytes.TrimLeft(line, " \t")
	return len(text) < len(line) && (bytes.HasPrefix(text, []byte("at ")) || bytes.HasPrefix(text, []byte("... ")))
}

// isRubyFrame recognizes app/models/user.rb:12:in `save'.
func isRubyFrame(line []byte) bool {
	i := bytes.Index(line, []byte(".rb:"))
	if i <= 0 || bytes.IndexByte(line[:i], ' ') >= 0 {
		return false
	}
	rest := bytes.TrimLeft(line[i+len(".rb:"):], "0123456789")
	return bytes.HasPrefix(rest, []byte(":in "))
}

// isRailsError recognizes ActiveRecord::RecordNotFound (Couldn't find User):.
func isRailsError(line []byte) bool {
	n := 0
	for n < len(line) && (isNameByte(line[n]) || line[n] == ':') {
		n++
	}
	return n > 0 && line[0] >= 'A' && line[0] <= 'Z' && bytes.HasPrefix(line[n:], []byte(" (")) && bytes.HasSuffix(line, []byte("):"))
}

// isGoCrash recognizes what begins the report of a Go program's end, or a dump of goroutines.
func isGoCrash(line []byte) bool {
	for _, start := range [...]string{"panic: ", "fatal error: ", "SIGQUIT: ", "SIGABRT: ", "SIGSEGV: ", "unexpected fault address "} {
		if bytes.HasPrefix(line, []byte(start)) {
			return true
		}
	}
	return isGoroutine(line)
}

// isGoroutine recognizes goroutine 1 [running]:.
func isGoroutine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("goroutine "))
	return ok && bytes.HasSuffix(rest, []byte("]:")) && len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'
}

// isGoLine recognizes the lines of a Go report that are not indented: calls, further
// panics, registers, and what go run adds.
func isGoLine(line []byte) bool {
	for _, start := range [...]string{"goroutine ", "created by ", "[signal ", "runtime: ", "runtime stack:", "panic: ", "exit status ", "...additional frames", "PC=", "[recovered", "[originating from "} {
		if bytes.HasPrefix(line, []byte(start)) {
			return true
		}
	}
	if line[len(line)-1] == ')' {
		open := bytes.IndexByte(line, '(')
		name := line[:max(open, 0)]
		return len(name) > 0 && bytes.IndexByte(name, ' ') < 0 && (bytes.IndexByte(name, '.') >= 0 || string(name) == "panic")
	}
	n := 0 // rax 0x0
	for n < len(line) && isNameByte(line[n]) {
		n++
	}
	value := bytes.TrimLeft(line[n:], " ")
	return n > 0 && n <= len("rflags") && len(value) < len(line)-n && bytes.HasPrefix(value, []byte("0x"))
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80
}
