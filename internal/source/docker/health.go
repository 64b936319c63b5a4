package docker

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/ledger"
	"github.com/weirlog/weir/internal/source/docker/stats"
)

// health makes one state of the source from those of the engine and of its containers: the
// engine's comes first, then that of the container whose id does.
type health struct {
	component *ledger.Component

	mu       sync.Mutex         // guards problems
	problems map[string]problem // by container id; "" is the engine
}

type problem struct{ text, remedy string }

// set notes a problem; an empty text says that there is none any more.
func (h *health) set(key, text, remedy string) {
	h.mu.Lock()
	switch was, is := h.problems[key]; {
	case text == "":
		delete(h.problems, key)
	case !is || was.remedy != remedy: // else it is the same in other words
		h.problems[key] = problem{text, remedy}
	}
	keys := make([]string, 0, len(h.problems))
	for k := range h.problems {
		keys = append(keys, k)
	}
	var worst problem
	if len(keys) > 0 {
		worst = h.problems[slices.Min(keys)]
	}
	h.mu.Unlock()
	if worst.text == "" {
		h.component.Healthy()
		return
	}
	h.component.Degraded(worst.text, worst.remedy)
}

// engine notes how the engine fares.
func (h *health) engine(host string, err error) {
	if err == nil {
		h.set("", "", "")
		return
	}
	h.set("", fmt.Sprintf("reach the docker engine at %s: %v", host, err), remedy(err))
}

// container notes that the log of a container cannot be read, or nil that it can.
func (h *health) container(id, name string, err error) {
	if err == nil {
		h.set(id, "", "")
		return
	}
	h.set(id, fmt.Sprintf("read the log of container %s: %v", name, err), remedy(err))
}

// stats notes that containers cannot be measured, or nil that they can.
func (h *health) stats(err error) {
	if err == nil {
		h.set("stats", "", "")
		return
	}
	h.set("stats", err.Error(), statsRemedy(err))
}

// statsRemedy is remedy for what has to do with numbers alone.
func statsRemedy(err error) string {
	switch {
	case errors.Is(err, stats.ErrUnreadable):
		return "let weir see the engine's /proc and /sys/fs/cgroup (see stats_root), or set stats_read: auto"
	case errors.Is(err, dockerapi.ErrForbidden):
		return "let the proxy pass GET requests of /containers/…/stats, let weir see the engine's /proc and /sys/fs/cgroup (see stats_root), or set stats_interval: 0"
	}
	return remedy(err)
}

// remedy says what a user can do about an error.
func remedy(err error) string {
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var network *net.OpError
	switch {
	case errors.Is(err, errUnreadable):
		return "let weir read the engine's data folder (see root), or set read: auto"
	case errors.Is(err, os.ErrPermission):
		return "add weir's user to the group docker, or set host to a socket proxy that allows GET requests"
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return "start Docker, or set host to where its engine listens; weir goes on trying"
	case errors.Is(err, dockerapi.ErrForbidden):
		return "let the proxy pass GET requests of /_ping, /version, /events, /containers/json and /containers/…/json and logs"
	case errors.Is(err, dockerapi.ErrUnsupported):
		return "use a Docker Engine of version 1.12 or later"
	case errors.As(err, &authority), errors.As(err, &hostname):
		return "put ca.pem of the authority that signed the engine's certificate into tls.cert_dir (DOCKER_CERT_PATH), and set host to a name that it was made for"
	case errors.Is(err, dockerapi.ErrWantsTLS), errors.Is(err, dockerapi.ErrNoCertificates):
		return "set tls.cert_dir (DOCKER_CERT_PATH) to a folder with ca.pem, cert.pem and key.pem"
	case errors.As(err, &network) && network.Op == "remote error": // an alert of TLS
		return "the engine does not take weir's certificate: put cert.pem and key.pem signed by the engine's authority (dockerd --tlscacert) into tls.cert_dir (DOCKER_CERT_PATH)"
	}
	return "weir goes on trying"
}
