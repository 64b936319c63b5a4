package docker

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeEngine is a Docker Engine as far as logs go: containers that write, in memory and, if
// it has a root, to json-files.
type fakeEngine struct {
	t    *testing.T
	host string
	root string // "": the API alone
	// version is the API's.
	version string
	// offset is what the clock of the engine's machine is off by.
	offset atomic.Int64
	// sinceFilters makes it leave out all that is older than since, as old engines do, even
	// after something newer.
	sinceFilters bool
	// rotates says that containers have a log that is rotated.
	rotates bool
	// repeats makes streams deliver what they have delivered again, now and then.
	repeats bool
	// held makes requests for a log that do not follow it wait.
	held bool
	// forbid refuses requests whose path contains it.
	forbid atomic.Pointer[string]
	// follows counts log requests that follow, fetches those that do not.
	follows, fetches atomic.Int64

	server *httptest.Server

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at every change
	containers map[string]*fakeContainer
	events     []map[string]any
	down       bool
}

type fakeContainer struct {
	id, name, image string
	labels          map[string]string
	tty             bool
	driver          string
	state           string
	created         time.Time
	started         bool
	records         []fakeRecord
	first           int  // records before it were rotated away
	stalled         bool // its streams deliver nothing more
	options         map[string]string
	// capacity, if not zero, is that of the one file that is kept of the log. Its streams go
	// on in the old file, and tell the beginning of the new one twice.
	capacity, filled int
	untold           map[int]bool // records that streams leave out
	file             *os.File
}

type fakeRecord struct {
	time   time.Time
	stderr bool
	text   string // with its line end, unless it is a piece
}

func newEngine(t *testing.T, root string) *fakeEngine {
	e := &fakeEngine{t: t, root: root, version: "1.41", changed: make(chan struct{}), containers: map[string]*fakeContainer{}}
	e.host = "unix://" + filepath.Join(t.TempDir(), "s")
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *fakeEngine) start() {
	path := strings.TrimPrefix(e.host, "unix://")
	os.Remove(path)
	ln, err := net.Listen("unix", path)
	if err != nil {
		e.t.Fatal(err)
	}
	e.lock(func() { e.down = false })
	e.server = httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	e.server.Listener.Close()
	e.server.Listener = ln
	e.server.Start()
}

// stop ends the engine and every stream; its containers go on.
func (e *fakeEngine) stop() {
	if e.server == nil {
		return
	}
	e.lock(func() { e.down = true })
	e.server.CloseClientConnections()
	e.server.Close()
	e.server = nil
}

// lock runs change and tells everyone who waits.
func (e *fakeEngine) lock(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *fakeEngine) now() time.Time {
	return time.Now().Add(time.Duration(e.offset.Load())).UTC()
}

// id makes an id of a container of a short word.
func testID(word string) string {
	return fmt.Sprintf("%x", word) + strings.Repeat("0", 64-2*len(word))
}

func (e *fakeEngine) event(action string, c *fakeContainer) {
	e.events = append(e.events, map[string]any{"Type": "container", "Action": action, "timeNano": e.now().UnixNano(),
		"Actor": map[string]any{"ID": c.id, "Attributes": map[string]string{"name": c.name, "image": c.image}}})
}

// run makes a container and starts it. change, unless nil, is called before.
func (e *fakeEngine) run(name string, change func(c *fakeContainer)) *fakeContainer {
	c := &fakeContainer{id: testID(name), name: name, image: "bb:1", driver: "json-file", state: "created", created: e.now()}
	if change != nil {
		change(c)
	}
	e.lock(func() {
		e.containers[c.id] = c
		if c.file == nil && e.root != "" && c.driver == "json-file" {
			if err := os.MkdirAll(filepath.Dir(e.path(c)), 0o755); err != nil {
				e.t.Fatal(err)
			}
			c.open(e)
		}
		e.event("create", c)
	})
	e.begin(c)
	return c
}

func (e *fakeEngine) path(c *fakeContainer) string {
	return filepath.Join(e.root, "containers", c.id, c.id+"-json.log")
}

func (c *fakeContainer) open(e *fakeEngine) {
	f, err := os.OpenFile(e.path(c), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		e.t.Fatal(err)
	}
	c.file = f
}

func (e *fakeEngine) begin(c *fakeContainer) {
	e.lock(func() { c.state, c.started = "running", true; e.event("start", c) })
}

// end ends a container; its log is complete when the event comes.
func (e *fakeEngine) end(c *fakeContainer) { e.lock(func() { c.state = "exited"; e.event("die", c) }) }

func (e *fakeEngine) remove(c *fakeContainer) {
	e.lock(func() {
		if c.state == "running" {
			c.state = "exited"
			e.event("die", c)
		}
		delete(e.containers, c.id)
		if c.file != nil {
			c.file.Close()
			os.RemoveAll(filepath.Dir(e.path(c)))
		}
		e.event("destroy", c)
	})
}

func (e *fakeEngine) rename(c *fakeContainer, name string) {
	e.lock(func() { c.name = name; e.event("rename", c) })
}

// writeLines adds numbered lines, every third to stderr.
func (e *fakeEngine) writeLines(c *fakeContainer, from, to int) {
	for i := from; i < to; i++ {
		e.put(c, e.now(), i%3 == 0, fmt.Sprintf("%s line %d\n", c.name, i))
	}
}

func (e *fakeEngine) put(c *fakeContainer, at time.Time, stderr bool, text string) {
	e.lock(func() {
		if c.tty && strings.HasSuffix(text, "\n") {
			text = strings.TrimSuffix(text, "\n") + "\r\n"
		}
		line, _ := json.Marshal(struct {
			Log    string    `json:"log"`
			Stream string    `json:"stream"`
			Time   time.Time `json:"time"`
		}{text, streamName(stderr && !c.tty), at.UTC()})
		if c.filled >= c.capacity && c.capacity > 0 {
			c.first, c.filled = len(c.records), 0
		}
		c.filled += len(line) + 1
		c.records = append(c.records, fakeRecord{time: at, stderr: stderr && !c.tty, text: text})
		if c.file != nil {
			if _, err := c.file.Write(append(line, '\n')); err != nil {
				e.t.Error(err)
			}
		}
	})
}

func streamName(stderr bool) string {
	if stderr {
		return "stderr"
	}
	return "stdout"
}

// rotate begins a new file; of the old ones keep remain.
func (e *fakeEngine) rotate(c *fakeContainer, keep int) {
	e.lock(func() {
		c.file.Close()
		path := e.path(c)
		for i := keep; i > 0; i-- {
			from := path
			if i > 1 {
				from += "." + strconv.Itoa(i-1)
			}
			os.Rename(from, path+"."+strconv.Itoa(i))
		}
		os.Remove(path)
		c.open(e)
	})
}

func (e *fakeEngine) find(id string) *fakeContainer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.containers[id]
}

func (e *fakeEngine) serve(w http.ResponseWriter, r *http.Request) {
	if f := e.forbid.Load(); f != nil && *f != "" && strings.Contains(r.URL.Path, *f) || r.Method != http.MethodGet {
		http.Error(w, "forbidden by the test", http.StatusForbidden)
		return
	}
	w.Header().Set("Api-Version", e.version)
	_, path, ok := strings.Cut(r.URL.Path, "/v"+e.version+"/")
	parts := strings.Split(path, "/")
	switch {
	case r.URL.Path == "/_ping":
	case !ok:
		http.NotFound(w, r)
	case path == "containers/json":
		e.list(w)
	case path == "events":
		e.serveEvents(w, r)
	case len(parts) == 3 && parts[0] == "containers":
		c := e.find(parts[1])
		if c == nil {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"No such container"}`)
			return
		}
		if parts[2] == "json" {
			e.inspect(w, c)
		} else {
			e.serveLogs(w, r, c)
		}
	default:
		http.NotFound(w, r)
	}
}

func (e *fakeEngine) list(w http.ResponseWriter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []map[string]any{}
	for _, c := range e.containers {
		all = append(all, map[string]any{"Id": c.id, "Names": []string{"/" + c.name}, "Image": c.image, "State": c.state, "Labels": c.labels})
	}
	json.NewEncoder(w).Encode(all)
}

func (e *fakeEngine) inspect(w http.ResponseWriter, c *fakeContainer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	started, logPath := "0001-01-01T00:00:00Z", ""
	if c.started {
		started = c.created.Format(time.RFC3339Nano)
	}
	options := map[string]string{}
	for k, v := range c.options {
		options[k] = v
	}
	if e.rotates {
		options["max-size"] = "10m"
	}
	if c.driver == "json-file" {
		logPath = "/var/lib/docker/containers/" + c.id + "/" + c.id + "-json.log"
	}
	json.NewEncoder(w).Encode(map[string]any{
		"Id": c.id, "Name": "/" + c.name, "Created": c.created.Format(time.RFC3339Nano), "LogPath": logPath,
		"State":      map[string]any{"Status": c.state, "Running": c.state == "running", "StartedAt": started},
		"Config":     map[string]any{"Image": c.image, "Labels": c.labels, "Tty": c.tty},
		"HostConfig": map[string]any{"LogConfig": map[string]any{"Type": c.driver, "Config": options}},
	})
}

// followed waits until a stream was opened after the first n.
func (e *fakeEngine) followed(n int64) {
	e.t.Helper()
	late := time.After(20 * time.Second)
	for e.follows.Load() <= n {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if e.follows.Load() > n {
			return
		}
		select {
		case <-changed:
		case <-late:
			e.t.Fatal("waited in vain until the log is followed")
		}
	}
}

// wait waits for a change after seen was looked at.
func (e *fakeEngine) wait(r *http.Request, changed chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (e *fakeEngine) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	sent := 0
	for {
		e.mu.Lock()
		news, changed, down := slices.Clone(e.events[sent:]), e.changed, e.down
		sent = len(e.events)
		e.mu.Unlock()
		if down {
			return
		}
		for _, v := range news {
			json.NewEncoder(w).Encode(v)
		}
		w.(http.Flusher).Flush()
		if !e.wait(r, changed) {
			return
		}
	}
}

func (e *fakeEngine) serveLogs(w http.ResponseWriter, r *http.Request, c *fakeContainer) {
	q := r.URL.Query()
	if c.driver == "none" {
		w.WriteHeader(http.StatusNotImplemented)
		fmt.Fprint(w, `{"message":"configured logging driver does not support reading"}`)
		return
	}
	var since time.Time
	if s := q.Get("since"); s != "" {
		sec, frac, _ := strings.Cut(s, ".")
		a, _ := strconv.ParseInt(sec, 10, 64)
		b, _ := strconv.ParseInt(frac, 10, 64)
		since = time.Unix(a, b)
	}
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	if q.Get("follow") == "1" {
		e.follow(w, r, c, since)
		return
	}
	e.fetches.Add(1)
	for {
		e.mu.Lock()
		records, held, changed := slices.Clone(c.records[e.tail(r, c):]), e.held, e.changed
		e.mu.Unlock()
		if !held {
			e.send(w, c, records, since)
			return
		}
		if !e.wait(r, changed) {
			return
		}
	}
}

// tail is the first record that a request asks for.
func (e *fakeEngine) tail(r *http.Request, c *fakeContainer) int {
	if n, err := strconv.Atoi(r.URL.Query().Get("tail")); err == nil {
		return max(c.first, len(c.records)-n)
	}
	return c.first
}

// follow sends what there is and what comes.
func (e *fakeEngine) follow(w http.ResponseWriter, r *http.Request, c *fakeContainer, since time.Time) {
	var sent, first int
	e.lock(func() {
		sent, first = e.tail(r, c), c.first
		e.follows.Add(1)
	})
	for {
		e.mu.Lock()
		if c.capacity == 0 {
			sent = max(sent, c.first)
		}
		news, changed := c.told(sent), e.changed
		over := e.down || c.state != "running" || e.containers[c.id] != c
		if c.stalled {
			news, over = nil, e.down
		} else {
			if c.capacity > 0 && c.first != first && len(c.records) > c.first {
				first = c.first
				news = append(news, c.told(max(sent, first))...)
			}
			sent = len(c.records)
		}
		if e.repeats && len(news) > 0 && sent > 30 {
			sent -= 20
		}
		e.mu.Unlock()
		since = e.send(w, c, news, since)
		if over || !e.wait(r, changed) {
			return
		}
	}
}

// told returns the records from one on that streams do not leave out.
func (c *fakeContainer) told(from int) []fakeRecord {
	var all []fakeRecord
	for i := from; i < len(c.records); i++ {
		if !c.untold[i] {
			all = append(all, c.records[i])
		}
	}
	return all
}

// send sends records from since on. It returns the zero time once one was sent, unless this
// engine filters all.
func (e *fakeEngine) send(w http.ResponseWriter, c *fakeContainer, records []fakeRecord, since time.Time) time.Time {
	for _, v := range records {
		if v.time.Before(since) {
			continue
		}
		if !e.sinceFilters {
			since = time.Time{}
		}
		sendRecord(w, c.tty, v)
	}
	w.(http.Flusher).Flush()
	return since
}

func sendRecord(w http.ResponseWriter, tty bool, v fakeRecord) {
	text := v.time.UTC().Format("2006-01-02T15:04:05.000000000Z ") + v.text
	if !tty {
		var head [8]byte
		head[0] = 1
		if v.stderr {
			head[0] = 2
		}
		binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
		w.Write(head[:])
	}
	fmt.Fprint(w, text)
}
