package agent

import (
	"strings"
	"testing"
)

// TestSubscribedToItself refuses what would come back without end.
func TestSubscribedToItself(t *testing.T) {
	for _, test := range []struct {
		listen, subscribe, match string
		refused                  bool
	}{
		{"tcp://127.0.0.1:5011", "tcp://127.0.0.1:5011", "{}", true},
		{"tcp://*:5011", "tcp://localhost:5011", `{system="test"}`, true},
		{"ipc:///run/x", "ipc:///run/x", `{source="app"}`, true},
		{"tcp://127.0.0.1:5011", "tcp://127.0.0.1:5012", "{}", false},
		{"tcp://127.0.0.1:5011", "tcp://192.0.2.1:5011", "{}", false},
		{"ipc:///run/x", "ipc:///run/y", "{}", false},
		{"tcp://127.0.0.1:5011", "tcp://127.0.0.1:5011", `{source!="app"}`, false},
	} {
		_, mistakes := loaded(t, "sources: {app: {type: distlog, subscribe: ['"+test.subscribe+"']}}\nsinks: {public: {type: zmq, insecure: true, listen: ['"+test.listen+"'], match: '"+test.match+"'}}\n")
		if refused := strings.Contains(mistakes, "again and again"); refused != test.refused || !refused && mistakes != "" {
			t.Errorf("%+v: %s", test, mistakes)
		}
	}
}
