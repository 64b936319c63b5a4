package pickle

import (
	"fmt"
	"unsafe"
)

// MaxWork is how many bytes may be touched because of a pickle of n bytes.
func MaxWork(n int) int { return minWork + workPerByte*n }

// Bounds returns what of d is beyond its bounds.
func (d *Decoder) Bounds() error {
	n := len(d.src)
	for what, c := range map[string]struct{ have, most int }{
		"bytes in the arena": {len(d.arena), minArena + 5*n}, "work": {MaxWork(n) - d.work, MaxWork(n)},
		"nodes": {len(d.nodes), min(maxNodes, 3*n+1)}, "memo": {len(d.memo), min(maxNodes, n) + 1}, "stack": {len(d.stack), maxNodes}, "marks": {len(d.marks), maxMarks},
		"items": {len(d.items), 4 * maxNodes}, "runs": {len(d.runs), 2*n + 1},
		"size of a node": {int(unsafe.Sizeof(node{})), nodeSize}, "size of a run": {int(unsafe.Sizeof(run{})), runSize},
	} {
		if c.have > c.most {
			return fmt.Errorf("%s: %d, more than %d", what, c.have, c.most)
		}
	}
	return nil
}
