// Package remote names the messages of remote write, as Prometheus' configuration does.
package remote

// WriteMessageType is the name of a message.
type WriteMessageType string

// Validate refuses none: there is no such configuration in weir.
func (WriteMessageType) Validate() error { return nil }

// The messages that are named.
const (
	WriteV1MessageType WriteMessageType = "prometheus.WriteRequest"
	WriteV2MessageType WriteMessageType = "io.prometheus.write.v2.Request"
)
