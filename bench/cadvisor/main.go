// Command cadvisor is cAdvisor's own measuring of Docker's containers, made of its library,
// for the bench: the same numbers as weir's at the same interval, and nothing else of what
// cAdvisor can do. It is a module of its own, so that nobody else needs what that takes. The
// whole command cannot be had as a module.
//
//	go run . -docker unix:///var/run/docker.sock -every 20s -listen 127.0.0.1:8080
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	_ "github.com/google/cadvisor/container/docker/install" // which has the flag -docker
	v2 "github.com/google/cadvisor/info/v2"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/metrics"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/utils/clock"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where /metrics is")
	every := flag.Duration("every", 20*time.Second, "how often containers are measured")
	flag.Parse()
	handler, err := measure(*every)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /metrics", handler)
	log.Fatal(http.ListenAndServe(*listen, nil))
}

// measure begins to measure and returns what shows the numbers.
func measure(every time.Duration) (http.Handler, error) {
	wanted := container.MetricSet{
		container.CpuUsageMetrics: {}, container.MemoryUsageMetrics: {}, container.NetworkUsageMetrics: {},
		container.DiskIOMetrics: {}, container.ProcessMetrics: {},
	}
	slower := false // what has nothing new is measured as often
	pace := manager.HousekeepingConfig{Interval: &every, AllowDynamic: &slower}
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(), pace, wanted, &http.Client{}, []string{"/docker"}, nil, "", 0)
	if err == nil {
		err = m.Start()
	}
	if err != nil {
		return nil, err
	}
	all := v2.RequestOptions{IdType: v2.TypeName, Count: 1, Recursive: true}
	r := prometheus.NewRegistry()
	r.MustRegister(metrics.NewPrometheusCollector(m, metrics.DefaultContainerLabels, wanted, clock.RealClock{}, all))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}), nil
}
