package scan

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirlog/weir/internal/codec/processor"
	"github.com/weirlog/weir/internal/guardtest"
	"github.com/weirlog/weir/internal/record"
)

// ends says what follow should find out about a byte.
func (h *halves) ends(c byte) bool { return h.low[c&0xf]&h.high[c>>4] != 0 }

// followBytes is follow, byte by byte.
func followBytes(t *text, quicks []quick, at place, row []record.Span) place {
	for ; at.step < len(quicks) && quicks[at.step].follows; at.step++ {
		q := &quicks[at.step]
		end := q.runEnd(t, at.pos)
		if end < 0 || end-at.pos < q.min || end+q.n > t.end || q.n == 0 && end != t.end {
			return at
		}
		if q.slot >= 0 {
			row[q.slot] = record.Span{Off: uint32(at.pos), Len: uint32(end - at.pos)}
		}
		at.pos = end + q.n
	}
	return at
}

// runEnd returns where the run that begins at i ends with the literal behind it, or -1.
func (q *quick) runEnd(t *text, i int) int {
	literal := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, q.word0), q.word1)[:q.n]
	for {
		for i <= min(t.end, len(t.b)-16) && !q.ends(t.b[i]) {
			i++
		}
		rest := t.b[min(i, len(t.b)):]
		switch {
		case i > min(t.end, len(t.b)-16):
			return -1
		case bytes.HasPrefix(rest, literal):
			return i
		case q.entities && (bytes.HasPrefix(rest, []byte(`\u0026`)) || bytes.HasPrefix(rest, []byte(`\u003c`)) || bytes.HasPrefix(rest, []byte(`\u003e`))):
			i += 6
		default:
			return -1
		}
	}
}

// lines returns the linear programs that are tried here.
func lines(tb testing.TB) (of []*line) {
	tb.Helper()
	for _, expr := range []string{
		nginxRegex(tb), `(\S+) (\d+) "([^"]*)" \[([^\]]+)\] x=([a-f0-9]+),`, `^([^,]*),([^;]*);;([^&]*)&&a(.*)$`, `(\w+)=abcdefghijklmnop([^|]*)\|`,
	} {
		p, err := Compile(expr)
		if err != nil {
			tb.Fatal(err)
		}
		if p.line == nil {
			tb.Fatalf("%s is not linear", expr)
		}
		of = append(of, p.line)
	}
	return of
}

// checkFollow compares at each place of a text, of which end bytes may be matched.
func checkFollow(t *testing.T, of []*line, b []byte, end int) (steps int) {
	t.Helper()
	for _, l := range of {
		for escaped, quicks := range l.quick {
			x := text{b: b, end: end, escaped: escaped == 1}
			for step := range quicks {
				from := place{step, (step * 7) % (end + 1)}
				row, wanted := make([]record.Span, 64), make([]record.Span, 64)
				want := followBytes(&x, quicks, from, wanted)
				if got := follow(&x, quicks, from, row); got != want || !slices.Equal(row, wanted) {
					t.Fatalf("from %v to %v with %v\nwant %v with %v\n%q to %d", from, got, row, want, wanted, b, end)
				}
				steps += want.step - from.step
			}
		}
	}
	return steps
}

func TestFollow(t *testing.T) {
	if !processor.HasSSSE3 {
		t.Skip("the processor has no SSSE3")
	}
	of := lines(t)
	random := rand.New(rand.NewPCG(1, 2))
	memory := guardtest.Before(t, 600)
	arena, bodies := dataset(t, true)
	steps := 0
	for _, body := range bodies {
		for range 4 {
			n := copy(memory, arena[body.Off:body.Off+min(body.Len, 600)])
			b := memory[len(memory)-n:]
			copy(b, memory[:n])
			steps += checkFollow(t, of, b, n)
			steps += checkFollow(t, of, b, max(n-16, 0))
			for range 3 {
				b[random.IntN(n)] = " \"\\]&,;x\x00\x80\xff"[random.IntN(11)]
				steps += checkFollow(t, of, b, random.IntN(n+1))
			}
		}
	}
	if steps < 50_000 {
		t.Errorf("only %d steps", steps)
	}
	for n := range 81 {
		b := memory[len(memory)-n:]
		for range 20 {
			for i := range b {
				b[i] = "  \"\"\\]&,;xa=1-[\x80"[random.IntN(16)]
			}
			checkFollow(t, of, b, random.IntN(n+1))
		}
	}
}

func TestDescribe(t *testing.T) {
	described := 0
	for _, l := range lines(t) {
		for _, quicks := range l.quick {
			for i := range quicks {
				q := &quicks[i]
				if !q.follows {
					continue
				}
				described++
				for c := range 256 {
					if want := q.search == nil || q.search.stop[c]; q.ends(byte(c)) != want {
						t.Errorf("segment %d: %q: %v", i, rune(c), !want)
					}
				}
			}
		}
	}
	if described < 50 && processor.HasSSSE3 {
		t.Errorf("only %d segments", described)
	}
	var all [256]bool // no two upper halves are the same
	for c := range all {
		all[c] = c>>4 == c&0xf
	}
	var h halves
	if h.describe(&all); h.follows {
		t.Error("sixteen kinds are described")
	}
}

func FuzzFollow(f *testing.F) {
	of := lines(f)
	f.Add([]byte(`10.0.0.1 200 \"GET /a?b=c\u0026d HTTP/1.1\" [x] x=abc, and more of it`), uint8(16))
	f.Add([]byte(`a,b;;c\u0026\u0026ad`), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, behind uint8) {
		if processor.HasSSSE3 {
			checkFollow(t, of, b, max(len(b)-int(behind), 0))
		}
	})
}
