package datadog

import (
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/deliver/delivertest"
)

// TestMasks has an intake and a proxy that repeat what they were told.
func TestMasks(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.APIKey, c.URL = "hush/hush", delivertest.Start(t, 503).URL+"/api/v2/logs" })
	delivertest.Hidden(t, "key", w.try(w.batch("a", 1, 1)).Error())
	for _, url := range []string{"http://intake.acme.test/api/v2/logs", "https://intake.acme.test/api/v2/logs"} {
		w := newWorld(t, func(c *Config) { c.Proxy, c.URL = config.Secret(delivertest.Proxy(delivertest.Start(t, 502))), url })
		delivertest.Hidden(t, url, w.try(w.batch("a", 1, 1)).Error())
	}
}

// TestEnvironmentProxy has a proxy of the environment that repeats its password.
func TestEnvironmentProxy(t *testing.T) {
	if !delivertest.Behind(t) {
		return
	}
	for _, url := range []string{"http://intake.acme.test/api/v2/logs", "https://intake.acme.test/api/v2/logs"} {
		w := newWorld(t, func(c *Config) { c.URL = url })
		delivertest.Hidden(t, url, w.try(w.batch("a", 1, 1)).Error())
	}
}
