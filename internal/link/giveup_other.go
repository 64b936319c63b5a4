//go:build !linux

package link

import (
	"net"
	"time"
)

// GiveUpAfter leaves the time to the system: there is no common way to set it.
func GiveUpAfter(*net.TCPConn, time.Duration) error { return nil }
