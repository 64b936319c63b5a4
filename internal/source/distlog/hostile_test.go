package distlog

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/source/distlog/hostiletest"
)

// most is how much memory one hostile message of up to 4 MiB may make the source allocate, all
// that is freed again included.
const most = 48 << 20

// TestHostile: each hostile message is counted as bad or becomes a record, with bounded work,
// and the next good one is taken.
func TestHostile(t *testing.T) {
	all := hostiletest.Messages()
	if len(all) < 90 {
		t.Fatalf("%d hostile messages", len(all))
	}
	w := newWorld(t, nil)
	taker := w.discard(t)
	ctx := context.Background()
	good := []byte(`{"message": "good", "hostname": "vm"}`)
	names := map[string]bool{}
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			if names[m.Name] {
				t.Error("there are two of that name")
			}
			names[m.Name] = true
			if n := len(bytes.Join(m.Parts, nil)); n > 4<<20 {
				t.Errorf("it has %d bytes, which no connection takes", n)
			}
			records, bad := w.sum("weir_distlog_records_total"), w.sum("weir_distlog_bad_messages_total")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := taker.Message(ctx, m.Parts); err != nil {
				t.Fatal(err)
			}
			inBounds(t, taker, len(m.Parts[len(m.Parts)-1]))
			if err := taker.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if n := taker.held(); n > mostIdle {
				t.Errorf("%d bytes are held", n)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > most {
				t.Errorf("%d MiB were allocated", n>>20)
			}
			records, bad = w.sum("weir_distlog_records_total")-records, w.sum("weir_distlog_bad_messages_total")-bad
			if m.Record != (records == 1) || m.Record != (bad == 0) || records+bad != 1 {
				t.Errorf("%v records and %v bad ones; log: %s", records, bad, w.log.String())
			}
			if err := taker.Message(ctx, [][]byte{[]byte("PLJ"), good}); err != nil {
				t.Fatal(err)
			}
			if err := taker.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
	w.has(vm, strings.Split(strings.TrimSuffix(strings.Repeat("unknown good|", len(all)), "|"), "|")...)
}

// TestQuarantine: bad messages are kept apart, as much as is allowed.
func TestQuarantine(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quarantine = 40_000 }).run()
	p := w.dial()
	p.text("PLJ", "hello")
	p.text("PLP", "\x80\x02."+strings.Repeat("x", 30_000))
	p.text("PLP", strings.Repeat("y", 30_000))
	p.text("PLJ", strings.Repeat("z", 30_000)) // there is no room for it
	p.send([]byte("one part"))
	p.text("PLJ", `{"message": "good", "hostname": "vm"}`)
	w.records(5)
	w.until("all are counted", func() bool { return w.sum("weir_distlog_bad_messages_total") == 5 })
	if n := len(w.got[`{log="quarantine", source="app"}`]); n != 4 {
		t.Fatalf("%d are kept", n)
	}
	for i, want := range []string{"warn hello reason=JSON: not well-formed sender=127.0.0.1", "warn 16384 bytes, flags 8 reason=pickle: not well-formed…",
		"warn 16384 bytes, flags 8 reason=pickle: not well-formed…", "warn one part reason=not two parts sender=127.0.0.1"} {
		got := w.got[`{log="quarantine", source="app"}`][i]
		_, got, _ = strings.Cut(got, " ") // the time
		if rest, cut := strings.CutSuffix(want, "…"); got != want && !(cut && strings.HasPrefix(got, rest)) {
			t.Errorf("%d is %q, want %q", i, got, want)
		}
	}
	for reason, n := range map[string]float64{"JSON: not well-formed": 2, "pickle: not well-formed": 2, "not two parts": 1} {
		if got := w.sum("weir_distlog_bad_messages_total", `reason="`+reason+`"`); got != n {
			t.Errorf("%s: %v", reason, got)
		}
	}
}
