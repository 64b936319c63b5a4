package intake_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"testing"

	"github.com/weirlog/weir/internal/codec/compress"
	"github.com/weirlog/weir/internal/intake"
)

// packed returns a text in every encoding.
func packed(t testing.TB, text []byte) map[intake.Encoding][]byte {
	t.Helper()
	pack := func(open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := open(&b)
		if _, err := w.Write(text); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var e compress.Encoder
	return map[intake.Encoding][]byte{
		intake.Plain:   text,
		intake.Gzip:    pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		intake.Deflate: pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
		intake.Zstd:    e.AppendFrame(nil, text),
		intake.Snappy:  compress.AppendSnappy(nil, text),
	}
}

func TestBody(t *testing.T) {
	budget := intake.Budget{Max: 8 << 20}
	var b intake.Body
	text := bytes.Repeat([]byte("some text. "), 10_000)
	for range 2 { // the second time with the memory of the first
		for e, body := range packed(t, text) {
			if !b.Begin(&budget, len(text)) {
				t.Fatal("no memory")
			}
			if err := b.Read(bytes.NewReader(body), e); err != nil || !bytes.Equal(b.Text, text) {
				t.Errorf("%s: %v, %d bytes", e, err, len(b.Text))
			}
			b.End()
			if budget.Used() != 0 {
				t.Errorf("%s: %d bytes are in use", e, budget.Used())
			}
		}
	}
	b.Begin(&budget, len(text))
	defer b.End()
	var raw bytes.Buffer
	w, _ := flate.NewWriter(&raw, 1)
	_, _ = w.Write(text)
	_ = w.Close()
	if err := b.Read(&raw, intake.Deflate); err != nil || !bytes.Equal(b.Text, text) {
		t.Error(err)
	}
	twice := packed(t, packed(t, text)[intake.Snappy])[intake.Gzip]
	if err := b.Read(bytes.NewReader(twice), intake.Gzip, intake.Snappy); err != nil || !bytes.Equal(b.Text, text) {
		t.Error(err)
	}
	if err := b.Unpack(packed(t, text)[intake.Zstd], intake.Zstd); err != nil || !bytes.Equal(b.Text, text) {
		t.Error(err)
	}
}

// TestBomb: what unpacks to more than it may is refused, and takes no more memory than that.
func TestBomb(t *testing.T) {
	const limit = 128 << 10
	budget := intake.Budget{Max: 4 * limit}
	for e, body := range packed(t, make([]byte, 16*limit)) {
		var b intake.Body
		b.Begin(&budget, limit)
		if err := b.Read(bytes.NewReader(body), e); !errors.Is(err, intake.ErrTooLarge) {
			t.Errorf("%s: %v", e, err)
		}
		if budget.Used() > 3*limit {
			t.Errorf("%s: %d bytes are in use", e, budget.Used())
		}
		b.End()
	}
	var b intake.Body
	small := intake.Budget{Max: 16 << 10}
	b.Begin(&small, limit)
	if err := b.Read(bytes.NewReader(make([]byte, limit))); !errors.Is(err, intake.ErrBusy) {
		t.Error(err)
	}
	b.End()
	if small.Used() != 0 {
		t.Error(small.Used())
	}
}

// TestRewrite: what a text becomes takes no more memory than there is, and none beyond the limit.
func TestRewrite(t *testing.T) {
	const limit = 128 << 10
	budget := intake.Budget{Max: 4 * limit}
	rewrite := func(b *intake.Body, size int) (most int, err error) {
		b.Begin(&budget, limit)
		defer b.End()
		if err := b.Read(bytes.NewReader(make([]byte, limit))); err != nil {
			t.Fatal(err)
		}
		err = b.Rewrite(func(dst, text []byte, room func([]byte, int) ([]byte, error)) ([]byte, error) {
			for range size / 10 {
				was := cap(dst)
				var err error
				if dst, err = room(dst, 10); err != nil {
					return dst, err
				}
				if dst = append(dst, "0123456789"...); cap(dst) != was {
					if most = max(most, cap(dst)); budget.Used() < int64(cap(dst)+cap(text)) {
						t.Fatalf("%d bytes of memory are in use, %d are taken", cap(dst)+cap(text), budget.Used())
					}
				}
			}
			return dst, nil
		})
		return most, err
	}
	var b intake.Body
	if _, err := rewrite(&b, limit); err != nil || len(b.Text) != limit/10*10 {
		t.Error(err)
	}
	if most, err := rewrite(&intake.Body{}, 100*limit); !errors.Is(err, intake.ErrTooLarge) || most > 2*limit {
		t.Errorf("%v, %d bytes", err, most)
	}
	var other intake.Body
	other.Begin(&budget, 4*limit)
	if err := other.Read(bytes.NewReader(make([]byte, limit))); err != nil {
		t.Error(err)
	}
	if _, err := rewrite(&intake.Body{}, limit); !errors.Is(err, intake.ErrBusy) {
		t.Error(err)
	}
	if other.End(); budget.Used() != 0 {
		t.Errorf("%d bytes are in use", budget.Used())
	}
}

// FuzzBody: whatever is sent, the text is within its bound and the memory comes back.
func FuzzBody(f *testing.F) {
	for e, body := range packed(f, []byte("some text, some text")) {
		f.Add(string(e), body)
	}
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		budget := intake.Budget{Max: 1 << 20}
		var b intake.Body
		b.Begin(&budget, 1000)
		if err := b.Read(bytes.NewReader(body), intake.Encoding(encoding)); err == nil && len(b.Text) > 1000 {
			t.Errorf("%d bytes", len(b.Text))
		}
		b.End()
		if budget.Used() != 0 {
			t.Errorf("%d bytes are in use", budget.Used())
		}
	})
}
