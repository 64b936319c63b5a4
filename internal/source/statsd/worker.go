package statsd

import (
	"bytes"
	"net/netip"
	"sync"

	wire "github.com/weirlog/weir/internal/codec/statsd"
)

// fate is what became of a line: counted, bad for one of the codec's reasons, or dropped.
type fate uint8

// The fates beside the codec's reasons, which come first.
const (
	counted      fate = fate(wire.Good)
	dropped      fate = 16 + iota // where the reasons begin for which good lines are dropped
	tooMany                       // series
	tooManyNamed                  // series of one name, and it is no number to add up
	nameTaken                     // something else has the name
	setFull                       // too many values
	noEvents                      // events cannot be kept
	unwanted                      // a mapping says so
	tooOld                        // the gauge has a value of a later time
	badLine                       // where the reasons begin for what is no line
	noName
	tooLong
	unfinished
	cutPacket
	fates
)

func (f fate) String() string {
	switch f {
	case tooMany:
		return "too many series"
	case tooManyNamed:
		return "too many series of a name"
	case nameTaken:
		return "name is taken"
	case setFull:
		return "too many values of sets"
	case noEvents:
		return "too many events"
	case unwanted:
		return "dropped by a mapping"
	case tooOld:
		return "older than what the gauge has"
	case noName:
		return wire.NoName.String()
	case tooLong:
		return "line too long"
	case unfinished:
		return "unfinished line"
	case cutPacket:
		return "datagram too long"
	}
	return wire.Reason(f).String()
}

// isBad tells whether a line is the sender's fault.
func (f fate) isBad() bool { return f != counted && f < dropped || f > badLine }

// isDropped tells whether a good line was dropped.
func (f fate) isDropped() bool { return f > dropped && f < badLine }

const (
	// maxSenders is how many senders a worker tells apart between two commits.
	maxSenders = 1000
	// maxSample is how much of a bad line is kept to be shown.
	maxSample = 200
)

// worker reads lines and adds them up in a table of its own. Whoever has mu may use it: a
// listener for a packet or a buffer of lines, and the commit.
type worker struct {
	source   *Source
	listener *listener

	mu      sync.Mutex // guards all below
	parser  wire.Parser
	table   table
	tick    uint32 // counts commits
	tally   tally
	senders map[whence]*sender
	sender  *sender // of the present lines
	events  events
	sample  sample
	passing bundle // for the relays
	key     []byte // scratch
}

// originMark stands in a slot's key before where its lines come from.
const originMark = "|c:"

// tally is what became of lines since the last commit.
type tally struct {
	lines, packets, bytes, samples uint64
	timed                          uint64 // samples that had a time
	fates                          [fates]uint64
}

// sender is who sent lines since the last commit.
type sender struct {
	whence
	container  []byte // its id, if that is known and wanted
	lines, bad uint64
}

// whence is where lines come from: an address, or, on unix sockets, a process. The zero whence is of
// one that has none, or one too many.
type whence struct {
	addr netip.Addr
	pid  int32
}

// sample is one bad line; its fate is counted if there was none since the last commit.
type sample struct {
	fate fate
	from netip.Addr
	line []byte
}

func newWorker(s *Source, l *listener) *worker {
	w := &worker{source: s, listener: l, table: newTable(), senders: map[whence]*sender{}}
	w.parser.Dialect = l.dialect
	w.from(whence{})
	return w
}

// from says who sent what comes next.
func (w *worker) from(a whence) {
	if w.sender != nil && w.sender.whence == a {
		return
	}
	if w.sender = w.senders[a]; w.sender != nil {
		return
	}
	if len(w.senders) >= maxSenders {
		a = whence{}
	}
	if w.sender = w.senders[a]; w.sender == nil {
		w.sender = &sender{whence: a, container: w.source.containerOf(a)}
		w.senders[a] = w.sender
	}
}

// packet takes a datagram.
func (w *worker) packet(p []byte) {
	w.tally.packets++
	w.tally.bytes += uint64(len(p))
	w.packetLines(p)
}

// packetLines takes all lines of p; the last one needs no line feed.
func (w *worker) packetLines(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			w.line(p)
			return
		}
		w.line(p[:i])
		p = p[i+1:]
	}
}

// linesUpTo takes the lines that end in p, and returns what is left. Longer ones than most are
// not taken.
func (w *worker) linesUpTo(p []byte, most int) (rest []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return p
		}
		if i > most {
			w.end(tooLong, p[:i])
		} else {
			w.line(p[:i])
		}
		p = p[i+1:]
	}
}

// line takes one line. An empty one is none.
func (w *worker) line(line []byte) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 {
		return
	}
	f, values := counted, w.tally.samples
	if line[0] == '_' && w.parser.Dialect == wire.DogStatsD && (wire.IsEvent(line) || wire.IsCheck(line)) {
		f = w.events.add(line, w.sender.container)
	} else {
		f = w.metrics(line)
	}
	w.end(f, line)
	if !f.isBad() || w.tally.samples > values {
		w.pass(line)
	}
}

// end counts a line with its fate.
func (w *worker) end(f fate, line []byte) {
	w.tally.lines++
	w.tally.fates[f]++
	w.sender.lines++
	if !f.isBad() {
		return
	}
	w.sender.bad++
	if w.sample.fate == counted {
		w.sample = sample{fate: f, from: w.sender.addr, line: bytes.Clone(line[:min(len(line), maxSample)])}
	}
}

// metrics takes a line of metrics. Where they have different fates the line has the worst.
func (w *worker) metrics(line []byte) (worst fate) {
	p := &w.parser
	n := -1
	var typ wire.Type
	p.Start(line)
	if len(p.Container) == 0 {
		p.Container = w.sender.container
	}
	for p.Next() {
		if p.Bad != wire.Good {
			worst = max(worst, fate(p.Bad))
			continue
		}
		if n < 0 || p.Type != typ { // else it is the series of the value before
			typ = p.Type
			head := p.Name
			within, behind := p.Tags.Bytes()
			if len(within) > 0 {
				head = line[:bytes.IndexByte(line, ':')]
			}
			if len(p.Container) > 0 && w.source.cfg.OriginLabel != "" {
				w.key = append(append(append(w.key[:0], behind...), originMark...), p.Container...)
				behind = w.key
			}
			if n = w.table.find(head, behind, typ); n < 0 {
				if n = w.admit(head, behind); n < 0 {
					worst = max(worst, tooMany)
					continue
				}
			}
		}
		s := w.table.at(n)
		f := s.fate
		if f == counted {
			if p.Time != 0 {
				w.tally.timed++
			}
			f = s.value(w)
			w.tally.samples++
		}
		w.table.touch(n, w.tick)
		worst = max(worst, f)
	}
	return worst
}

// admit makes a slot for the present metric; there is none if there are too many.
func (w *worker) admit(head, behind []byte) int {
	if w.table.n >= 2*w.source.cfg.MaxSeries {
		return -1
	}
	x := w.source.names.find(&w.parser)
	key, size, name := x.key(head, behind)
	n := w.table.add(key, w.table.head(size, name), w.parser.Type)
	s := w.table.at(n)
	s.series, s.fate = x.series, x.fate
	if x.limits != nil {
		w.table.widen(s, &wide{cells: make([]float64, x.series.Cells()), limits: x.limits, native: x.native, summary: x.summary, scale: x.scale})
	} else if x.scale != 1 && x.series != nil {
		w.table.widen(s, &wide{scale: x.scale})
	}
	return n
}

// value takes the parser's present value.
func (s *slot) value(w *worker) fate {
	p := &w.parser
	v := p.Value
	if p.Rate != 1 && !(finite(1/p.Rate) && finite(v/p.Rate)) {
		return fate(wire.BadRate)
	}
	switch s.typ {
	case wire.Counter:
		sum := s.sum + w.table.scaled(s, v)/p.Rate
		if !finite(sum) {
			return fate(wire.BadValue)
		}
		s.sum = sum
	case wire.Gauge:
		if p.Time != 0 && !w.source.times.newer(s.series, p.Time) {
			return tooOld
		}
		if v = w.table.scaled(s, v); p.Delta {
			s.sum += v
		} else {
			s.sum, s.set = v, true
		}
	case wire.Set:
		return w.source.sets.add(s.series, p.Text)
	default:
		x := w.table.wides[s.wide]
		if !finite(x.cells[len(x.cells)-1] + v/p.Rate) {
			return fate(wire.BadValue)
		}
		x.observe(v, 1/p.Rate)
		if x.summary != nil {
			w.source.summaries.add(x.summary, v, 1/p.Rate)
		}
	}
	return counted
}

// finite tells whether v is a number that can be added up: a counter that is infinite once is so for ever.
func finite(v float64) bool { return v-v == 0 }

// scaled returns a value of s in the unit of its series.
func (t *table) scaled(s *slot, v float64) float64 {
	if s.wide > 0 {
		v *= t.wides[s.wide].scale
	}
	return v
}

// observe counts v in its bucket and adds it to the sum, which is the last cell. That is in the
// client's unit until it is taken: most sums are exact there.
func (x *wide) observe(v, times float64) {
	scaled := v * x.scale
	if x.native != nil {
		x.tally.Add(x.native.CellOf(scaled), times)
		x.cells[len(x.cells)-1] += v * times
		return
	}
	i := 0
	for i < len(x.limits) && scaled > x.limits[i] {
		i++
	}
	x.cells[i] += times
	x.cells[len(x.cells)-1] += v * times
}
