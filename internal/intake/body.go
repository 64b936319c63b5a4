package intake

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/weirlog/weir/internal/codec/compress"
)

const (
	// firstRead is how much memory a body gets before it is known to be larger.
	firstRead = 64 << 10
	// maxKept is the largest buffer that is kept for the next request.
	maxKept = 2 << 20
)

var (
	// ErrTooLarge says that a body is larger than it may be, unpacked or not.
	ErrTooLarge = errors.New("the body is too large")
	// ErrBusy says that other requests have the memory.
	ErrBusy = errors.New("too many pushes are in work")
)

// Budget bounds the memory for the bodies of all requests.
type Budget struct {
	// Max is how many bytes they may have.
	Max  int64
	used atomic.Int64
}

// Used returns how many bytes are in use.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.Max {
		b.give(n)
		return false
	}
	return true
}

func (b *Budget) give(n int) { b.used.Add(-int64(n)) }

// Encoding is how a body is packed.
type Encoding string

// The encodings.
const (
	Plain   Encoding = ""        // the text as it is
	Gzip    Encoding = "gzip"    // of RFC 1952
	Deflate Encoding = "deflate" // of RFC 1950, or as in RFC 1951 without a frame
	Zstd    Encoding = "zstd"    // frames, with windows of 8 MiB at most
	Snappy  Encoding = "snappy"  // a block without frames
)

// Body is the memory of one request, which may be used again for another.
type Body struct {
	// Text is what was read last, unpacked.
	Text []byte

	packed []byte
	taken  int // of the budget: the capacity of both
	limit  int // of the text, in bytes
	budget *Budget
	gzip   *gzip.Reader
	zstd   *compress.Reader
}

// Begin takes the memory that b has already from a budget, for a text of at most limit bytes.
// False says that there is not so much; else End must be called.
func (b *Body) Begin(from *Budget, limit int) bool {
	b.budget, b.limit, b.taken = from, limit, cap(b.packed)+cap(b.Text)
	return from.take(b.taken)
}

// End gives the memory back.
func (b *Body) End() {
	b.budget.give(b.taken)
	if cap(b.packed) > maxKept {
		b.packed = nil
	}
	if cap(b.Text) > maxKept {
		b.Text = nil
	}
}

// Read reads a body that is packed in several ways, the last of which is undone first.
func (b *Body) Read(from io.Reader, packed ...Encoding) error {
	if err := b.readAll(from); err != nil {
		return err
	}
	for _, e := range packed {
		if e == Plain {
			continue
		}
		b.packed, b.Text = b.Text, b.packed
		if err := b.unpack(e); err != nil {
			return err
		}
	}
	return nil
}

// Unpack reads a text that is packed and in memory already.
func (b *Body) Unpack(packed []byte, e Encoding) error {
	was := b.packed
	b.packed = packed
	err := b.unpack(e)
	b.packed = was
	return err
}

func (b *Body) unpack(e Encoding) error {
	if e == Snappy {
		return b.unsnappy()
	}
	from, err := b.unpacker(e)
	if err == nil {
		err = b.readAll(from)
	}
	if errors.Is(err, compress.ErrTooLarge) {
		return ErrTooLarge
	}
	if err != nil {
		return fmt.Errorf("unpack %s: %w", e, err)
	}
	return nil
}

// readAll reads the text, up to the limit.
func (b *Body) readAll(from io.Reader) error {
	b.Text = b.Text[:0]
	for {
		if len(b.Text) == cap(b.Text) {
			if err := b.grow(min(max(2*cap(b.Text), firstRead), b.limit+1)); err != nil {
				return err
			}
		}
		n, err := from.Read(b.Text[len(b.Text):cap(b.Text)])
		b.Text = b.Text[:len(b.Text)+n]
		switch {
		case len(b.Text) > b.limit:
			return ErrTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// grow gives the text room for that many bytes.
func (b *Body) grow(size int) error {
	more := size - cap(b.Text)
	if more <= 0 {
		return nil
	}
	if !b.budget.take(more) {
		return ErrBusy
	}
	b.taken += more
	text := make([]byte, len(b.Text), size)
	copy(text, b.Text)
	b.Text = text
	return nil
}

func (b *Body) unsnappy() error {
	b.Text = b.Text[:0]
	if size, n := binary.Uvarint(b.packed); n > 0 && size <= uint64(b.limit) {
		if err := b.grow(int(size)); err != nil {
			return err
		}
	}
	var err error
	b.Text, err = compress.UncompressSnappy(b.Text[:0], b.packed, b.limit)
	if errors.Is(err, compress.ErrTooLarge) {
		return ErrTooLarge
	}
	return err
}

// unpacker returns a reader of what is packed. What is called deflate on the web is zlib, but
// some, as Loki, take it for what its name says; zlib can be told by its first two bytes.
func (b *Body) unpacker(e Encoding) (io.Reader, error) {
	packed, from := b.packed, bytes.NewReader(b.packed)
	switch {
	case e == Gzip && b.gzip == nil:
		r, err := gzip.NewReader(from)
		b.gzip = r
		return r, err
	case e == Gzip:
		return b.gzip, b.gzip.Reset(from)
	case e == Zstd:
		if b.zstd == nil {
			b.zstd = compress.NewReader(b.limit)
		}
		return b.zstd, b.zstd.Reset(from)
	case e != Deflate:
		return nil, fmt.Errorf("encoding %q is not known", e)
	case len(packed) >= 2 && packed[0]&0x0f == 8 && (int(packed[0])<<8|int(packed[1]))%31 == 0:
		return zlib.NewReader(from)
	}
	return flate.NewReader(from), nil
}

// Limit returns how large the text may be.
func (b *Body) Limit() int { return b.limit }

// Rewrite makes another text of the present one: what write appends to its first argument. Before
// it appends something it asks room for that.
func (b *Body) Rewrite(write func(dst, text []byte, room func(dst []byte, more int) ([]byte, error)) ([]byte, error)) error {
	b.packed, b.Text = b.Text, b.packed
	text, err := write(b.Text[:0], b.packed, b.room)
	if err != nil {
		return err
	}
	b.Text = text
	if len(text) > b.limit {
		return ErrTooLarge
	}
	return nil
}

// charge takes so many bytes more from the budget, until End, for what the text is read into. It
// tells whether there are so many.
func (b *Body) charge(n int) bool {
	if !b.budget.take(n) {
		return false
	}
	b.taken += n
	return true
}

// slack is how much room may be asked for beyond the limit of a text that keeps to it.
const slack = 64

// room returns text, which grows, with room for more bytes.
func (b *Body) room(text []byte, more int) ([]byte, error) {
	size := len(text) + more
	switch {
	case size <= cap(text):
		return text, nil
	case size > b.limit+slack:
		return text, ErrTooLarge
	}
	b.Text = text
	err := b.grow(min(max(2*cap(text), size, firstRead), b.limit+slack))
	return b.Text, err
}
