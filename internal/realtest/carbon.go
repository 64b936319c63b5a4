package realtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Carbon is a running receiver of Graphite's.
type Carbon struct {
	// Address is the loopback address at which it takes lines, over TCP and UDP.
	Address string
	dir     string
}

// StartCarbon runs Debian's carbon-cache until the test ends, or skips the test. It keeps a value
// a second, without tags.
func StartCarbon(t testing.TB) *Carbon {
	t.Helper()
	program := Program(t, "carbon-cache", "graphite-carbon")
	Program(t, "whisper-fetch", "graphite-carbon")
	c := &Carbon{Address: freeAddress(t), dir: t.TempDir()}
	host, port, _ := net.SplitHostPort(c.Address)
	config := fmt.Sprintf("[cache]\nSTORAGE_DIR = %[1]s\nCONF_DIR = %[1]s\nLOG_DIR = %[1]s\nPID_DIR = %[1]s\nLOCAL_DATA_DIR = %[1]s/whisper\nUSER =\n"+
		"MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = 10000\nLINE_RECEIVER_INTERFACE = %[2]s\nLINE_RECEIVER_PORT = %[3]s\n"+
		"ENABLE_UDP_LISTENER = True\nUDP_RECEIVER_INTERFACE = %[2]s\nUDP_RECEIVER_PORT = %[3]s\n"+
		"PICKLE_RECEIVER_INTERFACE = %[2]s\nPICKLE_RECEIVER_PORT = 0\nCACHE_QUERY_INTERFACE = %[2]s\nCACHE_QUERY_PORT = 0\nENABLE_TAGS = False\n", c.dir, host, port)
	for name, text := range map[string]string{"carbon.conf": config, "storage-schemas.conf": "[all]\npattern = .*\nretentions = 1s:1h\n"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := start(t, exec.Command(program, "--config="+filepath.Join(c.dir, "carbon.conf"), "--nodaemon", "start"))
	if err != nil {
		t.Fatal(err)
	}
	if !within(Patience, func() bool { return !p.running() || listening(c.Address) }) || !p.running() {
		t.Fatalf("carbon-cache does not start:\n%s", p.output)
	}
	version, _ := exec.Command("dpkg-query", "-W", "-f=${Version}", "graphite-carbon").Output()
	Used(t, "carbon-cache "+string(version))
	return c
}

// Values returns what it keeps of a name, by time; nothing where it has not heard of it yet.
func (c *Carbon) Values(t testing.TB, name string) map[int64]float64 {
	t.Helper()
	file := filepath.Join(c.dir, "whisper", strings.ReplaceAll(name, ".", "/")+".wsp")
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	out, err := exec.Command(Program(t, "whisper-fetch", "graphite-carbon"), "--drop=nulls", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	values := map[int64]float64{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		at, err := strconv.ParseInt(f[0], 10, 64)
		v, err2 := strconv.ParseFloat(f[1], 64)
		if err == nil && err2 == nil {
			values[at] = v
		}
	}
	return values
}
