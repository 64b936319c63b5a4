package intake

const (
	// maxRuns is for how many runs each request has room of its own, which is kept for the next.
	maxRuns = 64
	// runBytes is how much one takes.
	runBytes = 16
)

// Found are the streams of the parts of a request, in their order. Those of parts behind each
// other that have one stream take no more memory than one.
type Found struct {
	runs []run
	run  int // the one that Next is at
	part int // how many of its parts were given
}

type run struct {
	stream *Stream // nil: it is refused
	parts  int
}

// Add adds the stream of one more part, which s has given; nil is one that is refused. There may be
// nearly as many as the request has bytes, so they are a part of its memory: the error is ErrBusy.
func (f *Found) Add(s *Streams, b *Body, st *Stream) error {
	if n := len(f.runs); n > 0 && f.runs[n-1].stream == st {
		f.runs[n-1].parts++
		s.Put(st)
		return nil
	}
	if n := len(f.runs); n == cap(f.runs) {
		if n > 0 && !b.charge(n*runBytes) {
			s.Put(st)
			return ErrBusy
		}
		f.runs = append(make([]run, 0, max(2*n, maxRuns)), f.runs...)
	}
	f.runs = append(f.runs, run{st, 1})
	return nil
}

// Next returns the streams of one part after the other, which there must be.
func (f *Found) Next() *Stream {
	if f.part == f.runs[f.run].parts {
		f.run, f.part = f.run+1, 0
	}
	f.part++
	return f.runs[f.run].stream
}

// Release gives the streams back to s, and empties f.
func (f *Found) Release(s *Streams) {
	for _, r := range f.runs {
		s.Put(r.stream)
	}
	clear(f.runs)
	if f.runs, f.run, f.part = f.runs[:0], 0, 0; cap(f.runs) > maxRuns {
		f.runs = nil
	}
}
