package faulttest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestDistlogReloadUnderLoad loads the configuration again while clients of libzmq send without a
// pause, over TCP, a Unix socket and with CURVE, and one subscribes: every message is kept once,
// the subscriber gets each, and no connection breaks.
func TestDistlogReloadUnderLoad(t *testing.T) {
	python := realtest.PythonZMQ(t)
	dir := t.TempDir()
	server, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	client, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	plain, secured, public := "tcp://"+faulttest.FreeAddress(t), "tcp://"+faulttest.FreeAddress(t), "tcp://"+faulttest.FreeAddress(t)
	unix, done := "ipc://"+filepath.Join(dir, "weir.sock"), filepath.Join(dir, "done")
	config := func(round int) string {
		return fmt.Sprintf(`node: n
rules: []
sources:
  app: {type: distlog, keep_wire: true, listen: ['%s', '%s'], max_message: %dKiB}
  safe: {type: distlog, keep_wire: true, listen: ['%s'], max_streams: %d, curve: {secret_key: '%s'}}
sinks:
  public: {type: zmq, listen: ['%s'], queue: %d}
`, plain, unix, 1024+round, secured, 100+round, strings.ReplaceAll(server.Secret.Text(), "${", "$${"), public, 1_000_000+round)
	}
	w := faulttest.Start(t, faulttest.Options{Config: config(0)})
	script := python.Start(t, `
import os, threading
from zmq.utils.monitor import recv_monitor_message
addresses, public, done, keys = sys.argv[1:4], sys.argv[4], sys.argv[5], sys.argv[6:9]
broken = []
def watched(s, what):
    m = s.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED)
    def check():
        if m.poll(0):
            broken.append((what, recv_monitor_message(m)['event']))
    return check
counts = {}
def send(k):
    s = ctx.socket(zmq.PUSH)
    s.linger = 60000
    if k == 2:
        s.curve_publickey, s.curve_secretkey, s.curve_serverkey = [a.encode() for a in keys]
    check = watched(s, addresses[k])
    s.connect(addresses[k])
    n = 0
    while not os.path.exists(done):
        for _ in range(20):
            s.send_multipart([b'PLJ', b'{"message": "%d of %d", "hostname": "h%d", "padding": "%s"}' % (n, k, k, b'x' * (n % 3000))])
            n += 1
        time.sleep(0.002)
        check()
    counts[k] = n
    s.disable_monitor()
    s.close()
sub = ctx.socket(zmq.SUB)
sub.rcvhwm = 0
sub.setsockopt(zmq.SUBSCRIBE, b'')
check = watched(sub, 'sub')
sub.connect(public)
probe = ctx.socket(zmq.PUSH)
probe.connect(addresses[0])
probes = 0
while not sub.poll(100):
    probes += 1
    probe.send_multipart([b'PLJ', b'{"message": "probe"}'])
threads = [threading.Thread(target=send, args=(k,)) for k in range(3)]
for thread in threads:
    thread.start()
got = {0: 0, 1: 0, 2: 0}
def complete():
    return len(counts) == 3 and all(counts[k] == got[k] for k in got)
silent = 0
while not complete() and silent < 300:
    if not sub.poll(100):
        silent += 1
        continue
    silent = 0
    topic, body = sub.recv_multipart()
    text = json.loads(body)['message']
    if text != 'probe':
        n, k = map(int, text.split(' of '))
        assert n == got[k], (n, k, got[k])
        got[k] += 1
check()
print('sent', probes + sum(counts.values()), 'known', sum(counts.values()), 'received', sum(got.values()), 'broken', broken)
`, plain, unix, secured, public, done, client.Public.Text(), client.Secret.Text(), server.Public.Text())
	shown := func() float64 {
		m, err := w.Metrics()
		if err != nil {
			return 0
		}
		return faulttest.Sum(m, "weir_distlog_records_total")
	}
	const rounds = 6
	for round := range rounds {
		before := shown()
		faulttest.WaitFor(t, "more records", func() bool {
			if strings.Contains(script.Output(), "Error") {
				t.Fatal(script.Output())
			}
			return shown() > before+1000
		})
		w.SetConfig(config(round + 1))
		w.Signal(syscall.SIGHUP)
		faulttest.WaitFor(t, "the reload", func() bool {
			m, err := w.Metrics()
			return err == nil && m[`weir_component_events_total{machine="n",component="config/reload",event="reloaded"}`] == float64(round+1)
		})
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var sent, known, received float64
	out := script.Wait()
	if n, err := fmt.Sscanf(out, "sent %g known %g received %g broken []", &sent, &known, &received); n != 3 || err != nil || known != received {
		t.Fatalf("%s (%v)", out, err)
	}
	faulttest.WaitFor(t, "all records", func() bool { return shown() >= sent })
	if total := shown(); total != sent {
		t.Errorf("%v records are counted, %v were sent", total, sent)
	}
	t.Logf("%v records over %d reloads", sent, rounds)
}
