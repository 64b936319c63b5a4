package faulttest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// TestZMQSinkKilled kills weir while it publishes to a SUB of libzmq: what was on its way is lost,
// and nothing comes twice, nor out of order.
func TestZMQSinkKilled(t *testing.T) {
	python := realtest.PythonZMQ(t)
	dir := t.TempDir()
	address, path, done := "tcp://"+faulttest.FreeAddress(t), filepath.Join(dir, "app.log"), filepath.Join(dir, "done")
	w := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf("node: n\nsources: {app: {type: file, paths: [%q], start: beginning}}\nsinks: {public: {type: zmq, listen: ['%s']}}\n", path, address)})
	sub := python.Start(t, `
import os
s = ctx.socket(zmq.SUB)
s.rcvhwm, s.reconnect_ivl = 0, 10
s.setsockopt(zmq.SUBSCRIBE, b'PLJ')
s.connect(sys.argv[1])
last, count = -1, 0
while not os.path.exists(sys.argv[2]) or s.poll(3000):
    if s.poll(100):
        n = int(json.loads(s.recv_multipart()[1])['msg'].split()[0][2:])
        assert n > last, (n, last)
        last, count = n, count + 1
        if count % 1000 == 0:
            print(count, flush=True)
print('done')
`, address, done)
	received := func() int { return strings.Count(sub.Output(), "\n") }
	lines := faulttest.NewWriter(t, path)
	for range 8 {
		before := received()
		faulttest.WaitFor(t, "messages", func() bool {
			lines.Write(200)
			return received() > before || strings.Contains(sub.Output(), "Error")
		})
		w.Kill() // between what was noted and what was sent, as chance has it
		w.Again()
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := sub.Wait(); !strings.HasSuffix(out, "done\n") {
		t.Error(out)
	}
	t.Logf("%d lines, %d thousand received, %d starts", lines.Written(), received(), w.Starts)
}
