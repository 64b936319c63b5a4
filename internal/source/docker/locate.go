package docker

import (
	"context"
	"io"

	"github.com/weirlog/weir/internal/dockerapi"
	"github.com/weirlog/weir/internal/record"
)

const (
	// leastTail is how many of the last messages are searched first for the cursor's place,
	// tailFactor how many times more are searched if it is not there.
	leastTail  = 128
	tailFactor = 32
	maxTail    = 1 << 22 // beyond it the whole log is read
	// slack is how many messages may be written between the search and the reading.
	slack = 1024
	// smallLog is a log that is read whole rather than in part.
	smallLog = 4096
	// maxHeldBytes bounds the text that is read again because it was held back.
	maxHeldBytes = 4 << 20
)

// place is where reading through the API goes on.
type place struct {
	options dockerapi.LogOptions
	skip    skipper
	nothing bool // nothing follows, or did when it was looked for
	again   []oldMessage
	gaps    []record.Gap
}

// oldMessage is a message from before the cursor that a stage had held back.
type oldMessage struct {
	dockerapi.Message
	pos int64
}

// locate finds the cursor's place in the log as the engine has it now.
func (x *follower) locate(ctx context.Context, c *dockerapi.Client) (place, error) {
	if x.cursor.n == 0 {
		return place{options: dockerapi.LogOptions{Since: x.cursor.since}}, nil
	}
	if err := x.fleet.enter(ctx); err != nil {
		return place{}, err
	}
	defer x.fleet.leave()
	held, exact := 0, true
	if x.fresh {
		held, exact = x.cursor.held(min(x.resume[0], x.resume[1]))
	}
	for tail := leastTail + held; ; tail *= tailFactor {
		if tail > maxTail {
			tail = 0
		}
		s := search{matcher: newMatcher(&x.cursor, tail == 0), held: held}
		if err := s.read(ctx, c, x, tail); err != nil {
			return place{}, err
		}
		if s.found == 0 && tail != 0 {
			if s.matcher.seen < int64(tail) {
				tail = maxTail // there is no more than this: once more, knowing that
			}
			continue
		}
		p := s.place(tail)
		if held > 0 && p.skip.kind == skipToMatch {
			p.again, exact = x.heldBack(s.recent), exact && len(s.recent) == held
		}
		if !exact || held > 0 && p.skip.kind != skipToMatch {
			p.gaps = append(p.gaps, record.Gap{Bytes: -1, Reason: "held back at the last end"})
		}
		return p, nil
	}
}

// heldBack returns those of the last messages whose sub-stream was not accounted for.
func (x *follower) heldBack(recent []dockerapi.Message) []oldMessage {
	again := make([]oldMessage, 0, len(recent))
	pos := x.cursor.pos
	for i := range recent {
		size := int64(1)
		if i < x.cursor.n {
			size = x.cursor.back(i).size
		}
		pos -= size
		m := recent[len(recent)-1-i]
		sub := 0
		if m.Stderr {
			sub = 1
		}
		if pos >= x.resume[sub] {
			again = append(again, oldMessage{m, pos})
		}
	}
	for i, j := 0, len(again)-1; i < j; i, j = i+1, j-1 {
		again[i], again[j] = again[j], again[i]
	}
	return again
}

// search reads the end of a log for the cursor's place.
type search struct {
	matcher matcher
	found   int64 // the cursor's last message, counted from 1; 0 if there was no certain one
	held    int   // how many messages up to it are wanted
	recent  []dockerapi.Message
	bytes   int
}

func (s *search) read(ctx context.Context, c *dockerapi.Client, x *follower, tail int) error {
	logs, err := c.Logs(ctx, x.id, dockerapi.LogOptions{Tail: tail, TTY: x.details.TTY})
	if err != nil {
		return err
	}
	defer logs.Close()
	for {
		m, err := logs.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if s.found == 0 && s.held > 0 {
			s.keep(m)
		}
		if s.matcher.step(m.Time, recordHash(m.Time, m.Stderr, m.Text)) && s.found == 0 {
			s.found = s.matcher.seen
		}
	}
}

// keep remembers a message while it may be one of those wanted.
func (s *search) keep(m dockerapi.Message) {
	m.Text = append([]byte(nil), m.Text...)
	s.recent = append(s.recent, m)
	s.bytes += len(m.Text)
	for len(s.recent) > s.held || s.bytes > maxHeldBytes && len(s.recent) > 1 {
		s.bytes -= len(s.recent[0].Text)
		s.recent = s.recent[1:]
	}
}

// place says how to read on after the search.
func (s *search) place(tail int) place {
	m := &s.matcher
	if s.found > 0 {
		after := m.seen - s.found
		p := place{nothing: after == 0, skip: skipper{kind: skipToMatch, matcher: newMatcher(m.want, true), left: -1}}
		if tail == 0 && m.seen <= smallLog || tail != 0 && m.seen < int64(tail) {
			return p // the whole log is not much
		}
		p.skip.matcher.whole = false
		p.options.Tail = int(after + m.want.run + slack)
		p.skip.left = int64(p.options.Tail)
		return p
	}
	if at := m.best(); at > 0 {
		return place{nothing: at == m.seen, skip: skipper{kind: skipCount, left: at}}
	}
	p := place{}
	if m.seen > 0 {
		p.gaps = []record.Gap{{Bytes: -1, Reason: "rotated away"}}
	}
	return p
}

// skipper passes over what was read before.
type skipper struct {
	kind    skipKind
	matcher matcher
	left    int64 // messages to pass over, or at most so many until the match; -1: any number
}

type skipKind uint8

const (
	skipNone skipKind = iota
	skipCount
	skipToMatch
)

// pending tells whether the first new message is still to come.
func (s *skipper) pending() bool { return s.kind == skipToMatch || s.kind == skipCount && s.left > 0 }

// past returns the first new message, which may be m or one that has arrived as well; ok is
// false if there is none yet.
func (s *skipper) past(logs *dockerapi.Logs, m dockerapi.Message) (first dockerapi.Message, ok bool, err error) {
	for s.pending() {
		switch s.kind {
		case skipCount:
			s.left--
		case skipToMatch:
			if s.left--; s.left == -1 {
				return m, false, errMismatch
			}
			if s.matcher.step(m.Time, recordHash(m.Time, m.Stderr, m.Text)) {
				s.kind = skipNone
			}
		}
		if !logs.Ready() {
			return m, false, nil
		}
		if m, err = logs.Next(); err != nil {
			return m, false, err
		}
	}
	return m, true, nil
}
