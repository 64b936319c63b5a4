package push

import (
	"io"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/intake"
)

// job is the memory of one push.
type job struct {
	intake.Body
	decoder lokipush.Decoder
	survey  survey
}

// job returns the memory for a push; done must be called with it.
func (s *Source) job() (*job, error) {
	j := s.jobs.Get().(*job)
	if !j.Begin(&s.bodies, int(s.cfg.MaxBody)) {
		s.jobs.Put(j)
		return nil, intake.ErrBusy
	}
	return j, nil
}

// done gives the memory of a push back.
func (s *Source) done(j *job) {
	j.End()
	s.jobs.Put(j)
}

// read reads and unpacks a body. All protobuf comes in a block of snappy.
func (j *job) read(from io.Reader, f form) error {
	if f.format == lokipush.Protobuf {
		return j.Read(from, f.encoding, intake.Snappy)
	}
	return j.Read(from, f.encoding)
}
