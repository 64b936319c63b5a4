package archive

import (
	"bytes"
	"log/slog"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
)

// packer compresses blocks. A mistake of the encoder would cost text, of which nothing else
// is left then, so what it made is unpacked again: each block, up to some a second, and of
// more that come in each second every eighth, until a first mistake is found.
type packer struct {
	enc encoder
	dec compress.Decoder
	// packed is the last block's frame, and unpacked what it unpacked to.
	packed, unpacked []byte

	unseen  int       // blocks since the last one that was unpacked
	seen    time.Time // when that was
	mistake bool
}

// encoder is compress.Encoder, or one that makes mistakes, for a test.
type encoder interface {
	AppendFrame(dst, src []byte) []byte
}

const (
	checkEvery  = 100 * time.Millisecond
	checkBlocks = 8
)

// pack returns text as a frame.
func (p *packer) pack(text []byte, now time.Time, log *slog.Logger) []byte {
	p.packed = p.enc.AppendFrame(p.packed[:0], text)
	p.unseen++
	if since := now.Sub(p.seen); !p.mistake && p.unseen < checkBlocks && since >= 0 && since < checkEvery {
		return bytes.Clone(p.packed)
	}
	p.unseen, p.seen = 0, now
	var err error
	p.unpacked, err = p.dec.AppendBlock(p.unpacked[:0], p.packed, len(text))
	if err == nil && bytes.Equal(p.unpacked, text) {
		return bytes.Clone(p.packed)
	}
	p.mistake = true
	log.Error("a block did not unpack to what was packed; it is kept uncompressed: please report this", "bytes", len(text), "error", err)
	return compress.AppendStored(nil, text)
}
