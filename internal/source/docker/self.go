package docker

import (
	"os"
	"strings"
)

// ownContainer returns the id of the container that this process runs in, as far as can be
// told: weir would read what it writes about what it reads.
func ownContainer() (id, host string) {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	groups, _ := os.ReadFile("/proc/self/cgroup")
	host, _ = os.Hostname()
	return findID(string(mounts), string(groups)), host
}

// findID looks for the id in what the kernel says of our mounts and groups.
func findID(mounts, groups string) string {
	for line := range strings.Lines(mounts) {
		// 29 23 0:1 /var/lib/docker/containers/<id>/hostname /etc/hostname rw - ext4 …
		f := strings.Fields(line)
		if len(f) < 5 || f[4] != "/etc/hostname" && f[4] != "/etc/hosts" && f[4] != "/etc/resolv.conf" {
			continue // on a Docker host every container has mounts: these alone are ours
		}
		if id := idIn(f[3]); id != "" {
			return id
		}
	}
	for line := range strings.Lines(groups) {
		if id := idIn(strings.TrimSpace(line)); id != "" {
			return id
		}
	}
	return ""
}

// idIn returns the last part of a path that is, or ends in, a container's id.
func idIn(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '-' || r == '.' || r == ':' })
	for i := len(parts) - 1; i >= 0; i-- {
		if p := parts[i]; len(p) == 64 && strings.Trim(p, "0123456789abcdef") == "" {
			return p
		}
	}
	return ""
}

// isSelf tells whether a container is the one with our id or, where that could not be told,
// whose id our host name begins, as docker names hosts.
func isSelf(id, ownID, host string) bool {
	if ownID != "" {
		return id == ownID
	}
	return len(host) == 12 && strings.HasPrefix(id, host)
}
