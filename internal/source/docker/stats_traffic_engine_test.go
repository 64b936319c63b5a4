package docker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/source/docker/stats"
)

// network makes a bridge that only the test's containers are in.
func network(t *testing.T, e *enginetest.Engine) (name string) {
	t.Helper()
	name = "weir-traffic"
	status, answer := e.Do("POST", "/networks/create", map[string]any{"Name": name, "Driver": "bridge", "Internal": true,
		"IPAM": map[string]any{"Config": []map[string]string{{"Subnet": "10.231.77.0/24"}}}})
	if status != 201 {
		t.Skipf("SKIP: no network for containers: %d %s", status, answer)
	}
	t.Cleanup(func() { e.Do("DELETE", "/networks/"+name, nil) })
	return name
}

// addressOf returns the address of a container in a network.
func addressOf(t *testing.T, e *enginetest.Engine, id, network string) string {
	t.Helper()
	var d struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	_, answer := e.Do("GET", "/containers/"+id+"/json", nil)
	if err := json.Unmarshal(answer, &d); err != nil || d.NetworkSettings.Networks[network].IPAddress == "" {
		t.Fatalf("address of %s: %v\n%s", id, err, answer)
	}
	return d.NetworkSettings.Networks[network].IPAddress
}

// TestStatsTraffic has containers of a real engine send 8 MB to each other and write 8 MB to the
// disk, and compares what weir counts, in both ways, with that and with the docker command.
func TestStatsTraffic(t *testing.T) {
	e := enginetest.Start(t)
	if !e.Own {
		t.Skip("SKIP: networks are made in an engine of the test's own alone")
	}
	const sent, written = 8_000_000, 8 << 20
	net := map[string]any{"NetworkMode": network(t, e)}
	server := e.Run(enginetest.Container{Name: "server", Cmd: []string{"sh", "-c", "sleep 1000 | nc -l -p 9000 >/dev/null; exec sleep 1000"}, Host: net})
	e.Run(enginetest.Container{Name: "client", Host: net, Cmd: []string{"sh", "-c", fmt.Sprintf(
		"until head -c %d /dev/zero | nc %s 9000; do usleep 100000; done; exec sleep 1000", sent, addressOf(t, e, server, "weir-traffic"))}})
	device := deviceOf(t, e.Root)
	e.Run(enginetest.Container{Name: "writer", Host: map[string]any{"BlkioDeviceWriteBps": device}, Cmd: []string{"sh", "-c", fmt.Sprintf(
		"dd if=/dev/zero of=/f bs=1048576 count=%d conv=fsync; exec sleep 1000", written>>20)}})
	for _, read := range []stats.Read{stats.ReadFile, stats.ReadAPI} {
		m := measure(t, e.Host, func(c *Config) { c.StatsRead = read })
		series := func(name, container string) string {
			return name + `\{container="` + container + `".*(?:interface|device)="[^"]+"\}`
		}
		for _, x := range []struct{ name, container string }{{"container_network_receive_bytes_total", "server"}, {"container_network_transmit_bytes_total", "client"}} {
			m.until(x.name, func() bool { v, ok := m.value(series(x.name, x.container)); return ok && v >= sent })
			if v := m.need(series(x.name, x.container)); v > 1.1*sent { // with the heads of packets
				t.Errorf("by %s: %s of %s is %v", read, x.name, x.container, v)
			}
		}
		for _, x := range []struct{ name, container string }{{"container_network_receive_packets_total", "server"}, {"container_network_transmit_packets_total", "client"}} {
			if v := m.need(series(x.name, x.container)); v < sent/65536 || v > sent/500 {
				t.Errorf("by %s: %s is %v", read, x.name, v)
			}
		}
		disk := `container_fs_writes_bytes_total\{container="writer".*\}`
		if device != nil {
			m.until(disk, func() bool { return m.sum(disk) >= written })
		}
		compareTraffic(m, e, read)
	}
}

// deviceOf returns a limit of writing, too high to matter, for the disk that a directory is on;
// nil where it is on none. With version 1 of control groups new kernels count nothing of a
// device that has no limit.
func deviceOf(t *testing.T, dir string) []map[string]any {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	dev := info.Sys().(*syscall.Stat_t).Dev
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", dev>>8&0xfff, dev&0xff))
	if err != nil {
		t.Log("what is written is not compared: the engine's data is on no disk")
		return nil
	}
	return []map[string]any{{"Path": "/dev/" + filepath.Base(link), "Rate": 1 << 40}}
}

// sum adds up the series that fit a pattern.
func (m measured) sum(pattern string) (total float64) {
	name, _, _ := strings.Cut(pattern, `\{`)
	_, container, _ := strings.Cut(pattern, `container=`)
	container, _, _ = strings.Cut(container, `.*`)
	for series, v := range m.all() {
		if strings.HasPrefix(series, name+"{") && strings.Contains(series, container) {
			total += v
		}
	}
	return total
}

// compareTraffic compares with what the docker command shows once all is quiet.
func compareTraffic(m measured, e *enginetest.Engine, read stats.Read) {
	m.t.Helper()
	var differ []string
	deadline := time.Now().Add(20 * time.Second)
	for {
		differ = nil
		theirs := dockerCommand(m.t, e.Host)
		for _, x := range []struct{ container, name, theirs string }{
			{"server", "container_network_receive_bytes_total", theirs["server"].NetIO}, {"client", "container_network_receive_bytes_total", theirs["client"].NetIO},
			{"writer", "container_fs_reads_bytes_total", theirs["writer"].BlockIO},
		} {
			for i, name := range []string{x.name, strings.Replace(strings.Replace(x.name, "receive", "transmit", 1), "reads", "writes", 1)} {
				ours, other := m.sum(name+`\{container="`+x.container+`".*`), size(m.t, x.theirs, i == 1)
				if !near(ours, other, 0.01) {
					differ = append(differ, fmt.Sprintf("by %s: %s of %s is %v, docker stats shows %s", read, name, x.container, ours, x.theirs))
				}
			}
		}
		if len(differ) == 0 || time.Now().After(deadline) {
			break
		}
		<-time.After(200 * time.Millisecond)
	}
	for _, d := range differ {
		m.t.Error(d)
	}
	theirs := dockerCommand(m.t, e.Host)
	m.t.Logf("by %s: docker stats: server %s, client %s, writer %s", read, theirs["server"].NetIO, theirs["client"].NetIO, theirs["writer"].BlockIO)
}
