//go:build !amd64

package processor

// HasSSSE3 says whether it has the instructions of SSSE3: it is of another kind.
const HasSSSE3 = false
