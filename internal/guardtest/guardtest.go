// Package guardtest gives tests memory that ends where nobody may read on: what reads beyond
// a slice, as assembly can, ends the test.
package guardtest

import (
	"syscall"
	"testing"
)

// Before returns n bytes of memory, a page at most, that a page follows which nobody may read.
func Before(t testing.TB, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	if err := syscall.Mprotect(memory[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return memory[page-n : page : page]
}
