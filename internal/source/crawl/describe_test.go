package crawl

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	with := func(p position, ids ...string) *position {
		for _, id := range ids {
			p.seen.add(p.since, hashID([]byte(id)))
		}
		return &p
	}
	const at = 1795255207000000000
	for _, c := range []struct {
		p    *position
		want string
	}{
		{with(position{}), "none"},
		{with(position{kind: timeKind}), "the beginning"},
		{with(position{kind: timeKind, since: at}), "time 2026-11-21T10:00:07Z"},
		{with(position{kind: timeKind, since: at}, "a"), "time 2026-11-21T10:00:07Z, and the id of 1 record since then"},
		{with(position{kind: timeKind, since: at}, "a", "b"), "time 2026-11-21T10:00:07Z, and the ids of 2 records since then"},
		{with(position{kind: idKind}), "no id yet"},
		{with(position{kind: idKind, cursor: []byte("e-\x1b17")}), `id "e-\x1b17"`},
		{with(position{kind: tokenKind, cursor: []byte("abc")}), `token "abc"`},
		{with(position{kind: execKind}), "none: the program gave no cursor"},
		{with(position{kind: execKind, cursor: []byte(`{"n":3}`)}), `{"n":3}`},
	} {
		if got := c.p.describe(); got != c.want {
			t.Errorf("%q; want %q", got, c.want)
		}
	}
}

// TestMissing names what no record has of that which is looked for.
func TestMissing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"id":1,"at":"2026-11-21T10:00:00Z","by":{"name":"leo"}},{"id":2,"at":"2026-11-21T10:00:01Z","text":"second","by":null}]`)
	}))
	defer server.Close()
	c := testConfig(func(s *Stream) {
		s.URL, s.Time, s.ID, s.Level, s.Message = server.URL, "at", "key", "level", "text"
		s.Fields = map[string]string{"user": "by.name", "host": "by.host"}
	})
	w := newWorld(t)
	s := w.source(c, true)
	if m := s.Missing()["events"]; len(m) != 0 {
		t.Errorf("before it ran: %q", m)
	}
	s.Try()
	if err := s.Run(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	want := []string{"id: no record has key; the first has id, at, by", "level: no record has level; the first has id, at, by", "fields.host: no record has by.host; the first has id, at, by"}
	if got := s.Missing()["events"]; !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	if got := s.Cursors()["events"]; got != "time 2026-11-21T10:00:01Z, and the id of 1 record since then" {
		t.Errorf("the cursor is %q", got)
	}
}

// TestKeysOf takes any text for a record.
func TestKeysOf(t *testing.T) {
	for raw, want := range map[string]string{
		`{ "a" : 1 , "b":{"c":[1,2]} }`: "a, b", `"text"`: "", `{}`: "", `{"a":1`: "a", `{"a"`: "a", `{"a":1,}`: "a", ``: "", `{"` + strings.Repeat("k", 300) + `":1}`: "",
	} {
		if got := keysOf([]byte(raw)); got != want {
			t.Errorf("%s has %q; want %q", raw, got, want)
		}
	}
}

// FuzzKeysOf bounds what is told of a record, whatever it is.
func FuzzKeysOf(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":[1,2]}}`)
	f.Add(`{"a`)
	f.Add(`[{}]`)
	f.Fuzz(func(t *testing.T, raw string) {
		if keys := keysOf([]byte(raw)); len(keys) > maxKeys {
			t.Errorf("%d bytes of keys", len(keys))
		}
	})
}
