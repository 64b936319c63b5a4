package deploy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/agent"
)

// TestConfigurations checks the configurations here as `weir check` does; the one of the
// image in its own environment, where a token was made.
func TestConfigurations(t *testing.T) {
	for name, token := range map[string]string{"weir.yaml": "", "http.yaml": "", "image.yaml": strings.Repeat("token", 5)} {
		_, mistakes := agent.Load(agent.Files{
			Paths:    []string{name},
			Env:      func(string) (string, bool) { return "", false },
			Hostname: "web-1",
			Token:    token,
			ReadFile: os.ReadFile,
		})
		for _, m := range mistakes {
			t.Error(m)
		}
	}
}
