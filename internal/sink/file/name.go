package file

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/weirlog/weir/internal/record"
)

// name returns the folder and file name of a stream, which no other stream has or had.
func (s *Sink) name(def *record.Stream) string {
	text := def.Labels.Get("container")
	if text == "" {
		text = strings.TrimSuffix(strings.Trim(strings.TrimPrefix(def.ID, def.Source), "/"), ".log")
	}
	plain := Sanitize(text)
	h := fnv.New32a()
	h.Write([]byte(def.ID))
	name := plain
	for n := 1; !s.free(name, def.ID); n++ {
		name = fmt.Sprintf("%s-%08x", plain, h.Sum32())
		if n > 1 { // another stream is called so, by chance or on purpose
			name += fmt.Sprint("-", n)
		}
	}
	return name
}

// free tells whether a stream may have a name: nobody has it, nor is there a folder of
// another stream.
func (s *Sink) free(name, stream string) bool {
	if taken, ok := s.names[name]; ok {
		return taken == stream
	}
	owner := ownerOf(filepath.Join(s.config.Dir, name))
	return owner == "" || owner == ownership(stream)
}

// ownerMark is the extended attribute of a folder that says whose it is.
const ownerMark = "user.weir.stream"

// ownership returns what a folder of the stream is marked with. It has a bound, for labels
// may be longer than an attribute.
func ownership(stream string) string {
	h := fnv.New128a()
	h.Write([]byte(stream))
	return fmt.Sprintf("%x %.100q", h.Sum(nil), stream)
}

// ownerOf returns what a folder is marked with: nothing, if it is not there, was made by
// others, or is on a file system without attributes.
func ownerOf(folder string) string {
	var value [1024]byte
	n, err := syscall.Getxattr(folder, ownerMark, value[:])
	if err != nil {
		return ""
	}
	return string(value[:n])
}

// mark makes a folder the stream's, as well as may be: where a folder cannot be marked the
// cursors alone say whose it is.
func mark(folder, stream string) {
	_ = syscall.Setxattr(folder, ownerMark, []byte(ownership(stream)), 0)
}

// Sanitize returns text as the name of a file: letters, digits, '.', '-' and '_', not
// beginning with a dot, and never empty.
func Sanitize(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, text)
	if name = strings.TrimLeft(name, "._"); name == "" {
		name = "stream"
	}
	return name[:min(len(name), 100)]
}
