package crawl

import "testing"

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
