package statsd

import (
	"fmt"
	"math/rand/v2"
	"testing"

	wire "github.com/weirlog/weir/internal/codec/statsd"
)

// TestTable compares a table with a map, over series that come, are found and go: names that are
// in their keys, and names that several keys share.
func TestTable(t *testing.T) {
	type line struct {
		name, tags string
		typ        wire.Type
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		table := newTable()
		want := map[line]float64{}
		some := func() line {
			l := line{name: fmt.Sprintf("app.n%d", rnd.IntN(20)), typ: wire.Type(rnd.IntN(3))}
			if rnd.IntN(3) > 0 {
				l.tags = fmt.Sprintf("path:%d", rnd.IntN(40))
			}
			return l
		}
		for i := range 4000 {
			l := some()
			n := table.find([]byte(l.name), []byte(l.tags), l.typ)
			sum, known := want[l]
			if known != (n >= 0) || known && table.at(n).sum != sum {
				t.Fatalf("seed %d: %v is slot %d", seed, l, n)
			}
			if !known {
				key, size, name := l.name+l.tags, len(l.name), ""
				if l.tags != "" && rnd.IntN(2) == 0 {
					key, size, name = l.tags, 0, l.name
				}
				want[l] = float64(i)
				table.at(table.add(key, table.head(size, name), l.typ)).sum = want[l]
			}
			if i%500 == 499 {
				gone := fmt.Sprintf("app.n%d", rnd.IntN(20))
				table.expire(func(s *slot) bool {
					name, tags := table.parts(s)
					if name == gone || rnd.IntN(4) == 0 {
						delete(want, line{name, tags, s.typ})
						return true
					}
					return false
				})
				if table.n != len(want) || len(table.shared) != len(table.sharing) || len(table.shared) > 20 {
					t.Fatalf("seed %d: %d slots of %d, %d names for %d", seed, table.n, len(want), len(table.shared), len(table.sharing))
				}
			}
		}
		table.expire(func(*slot) bool { return true })
		if table.n != 0 || len(table.shared) != 0 || len(table.sharing) != 0 {
			t.Errorf("seed %d: %d slots and %d names are left", seed, table.n, len(table.shared))
		}
	}
}
