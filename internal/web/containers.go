package web

import (
	"cmp"
	"slices"

	"github.com/weirlog/weir/internal/metric"
)

// Container is a container as its source measures it. What is not known is below zero.
type Container struct {
	Name   string `json:"name"`
	State  string `json:"state"`            // running, paused, exited
	Health string `json:"health,omitempty"` // what its own check says
	// CPU is how many processors it keeps busy, CPUs how many it may.
	CPU  float64 `json:"cpu"`
	CPUs float64 `json:"cpus"`
	// Memory is what it uses in bytes, without page cache that can be had back at once, and
	// MaxMemory what it may use.
	Memory    float64 `json:"memory"`
	MaxMemory float64 `json:"max_memory"`
	Restarts  float64 `json:"restarts"`
	// CPUPast and MemoryPast are what CPU and Memory were before, as in Series.Past.
	CPUPast    []float64 `json:"-"`
	MemoryPast []float64 `json:"-"`
}

// Containers returns the containers that have metrics in reg, by their names.
func Containers(reg *metric.Registry) []Container {
	byName := map[string]*Container{}
	reg.Each(func(f *metric.Family, s *metric.Series) bool {
		d := f.Desc()
		at := slices.Index(d.Labels, "container")
		if at < 0 || s.IsOverflow() {
			return true
		}
		values := s.Values()
		c := byName[values[at]]
		if c == nil {
			c = &Container{Name: values[at], CPU: -1, CPUs: -1, Memory: -1, MaxMemory: -1}
		}
		if c.set(d.Name, values, s.Value()) {
			byName[values[at]] = c
		}
		return true
	})
	all := []Container{}
	for _, c := range byName {
		if c.State != "" {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Container) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// set takes the value of one of the container's metrics, and tells whether it is one of those
// that are shown.
func (c *Container) set(name string, values []string, v float64) bool {
	switch name {
	case "container_state":
		if v == 1 {
			c.State = values[1]
		}
	case "container_health_status":
		if v == 1 {
			c.Health = values[1]
		}
	case "container_cpu_usage_percent":
		c.CPU = v
	case "container_cpus_available":
		c.CPUs = v
	case "container_memory_working_set_bytes":
		c.Memory = v
	case "container_max_memory_bytes":
		c.MaxMemory = v
	case "container_restarts_total":
		c.Restarts = v
	default:
		return false
	}
	return true
}
