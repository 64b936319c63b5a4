package lines_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/record"
)

// moment is when the records begin, in Unix nanoseconds.
const moment = int64(1_700_000_000e9)

// world is an archive that is read and followed.
type world struct {
	lines.Reader
	t    testing.TB
	a    *archive.Archive
	disk *disk.Faulty
	// waiting is what was written and is not visible yet.
	waiting []func()
}

func newWorld(t testing.TB) *world {
	tree := new(disk.Faulty)
	a, err := archive.Open(archive.Options{Tree: tree}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, a: a, disk: tree}
	w.Reader = lines.Reader{Engine: logql.New(logql.Options{Archive: a}), Archive: a, Sync: func(context.Context) error { w.show(); return nil }}
	return w
}

// stream returns a stream with the labels "container=nginx env=prod".
func stream(id, labels string) record.Stream {
	m := map[string]string{}
	for _, pair := range strings.Fields(labels) {
		name, value, _ := strings.Cut(pair, "=")
		m[name] = value
	}
	return record.Stream{ID: id, Labels: record.NewLabels(m)}
}

// write adds a record, so many milliseconds after moment, for followers at once, for queries
// after show.
func (w *world) write(def record.Stream, ms int64, text string) {
	line := new(kept.Appender).Append(nil, &kept.Record{Time: moment + ms*1e6, Level: record.LevelInfo, Body: []byte(text)})
	w.a.Publish(&def, line, 1)
	w.waiting = append(w.waiting, func() { w.a.Stream(def, archive.Bound{}).Add(nil, kept.TextOf(line)) })
}

func (w *world) show() {
	for _, add := range w.waiting {
		add()
	}
	w.waiting = nil
	if err := w.a.Flush(); err != nil {
		w.t.Fatal(err)
	}
	w.a.Show()
}

func query(t testing.TB, text string) *syntax.LogQuery {
	t.Helper()
	expr, err := lines.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return expr.(*syntax.LogQuery)
}

// text returns lines as "app:text", context as "app-text", with -- before those apart.
func text(some []lines.Line) string {
	var list []string
	for _, l := range some {
		if l.Lost > 0 {
			list = append(list, fmt.Sprintf("lost%d", l.Lost))
			continue
		}
		if l.Warning != "" {
			before, _, _ := strings.Cut(l.Warning, " cannot")
			list = append(list, "warning:"+before)
			continue
		}
		if l.Apart {
			list = append(list, "--")
		}
		mark := ":"
		if l.Context {
			mark = "-"
		}
		_, id, _ := strings.Cut(l.Stream, "/")
		list = append(list, id+mark+l.Line)
	}
	return strings.Join(list, " ")
}

// reads compares what Read brings, all pieces together.
func (w *world) reads(want string, q lines.Request) {
	w.t.Helper()
	w.show()
	var all []lines.Line
	if err := w.Read(w.t.Context(), q, func(some []lines.Line) error { all = append(all, some...); return nil }); err != nil {
		w.t.Fatal(err)
	}
	if got := text(all); got != want {
		w.t.Errorf("%v %v: got\n%s\nwant\n%s", q.Query, q.Words, got, want)
	}
}

func TestRead(t *testing.T) {
	w := newWorld(t)
	a, b := stream("f/a", "app=a"), stream("f/b", "app=b")
	for i := range int64(6) {
		w.write(a, 10*i, fmt.Sprint(i))
		w.write(b, 10*i+5*(i%2), fmt.Sprint(i))
	}
	all := query(t, "")
	w.reads("a:0 b:0 a:1 b:1 a:2 b:2 a:3 b:3 a:4 b:4 a:5 b:5", lines.Request{Query: all})
	w.reads("b:4 a:5 b:5", lines.Request{Query: all, Limit: 3})
	w.reads("a:2 b:2", lines.Request{Query: all, Start: time.Unix(0, moment+20e6), End: time.Unix(0, moment+30e6)})
	w.reads("b:3", lines.Request{Query: query(t, `{app="b"} |= "3"`)})
	w.reads("a:3 b:3", lines.Request{Query: query(t, `|= "3"`)})
	w.reads("a:3", lines.Request{Query: query(t, `|= "3"`), Words: []string{"f/a"}})
	w.reads("", lines.Request{Query: query(t, `|= "9"`), Before: 3})
}

func TestContext(t *testing.T) {
	w := newWorld(t)
	a, b := stream("f/a", "app=a"), stream("f/b", "app=b")
	for i := range int64(30) {
		w.write(a, i, fmt.Sprint(i))
		w.write(b, i, fmt.Sprint(i))
	}
	around := func(want, q string, limit, before, after int) {
		t.Helper()
		w.reads(want, lines.Request{Query: query(t, q), Limit: limit, Before: before, After: after})
	}
	around("a-4 a:5 a-6", `{app="a"} |~ "^5$"`, 0, 1, 1)
	around("a:0 a-1 a-2", `{app="a"} |~ "^0$"`, 0, 2, 2)
	around("a-27 a-28 a:29", `{app="a"} |~ "^29$"`, 0, 2, 2)
	around("a-4 a:5 a-6 a-7 a:8 a-9", `{app="a"} |~ "^(5|8)$"`, 0, 1, 1) // they meet
	around("a-4 a:5 a-6 -- a-8 a:9 a-10", `{app="a"} |~ "^(5|9)$"`, 0, 1, 1)
	around("a-4 a:5 -- b-4 b:5 -- a-8 a:9 -- b-8 b:9", `|~ "^(5|9)$"`, 0, 1, 0)
	around("b:5 b-6 -- a:9 a-10 -- b:9 b-10", `|~ "^(5|9)$"`, 3, 0, 1)
	around("a:5 a-6 a:7 a-8", `{app="a"} |~ "^[57]$"`, 0, 0, 1)
	around("a-4 a:five a-6", `{app="a"} |~ "^[5]$" | line_format "five"`, 0, 1, 1)
}

// TestPieces reads more than goes at one time, with and without what is around.
func TestPieces(t *testing.T) {
	w := newWorld(t)
	const n = 12_000
	a, b := stream("f/a", "app=a"), stream("f/b", "app=b")
	for i := range int64(n) {
		w.write(a, i/1000, fmt.Sprint(i))
		w.write(b, i/1000, fmt.Sprint(i))
	}
	w.show()
	check := func(q lines.Request, of record.Stream, first, last, step int) {
		t.Helper()
		want, pieces := first, 0
		err := w.Read(t.Context(), q, func(some []lines.Line) error {
			pieces++
			for _, l := range some {
				if l.Stream != of.ID {
					continue
				}
				if got := fmt.Sprint(want); l.Line != got {
					t.Fatalf("%s of %s; want %s", l.Line, l.Stream, got)
				}
				want += step
			}
			return nil
		})
		if err != nil || want != last+step || pieces < 2 {
			t.Errorf("%v: ended before %d, in %d pieces, %v", q.Query, want, pieces, err)
		}
	}
	check(lines.Request{Query: query(t, "")}, a, 0, n-1, 1)
	check(lines.Request{Query: query(t, "")}, b, 0, n-1, 1)
	check(lines.Request{Query: query(t, `{app="a"}`), Limit: 5000}, a, n-5000, n-1, 1)
	check(lines.Request{Query: query(t, `|~ "0$"`), Limit: 2000, Before: 200}, a, n-10200, n-10, 1) // 1000 of each, and the 200 before the first
	check(lines.Request{Query: query(t, `{app="a"} |~ "0$"`), After: 4, Before: 5}, a, 0, n-6, 1)
}

// TestLongLines reads lines of which few go at one time.
func TestLongLines(t *testing.T) {
	w := newWorld(t)
	a := stream("f/a", "app=a")
	const n = 24
	long := strings.Repeat("x", 500_000)
	for i := range int64(n) {
		w.write(a, i, fmt.Sprintf("%02d %s", i, long))
	}
	w.show()
	check := func(q lines.Request, first int) {
		t.Helper()
		q.Query = query(t, `|~ "^.[0-9]"`)
		next, pieces := first, 0
		err := w.Read(t.Context(), q, func(some []lines.Line) error {
			pieces++
			bytes := 0
			for _, l := range some {
				if got := fmt.Sprintf("%02d", next); l.Line[:2] != got {
					t.Fatalf("%s; want %s", l.Line[:2], got)
				}
				bytes += len(l.Line)
				next++
			}
			if bytes > 24<<20 {
				t.Errorf("a piece of %d MiB", bytes>>20)
			}
			return nil
		})
		if err != nil || next != n {
			t.Errorf("ended before %d, in %d pieces, %v", next, pieces, err)
		}
		if q.Limit != 10 && pieces < 2 {
			t.Errorf("%d pieces", pieces)
		}
	}
	check(lines.Request{}, 0)
	check(lines.Request{Limit: 10}, n-10)
	check(lines.Request{Limit: 20}, n-20)
	check(lines.Request{Before: 4}, 0)
	check(lines.Request{Limit: 18, Before: 4}, n-22)
}

// TestManyAround has lines whose neighbours are too much for one piece.
func TestManyAround(t *testing.T) {
	w := newWorld(t)
	a := stream("f/a", "app=a")
	long := strings.Repeat("x", 900_000)
	want := 0
	for i := range int64(24) {
		if w.write(a, 2*i, long); i%3 == 0 {
			w.write(a, 2*i+1, "here")
			want++
		}
	}
	w.show()
	for _, limit := range []int{0, want} {
		hits, around := 0, 0
		q := lines.Request{Query: query(t, `|= "here"`), Before: 3, After: 3, Limit: limit}
		err := w.Read(t.Context(), q, func(some []lines.Line) error {
			if len(some) > 24 {
				t.Errorf("%d lines in a piece", len(some))
			}
			for _, l := range some {
				if l.Context {
					around++
				} else {
					hits++
				}
			}
			return nil
		})
		if err != nil || hits != want || around != 24 {
			t.Errorf("%d hits, %d around them, %v", hits, around, err)
		}
	}
}

// TestEmitFails ends reading at once.
func TestEmitFails(t *testing.T) {
	w := newWorld(t)
	for i := range int64(10_000) {
		w.write(stream("f/a", "app=a"), i, "x")
	}
	w.show()
	calls, enough := 0, errors.New("enough")
	err := w.Read(t.Context(), lines.Request{Query: query(t, "")}, func([]lines.Line) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestTurn(t *testing.T) {
	w := newWorld(t)
	for i := range int64(10_000) {
		w.write(stream("f/a", "app=a"), i, "x")
	}
	turns, inside := 0, 0
	w.Turn = func(context.Context) (func(), error) {
		turns++
		inside++
		return func() { inside-- }, nil
	}
	w.show()
	err := w.Read(t.Context(), lines.Request{Query: query(t, "")}, func([]lines.Line) error {
		if inside != 0 {
			t.Error("it keeps its turn while lines are shown")
		}
		return nil
	})
	if err != nil || turns != 3 {
		t.Errorf("%d turns, %v", turns, err)
	}
	w.Turn = func(context.Context) (func(), error) { return nil, errors.New("busy") }
	if err := w.Read(t.Context(), lines.Request{Query: query(t, "")}, func([]lines.Line) error { return nil }); err == nil {
		t.Error("no error")
	}
}

func TestWords(t *testing.T) {
	w := newWorld(t)
	for _, def := range []record.Stream{
		stream("docker/shop-nginx-1", "container=shop-nginx-1 compose_service=nginx compose_project=shop source=docker"),
		stream("docker/shop-api-1", "container=shop-api-1 compose_service=api compose_project=shop source=docker"),
		stream("docker/blog-db-7", "container=Database compose_service=db compose_project=blog source=docker"),
		stream("access//var/log/nginx/access.log", "filename=/var/log/nginx/access.log source=access"),
		stream("access//var/log/api/access.log", "filename=/var/log/api/access.log source=access"),
		stream(`push/{app="api-worker"}`, "app=api-worker source=push"),
	} {
		w.write(def, 0, "x")
	}
	w.show()
	means := func(words, want string) {
		t.Helper()
		q := lines.Request{Query: query(t, ""), Words: strings.Fields(words)}
		var list []string
		err := w.Read(t.Context(), q, func(some []lines.Line) error {
			for _, l := range some {
				list = append(list, l.Stream)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(list)
		if got := strings.Join(list, " "); got != want || w.Count(q) != len(list) {
			t.Errorf("%s means %s; want %s, count %d", words, got, want, w.Count(q))
		}
	}
	means("nginx", "docker/shop-nginx-1") // a service's name, just so
	means("ngin", "access//var/log/nginx/access.log docker/shop-nginx-1")
	means("shop", "docker/shop-api-1 docker/shop-nginx-1")
	means("api", "docker/shop-api-1")
	means("api*", `docker/shop-api-1 push/{app="api-worker"}`)
	means("*-1", "docker/shop-api-1 docker/shop-nginx-1")
	means("*log*api*", "access//var/log/api/access.log")
	means("access.log", "access//var/log/api/access.log access//var/log/nginx/access.log")
	means("/var/log/api/access.log db", "access//var/log/api/access.log docker/blog-db-7")
	means("docker/blog-db-7", "docker/blog-db-7")
	means("blog-db", "docker/blog-db-7") // known by its identity alone
	means("DATABASE", "docker/blog-db-7")
	means("nothing", "")
}

func TestParse(t *testing.T) {
	for _, text := range []string{`|= "a" | json`, `!= "a"`, "", "  "} {
		expr, err := lines.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := expr.String(); got != strings.TrimSpace("{} "+strings.TrimSpace(text)) {
			t.Errorf("%q is %s", text, got)
		}
	}
	for _, text := range []string{"{}", "| nothing", "|= ", `|= "a" [5m]`, `"a"`} {
		if _, err := lines.Parse(text); err == nil {
			t.Errorf("%q is fine", text)
		}
	}
}

// TestReadDamaged has a block that cannot be read: a warning stands after the lines, once for
// all pieces of the answer.
func TestReadDamaged(t *testing.T) {
	w := newWorld(t)
	a := stream("f/a", "app=a")
	for _, word := range []string{"one", "two", "three"} {
		w.write(a, 1, word)
		w.write(a, 2, word+"!")
		w.show()
		w.a.Stream(a, archive.Bound{}).Seal(nil)
	}
	w.show()
	for _, name := range w.disk.Names() {
		if strings.HasSuffix(name, ".zst") {
			b := w.disk.Bytes(name)
			b[len(b)/2] ^= 0x55 // of the second block
			w.disk.SetBytes(name, b)
		}
	}
	w.reads("a:one a:three a:one! a:three! warning:2 records of stream f/a", lines.Request{Query: query(t, "")})
	w.reads("a:one! a:three! warning:2 records of stream f/a", lines.Request{Query: query(t, ""), Limit: 2})
	w.reads("a-one a-one! -- a-three a:three! warning:2 records of stream f/a", lines.Request{Query: query(t, `|= "three"`), Limit: 1, Before: 9, Start: time.Unix(0, moment)})
}
