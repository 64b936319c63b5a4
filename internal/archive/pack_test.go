package archive

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
)

// mistaken flips a byte of the frames whose turn it is.
type mistaken struct {
	compress.Encoder
	wrong []bool
}

func (m *mistaken) AppendFrame(dst, src []byte) []byte {
	dst = m.Encoder.AppendFrame(dst, src)
	if len(m.wrong) > 0 {
		if m.wrong[0] {
			dst[len(dst)-6] ^= 1
		}
		m.wrong = m.wrong[1:]
	}
	return dst
}

// TestPackMistake: what an encoder that makes mistakes has packed is noticed and kept as it
// is, and then no block more is trusted.
func TestPackMistake(t *testing.T) {
	text := []byte(strings.Repeat("a line of text\n", 100) + "and its end")
	packs := func(p *packer, now time.Time) (sound bool) {
		var dec compress.Decoder
		got, err := dec.AppendBlock(nil, p.pack(text, now, slog.New(slog.DiscardHandler)), len(text))
		return err == nil && bytes.Equal(got, text)
	}
	now := time.Now()
	for _, c := range []struct {
		name  string
		every time.Duration
		wrong int // which of the blocks
		sound bool
	}{
		{"the first", 0, 0, true},
		{"one of few", checkEvery, 5, true},
		{"the eighth of many", 0, checkBlocks, true},
		{"another of many", 0, checkBlocks - 1, false},
	} {
		wrong := make([]bool, c.wrong+1)
		wrong[c.wrong] = true
		p := &packer{enc: &mistaken{wrong: wrong}}
		at := now
		for i := range wrong {
			if sound := packs(p, at); sound != (c.sound || i < c.wrong) {
				t.Errorf("%s: block %d: %v", c.name, i, sound)
			}
			at = at.Add(c.every)
		}
		if p.mistake != c.sound {
			t.Errorf("%s: noticed: %v", c.name, p.mistake)
		}
	}
	p := &packer{enc: &mistaken{wrong: []bool{true, true, true}}}
	for i := range 4 {
		if !packs(p, now) {
			t.Errorf("block %d after a mistake", i)
		}
	}
	p = &packer{enc: new(compress.Encoder), seen: now.Add(time.Hour)} // the clock went back
	if packs(p, now); p.seen != now {
		t.Error("a block was trusted for a time to come")
	}
}
