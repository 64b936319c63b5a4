package console

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Guard passes text on: to a terminal made harmless, to anything else byte for byte. Line
// ends and tabs stay. Who makes escape sequences himself, as a Printer, writes past it.
// Any number of goroutines may write.
type Guard struct {
	w        io.Writer
	terminal bool
	mu       sync.Mutex
	rest     []byte // the beginning of a letter that the last write ended in
	buf      []byte
}

// NewGuard returns a guard of w.
func NewGuard(w io.Writer) *Guard { return &Guard{w: w, terminal: IsTerminal(w)} }

// Unguarded returns what g writes to.
func (g *Guard) Unguarded() io.Writer { return g.w }

// Write implements io.Writer.
func (g *Guard) Write(text []byte) (int, error) {
	if !g.terminal {
		return g.w.Write(text)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	all := append(g.rest, text...)
	whole := len(all) - begun(all)
	g.buf = appendLines(g.buf[:0], all[:whole])
	g.rest = append(all[:0], all[whole:]...)
	if _, err := g.w.Write(g.buf); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Flush writes what is left of a letter that never ended.
func (g *Guard) Flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.rest) == 0 {
		return nil
	}
	rest := AppendHarmless(nil, string(g.rest))
	g.rest = nil
	_, err := g.w.Write(rest)
	return err
}

// begun returns how many bytes at the end of text begin a letter that goes on.
func begun(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// appendLines appends text that is harmless but for its line ends.
func appendLines(dst, text []byte) []byte {
	at := 0
	for i, c := range text {
		if c == '\n' {
			dst = append(AppendHarmless(dst, string(text[at:i])), '\n')
			at = i + 1
		}
	}
	return AppendHarmless(dst, string(text[at:]))
}
