package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestCell: one long name does not push all rows of a table apart.
func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"docker/shop":            "docker/shop",
		"a\tb":                   `a\tb`,
		strings.Repeat("ä", 100): strings.Repeat("ä", 100),
		"push/{a=\"" + strings.Repeat("é", 2000) + "\"}": "push/{a=\"" + strings.Repeat("é", 41) + "…" + strings.Repeat("é", 47) + "\"}",
	} {
		if got := cell(text); got != want || utf8.RuneCountInString(got) > cellWidth {
			t.Errorf("%q", got)
		}
	}
}

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
