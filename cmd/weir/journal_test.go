package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBytesIn(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"1.ndjson.zst": 7, "1.idx": 100, "1.grams": 20, "8.ndjson": 3000, "meta.json": 50} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := bytesIn(dir); n != 3177 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := bytesIn(filepath.Join(dir, "none")); n != 0 || err != nil {
		t.Errorf("a directory that is gone: %d bytes, %v", n, err)
	}
}
