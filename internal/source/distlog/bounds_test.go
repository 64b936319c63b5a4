package distlog

import (
	"context"
	"strings"
	"testing"
	"unsafe"

	wire "github.com/weirlog/weir/internal/codec/distlog"
	"github.com/weirlog/weir/internal/codec/pickle"
	"github.com/weirlog/weir/internal/record"
)

// mostIdle is how much memory a connection may hold while it waits, beside the buffers of its
// socket.
const mostIdle = 128 << 10

// inBounds fails if the record of a message of n bytes, which the batch has alone, has more in
// the arena than it may, or a span that is not all there.
func inBounds(t *testing.T, x *taker, n int) {
	t.Helper()
	b := x.batch
	if b == nil {
		return
	}
	if most := 6*n + 16<<20; len(b.Arena) > most {
		t.Errorf("%d bytes in the arena, of a message of %d: more than %d", len(b.Arena), n, most)
	}
	whole := func(s record.Span) {
		if int(s.Off)+int(s.Len) > len(b.Arena) {
			t.Errorf("%+v of %d bytes", s, len(b.Arena))
		}
	}
	sizes := map[int]int{}
	for _, f := range b.Fields {
		whole(f.Name)
		whole(f.Value)
		if !strings.HasPrefix(string(b.Bytes(f.Name)), "wire_") {
			sizes[f.Record] += int(f.Value.Len)
		}
	}
	for i := range b.Records {
		whole(b.Records[i].Body)
		if b.Records[i].Body.Len > maxLineBytes || sizes[i] > maxFieldBytes+maxHost {
			t.Errorf("record %d has a text of %d bytes, and fields of %d", i, b.Records[i].Body.Len, sizes[i])
		}
	}
}

// held is how much memory a connection holds.
func (t *taker) held() int {
	n := t.decoder.Held() + int(unsafe.Sizeof(*t)) + cap(t.attrs)*int(unsafe.Sizeof(wire.Attr{})) + cap(t.pairs)*int(unsafe.Sizeof(pickle.Pair{})) +
		cap(t.letters) + cap(t.build.scratch) + cap(t.build.host) + cap(t.build.shape.slots)*int(unsafe.Sizeof(slot{})) + cap(t.faults.held.Arena)
	for _, s := range append(t.build.shape.slots[:len(t.build.shape.slots):len(t.build.shape.slots)], t.build.shape.odd, t.build.shape.key, t.build.shape.ours) {
		n += cap(s.name) + cap(s.field)
	}
	if t.batch != nil {
		n += cap(t.batch.Arena)
	}
	return n
}

// TestIdle: what a connection holds while it waits is little, after the largest messages too,
// and machines for long pickles are there again.
func TestIdle(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Quarantine = 1 << 20 })
	many := func(format string, n int) string { return strings.Repeat(format, n) }
	var attrs strings.Builder
	for i := range 4000 {
		attrs.WriteString(`,"` + strings.Repeat(string(rune('a'+i%26)), 200) + strings.Repeat("x", i%50) + `":"\n"`)
	}
	for name, m := range map[string][2]string{
		"a pickle of many values":  {"PLP", "\x80\x02}(X\x07\x00\x00\x00messageX\x01\x00\x00\x00xX\x01\x00\x00\x00a](" + many("N", 255_000) + "eu."},
		"a short one":              {"PLP", "\x80\x02}(X\x07\x00\x00\x00messageX\x01\x00\x00\x00xX\x01\x00\x00\x00a](" + many(")Q", 2000) + "eu."},
		"a pickle that is none":    {"PLP", "\x80\x02(" + many("K\x01", 255_000)},
		"a long text":              {"PLJ", `{"message":"` + many(`\n`, 2<<20-100) + `"}`},
		"many attributes":          {"PLJ", `{"message":"x"` + attrs.String() + `}`},
		"many attributes in pairs": {"PLP", "\x80\x02}(X\x07\x00\x00\x00messageX\x01\x00\x00\x00x" + many("X\x01\x00\x00\x00aN", 250) + "u."},
		"no JSON":                  {"PLJ", many("x", 1<<20)},
	} {
		x := w.discard(t)
		if err := x.Message(context.Background(), [][]byte{[]byte(m[0]), []byte(m[1])}); err != nil {
			t.Fatal(err)
		}
		if len(w.source.machines) != machines {
			t.Errorf("%s: a machine is not given back", name)
		}
		if err := x.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		if n := x.held(); n > mostIdle {
			t.Errorf("%s: %d bytes are held", name, n)
		}
	}
	for range machines {
		if d := <-w.source.machines; d.Held() > mostIdle {
			t.Errorf("a machine holds %d bytes", d.Held())
		}
	}
}

// TestMachines: long pickles wait for a machine, short ones and others do not, and whoever waits
// gives up at the end.
func TestMachines(t *testing.T) {
	w := newWorld(t, nil)
	x := w.discard(t)
	ctx, cancel := context.WithCancel(context.Background())
	list := func(n int) [][]byte {
		return [][]byte{[]byte("PLP"), []byte("\x80\x02}(X\x07\x00\x00\x00messageX\x01\x00\x00\x00xX\x01\x00\x00\x00a](" + strings.Repeat("N", n) + "eu.")}
	}
	for range machines {
		<-w.source.machines
	}
	for _, m := range [][][]byte{list(10), list(1000), {[]byte("PLJ"), []byte(`{"message":"` + strings.Repeat("x", 100_000) + `"}`)}} {
		if err := x.Message(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := x.Message(ctx, list(maxOwn)); err == nil {
		t.Error("there was a machine")
	}
	w.source.machines <- new(pickle.Decoder)
	for range 3 { // one host after the other, with one batch
		for _, host := range []string{"a", "b"} {
			body := "\x80\x02}(X\x07\x00\x00\x00messageX\x01\x00\x00\x00xX\x08\x00\x00\x00hostnameX\x01\x00\x00\x00" + host + "X\x01\x00\x00\x00a](" + strings.Repeat("N", 5000) + "eu."
			if err := x.Message(context.Background(), [][]byte{[]byte("PLP"), []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := x.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a, b := w.got[strings.Replace(vm, "vm", "a", 1)], w.got[strings.Replace(vm, "vm", "b", 1)]; len(a) != 3 || len(b) != 3 {
		t.Errorf("%d and %d records: %v", len(a), len(b), w.got)
	}
}
