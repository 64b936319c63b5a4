package realtest_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/weirlog/weir/internal/faulttest"
	"github.com/weirlog/weir/internal/realtest"
)

// peerCalls is how often each client makes each of its calls over a transport.
const peerCalls = 2000

// TestStatsDClients has other people's clients call as their users do, over each transport that
// they have: what was called is what /metrics shows.
func TestStatsDClients(t *testing.T) {
	udp, tcp := faulttest.FreeAddress(t), faulttest.FreeAddress(t)
	sockets := t.TempDir()
	stream, datagrams := filepath.Join(sockets, "stream"), filepath.Join(sockets, "datagrams")
	for _, peer := range []struct {
		name, dialect string
		command       func(t *testing.T, kind, address string) *exec.Cmd
		transports    map[string]string
		twice         bool // hits and took are called twice as often
		events        int
	}{
		{"python3-statsd", "statsd", python, map[string]string{"udp": udp, "tcp": tcp, "unix": stream}, true, 0},
		{"hot-shots", "dogstatsd", hotShots, map[string]string{"udp": udp, "tcp": tcp, "unix": stream}, false, 2},
		{"datadog-go", "dogstatsd", datadog, map[string]string{"udp": udp, "unixgram": "unix://" + datagrams, "unixstream": "unixstream://" + stream}, false, 2},
	} {
		for kind, address := range peer.transports {
			t.Run(peer.name+" over "+kind, func(t *testing.T) {
				command := peer.command(t, kind, address)
				weir := faulttest.Start(t, faulttest.Options{Config: fmt.Sprintf(
					"node: n\nsources: {app: {type: statsd, dialect: %s, listen: ['udp://%s', 'tcp://%s', 'unix://%s', 'unixgram://%s']}}\n",
					peer.dialect, udp, tcp, stream, datagrams)})
				faulttest.WaitFor(t, "weir to listen", func() bool {
					return listens("udp", udp) && listens("tcp", tcp) && listens("unix", stream) && listens("unixgram", datagrams)
				})
				if out, err := command.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				n := float64(peerCalls)
				hits := n
				if peer.twice {
					hits = 2 * n
				}
				want := map[string]float64{
					"hits_total": hits, "bytes_total": n * (n - 1) / 2, "down_total": -n, "level": -(n - 1), "took_seconds_count": hits, "took_seconds_sum": hits / 4,
				}
				if peer.twice {
					want["moved"] = 2 * n
				} else {
					want["size_sum"], want["spread_sum"], want["size_count"], want["spread_count"] = 3*n, 4*n, n, n
				}
				var got map[string]float64
				right := func(name string) bool { return faulttest.Sum(got, name) == want[name] }
				faulttest.WaitFor(t, "weir to show all that was called", func() bool {
					var err error
					got, err = weir.Metrics()
					for name := range want {
						if !right(name) {
							return false
						}
					}
					return err == nil
				})
				if bad, dropped := faulttest.Sum(got, "weir_statsd_bad_lines_total"), faulttest.Sum(got, "weir_statsd_dropped_lines_total"); bad+dropped > 0 {
					t.Errorf("%v bad lines, %v dropped", bad, dropped)
				}
				if peer.events > 0 && got[`hits_total{machine="n",env="prod",web="true"}`] != n {
					t.Errorf("hits do not have their tags")
				}
				if n := events(t, weir); n != peer.events {
					t.Errorf("%d events, want %d", n, peer.events)
				}
			})
		}
	}
}

// listens tells whether somebody does at an address.
func listens(network, address string) bool {
	switch network {
	case "udp":
		c, err := net.ListenPacket(network, address)
		if err == nil {
			c.Close()
		}
		return err != nil
	default:
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// events returns how many events and service checks weir has kept.
func events(t *testing.T, weir *faulttest.Weir) (n int) {
	t.Helper()
	response, err := http.Get("http://" + weir.Address() + "/loki/api/v1/query_range?query=" + url.QueryEscape(`{log="events"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	for _, stream := range answer.Data.Result {
		n += len(stream.Values)
	}
	return n
}

func python(t *testing.T, kind, address string) *exec.Cmd {
	const python = "/usr/bin/python3" // Debian's, which has Debian's modules
	ask := exec.Command(python, "-c", "import statsd, importlib.metadata as m; print(statsd.StatsClient and m.version('statsd'), end='')")
	ask.Dir = "clients" // not where a folder has the module's name
	version, err := ask.Output()
	if err != nil {
		realtest.Skip(t, "python3-statsd", "not installed (Debian: apt-get install python3-statsd)")
	}
	realtest.Used(t, "python3-statsd "+string(version))
	return exec.Command(python, "clients/peer.py", kind, address, strconv.Itoa(peerCalls))
}

func hotShots(t *testing.T, kind, address string) *exec.Cmd {
	node := realtest.Program(t, "node", "nodejs")
	modules := realtest.Modules(t, "hotshots", "hot-shots")
	return exec.Command(node, "clients/peer.js", kind, address, strconv.Itoa(peerCalls), modules)
}

func datadog(t *testing.T, _, address string) *exec.Cmd {
	program := realtest.Program(t, "datadog-client", "none: make test builds it")
	realtest.Used(t, "datadog-go v5.9.1")
	return exec.Command(program, address, strconv.Itoa(peerCalls))
}
