package realtest_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/zmtp"
	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
	"github.com/weirlog/weir/internal/zmq"
)

// captures are messages of distlog's own handler.
const captures = "../source/distlog/testdata/"

// kept asks weir for all lines that a query has since a time.
func kept(t *testing.T, w *faulttest.Weir, query string, since time.Time) (lines []string, labels []map[string]string) {
	t.Helper()
	q := url.Values{
		"query": {query}, "limit": {"5000"}, "direction": {"forward"},
		"start": {fmt.Sprint(since.UnixNano())}, "end": {fmt.Sprint(time.Now().Add(30 * 24 * time.Hour).UnixNano())},
	}
	response, err := http.Get("http://" + w.Address() + "/loki/api/v1/query_range?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][]string
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(response.Status, err)
	}
	for _, r := range answer.Data.Result {
		for _, v := range r.Values {
			lines, labels = append(lines, v[1]), append(labels, r.Stream)
		}
	}
	return lines, labels
}

// counted waits until weir has committed so many records of distlog.
func counted(t *testing.T, w *faulttest.Weir, name string, n float64) {
	t.Helper()
	faulttest.WaitFor(t, fmt.Sprintf("%v %s", n, name), func() bool {
		m, err := w.Metrics()
		return err == nil && faulttest.Sum(m, name) >= n
	})
}

// sendCaptures sends the captures, and what Python's own modules write.
const sendCaptures = `
endpoint, folder, security = sys.argv[1:4]
s = ctx.socket(zmq.PUSH)
s.linger = 20000
if security == 'curve':
    s.curve_publickey, s.curve_secretkey, s.curve_serverkey = [a.encode() for a in sys.argv[4:7]]
if security == 'plain':
    s.plain_username, s.plain_password = [a.encode() for a in sys.argv[4:6]]
s.connect(endpoint)
for name in ['distlog-json-tutorial', 'distlog-pickle-tutorial', 'distlog-json-rich']:
    for m in frames(folder + name + '.frames'):
        s.send_multipart(m)
class Order:
    def __init__(self): self.total = 2.5
rich = {'message': 'rich', 'levelno': 40, 'created': time.time(), 'hostname': 'py', 'nan': float('nan'), 'big': 10**40, 'neg': -5,
    'half': '\ud800', 'text': 'é\n😀', 'context': {'key': '7@u/1', 'user': 'bob', 'list': [1, None, True]}}
s.send_multipart([b'TLJ', json.dumps(rich).encode()])
rich.update(when=datetime.datetime(2026, 11, 21, 1, 2, 3), price=decimal.Decimal('1.10'), id=uuid.UUID(int=7), order=Order(),
    path=pathlib.PurePosixPath('/a/b'), raw=b'\x00\xff', some={1}, own=rich)
for protocol in range(6):
    s.send_multipart([b'TLP', pickle.dumps(rich, protocol)])
s.send_multipart([b'TLP', pickle.dumps([1, 2])])
s.close()
ctx.term()
print('sent')
`

// TestDistlogFromLibzmq: what libzmq sends in each way that it can is kept, found and counted.
func TestDistlogFromLibzmq(t *testing.T) {
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
		listen, settings string
		args             []string
	}{
		"tcp":   {"tcp://" + faulttest.FreeAddress(t), "", []string{"null"}},
		"ipc":   {"ipc://" + filepath.Join(dir, "weir.sock"), "", []string{"null"}},
		"plain": {"tcp://" + faulttest.FreeAddress(t), "plain: {users: {app: '${file:" + file("password", "secret") + "}'}}", []string{"plain", "app", "secret"}},
		"curve": {"tcp://" + strings.Replace(faulttest.FreeAddress(t), "127.0.0.1", "*", 1),
			fmt.Sprintf("curve: {secret_key: '${file:%s}', clients: ['%s']}", file("key", server.Secret.Text()), literal(client.Public.Text())),
			[]string{"curve", client.Public.Text(), client.Secret.Text(), server.Public.Text()}},
	} {
		t.Run(name, func(t *testing.T) {
			w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nrules: []\nsources:\n  app:\n    type: distlog\n    listen: ['%s']\n    %s\n", test.listen, test.settings)})
			sent := python.Start(t, sendCaptures, append([]string{strings.Replace(test.listen, "*", "127.0.0.1", 1), captures}, test.args...)...)
			sent.Wait()
			counted(t, w, "weir_distlog_records_total", 42)
			counted(t, w, "weir_distlog_bad_messages_total", 1)
			checkKept(t, w)
		})
	}
}

func keys(t *testing.T) zmtp.KeyPair {
	t.Helper()
	k, err := zmtp.NewKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// checkKept looks at what became of sendCaptures.
func checkKept(t *testing.T, w *faulttest.Weir) {
	t.Helper()
	since := time.Unix(1_790_000_000, 0)
	lines, _ := kept(t, w, `{system="production", kind="log", host="vm"}`, since)
	if len(lines) != 35 {
		t.Errorf("%d lines of the captures", len(lines))
	}
	tree, _ := kept(t, w, `{host="vm"} | key =~ ".*@f738d4aa-6a48-4fac-be7e-f34721792d8c/1/2"`, since)
	if fmt.Sprint(tree) != "[sub sub two sub sub two]" {
		t.Errorf("the records of a scope are %q", tree)
	}
	lines, labels := kept(t, w, `{system="test"} | detected_level="error"`, since)
	if len(lines) != 7 {
		t.Fatalf("%d lines of level error: %q", len(lines), lines)
	}
	usual := map[string]string{"source": "app", "system": "test", "kind": "log", "host": "py", "key": "7@u/1", "context_user": "bob", "big": "1" + strings.Repeat("0", 40), "neg": "-5", "nan": "NaN"}
	special := map[string]string{"when": "2026-11-21T01:02:03", "price": "1.10", "id": "00000000-0000-0000-0000-000000000007", "path": "/a/b", "some": "[1]", "text": "é\n😀"}
	for i, have := range labels {
		if lines[i] != "rich" {
			t.Errorf("line %d is %q", i, lines[i])
		}
		for name, want := range usual {
			if have[name] != want {
				t.Errorf("record %d: %s is %q, want %q", i, name, have[name], want)
			}
		}
		if have["when"] == "" {
			continue // the one of JSON
		}
		for name, want := range special {
			if have[name] != want {
				t.Errorf("record %d: %s is %q, want %q", i, name, have[name], want)
			}
		}
		if !strings.Contains(have["order"], "__main__.Order") || !strings.Contains(have["order"], "2.5") {
			t.Errorf("record %d: order is %s", i, have["order"])
		}
	}
}

// TestDistlogConnects: weir connects to a PUSH that listens, and subscribes to a PUB, both of
// libzmq.
func TestDistlogConnects(t *testing.T) {
	python := realtest.PythonZMQ(t)
	pushes, publishes := faulttest.FreeAddress(t), faulttest.FreeAddress(t)
	python.Start(t, `
push, pub = ctx.socket(zmq.PUSH), ctx.socket(zmq.PUB)
push.bind('tcp://' + sys.argv[1])
pub.bind('tcp://' + sys.argv[2])
n = 0
while True:
    if n < 100:
        push.send_multipart([b'PLJ', b'{"message": "pushed %d", "hostname": "h"}' % n])
    pub.send_multipart([b'TLJ', b'{"message": "published", "hostname": "h"}'])
    pub.send_multipart([b'SLJ', b'{"message": "not wanted", "hostname": "h"}'])
    n += 1
    time.sleep(0.01)
`, pushes, publishes)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(
		"rules: []\nsources: {app: {type: distlog, listen: [], connect: ['tcp://%s'], subscribe: ['tcp://%s'], topics: [TL, P]}}\n", pushes, publishes)})
	counted(t, w, "weir_distlog_records_total", 200)
	faulttest.WaitFor(t, "what was pushed", func() bool {
		m, err := w.Metrics()
		return err == nil && sumOf(m, `system="production"`) == 100 && sumOf(m, `system="test"`) > 100
	})
	m, err := w.Metrics()
	if err != nil || sumOf(m, `system="staging"`) != 0 {
		t.Errorf("what was not wanted has come (%v)", err)
	}
}

// sumOf adds up the records of distlog whose labels have a part.
func sumOf(m map[string]float64, part string) (sum float64) {
	for name, v := range m {
		if strings.HasPrefix(name, "weir_distlog_records_total{") && strings.Contains(name, part) {
			sum += v
		}
	}
	return sum
}

// TestPublishToLibzmq: a Publisher of ours and SUB and XSUB of libzmq, with each mechanism.
func TestPublishToLibzmq(t *testing.T) {
	python := realtest.PythonZMQ(t)
	server, client := keys(t), keys(t)
	for name, test := range map[string]struct {
		security zmq.Security
		args     []string
	}{
		"null":  {zmq.Security{}, []string{"null"}},
		"plain": {zmq.Security{Mechanism: zmtp.Plain, Users: map[string]string{"app": "secret"}}, []string{"plain", "app", "secret"}},
		"curve": {zmq.Security{Mechanism: zmtp.Curve, Keys: server}, []string{"curve", client.Public.Text(), client.Secret.Text(), server.Public.Text()}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := zmq.NewPublisher(zmq.Options{Security: test.security})
			if err != nil {
				t.Fatal(err)
			}
			e, err := zmq.ParseEndpoint("tcp://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended, bound := make(chan error), make(chan net.Addr, 1)
			go func() {
				_, err := p.Bind(ctx, zmq.Address{Endpoint: e, Bound: func(a net.Addr) { bound <- a }})
				ended <- err
			}()
			defer func() { cancel(); <-ended }()
			said := python.Start(t, `
security = sys.argv[2]
socks = [ctx.socket(zmq.SUB), ctx.socket(zmq.XSUB)]
for s in socks:
    if security == 'curve':
        s.curve_publickey, s.curve_secretkey, s.curve_serverkey = [a.encode() for a in sys.argv[3:6]]
    if security == 'plain':
        s.plain_username, s.plain_password = [a.encode() for a in sys.argv[3:5]]
    s.rcvtimeo = 20000
    s.setsockopt(zmq.HEARTBEAT_IVL, 50)
    s.connect(sys.argv[1])
socks[0].setsockopt(zmq.SUBSCRIBE, b'PL')
socks[1].send(b'\x01PLP')
for s in socks:
    got = []
    while not got or got[-1][1] != b'end':
        got.append(s.recv_multipart())
    bodies = [m[1] for m in got if m[1] != b'hello' and m[1] != b'end']
    print([(m[0].decode(), len(m)) for m in got if m[1] == b'end'], len(bodies), sum(map(len, bodies)), set(m[0] for m in got) - {b'PLJ', b'PLP'})
ctx.destroy(linger=0)
`, append([]string{"tcp://" + (<-bound).String()}, test.args...)...)
			faulttest.WaitFor(t, "two that want it", func() bool {
				sent, _ := p.Send([]byte("PLP"), []byte("hello"))
				return sent == 2
			})
			for i := range 100 {
				p.Send([]byte("SLJ"), []byte("not wanted"))
				p.Send([]byte("PLP"), []byte(strings.Repeat("x", i*10)))
			}
			p.Send([]byte("PLP"), []byte("end"))
			if got, want := said.Wait(), strings.Repeat("[('PLP', 2)] 100 49500 set()\n", 2); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestDistlogKeepsTheWire: with keep_wire, what comes out of the journal is, byte for byte, what
// libzmq sent.
func TestDistlogKeepsTheWire(t *testing.T) {
	python := realtest.PythonZMQ(t)
	address := faulttest.FreeAddress(t)
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("rules: []\nsources: {app: {type: distlog, listen: ['tcp://%s'], keep_wire: true}}\n", address)})
	sent := python.Start(t, `
s = ctx.socket(zmq.PUSH)
s.linger = 20000
s.connect('tcp://' + sys.argv[1])
for name in ['distlog-pickle-tutorial', 'distlog-json-rich']:
    for topic, body in frames(sys.argv[2] + name + '.frames'):
        s.send_multipart([topic, body])
        print(topic.decode(), body.hex())
s.close()
ctx.term()
`, address, captures)
	want := map[string]bool{}
	for line := range strings.Lines(sent.Wait()) {
		want[strings.TrimSpace(line)] = true
	}
	counted(t, w, "weir_distlog_records_total", 28)
	lines, labels := kept(t, w, `{source="app"}`, time.Unix(1_790_000_000, 0))
	if len(lines) != 28 || len(want) != 28 {
		t.Fatalf("%d lines of %d", len(lines), len(want))
	}
	for _, have := range labels {
		body := []byte(have["wire_json"])
		if packed := have["wire_pickle"]; packed != "" {
			var err error
			if body, err = base64.StdEncoding.DecodeString(packed); err != nil {
				t.Error(err)
			}
		}
		if line := have["wire_topic"] + " " + hex.EncodeToString(body); !want[line] {
			t.Errorf("%s was not sent: %q", have["wire_topic"], body)
		}
	}
}

// literal writes a key of CURVE, which may have any sign but quotes, as the configuration has it.
func literal(key string) string { return strings.ReplaceAll(key, "${", "$${") }
