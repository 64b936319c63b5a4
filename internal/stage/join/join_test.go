package join_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/stage/join"
)

// bench is a line of the join stage alone.
type bench struct {
	t       *testing.T
	line    flow.Sink
	at      int64 // position of the next record
	got     []string
	flags   []record.Flags
	times   []int64
	resume  [2]int64
	held    bool
	fail    error
	ends    [2]int64
	batches int
}

func newBench(t *testing.T, c join.Config) *bench {
	t.Helper()
	stage, err := join.New(c)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t}
	b.line = stage(flow.SinkFunc(b.take))
	return b
}

// take is the end of the line. It checks what holds for every batch.
func (b *bench) take(_ context.Context, batch *record.Batch) error {
	if b.fail != nil {
		return b.fail
	}
	b.batches++
	for _, r := range batch.Records {
		text := batch.Bytes(r.Body)
		if r.Flags&record.Escaped != 0 {
			text = dockerjson.Unescape(nil, text)
		}
		sub := r.Flags.Sub()
		if r.Start < b.ends[sub] || r.End < r.Start {
			b.t.Errorf("record %q: from %d to %d after %d", text, r.Start, r.End, b.ends[sub])
		}
		b.ends[sub] = r.End
		name := ""
		if sub == 1 {
			name = "E:"
		}
		b.got = append(b.got, name+string(text))
		b.flags = append(b.flags, r.Flags)
		b.times = append(b.times, r.Time)
	}
	b.resume, b.held = batch.Position.Resume, batch.Held
	for sub, at := range b.resume {
		if at < b.ends[sub] {
			b.t.Errorf("resumes sub-stream %d at %d, but %d was passed on", sub, at, b.ends[sub])
		}
	}
	return nil
}

// piece is a record to write; a text that starts with "E:" is of stderr, one that ends with
// "…" is partial.
type piece struct {
	text    string
	escaped bool
}

// batch returns a batch of pieces, as a source makes it.
func (b *bench) batch(pieces ...piece) *record.Batch {
	batch := &record.Batch{}
	batch.Reset(nil)
	for _, p := range pieces {
		r := record.Record{Start: b.at, End: b.at + int64(len(p.text)) + 1, Time: b.at}
		text, stderr := strings.CutPrefix(p.text, "E:")
		text, partial := strings.CutSuffix(text, "…")
		if stderr {
			r.Flags |= record.Stderr
		}
		if partial {
			r.Flags |= record.Partial
		}
		raw := []byte(text)
		if p.escaped {
			r.Flags |= record.Escaped
			raw = dockerjson.Escape(nil, raw)
		}
		r.Body = batch.Append(raw)
		batch.Append([]byte(`\n","stream":…`)) // what stands between records
		batch.Records = append(batch.Records, r)
		b.at = r.End
	}
	batch.Position.Resume = [2]int64{b.at, b.at}
	return batch
}

func (b *bench) write(texts ...string) {
	b.t.Helper()
	var pieces []piece
	for _, text := range texts {
		pieces = append(pieces, piece{text, false})
	}
	b.writePieces(pieces...)
}

func (b *bench) writePieces(pieces ...piece) {
	b.t.Helper()
	if err := b.line.Write(b.t.Context(), b.batch(pieces...)); err != nil && b.fail == nil {
		b.t.Error(err)
	}
}

// want compares what came out since the last call.
func (b *bench) want(texts ...string) {
	b.t.Helper()
	if fmt.Sprintf("%q", b.got) != fmt.Sprintf("%q", texts) {
		b.t.Errorf(" got %q\nwant %q", b.got, texts)
	}
	b.got, b.flags, b.times = nil, nil, nil
}

func TestPieces(t *testing.T) {
	b := newBench(t, join.Default())
	b.write("one", "two")
	b.want("one", "two")
	b.write("a…", "b…", "c", "d")
	b.want("abc", "d")
	b.write("a…", "E:x…", "b", "E:y", "E:z")
	b.want("ab", "E:xy", "E:z")
	if b.held {
		t.Error("something is held")
	}
}

func TestPiecesOverBatches(t *testing.T) {
	b := newBench(t, join.Default())
	b.write("one", "a…")
	b.want("one")
	if !b.held || b.resume != [2]int64{4, 9} {
		t.Errorf("held %v, resume %v", b.held, b.resume)
	}
	b.write("E:other", "b…")
	b.want("E:other")
	if !b.held || b.resume[0] != 4 || b.resume[1] != b.at {
		t.Errorf("held %v, resume %v", b.held, b.resume)
	}
	b.write("E:p…")
	b.write("c", "next", "E:q", "E:r…")
	b.want("abc", "next", "E:pq")
	b.write("E:s")
	b.want("E:rs")
	if b.held || b.resume != [2]int64{b.at, b.at} {
		t.Errorf("held %v, resume %v of %d", b.held, b.resume, b.at)
	}
}

func TestJoinedRecord(t *testing.T) {
	b := newBench(t, join.Default())
	b.write("first")
	var got record.Record
	b.line = must(t, join.Default())(flow.SinkFunc(func(_ context.Context, batch *record.Batch) error {
		got = batch.Records[0]
		return nil
	}))
	batch := b.batch(piece{"a…", false}, piece{"b…", false}, piece{"E:x", false}, piece{"c", false})
	batch.Records[0].Level = record.LevelWarn
	if err := b.line.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	got2 := batch.Records[1]
	if got.Flags != record.Stderr || got2.Start != 6 || got2.End != b.at || got2.Time != 6 || got2.Level != record.LevelWarn || got2.Flags != 0 {
		t.Errorf("got %+v and %+v", got, got2)
	}
}

func must(t *testing.T, c join.Config) flow.Stage {
	stage, err := join.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return stage
}

func TestPiecesOfMixedEscaping(t *testing.T) {
	const odd = "\"<é>\" \\n\t"
	for n := range 8 {
		for _, batches := range []bool{false, true} {
			b := newBench(t, join.Default())
			var pieces []piece
			for i := range 3 {
				pieces = append(pieces, piece{odd + strings.Repeat("…", min(2-i, 1)), n>>i&1 == 1})
			}
			if batches {
				for _, p := range pieces {
					b.writePieces(p)
				}
			} else {
				b.writePieces(pieces...)
			}
			b.want(odd + odd + odd)
		}
	}
}

func TestLongLineIsCut(t *testing.T) {
	c := join.Default()
	c.MaxBytes = 1 << 10
	for _, escaped := range []bool{false, true} {
		for _, unit := range []string{"x", "\"", "é", "\t", "\\", "a\x01b"} {
			for offset := range 7 {
				b := newBench(t, c)
				text := strings.Repeat("-", offset) + strings.Repeat(unit, 700/len(unit))
				b.writePieces(piece{text + "…", escaped}, piece{"short…", escaped})
				b.writePieces(piece{text + "…", escaped}, piece{text + "…", escaped})
				b.writePieces(piece{"end", escaped}, piece{"next", escaped})
				if len(b.got) != 2 || b.got[1] != "next" {
					t.Fatalf("%q: %d records", unit, len(b.got))
				}
				whole := text + "short" + text + text + "end"
				if !strings.HasPrefix(whole, b.got[0]) || len(b.got[0]) < 150 || len(b.got[0]) > 1<<10 || b.flags[0]&record.Cut == 0 {
					t.Errorf("%q: %d bytes, flags %b, of %q", unit, len(b.got[0]), b.flags[0], b.got[0])
				}
			}
		}
	}
}

func TestUnfinishedGoesInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, join.Config{Preset: "auto"})
		b.write("a…", "E:ERROR x")
		start := time.Now()
		for b.held {
			time.Sleep(300 * time.Millisecond)
			b.write()
			if took := time.Since(start); took < time.Second && len(b.got) > 0 || took > 7*time.Second {
				t.Fatalf("after %v: %q", took, b.got)
			}
		}
		b.want("E:ERROR x", "a")
		if took := time.Since(start); took < 5*time.Second {
			t.Errorf("a piece went after %v", took)
		}
		b.write("rest", "E:\tat once")
		b.want("rest", "E:\tat once")
	})
}

func TestLinesOfMessageWait(t *testing.T) {
	const head, frame = "java.lang.XException: boom", "\tat a.b(C.java:1)"
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, join.Config{Preset: "java"})
		b.write("x", head)
		b.writePieces(piece{"\"second\"", true})
		if !b.held || b.resume[0] != 2 {
			t.Errorf("held %v, resume %v", b.held, b.resume)
		}
		b.write("E:x", frame)
		b.write("next")
		b.want("x", "E:x", head+"\n\"second\"\n"+frame, "next")

		b.write(head, "second")
		b.write("third")
		time.Sleep(2 * time.Second)
		b.write()
		b.want(head, "second", "third")
		b.write(frame)
		b.want(frame)

		b.write(head, "second", "a…", "b", frame)
		b.want(head, "second", "ab", frame)
		long := strings.Repeat("x", 5000)
		b.write(head, long, frame, head, "second", frame+"…", "…", "|", "next")
		b.want(head, long, frame, head+"\nsecond\n"+frame+"|", "next")
		b.write(head, "second")
		b.fail = errors.New("no space left")
		b.write("third")
		b.fail = nil
		b.write(frame)
		b.want(frame)
	})
	b := newBench(t, join.Config{Preset: "java", MaxLines: 2})
	b.write(head, "second", "third", frame, "next")
	b.want(head+"\nsecond", "third\n"+frame, "next")
}

func TestSlowPiecesStayTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, join.Default())
		for range 10 {
			b.write("a…")
			time.Sleep(4 * time.Second)
			b.write()
		}
		b.write("b")
		b.want("aaaaaaaaaab")
	})
}

func TestGapEndsRecord(t *testing.T) {
	b := newBench(t, join.Default())
	b.write("a…", "E:b…")
	batch := b.batch(piece{"c", false})
	batch.Gaps = []record.Gap{{Bytes: -1, Reason: "truncated"}}
	if err := b.line.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	b.want("a", "E:b", "c")
}

func TestRefusedBatchComesAgain(t *testing.T) {
	b := newBench(t, join.Default())
	b.write("a…")
	b.fail = errors.New("no space left")
	before := b.at
	b.write("b…", "c", "d…")
	b.fail = nil
	b.at = before - 4 // as far as the last commit says: the start of a
	b.write("a…", "b…", "c", "d…")
	b.write("e")
	b.want("abc", "de")
}

func TestBorders(t *testing.T) {
	run := func(c join.Config, in string, want ...string) {
		t.Helper()
		b := newBench(t, c)
		for _, batch := range strings.Split(in, "/") {
			b.write(strings.Split(batch, ",")...)
		}
		b.fail = nil
		batch := b.batch()
		batch.Gaps = []record.Gap{{}} // lets everything go
		if err := b.line.Write(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		b.want(want...)
	}
	start := join.Config{Start: `^\d`}
	run(start, "1,a,b,2,3,c", "1\na\nb", "2", "3\nc")
	run(start, "1/a/b,2/3/c", "1\na\nb", "2", "3\nc")
	run(start, "a,b,1", "a\nb", "1")
	run(start, "1,E:a,b,E:c", "1\nb", "E:a\nc")
	run(start, "1…,x,a…,y,2", "1x\nay", "2")
	run(start, "1…/x,a…/y,2", "1x\nay", "2")
	more := join.Config{Continue: `^\s`}
	run(more, "a, b, c,d", "a\n b\n c", "d")
	run(more, " a, b,d", " a\n b", "d")
	both := join.Config{Start: `^\[`, Continue: `^\s`}
	run(both, "[a, b,c, d,[e", "[a\n b", "c", " d", "[e")
	run(join.Config{Start: "^1", MaxLines: 3}, "1,2,3,4,5,1,2", "1\n2\n3", "4\n5", "1\n2")
	long := strings.Repeat("x", 600)
	run(join.Config{Start: "^1", MaxBytes: 1 << 10}, "1,"+long+","+long+",2,1", "1\n"+long, long+"\n2", "1")
}

func TestBordersInEscapedText(t *testing.T) {
	b := newBench(t, join.Config{Continue: `^\t`})
	b.writePieces(piece{"a \"quoted\"", true}, piece{"\tat b", true}, piece{"plain", false}, piece{"\tat c", true}, piece{"\tat d", false})
	b.writePieces(piece{"\tat \\e", false}, piece{"end", false})
	b.want("a \"quoted\"\n\tat b", "plain\n\tat c\n\tat d\n\tat \\e")
}

// TestTraces reads testdata, where "> " begins the first line of a record and "| " each
// further one, in one batch and in batches of one line, plain and escaped.
func TestTraces(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want, lines []string
		for line := range strings.Lines(string(data)) {
			mark, line := line[:2], strings.TrimSuffix(line[2:], "\n")
			lines = append(lines, line)
			switch {
			case mark == "> ":
				want = append(want, line)
			case mark == "| " && len(want) > 0:
				want[len(want)-1] += "\n" + line
			default:
				t.Fatalf("%s: neither > nor |: %q", name, line)
			}
		}
		preset := strings.TrimSuffix(filepath.Base(name), ".txt")
		for _, preset := range []string{preset, "auto"} {
			for n := range 4 {
				b := newBench(t, join.Config{Preset: preset})
				var pieces []piece
				for _, line := range lines {
					pieces = append(pieces, piece{line, n&1 == 1})
					if n&2 == 2 {
						b.writePieces(pieces...)
						pieces = pieces[:0]
					}
				}
				last := b.batch(pieces...)
				if err := b.line.Write(t.Context(), last); err != nil {
					t.Fatal(err)
				}
				last = b.batch()
				last.Gaps = []record.Gap{{}} // lets everything go
				if err := b.line.Write(t.Context(), last); err != nil {
					t.Fatal(err)
				}
				compare(t, fmt.Sprintf("%s as %s, %d", name, preset, n), b.got, want)
			}
		}
	}
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: missing\n%s", what, want[i])
		case i >= len(want):
			t.Errorf("%s: more:\n%s", what, got[i])
		case got[i] != want[i]:
			t.Errorf("%s: got\n%s\nwant\n%s", what, got[i], want[i])
			return
		}
	}
}

func TestValidate(t *testing.T) {
	good := func(c join.Config) {
		t.Helper()
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	bad := func(c join.Config, want string) {
		t.Helper()
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %s", c, err, want)
		}
		if _, err := join.New(c); err == nil {
			t.Errorf("New(%+v) takes it", c)
		}
	}
	good(join.Config{})
	good(join.Default())
	good(join.Config{Preset: "java", MaxLines: 1})
	bad(join.Config{Preset: "cobol"}, "preset")
	bad(join.Config{Preset: "go", Start: "x"}, "not both")
	bad(join.Config{Start: "("}, "start: ")
	bad(join.Config{Continue: "["}, "continue: ")
	bad(join.Config{Timeout: -1}, "timeout")
	bad(join.Config{Timeout: time.Hour}, "5m")
	bad(join.Config{MaxLines: -1}, "max_lines")
	bad(join.Config{MaxBytes: 1}, "1KiB")
}

// FuzzJoin checks that no text is lost or made up, whatever comes in whichever batches.
func FuzzJoin(f *testing.F) {
	f.Add([]byte("a…\nb\n--\nE:c…\nd\n--\nE:e"), false, "")
	f.Add([]byte("ERROR x\njava.lang.Error: y\n\tat z\n--\n\tat w\nEnd"), true, "auto")
	f.Add([]byte("ERROR x\na.b.C: y\nz\n--\nz…\nz\n\tat w\nCaused by: q\nE:x\nr"), true, "java")
	f.Add([]byte("Traceback (most recent call last):\n  x\nV: y\n\nDuring handling of the above exception\n--\n\nz"), true, "python")
	f.Fuzz(func(t *testing.T, in []byte, mixed bool, preset string) {
		c := join.Config{Preset: preset}
		if c.Validate() != nil || bytes.ContainsAny(in, "\x00\r") {
			return
		}
		b := newBench(t, c)
		var want [2]strings.Builder
		for i, part := range strings.Split(strings.ToValidUTF8(string(in), ""), "\n--\n") {
			var pieces []piece
			for k, line := range strings.Split(part, "\n") {
				pieces = append(pieces, piece{line, mixed && (i+k)%3 == 0})
				text, stderr := strings.CutPrefix(line, "E:")
				sub := 0
				if stderr {
					sub = 1
				}
				want[sub].WriteString(strings.TrimSuffix(text, "…"))
			}
			b.writePieces(pieces...)
		}
		last := b.batch()
		last.Gaps = []record.Gap{{}}
		if err := b.line.Write(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		var got [2]strings.Builder
		for i, text := range b.got {
			sub := b.flags[i].Sub()
			got[sub].WriteString(strings.ReplaceAll(strings.TrimPrefix(text, [...]string{"", "E:"}[sub]), "\n", ""))
		}
		for sub := range got {
			if got[sub].String() != want[sub].String() {
				t.Errorf("sub-stream %d: got %q; want %q", sub, got[sub].String(), want[sub].String())
			}
		}
		if b.held || b.resume != [2]int64{b.at, b.at} {
			t.Errorf("held %v, resume %v of %d", b.held, b.resume, b.at)
		}
	})
}

func manyRecords(n int) *record.Batch {
	b := &record.Batch{Arena: make([]byte, 0, 1<<20), Records: make([]record.Record, 0, n+2)}
	body := b.Append([]byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 512 "-" "curl/8"`))
	for range n {
		b.Records = append(b.Records, record.Record{Body: body})
	}
	return b
}

func discard(_ context.Context, _ *record.Batch) error { return nil }

func TestNoAllocations(t *testing.T) {
	for _, c := range []join.Config{{}, {Preset: "auto"}} {
		line := must(t, c)(flow.SinkFunc(discard))
		b := manyRecords(1000)
		ctx := t.Context()
		if n := testing.AllocsPerRun(10, func() {
			if err := line.Write(ctx, b); err != nil {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("%+v: %v allocations for 1000 records", c, n)
		}
	}
}

func BenchmarkNothingToJoin(b *testing.B) { benchmark(b, join.Config{}) }
func BenchmarkAuto(b *testing.B)          { benchmark(b, join.Config{Preset: "auto"}) }
func BenchmarkStart(b *testing.B)         { benchmark(b, join.Config{Start: `^\d+\.`}) }

// benchmark takes the time per record.
func benchmark(b *testing.B, c join.Config) {
	stage, err := join.New(c)
	if err != nil {
		b.Fatal(err)
	}
	line := stage(flow.SinkFunc(discard))
	batch := manyRecords(1000)
	records := batch.Records
	ctx := b.Context()
	for i := 0; i < b.N; i += len(records) {
		batch.Records = records
		if err := line.Write(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
}
