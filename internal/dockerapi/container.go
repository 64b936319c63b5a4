package dockerapi

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Container is one entry of the list.
type Container struct {
	ID     string
	Name   string // without its slash
	Image  string
	State  string // "running", "exited", "created", …
	Labels map[string]string
}

// Containers lists all containers, those that do not run included.
func (c *Client) Containers(ctx context.Context) ([]Container, error) {
	var raw []struct {
		ID     string `json:"Id"`
		Names  []string
		Image  string
		State  string
		Labels map[string]string
	}
	if err := c.getJSON(ctx, "/containers/json", url.Values{"all": {"1"}}, &raw); err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	all := make([]Container, 0, len(raw))
	for _, r := range raw {
		if r.ID != "" {
			all = append(all, Container{ID: r.ID, Name: ownName(r.Names), Image: r.Image, State: r.State, Labels: r.Labels})
		}
	}
	return all, nil
}

// ownName leaves out the names under which linked containers know one.
func ownName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); n != "" && !strings.Contains(n, "/") {
			return n
		}
	}
	return ""
}

// Details is what inspecting tells about one container.
type Details struct {
	ID   string
	Name string // without its slash
	// Image is its name, as it was given when the container was made.
	Image  string
	Labels map[string]string
	TTY    bool
	// LogPath is the json-file on the engine's machine; empty for other drivers.
	LogPath string
	// LogDriver is the logging driver, "json-file" for one; LogOptions are its options.
	LogDriver  string
	LogOptions map[string]string
	// Running tells whether it may still write; Status is the engine's word for its state.
	Running bool
	Status  string
	// Created, Started and Finished are zero when the engine does not say.
	Created, Started, Finished time.Time
	// AutoRemove tells that it goes when it ends.
	AutoRemove bool
	// Pid is its first process on the engine's machine, 0 when it does not run.
	Pid int
	// ExitCode is that of its last run.
	ExitCode int
	// OOMKilled tells that the engine saw it run out of memory in its last run.
	OOMKilled bool
	// Restarts is how often the engine started it again by its restart policy.
	Restarts int
	// Health is what its health check says: "healthy", "unhealthy", "starting"; empty
	// without one.
	Health string
	// NetworkMode is "host" where it has no network of its own.
	NetworkMode string
	// Addresses are those of its own in the networks that it is in now.
	Addresses []netip.Addr
	// Limits are what it may use at most.
	Limits Limits
}

// Limits bound a container; zero is no bound, or the kernel's default.
type Limits struct {
	// NanoCPUs are billionths of a processor. CPUQuota says the same in microseconds of
	// each CPUPeriod, of which the default is 100 ms.
	NanoCPUs, CPUQuota, CPUPeriod int64
	// CPUShares is its weight where processors are short.
	CPUShares int64
	// CPUSet lists the processors that it may use, as 0-3,7.
	CPUSet string
	// Memory, MemorySwap (with memory) and MemoryReservation are in bytes; MemorySwap -1 is
	// no bound.
	Memory, MemorySwap, MemoryReservation int64
}

// Inspect returns the details of a container, by id or name.
func (c *Client) Inspect(ctx context.Context, id string) (Details, error) {
	var raw struct {
		ID      string `json:"Id"`
		Name    string
		Created string
		State   struct {
			Status                               string
			Running, Paused, Restarting, Removed bool
			OOMKilled                            bool
			StartedAt, FinishedAt                string
			Pid, ExitCode                        int
			Health                               struct{ Status string }
		}
		RestartCount int
		LogPath      string
		Config       struct {
			Image  string
			Labels map[string]string
			Tty    bool
		}
		HostConfig struct {
			AutoRemove  bool
			NetworkMode string
			LogConfig   struct {
				Type   string
				Config map[string]string
			}
			NanoCpus, CpuQuota, CpuPeriod, CpuShares int64
			CpusetCpus                               string
			Memory, MemorySwap, MemoryReservation    int64
		}
		NetworkSettings struct{ Networks networks }
	}
	if err := c.getJSON(ctx, "/containers/"+url.PathEscape(id)+"/json", nil, &raw); err != nil {
		return Details{}, fmt.Errorf("inspect container %s: %w", Short(id), err)
	}
	health, h := raw.State.Health.Status, raw.HostConfig
	if health == "none" {
		health = ""
	}
	return Details{
		ID: raw.ID, Name: strings.TrimPrefix(raw.Name, "/"), Image: raw.Config.Image, Labels: raw.Config.Labels,
		TTY: raw.Config.Tty, LogPath: raw.LogPath,
		LogDriver: raw.HostConfig.LogConfig.Type, LogOptions: raw.HostConfig.LogConfig.Config,
		Running: raw.State.Running || raw.State.Restarting, Status: raw.State.Status,
		Created: parseTime(raw.Created), Started: parseTime(raw.State.StartedAt), Finished: parseTime(raw.State.FinishedAt),
		AutoRemove: h.AutoRemove,
		Pid:        raw.State.Pid, ExitCode: raw.State.ExitCode, OOMKilled: raw.State.OOMKilled, Restarts: raw.RestartCount, Health: health, NetworkMode: h.NetworkMode, Addresses: raw.NetworkSettings.Networks.addresses(),
		Limits: Limits{
			NanoCPUs: h.NanoCpus, CPUQuota: h.CpuQuota, CPUPeriod: h.CpuPeriod, CPUShares: h.CpuShares, CPUSet: h.CpusetCpus,
			Memory: h.Memory, MemorySwap: h.MemorySwap, MemoryReservation: h.MemoryReservation,
		},
	}, nil
}

// networks are those that a container is in, by their names.
type networks map[string]struct{ IPAddress, GlobalIPv6Address string }

// addresses returns those of the container, in order.
func (n networks) addresses() (all []netip.Addr) {
	for _, one := range n {
		for _, text := range []string{one.IPAddress, one.GlobalIPv6Address} {
			if a, err := netip.ParseAddr(text); err == nil {
				all = append(all, a)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// parseTime leaves the engine's year 1 zero.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// Short returns the first twelve characters of a container's id, as docker shows them.
func Short(id string) string {
	if len(id) > 12 && !slices.ContainsFunc([]byte(id), func(c byte) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }) {
		return id[:12]
	}
	return id
}
