package realtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// StatsD is a running StatsD server, the one from npm that everybody calls etsy's.
type StatsD struct {
	// Address is the loopback address of its UDP and its TCP server.
	Address string
	mgmt    string
}

// StartStatsD runs npm's statsd until the test ends, or skips the test. It finds the module
// where WEIR_TEST_STATSD says (the folder of its stats.js), else where `make test` put it.
// It flushes never, so its counters hold all that it was sent.
func StartStatsD(t testing.TB) *StatsD {
	t.Helper()
	return startStatsD(t, fmt.Sprintf("backends: [], flushInterval: %d", 24*time.Hour/time.Millisecond))
}

// StartStatsDTo is StartStatsD for a server that flushes every so often, to a Graphite
// server at a loopback address, with more settings of its own.
func StartStatsDTo(t testing.TB, graphite string, every time.Duration, more ...string) *StatsD {
	t.Helper()
	host, port, _ := net.SplitHostPort(graphite)
	return startStatsD(t, strings.Join(append([]string{fmt.Sprintf(`backends: ["./backends/graphite"], graphiteHost: %q, graphitePort: %s, flushInterval: %d`,
		host, port, every/time.Millisecond)}, more...), ", "))
}

func startStatsD(t testing.TB, flushing string) *StatsD {
	t.Helper()
	module := os.Getenv("WEIR_TEST_STATSD")
	if module == "" {
		module = filepath.Join(moduleRoot(), "tmp", "statsd", "node_modules", "statsd")
	}
	if _, err := os.Stat(filepath.Join(module, "stats.js")); err != nil {
		Skip(t, "npm's statsd", "not installed (make test does it, or set WEIR_TEST_STATSD)")
	}
	node := Program(t, "node", "nodejs")

	// It cannot be told to take any free port, so it gets ports that were free a moment ago,
	// and others should they be taken meanwhile.
	for range 5 {
		s := &StatsD{Address: freeAddress(t), mgmt: freeAddress(t)}
		p, err := start(t, exec.Command(node, filepath.Join(module, "stats.js"), s.writeConfig(t, flushing)))
		if err != nil {
			t.Fatal(err)
		}
		if within(Patience, func() bool { return !p.running() || s.healthy() }) && p.running() {
			Used(t, "statsd "+packageVersion(module))
			return s
		}
		p.stop()
		if !strings.Contains(p.output.String(), "EADDRINUSE") {
			t.Fatalf("statsd does not start:\n%s", p.output)
		}
	}
	t.Fatal("statsd finds no free port")
	return nil
}

func (s *StatsD) writeConfig(t testing.TB, flushing string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.Address)
	_, mgmtPort, _ := net.SplitHostPort(s.mgmt)
	server := func(kind string) string {
		return fmt.Sprintf(`{server: "./servers/%s", address: %q, port: %s}`, kind, host, port)
	}
	config := fmt.Sprintf(`{servers: [%s, %s], mgmt_address: %q, mgmt_port: %s, %s}`,
		server("udp"), server("tcp"), host, mgmtPort, flushing)
	path := filepath.Join(t.TempDir(), "config.js")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Counters returns the sum of every counter it was sent, by name; tags are part of the name
// (nginx.status_count;status=200). Its own begin with "statsd.".
func (s *StatsD) Counters(t testing.TB) map[string]float64 { return s.numbers(t, "counters") }

// Gauges returns the value of every gauge, by name.
func (s *StatsD) Gauges(t testing.TB) map[string]float64 { return s.numbers(t, "gauges") }

// timed is an entry of the timers as Node prints them: a: [ 1, 2.5 ].
var timed = regexp.MustCompile(`(?:'([^']*)'|([A-Za-z_]\w*)): \[([^\]]*)\]`)

// Timers returns the values of every timer since the last flush, by name; of more than a
// hundred, Node prints the first hundred.
func (s *StatsD) Timers(t testing.TB) map[string][]float64 {
	t.Helper()
	answer, err := s.ask("timers")
	if err != nil {
		t.Fatalf("statsd timers: %v", err)
	}
	values := map[string][]float64{}
	for _, m := range timed.FindAllStringSubmatch(answer, -1) {
		for _, text := range strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
			if v, err := strconv.ParseFloat(text, 64); err == nil {
				values[m[1]+m[2]] = append(values[m[1]+m[2]], v)
			}
		}
	}
	return values
}

// inspected is an entry of an object as Node prints it: key: 1.5, or 'a.key;tag=x': 1.5.
var inspected = regexp.MustCompile(`(?:'([^']*)'|([A-Za-z_]\w*)): (-?[\d.]+(?:e[+-]?\d+)?|-?Infinity|NaN)`)

func (s *StatsD) numbers(t testing.TB, command string) map[string]float64 {
	t.Helper()
	answer, err := s.ask(command)
	if err != nil {
		t.Fatalf("statsd %s: %v", command, err)
	}
	values := map[string]float64{}
	for _, m := range inspected.FindAllStringSubmatch(answer, -1) {
		values[m[1]+m[2]], _ = strconv.ParseFloat(m[3], 64)
	}
	return values
}

func (s *StatsD) healthy() bool {
	answer, err := s.ask("health")
	return err == nil && strings.Contains(answer, "up") && listening(s.Address)
}

// ask sends a command to the management console and returns its answer without the END.
func (s *StatsD) ask(command string) (string, error) {
	c, err := net.DialTimeout("tcp", s.mgmt, Patience)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(Patience))
	if _, err := c.Write([]byte(command + "\n")); err != nil {
		return "", err
	}
	var answer strings.Builder
	for lines := bufio.NewScanner(c); lines.Scan(); {
		line := lines.Text()
		if line == "END" || strings.HasPrefix(line, "health:") {
			return answer.String() + line, nil
		}
		answer.WriteString(line + "\n")
	}
	return "", fmt.Errorf("answered %q without an end", answer.String())
}

func listening(address string) bool {
	c, err := net.DialTimeout("tcp", address, Patience/20)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// freeAddress is a loopback address whose port nobody uses at the moment, for TCP and UDP.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		u, err := net.ListenPacket("udp", address)
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

func packageVersion(module string) string {
	var p struct{ Version string }
	data, err := os.ReadFile(filepath.Join(module, "package.json"))
	if err != nil || json.Unmarshal(data, &p) != nil {
		return "of unknown version"
	}
	return p.Version
}

// Modules returns the folder of npm's modules that `make test` put into tmp/<folder>, or skips
// the test. It notes the use of one of them.
func Modules(t testing.TB, folder, module string) string {
	t.Helper()
	dir := filepath.Join(moduleRoot(), "tmp", folder, "node_modules")
	if _, err := os.Stat(filepath.Join(dir, module)); err != nil {
		Skip(t, "npm's "+module, "not installed (make test does it)")
	}
	Used(t, module+" "+packageVersion(filepath.Join(dir, module)))
	return dir
}
