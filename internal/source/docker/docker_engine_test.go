package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/enginetest"
)

// real is a real engine and what its containers are known by here.
type real struct {
	*enginetest.Engine
	t    *testing.T
	j    *journal
	host string // by which the source reaches it
}

func newReal(t *testing.T, e *enginetest.Engine) *real {
	return &real{Engine: e.For(t), t: t, j: newJournal(t), host: e.Host}
}

// run runs source until the returned function is called.
func (r *real) run(read Read) (stop func()) {
	r.t.Helper()
	cfg, deps := Default(), testDeps(r.t)
	cfg.Host, cfg.Read = r.host, read
	s, err := New(cfg, deps)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, r.j) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

// sh is a container that runs a script.
func sh(name, script string, change func(*enginetest.Container)) enginetest.Container {
	c := enginetest.Container{Name: name, Cmd: []string{"sh", "-c", script}}
	if change != nil {
		change(&c)
	}
	return c
}

// count makes a script that prints numbered lines, some to stderr.
func count(from, to int, pause string) string {
	return fmt.Sprintf(`i=%d; while [ $i -lt %d ]; do echo "line $i"; [ $((i%%5)) = 0 ] && echo "err $i" >&2; i=$((i+1)); %s; done`, from, to, pause)
}

// counted is what count prints, by sub-stream.
func counted(from, to int) (out, err []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint("line ", i))
		if i%5 == 0 {
			err = append(err, fmt.Sprint("err ", i))
		}
	}
	return out, err
}

// check waits for all lines of a count, and checks that each is there once and in order.
func (r *real) check(stream, id string, from, to int) {
	r.t.Helper()
	out, errs := counted(from, to)
	r.lines(stream, id, append(out, errs...))
}

// lines waits for lines, checks that there are no others, and that those of a sub-stream,
// which begin with the same word, are in order.
func (r *real) lines(stream, id string, want []string) {
	r.t.Helper()
	key := stream + " " + id
	r.j.until(fmt.Sprintf("%s has %d lines", stream, len(want)), func() bool {
		i := r.j.inputs[key]
		return i != nil && len(i.got) >= len(want)
	})
	r.j.mu.Lock()
	defer r.j.mu.Unlock()
	i := r.j.inputs[key]
	word := func(s string) string { w, _, _ := strings.Cut(s, " "); return w }
	got := slices.Clone(i.got)
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(word(a), word(b)) })
	want = slices.Clone(want)
	slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(word(a), word(b)) })
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: got %d lines, want %d: %s", stream, len(got), len(want), difference(got, want))
	}
	if len(i.gaps) > 0 {
		r.t.Errorf("%s: gaps %v", stream, i.gaps)
	}
}

// engineTests are what every engine is tried with, by API and by file.
var engineTests = map[string]func(*real, Read){
	"short": testShort, "recreate": testRecreate, "restart": testRestart, "long lines": testLongLines,
	"rotation": testEngineRotation, "busy": testBusy, "one file": testOneFile, "kinds": testKinds,
}

func TestEngine(t *testing.T) {
	e := enginetest.Start(t, "--live-restore")
	reads := []Read{ReadAPI, ReadFile}
	if !e.Own {
		reads = reads[:1]
	}
	for _, read := range reads {
		if e.Own {
			t.Run(string(read)+" engine restart", func(t *testing.T) { testEngineRestart(newReal(t, e), read) })
		}
	}
	for _, read := range reads {
		for name, test := range engineTests {
			t.Run(string(read)+" "+name, func(t *testing.T) {
				t.Parallel()
				test(newReal(t, e), read)
			})
		}
	}
}

// testShort has containers that live some milliseconds and, by file, remove themselves.
func testShort(r *real, read Read) {
	defer r.run(read)()
	r.j.until("settled", func() bool { return r.j.settled == 1 })
	ids := map[string]string{}
	for i := range 6 {
		name := fmt.Sprintf("short-%s-%d", read, i)
		ids[name] = r.Engine.Run(sh(name, count(0, 20, ":")+"; sleep 0.3", func(c *enginetest.Container) { c.AutoRemove = i%2 == 1 }))
	}
	for name, id := range ids {
		r.check("docker/"+name, id, 0, 20)
		r.Wait(id)
		r.Remove(id)
	}
	for name, id := range ids {
		r.j.until(name+" is forgotten", func() bool { return !r.j.inputs["docker/"+name+" "+id].known })
		r.check("docker/"+name, id, 0, 20)
	}
}

// testRecreate replaces a container by one of the same name while it prints.
func testRecreate(r *real, read Read) {
	defer r.run(read)()
	name := "again-" + string(read)
	var ids []string
	for i := range 3 {
		if i > 0 {
			r.Rename(ids[i-1], ids[i-1][:12]+"_"+name)
		}
		ids = append(ids, r.Engine.Run(sh(name, count(100*i, 100*i+30, "sleep 0.02"), nil)))
		if i > 0 {
			r.Wait(ids[i-1])
		}
	}
	for i, id := range ids {
		r.check("docker/"+name, id, 100*i, 100*i+30)
		r.Remove(id)
	}
}

// testRestart stops and starts weir and the container.
func testRestart(r *real, read Read) {
	name := "restart-" + string(read)
	stop := r.run(read)
	id := r.Engine.Run(sh(name, `from=0; [ -e /tmp/n ] && from=$(cat /tmp/n); echo $((from+50)) >/tmp/n; i=$from; while [ $i -lt $((from+50)) ]; do echo "line $i"; i=$((i+1)); sleep 0.01; done`, nil))
	for i := range 4 {
		r.j.until("some lines", func() bool { x := r.j.inputs["docker/"+name+" "+id]; return x != nil && len(x.got) > i*50+10 })
		stop()
		r.Wait(id)
		if i < 3 {
			r.Begin(id)
		}
		stop = r.run(read)
	}
	defer stop()
	out, _ := counted(0, 200)
	r.lines("docker/"+name, id, out)
	r.Remove(id)
}

func testLongLines(r *real, read Read) {
	long := `head -c 100000 /dev/zero | tr '\0' x; echo; echo done; sleep 0.5; printf 'é<>&"\\\t\001'; sleep 0.3; echo é`
	want := []string{strings.Repeat("x", 100000), "done", "é<>&\"\\\t\x01é"}
	defer r.run(read)()
	for _, tty := range []bool{false, true} {
		name := fmt.Sprintf("long-%s-%v", read, tty)
		id := r.Engine.Run(sh(name, long, func(c *enginetest.Container) { c.TTY = tty }))
		r.j.until("all", func() bool { x := r.j.inputs["docker/"+name+" "+id]; return x != nil && len(x.got) >= 3 })
		r.j.mu.Lock()
		if got := r.j.inputs["docker/"+name+" "+id].got; !slices.Equal(got, want) {
			r.t.Errorf("%s: %.200q", name, got)
		}
		r.j.mu.Unlock()
		r.Remove(id)
	}
}

func testEngineRotation(r *real, read Read) {
	name := "rotate-" + string(read)
	stop := r.run(read)
	id := r.Engine.Run(sh(name, count(0, 3000, "[ $((i%100)) = 0 ] && sleep 0.05"), func(c *enginetest.Container) {
		c.Driver, c.Options = "json-file", map[string]string{"max-size": "20k", "max-file": "50"}
	}))
	for i := range 3 {
		r.j.until("some lines", func() bool { x := r.j.inputs["docker/"+name+" "+id]; return x != nil && len(x.got) > i*700+300 })
		stop()
		stop = r.run(read)
	}
	defer stop()
	r.check("docker/"+name, id, 0, 3000)
	r.Remove(id)
}

// testBusy has a container that prints faster than its stream is read, between calm times.
func testBusy(r *real, read Read) {
	name := "busy-" + string(read)
	defer r.run(read)()
	calm := "sleep 0.02"
	script := count(0, 20, calm) + ";" + count(20, 30000, ":") + "; sleep 1;" + count(30000, 30020, calm)
	id := r.Engine.Run(sh(name, script, func(c *enginetest.Container) {
		c.Driver, c.Options = "json-file", map[string]string{"max-size": "1m", "max-file": "20"}
	}))
	r.check("docker/"+name, id, 0, 30020)
	r.Remove(id)
}

// testOneFile has an engine that keeps one file alone of a log. Where nobody can tell whether
// something was lost there is a gap, but nothing is lost.
func testOneFile(r *real, read Read) {
	name := "onefile-" + string(read)
	defer r.run(read)()
	id := r.Engine.Run(sh(name, count(0, 2000, "[ $((i%10)) = 0 ] && usleep 25000"), func(c *enginetest.Container) {
		c.Driver, c.Options = "json-file", map[string]string{"max-size": "20k", "max-file": "1"}
	}))
	out, errs := counted(0, 2000)
	r.j.until("all", func() bool {
		i := r.j.inputs["docker/"+name+" "+id]
		return i != nil && len(i.got) >= len(out)+len(errs)
	})
	r.j.lock(func() {
		i := r.j.inputs["docker/"+name+" "+id]
		r.t.Logf("%d gaps stated", len(i.gaps))
		i.gaps = nil
	})
	r.check("docker/"+name, id, 0, 2000)
	r.Remove(id)
}

// testEngineRestart restarts dockerd while containers print on.
func testEngineRestart(r *real, read Read) {
	defer r.run(read)()
	name := "survivor-" + string(read)
	id := r.Engine.Run(sh(name, count(0, 150, "sleep 0.02"), nil))
	for i := range 2 {
		r.j.until("some lines", func() bool { x := r.j.inputs["docker/"+name+" "+id]; return x != nil && len(x.got) > i*60+10 })
		r.StopDaemon()
		r.StartDaemon()
	}
	r.Wait(id)
	r.lines("docker/"+name, id, r.written(id, 180))
	r.Remove(id)
}

// written returns the lines in the file of a container that has ended. An engine that is
// stopped may lose a line that it has read and not written: then it is not there.
func (r *real) written(id string, most int) []string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Root, "containers", id, id+"-json.log"))
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		var l struct{ Log string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.t.Fatal(err)
		}
		lines = append(lines, strings.TrimSuffix(l.Log, "\n"))
	}
	if len(lines) < most {
		r.t.Logf("the engine lost %d of %d lines", most-len(lines), most)
	}
	return lines
}

// testKinds has logging drivers, terminals, and a container whose log is not to be had.
func testKinds(r *real, read Read) {
	if read == ReadFile {
		read = ReadAuto
	}
	defer r.run(read)()
	ids := map[string]string{}
	for _, driver := range []string{"local", "json-file", "none"} {
		name := fmt.Sprintf("kind-%s-%s", read, driver)
		ids[name] = r.Engine.Run(sh(name, count(0, 100, ":"), func(c *enginetest.Container) { c.Driver = driver }))
	}
	for name, id := range ids {
		if !strings.HasSuffix(name, "none") {
			r.check("docker/"+name, id, 0, 100)
		}
		r.Remove(id)
	}
}

// difference shows the first lines of which one list has more than the other.
func difference(got, want []string) string {
	n := map[string]int{}
	for _, s := range got {
		n[s]++
	}
	for _, s := range want {
		n[s]--
	}
	var b strings.Builder
	for s, k := range n {
		if k != 0 && b.Len() < 300 {
			fmt.Fprintf(&b, "%.40q %+d, ", s, k)
		}
	}
	return b.String()
}
