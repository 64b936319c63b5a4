package realtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// publishedPy is what subscribers of libzmq get of what a client of libzmq sends.
const publishedPy = `
import os, hashlib
push_to, sub_to, folder, flags, security = sys.argv[1:6]
def secured(s):
    if security == 'curve':
        s.curve_publickey, s.curve_secretkey, s.curve_serverkey = [a.encode() for a in sys.argv[6:9]]
    if security == 'plain':
        s.plain_username, s.plain_password = [a.encode() for a in sys.argv[6:8]]
    s.linger, s.reconnect_ivl = 20000, 10
    return s
push = secured(ctx.socket(zmq.PUSH))
push.connect(push_to)
subs = {}
for prefix in [b'PL', b'T', b'SL']:
    s = subs[prefix] = secured(ctx.socket(zmq.SUB))
    s.rcvhwm = 0
    s.setsockopt(zmq.SUBSCRIBE, prefix)
    s.connect(sub_to)
def receive(s, timeout):
    # a message that is no probe, or nothing
    while s.poll(timeout):
        m = tuple(s.recv_multipart())
        if m[1] != b'{"message": "probe"}':
            return m
def probe():
    # until all get what they want: whoever is late loses messages
    waiting, n = set(subs), 0
    while waiting:
        for prefix in list(waiting):
            push.send_multipart([{b'PL': b'PLJ', b'T': b'TLJ', b'SL': b'SLJ'}[prefix], b'{"message": "probe"}'])
        time.sleep(0.05)
        for prefix, s in subs.items():
            while s.poll(0):
                assert s.recv_multipart()[1] == b'{"message": "probe"}'
                waiting.discard(prefix)
def send():
    sent = {p: [] for p in subs}
    def one(topic, body):
        push.send_multipart([topic, body])
        for p in sent:
            if topic.startswith(p):
                sent[p].append((topic, body))
    for name in ['distlog-json-tutorial', 'distlog-pickle-tutorial', 'distlog-json-rich']:
        for topic, body in frames(folder + name + '.frames'):
            one(topic, body)
    for protocol in range(6):
        one(b'TLP', pickle.dumps({'message': 'p%d' % protocol, 'raw': b'\x00\xff', 'levelno': 40, 'hostname': 'vm'}, protocol))
    one(b'TLJ', json.dumps({'message': 'long', 'text': 'x' * 3000000, 'half': '\ud800', 'nan': float('nan')}).encode())
    for p, s in subs.items():
        got = []
        for _ in sent[p]:
            got.append(receive(s, 30000))
            assert got[-1], (p, len(got), len(sent[p]))
        assert sorted(got) == sorted(sent[p]), p
        assert not receive(s, 500), p
        print(p.decode(), len(got), end=' ', flush=True)
for round in range(2):
    probe()
    send()
    open(os.path.join(flags, 'sent%d' % round), 'w').close()
    while not os.path.exists(os.path.join(flags, 'go%d' % round)):
        time.sleep(0.01)
print('done')
`

// TestZMQSink: what libzmq's PUSH sends comes out of weir to libzmq's SUBs as the same two frames, to
// each what it has subscribed to, with every kind of security, and again after a restart of weir.
func TestZMQSink(t *testing.T) {
	python := realtest.PythonZMQ(t)
	dir := t.TempDir()
	server, client := keys(t), keys(t)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, test := range map[string]struct {
		push, sub, settings string
		args                []string
	}{
		"tcp":   {"tcp://" + faulttest.FreeAddress(t), "tcp://" + faulttest.FreeAddress(t), "", []string{"null"}},
		"ipc":   {"ipc://" + filepath.Join(dir, "push"), "ipc://" + filepath.Join(dir, "sub"), "", []string{"null"}},
		"plain": {"tcp://" + faulttest.FreeAddress(t), "tcp://" + faulttest.FreeAddress(t), ", plain: {users: {app: '${file:" + file("password", "secret") + "}'}}", []string{"plain", "app", "secret"}},
		"curve": {"tcp://" + faulttest.FreeAddress(t), "tcp://" + strings.Replace(faulttest.FreeAddress(t), "127.0.0.1", "*", 1),
			fmt.Sprintf(", curve: {secret_key: '${file:%s}', clients: ['%s']}", file("key", server.Secret.Text()), literal(client.Public.Text())),
			[]string{"curve", client.Public.Text(), client.Secret.Text(), server.Public.Text()}},
	} {
		t.Run(name, func(t *testing.T) {
			flags := t.TempDir()
			w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nrules: []\nsources: {app: {type: distlog, keep_wire: true, listen: ['%s']%s}}\nsinks: {public: {type: zmq, listen: ['%s']%s}}\n", test.push, test.settings, test.sub, test.settings)})
			script := python.Start(t, publishedPy, append([]string{test.push, strings.Replace(test.sub, "*", "127.0.0.1", 1), captures, flags}, test.args...)...)
			for round, restart := range []func(){w.Terminate, func() {}} {
				faulttest.WaitFor(t, "all to arrive", func() bool {
					if strings.Contains(script.Output(), "Error") {
						t.Fatal(script.Output())
					}
					_, err := os.Stat(filepath.Join(flags, fmt.Sprint("sent", round)))
					return err == nil
				})
				if restart(); round == 0 {
					w.Again()
				}
				if err := os.WriteFile(filepath.Join(flags, fmt.Sprint("go", round)), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := script.Wait(), "PL 35 T 7 SL 0 PL 35 T 7 SL 0 done\n"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestZMQSinkSlowSubscriber: a SUB of libzmq that does not read loses messages, which are counted;
// another one gets all, chosen by LogQL, of a source that is not distlog's.
func TestZMQSinkSlowSubscriber(t *testing.T) {
	python := realtest.PythonZMQ(t)
	dir := t.TempDir()
	address, path := "tcp://"+faulttest.FreeAddress(t), filepath.Join(dir, "app.log")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nrules: [{match: '{source=\"app\"}', parse: {json: {}}}]\nsources: {app: {type: file, paths: ['%s'], start: beginning}}\nsinks: {public: {type: zmq, listen: ['%s'], queue_bytes: 16MiB, match: '{source=\"app\"} |= \"number\"', level: info}}\n", path, address)})
	const lines = 40_000
	script := python.Start(t, fmt.Sprintf(`
slow, fast = ctx.socket(zmq.SUB), ctx.socket(zmq.SUB)
slow.rcvhwm, fast.rcvhwm, slow.rcvbuf = 1, 0, 10000
for s in slow, fast:
    s.setsockopt(zmq.SUBSCRIBE, b'')
    s.connect(sys.argv[1])
log = open(sys.argv[2], 'a')
def line(level, text):
    log.write(json.dumps({'level': level, 'message': text, 'padding': 'x' * 1000}) + '\n')
    log.flush()
while not (fast.poll(100) and slow.poll(100)):
    line('info', 'number probe')
want = 1
for n in range(%d):
    line('info' if n %% 2 else 'debug', 'number %%d' %% n)
    line('info', 'nothing')
    if n %% 4000 < 3999:
        continue
    while want < n: # what is sent at once has room in the queue
        assert fast.poll(60000), want
        topic, body = fast.recv_multipart()
        text = json.loads(json.loads(body)['msg'])['message']
        if text != 'number probe':
            assert (topic, text) == (b'PLJ', 'number %%d' %% want), (topic, text, want)
            want += 2
print('all')
ctx.destroy(linger=0)
`, lines), address, path)
	if got := script.Wait(); got != "all\n" {
		t.Error(got)
	}
	m, err := w.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	of := func(fate string) float64 {
		return m[`weir_zmq_messages_total{machine="n",sink="public",fate="`+fate+`"}`]
	}
	if of("queue_full") == 0 || of("sent") < lines/2 || of("sent")+of("queue_full") < lines {
		t.Errorf("%v sent, %v found a full queue, %v are unwanted", of("sent"), of("queue_full"), of("unwanted"))
	}
}
