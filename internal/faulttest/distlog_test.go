package faulttest_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/source/distlog/hostiletest"
)

// TestDistlogKilled kills weir while a client of libzmq sends. Nothing is there twice, what the
// client still has in its queue arrives, and the counts are those of the records; lost is what
// was on its way when weir was killed, one run of numbers a kill.
func TestDistlogKilled(t *testing.T) {
	python := realtest.PythonZMQ(t)
	address := faulttest.FreeAddress(t)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nrules: []\nsources: {app: {type: distlog, listen: ['tcp://%s']}}\n", address)})
	done := t.TempDir() + "/done"
	sender := python.Start(t, `
import os
s = ctx.socket(zmq.PUSH)
s.sndhwm, s.linger = 0, 60000
s.reconnect_ivl = 10
s.connect('tcp://' + sys.argv[1])
n = 0
while not os.path.exists(sys.argv[2]):
    for _ in range(50):
        s.send_multipart([b'PLJ', b'{"message": "number %d", "created": %.6f, "hostname": "h", "levelno": 20}' % (n, time.time())])
        n += 1
    time.sleep(0.01)
s.close()
ctx.term()
print(n)
`, address, done)
	shown, kills := 0.0, 0
	during(span(time.Minute), 800*time.Millisecond, func() {
		faulttest.WaitFor(t, "more records", func() bool {
			m, err := w.Metrics()
			if err != nil {
				return false
			}
			n := faulttest.Sum(m, "weir_distlog_records_total")
			if n < shown {
				t.Fatalf("%v records, after %v were shown", n, shown)
			}
			more := n > shown+100
			shown = max(shown, n)
			return more
		})
		w.Kill()
		<-time.After(100 * time.Millisecond) // the client goes on meanwhile
		w.Again()
		kills++
	})
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sent, err := strconv.Atoi(strings.TrimSpace(sender.Wait()))
	if err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("number %d", sent-1)
	faulttest.WaitFor(t, "the last record", func() bool { return len(numbers(t, w, last)) == 1 })
	got := numbers(t, w, "number")
	slices.Sort(got)
	runs, lost, doubled := 0, 0, 0
	next := 0
	for _, n := range got {
		switch {
		case n < next:
			doubled++
		case n > next:
			runs++
			lost += n - next
		}
		next = n + 1
	}
	m, err := w.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	if counted := faulttest.Sum(m, "weir_distlog_records_total"); counted != float64(len(got)) {
		t.Errorf("%v are counted and %d kept", counted, len(got))
	}
	if doubled > 0 || runs > kills || len(got)+lost != sent || kills == 0 {
		t.Errorf("of %d records %d are there, %d twice; %d are lost in %d runs, after %d kills", sent, len(got), doubled, lost, runs, kills)
	}
	t.Logf("%d of %d records, killed %d times", len(got), sent, kills)
}

// numbers asks for the numbers of the kept lines that have a text.
func numbers(t *testing.T, w *faulttest.Weir, text string) (all []int) {
	t.Helper()
	return numbersOf(t, w, `{host="h"} |= "`+text+`"`)
}

// numbersOf asks for the numbers of the kept lines that a query finds, page by page.
func numbersOf(t *testing.T, w *faulttest.Weir, query string) (all []int) {
	t.Helper()
	start := time.Now().Add(-time.Hour).UnixNano()
	seen := map[string]bool{} // of one time, on two pages
	for {
		q := url.Values{
			"query": {query}, "limit": {"5000"}, "direction": {"forward"},
			"start": {fmt.Sprint(start)}, "end": {fmt.Sprint(time.Now().Add(time.Hour).UnixNano())},
		}
		response, err := http.Get("http://" + w.Address() + "/loki/api/v1/query_range?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Data struct {
				Result []struct{ Values [][]string }
			}
		}
		err = json.NewDecoder(response.Body).Decode(&answer)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(response.Status, err)
		}
		page, last, same := 0, start, map[string]int{}
		for _, r := range answer.Data.Result {
			for _, v := range r.Values {
				page++
				at, _ := strconv.ParseInt(v[0], 10, 64)
				n, _ := strconv.Atoi(strings.TrimPrefix(v[1], "number "))
				last = max(last, at)
				if key := v[0] + v[1]; at > start || !seen[key] {
					all = append(all, n)
				}
				same[v[0]+v[1]]++
			}
		}
		if page < 5000 {
			return all
		}
		clear(seen)
		for key := range same {
			if strings.HasPrefix(key, fmt.Sprint(last)) {
				seen[key] = true
			}
		}
		start = last
	}
}

// TestDistlogHostile sends every hostile message to weir, from connections of its own, again and again:
// it stays up, takes what is good, and does not grow.
func TestDistlogHostile(t *testing.T) {
	address := faulttest.FreeAddress(t)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("rules: []\nsources: {app: {type: distlog, listen: ['tcp://%s'], quarantine: 1MiB}}\n", address)})
	push(t, address, [][]byte{[]byte("PLJ"), []byte(`{"message": "first", "hostname": "good", "created": 1}`)})
	good := 1.0
	taken := func() float64 {
		m, err := w.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		return faulttest.Sum(m, "weir_distlog_records_total") + faulttest.Sum(m, "weir_distlog_bad_messages_total")
	}
	faulttest.WaitFor(t, "the first record", func() bool { return taken() == good })
	before := residentBytes(t, w.PID())
	all := hostiletest.Messages()
	want := good
	for range 3 {
		for _, m := range all {
			push(t, address, m.Parts)
			want++
		}
		push(t, address, [][]byte{[]byte("PLJ"), []byte(`{"message": "again", "hostname": "good", "created": 1}`)})
		want++
	}
	faulttest.WaitFor(t, "all messages", func() bool { return taken() == want })
	if after := residentBytes(t, w.PID()); after-before > 100<<20 {
		t.Errorf("%d MiB before, %d after", before>>20, after>>20)
	} else {
		t.Logf("%d messages of %d kinds: %d MiB before, %d after", int(want-good), len(all), before>>20, after>>20)
	}
	if w.Starts != 1 {
		t.Error("it was started again")
	}
}

// residentBytes is the most that a process had of memory.
func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// push sends a message over a connection of its own, and waits until all of it is taken.
func push(t *testing.T, address string, parts [][]byte) {
	t.Helper()
	var conn net.Conn
	realtest.Eventually(t, "a connection", func() (ok bool) { // weir answers before its sources listen
		var err error
		conn, err = net.Dial("tcp", address)
		return err == nil
	})
	defer conn.Close()
	s, err := zmtp.NewSession(zmtp.Config{Socket: zmtp.Push})
	if err != nil {
		t.Fatal(err)
	}
	out := s.Greet(nil)
	out, in := handshake(t, conn, s, out), 0
	for i, p := range parts {
		out = s.AppendFrame(out, p, i < len(parts)-1)
	}
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	for b := make([]byte, 1000); ; in++ { // until weir has closed it
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Read(b); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Fatal("a message of ", len(out), " bytes takes a minute")
			}
			return
		}
	}
}

// handshake goes through the handshake of a PUSH.
func handshake(t *testing.T, conn net.Conn, s *zmtp.Session, out []byte) (rest []byte) {
	t.Helper()
	var in []byte
	for {
		if _, err := conn.Write(out); err != nil {
			t.Fatal(err)
		}
		item, n, more, err := s.Receive(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		in, out = in[n:], more
		if item.Kind == zmtp.Ready {
			return out
		}
		if n > 0 {
			continue
		}
		b := make([]byte, 1000)
		n, err = conn.Read(b)
		if in = append(in, b[:n]...); err != nil {
			t.Fatal(err)
		}
	}
}
