package statsd

import (
	"io"
	"net"
	"strings"
	"testing"
)

// ask sends commands to the console and returns all that it answers.
func (w *world) ask(commands ...string) string {
	w.t.Helper()
	var at net.Addr
	w.until(func() bool {
		c := w.source.console
		c.mu.Lock()
		defer c.mu.Unlock()
		at = c.bound
		return at != nil
	})
	conn, err := net.Dial("tcp", at.String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Join(commands, "\n") + "\nquit\n")); err != nil {
		w.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(answer)
}

func TestManagement(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Management = "tcp://127.0.0.1:0" })
	w.send(0, "app.hits:3|c\napp.rt:5|ms\napp.size:4|g|#a:b\napp.size:5|g\nother:7|g\nbad")
	w.lines(6)
	for command, want := range map[string]string{
		"help":        "Commands: stats, counters, timers, gauges, delcounters, deltimers, delgauges, health, config, quit\n\n",
		"health up":   "health: up\n",
		"health DOWN": "health: down\n",
		"nonsense":    "ERROR\n",
		"counters":    "{\n  'app.hits': 3\n}\nEND\n\n",
		"gauges":      "{\n  'app.size': 5,\n  'app.size#a:b': 4,\n  'other': 7\n}\nEND\n\n",
		"timers":      "{\n  'app.rt': 1\n}\nEND\n\n",
		"config":      "flushInterval: 10000\n",
		"stats":       "messages.received: 6\nmessages.bad_lines_seen: 1\nmessages.dropped: 0\nEND\n\n",
	} {
		if got := w.ask(command); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if got, want := w.ask("delgauges app.* none", "delcounters app.hits"), "deleted: app.size\nmetric none not found\nEND\n\ndeleted: app.hits\nEND\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	w.send(0, "app.size:+1|g\napp.hits:1|c")
	w.lines(8)
	w.has("app_size 1", "app_hits_total 1", "other 7")
	if w.sum("app_size", `a="b"`) != 0 {
		t.Error("a gauge that was deleted is there")
	}
	w.agrees()
}
