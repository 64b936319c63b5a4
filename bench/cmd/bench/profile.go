package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/weirlog/weir/internal/codec/protobuf"
)

// profileDir names the variable that tells a weir with the tag profile where to write what it did.
const profileDir = "WEIR_PROFILE"

// mergeProfiles writes the profiles of all weirs that ran to one file, as the compiler reads it.
func (b *bench) mergeProfiles(ctx context.Context, to string) error {
	names, err := filepath.Glob(filepath.Join(b.scratch, "*.pprof"))
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		info, err := os.Stat(name)
		return err != nil || info.Size() == 0 // of one that was killed
	})
	if len(names) == 0 {
		return errors.New("no weir has written a profile: -only left all of them out")
	}
	merged := filepath.Join(b.scratch, "merged")
	merge := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto", "-output", merged}, names...)...)
	if out, err := merge.CombinedOutput(); err != nil {
		return fmt.Errorf("merge profiles: %w: %s", err, out)
	}
	packed, err := os.ReadFile(merged)
	if err != nil {
		return err
	}
	if packed, err = renamed(packed, b.weir, filepath.Base(b.weir)); err != nil {
		return fmt.Errorf("read the merged profiles: %w", err)
	}
	return os.WriteFile(to, packed, 0o644)
}

// stringTable is the field of a profile that has all its texts
// (https://github.com/google/pprof/blob/main/proto/profile.proto).
const stringTable = 6

// renamed returns a profile in which one text is another: where its program lay is nobody's business.
func renamed(packed []byte, from, to string) ([]byte, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, err
	}
	var out []byte
	r := protobuf.NewReader(text)
	for r.Next() {
		switch {
		case r.Wire == protobuf.Varint:
			out = protobuf.AppendNumber(out, r.Number, r.Value)
		case r.Wire != protobuf.Sized:
			return nil, r.Wrong("a profile has no such field")
		case r.Number == stringTable && string(r.Bytes) == from:
			out = protobuf.AppendText(out, r.Number, to)
		default:
			out = protobuf.AppendText(out, r.Number, r.Bytes)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(out)
	err = errors.Join(err, z.Close())
	return b.Bytes(), err
}
