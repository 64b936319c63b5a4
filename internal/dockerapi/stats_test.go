package dockerapi

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	a := &answers{version: "1.41", bodies: map[string]string{
		"/v1.41/containers/web/stats":  fixture(t, "stats-limited.json"),
		"/v1.41/containers/gone/stats": fixture(t, "stats-stopped.json"),
		"/v1.41/containers/odd/stats":  `{"read":"2026-11-20T18:08:24Z","cpu_stats":{"cpu_usage":{"total_usage":-1}}}`,
	}}
	c := engine(t, a)
	s, err := c.Stats(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if q := a.asked.Load().URL.Query(); q.Get("stream") != "0" || q.Get("one-shot") != "1" {
		t.Errorf("asked with %v", q)
	}
	want := time.Date(2026, 11, 20, 18, 8, 24, 535715011, time.UTC)
	if !s.Read.Equal(want) || s.CPU.Usage.Total != 71765964 || s.CPU.System != 4628770000000 || s.CPU.Online != 2 || s.CPU.Throttling.Periods != 52 ||
		s.Memory.Usage != 2646016 || s.Memory.Limit != 67108864 || *s.Memory.Peak != 4079616 || s.Memory.Failures != nil ||
		s.Memory.Stats["total_inactive_file"] != 413696 || s.Pids.Current != 2 || s.Networks["eth0"].RxPackets != 11 {
		t.Errorf("got %+v", s)
	}
	if s, err = c.Stats(t.Context(), "gone"); err != nil || !s.Read.IsZero() {
		t.Errorf("of a stopped container: read at %v, %v", s.Read, err)
	}
	if _, err = c.Stats(t.Context(), "odd"); err == nil {
		t.Error("a negative time was taken")
	}
	if _, err = c.Stats(t.Context(), "nope"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no container: %v", err)
	}
}

func TestInspectLimits(t *testing.T) {
	a := &answers{version: "1.41", bodies: map[string]string{"/v1.41/containers/web/json": `{"Id":"3f4e","Name":"/web","RestartCount":3,
		"State":{"Status":"running","Running":true,"Pid":27446,"ExitCode":1,"Health":{"Status":"unhealthy"}},
		"HostConfig":{"NetworkMode":"host","NanoCpus":500000000,"CpuQuota":1,"CpuPeriod":2,"CpuShares":3,"CpusetCpus":"0-1","Memory":4,"MemorySwap":-1,"MemoryReservation":6}}`}}
	d, err := engine(t, a).Inspect(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{NanoCPUs: 500_000_000, CPUQuota: 1, CPUPeriod: 2, CPUShares: 3, CPUSet: "0-1", Memory: 4, MemorySwap: -1, MemoryReservation: 6}
	if d.Limits != want || d.Pid != 27446 || d.ExitCode != 1 || d.Restarts != 3 || d.Health != "unhealthy" || d.NetworkMode != "host" {
		t.Errorf("got %+v", d)
	}
}

// FuzzStats: an answer of any bytes is decoded or refused.
func FuzzStats(f *testing.F) {
	for _, s := range []string{`{}`, `{"read":"x"}`, `{"networks":{"eth0":null}}`, `{"memory_stats":{"stats":{"a":1}}}`, `{"pids_stats":{"limit":18446744073709551615}}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		var s Stats
		_ = json.Unmarshal(text, &s)
	})
}
