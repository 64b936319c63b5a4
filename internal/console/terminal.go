package console

import (
	"io"
	"os"
	"syscall"
)

// memDevices is the major number of /dev/null and its like.
const memDevices = 1

// IsTerminal tells whether people read what is written to w: it is a character device that
// is none of memory's.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || st.Rdev>>8&0xfff != memDevices
}
