package crawl

import (
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
)

func TestValidate(t *testing.T) {
	if err := (&Config{}).check(); err == nil {
		t.Error("nothing is valid")
	}
	good := func(change func(*Config, *Stream)) {
		t.Helper()
		if err := changed(change).check(); err != nil {
			t.Error(err)
		}
	}
	good(func(*Config, *Stream) {})
	good(func(c *Config, s *Stream) {
		c.Proxy, c.Rate = "socks5://10.0.0.1:1080", Rate{100, time.Minute}
		c.Auth.OAuth2 = OAuth2{TokenURL: "https://login.acme.test", ClientID: "x"}
		s.Pages, s.Window, s.Start = Pages{By: "token", Token: "header:X-Next", Param: "t", Max: 1}, time.Hour, "720h"
	})
	good(func(_ *Config, s *Stream) { s.Cursor, s.Time, s.ID, s.Order = "id", "", "seq", "descending" })
	good(func(_ *Config, s *Stream) { *s = streamConfig(func(s *Stream) { s.Exec = []string{"x"} }) })
	bad := func(want string, change func(*Config, *Stream)) {
		t.Helper()
		if err := changed(change).check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	bad("interval: use a time from 1s", func(c *Config, _ *Stream) { c.Interval = 0 })
	bad("jitter", func(c *Config, _ *Stream) { c.Jitter = -1 })
	bad("timeout", func(c *Config, _ *Stream) { c.Timeout = 0 })
	bad("max_response", func(c *Config, _ *Stream) { c.MaxResponse = 1 })
	bad("rate: ", func(c *Config, _ *Stream) { c.Rate = Rate{Requests: -1} })
	bad("proxy: ", func(c *Config, _ *Stream) { c.Proxy = "gate:3128" })
	bad("labels.stream", func(c *Config, _ *Stream) { c.Labels = map[string]string{"stream": "x"} })
	bad("labels.a-b", func(_ *Config, s *Stream) { s.Labels = map[string]string{"a-b": "x"} })
	bad("streams.a/b", func(c *Config, s *Stream) { c.Streams["a/b"] = *s })
	bad("headers.a b", func(c *Config, _ *Stream) { c.Headers = map[string]config.Secret{"a b": "x"} })
	bad("no line ends", func(_ *Config, s *Stream) { s.Headers = map[string]config.Secret{"a": "x\n"} })
	bad("give one of basic", func(c *Config, _ *Stream) { c.Auth = Auth{Basic: Basic{User: "x"}, Bearer: "y"} })
	bad("basic.user", func(c *Config, _ *Stream) { c.Auth = Auth{Basic: Basic{Password: "x"}} })
	bad("leave out the word Bearer", func(c *Config, _ *Stream) { c.Auth.Bearer = "Bearer x" })
	bad("oauth2.client_id", func(c *Config, _ *Stream) { c.Auth.OAuth2.TokenURL = "https://login.acme.test" })
	bad("url: say what is asked", func(_ *Config, s *Stream) { s.URL = "" })
	bad("its host is no template", func(_ *Config, s *Stream) { s.URL = "https://{{.Cursor}}/x" })
	bad("auth.basic", func(_ *Config, s *Stream) { s.URL = "https://leo:secret@acme.test" })
	bad("url: give a URL", func(_ *Config, s *Stream) { s.URL = "acme.test/x" })
	bad("query.since: template: ", func(_ *Config, s *Stream) { s.Query = map[string]string{"since": "{{.Sinze}}"} })
	bad("url or exec", func(_ *Config, s *Stream) { s.Exec = []string{"x"} })
	bad("method", func(_ *Config, s *Stream) { s.Method = "get" })
	bad("time: say where", func(_ *Config, s *Stream) { s.Time = "" })
	bad("id: say where", func(_ *Config, s *Stream) { s.Cursor = "id" })
	bad("query: with cursor: id", func(_ *Config, s *Stream) { s.Cursor, s.ID = "id", "x" })
	bad("order: with cursor: id", func(_ *Config, s *Stream) { s.Cursor, s.ID, s.Order = "id", "x", "any" })
	bad("pages.by", func(_ *Config, s *Stream) { s.Cursor = "token" })
	bad("overlap and window", func(_ *Config, s *Stream) { s.Cursor, s.ID, s.Overlap = "id", "x", 1 })
	bad("start: use beginning", func(_ *Config, s *Stream) { s.Start = "soon" })
	bad("windows need a beginning", func(_ *Config, s *Stream) { s.Start, s.Window = "beginning", time.Hour })
	bad("pages.token: say where", func(_ *Config, s *Stream) { s.Pages.By = "url" })
	bad("pages.token: this is for", func(_ *Config, s *Stream) { s.Pages.Token = "x" })
	bad("pages.param", func(_ *Config, s *Stream) { s.Pages.By, s.Pages.Token, s.Records = "token", "next", "data" })
	bad("pages.max", func(_ *Config, s *Stream) { s.Pages.Max = 0 })
	bad("records: say where", func(_ *Config, s *Stream) { s.Error, s.Records = "error", "" })
	bad("nothing but records", func(_ *Config, s *Stream) { s.Error, s.Format = "error", "ndjson" })
	bad("records: a key is missing", func(_ *Config, s *Stream) { s.Records = "a..b" })
	bad("level: [*] is for records", func(_ *Config, s *Stream) { s.Level = "a[*]" })
	bad("time_zone", func(_ *Config, s *Stream) { s.TimeZone = "Mars" })
	bad("time_format", func(_ *Config, s *Stream) { s.TimeFormat = "iso" })
	bad("this is of a url", func(_ *Config, s *Stream) {
		*s = streamConfig(func(s *Stream) { s.Exec, s.Records = []string{"x"}, "data" })
	})
	bad("dir and env", func(_ *Config, s *Stream) { s.Dir = "/x" })
}

func changed(change func(*Config, *Stream)) *Config {
	c := testConfig(func(s *Stream) { s.URL, s.Time = "https://acme.test/x", "at" })
	s := c.Streams["events"]
	change(&c, &s)
	c.Streams["events"] = s
	return &c
}
