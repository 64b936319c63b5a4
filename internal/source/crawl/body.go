package crawl

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/config"
)

// accepted are the encodings of responses that unpack knows.
const accepted = "gzip, zstd, deflate"

// unpack returns a response's body without its encoding. close gives memory back.
func unpack(body io.Reader, encoding string) (plain io.Reader, close func(), err error) {
	none := func() {}
	switch encoding = strings.ToLower(strings.TrimSpace(encoding)); encoding {
	case "", "identity":
		return body, none, nil
	case "gzip", "x-gzip":
		plain, err = gzip.NewReader(body)
		if errors.Is(err, io.EOF) { // nothing at all
			return strings.NewReader(""), none, nil
		}
	case "zstd":
		s, failed := compress.NewStream(body)
		if failed != nil {
			return nil, none, failed
		}
		return s, func() { _ = s.Close() }, nil
	case "deflate":
		// It is zlib by the standard, and without that's frame by some. Zlib can be told by its
		// first two bytes.
		b := bufio.NewReader(body)
		head, _ := b.Peek(2)
		switch {
		case len(head) == 0:
			return strings.NewReader(""), none, nil
		case len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0:
			plain, err = zlib.NewReader(b)
		default:
			plain = flate.NewReader(b)
		}
	default:
		return nil, none, fmt.Errorf("the response comes in the encoding %.40q, which was not asked for", encoding)
	}
	if err != nil {
		return nil, none, fmt.Errorf("unpack the response: %w", err)
	}
	return plain, none, nil
}

// capped is a reader that may give so many bytes.
type capped struct {
	src        io.Reader
	left, most int64
	over       bool
	packed     *capped // what src unpacks, which may tell less of why it ends; or nil
}

// Read implements io.Reader.
func (c *capped) Read(p []byte) (int, error) {
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.src.Read(p)
	if c.over = int64(n) > c.left; c.over || err != nil && c.packed != nil && c.packed.over {
		return min(n, int(c.left)), fmt.Errorf("the response has more than %s (max_response)", config.Bytes(c.most))
	}
	c.left -= int64(n)
	return n, err
}

// patient is a body that ends a request when it is silent for too long while it is read.
type patient struct {
	io.ReadCloser
	timer   *time.Timer
	timeout time.Duration
	context func() error // why the request has ended
	end     context.CancelCauseFunc
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	p.timer.Reset(p.timeout)
	n, err := p.ReadCloser.Read(b)
	p.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := p.context(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close implements io.Closer.
func (p *patient) Close() error {
	p.timer.Stop()
	p.end(nil)
	return p.ReadCloser.Close()
}
