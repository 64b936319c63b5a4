package dockerapi

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// frameHead is the size of a frame's header: stream, three zeros, length.
	frameHead = 8
	// bufferBytes is what a log has in memory: two pieces of 16 KiB, the largest that
	// docker makes, with their times and headers.
	bufferBytes = 2*16<<10 + 256
	// maxMessageBytes is how much of one message is kept.
	maxMessageBytes = 1 << 20
)

// The sub-streams that a frame's first byte names.
const (
	frameStderr = 2
	frameError  = 3 // the engine's own word: why it cannot go on
)

var errFrame = errors.New("this is not a multiplexed log: the frame's header is wrong")

// decoder makes messages of a log, in frames or, for a terminal, without.
type decoder struct {
	in   *bufio.Reader
	tty  bool
	used int    // bytes of in that the last message refers to
	long []byte // a message that is larger than in
}

func newDecoder(r io.Reader, tty bool) decoder {
	return decoder{in: bufio.NewReaderSize(r, bufferBytes), tty: tty}
}

func (d *decoder) next() (Message, error) {
	d.in.Discard(d.used)
	d.used = 0
	if cap(d.long) > bufferBytes*4 {
		d.long = nil
	}
	if d.tty {
		return d.nextLine()
	}
	return d.nextFrame()
}

// ready tells whether a whole message is in memory.
func (d *decoder) ready() bool {
	rest, _ := d.in.Peek(d.in.Buffered())
	rest = rest[min(d.used, len(rest)):]
	if d.tty {
		return bytes.IndexByte(rest, '\n') >= 0
	}
	return len(rest) >= frameHead && uint64(len(rest)-frameHead) >= uint64(binary.BigEndian.Uint32(rest[4:]))
}

func (d *decoder) nextFrame() (Message, error) {
	for {
		head, err := d.in.Peek(frameHead)
		if err != nil {
			if err == io.EOF && len(head) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Message{}, err
		}
		kind, size := head[0], int64(binary.BigEndian.Uint32(head[4:]))
		if kind > frameError || head[1]|head[2]|head[3] != 0 {
			return Message{}, errFrame
		}
		text, cut, err := d.payload(size)
		if err != nil {
			return Message{}, err
		}
		if kind == frameError {
			return Message{}, &Error{Message: fmt.Sprintf("the engine says: %.400q", text)}
		}
		if size == 0 { // an application may write nothing, which is no message
			d.in.Discard(d.used)
			d.used = 0
			continue
		}
		m := newMessage(text, cut)
		m.Stderr = kind == frameStderr
		return m, nil
	}
}

// payload returns the bytes of the frame whose header is at the front.
func (d *decoder) payload(size int64) (text []byte, cut bool, err error) {
	if frameHead+size <= int64(d.in.Size()) {
		whole, err := d.in.Peek(frameHead + int(size))
		if err != nil {
			return nil, false, unexpected(err)
		}
		d.used = len(whole)
		return whole[frameHead:], false, nil
	}
	d.in.Discard(frameHead)
	// Memory grows with what arrives, not with what the header announces.
	d.long = d.long[:0]
	for left := size; left > 0; {
		if d.in.Buffered() == 0 {
			if _, err := d.in.Peek(1); err != nil {
				return nil, false, unexpected(err)
			}
		}
		piece, _ := d.in.Peek(int(min(left, int64(d.in.Buffered()))))
		d.keep(piece)
		left -= int64(len(piece))
		d.in.Discard(len(piece))
	}
	return d.long, size > maxMessageBytes, nil
}

// keep appends piece to the long message, up to its bound.
func (d *decoder) keep(piece []byte) {
	d.long = append(d.long, piece[:min(len(piece), maxMessageBytes-len(d.long))]...)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// newMessage takes time and line end off a message.
func newMessage(text []byte, cut bool) Message {
	m := Message{Cut: cut}
	if ns, n := parseStamp(text); n > 0 {
		m.Time, text = ns, text[n:]
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		// A terminal, and many a program, puts a \r before it.
		text, m.Return = bytes.CutSuffix(text[:n-1], []byte{'\r'})
	} else {
		m.Partial = !cut
	}
	m.Text = text
	return m
}

// nextLine returns the next line of a terminal's log, or the next piece of a line: pieces
// follow each other without a break, each beginning with the same time.
func (d *decoder) nextLine() (Message, error) {
	line, err := d.peekLine()
	if err != nil && (err != io.EOF || len(line) == 0) {
		return Message{}, err
	}
	if at := nextPiece(line); at > 0 {
		d.used = at
		return newMessage(line[:at], false), nil
	}
	if err != nil || line[len(line)-1] == '\n' {
		d.used = len(line)
		return newMessage(line, false), nil
	}
	return d.longLine()
}

// peekLine returns the next line without taking it: with its end, or less of it if it is
// longer than the buffer or the log ends.
func (d *decoder) peekLine() ([]byte, error) {
	for {
		have, _ := d.in.Peek(d.in.Buffered())
		if at := bytes.IndexByte(have, '\n'); at >= 0 {
			return have[:at+1], nil
		}
		if len(have) == d.in.Size() {
			return have, nil
		}
		if more, err := d.in.Peek(len(have) + 1); err != nil {
			return more, err
		}
	}
}

// longLine takes a line that is longer than the buffer and was not made of pieces: two of
// them would have shown.
func (d *decoder) longLine() (Message, error) {
	d.long = d.long[:0]
	total := 0
	for {
		line, err := d.peekLine()
		total += len(line)
		d.keep(line)
		ended := err != nil || line[len(line)-1] == '\n'
		d.in.Discard(len(line))
		if err != nil && err != io.EOF {
			return Message{}, err
		}
		if ended {
			return newMessage(d.long, total > maxMessageBytes), nil
		}
	}
}

// pieceBytes is the size of docker's pieces.
const pieceBytes = 16 << 10

// nextPiece returns where in line another piece begins, -1 if nowhere. Pieces of a line have
// the same time: to the nanosecond no application writes the time at which its line will be
// read. Before Docker 17.06 each had its own.
func nextPiece(line []byte) int {
	_, n := parseStamp(line)
	if n == 0 {
		return -1
	}
	if at := bytes.Index(line[n:], line[:n]); at >= 0 {
		return n + at
	}
	if at := n + pieceBytes; at < len(line) {
		if _, n := parseStamp(line[at:]); n > 0 {
			return at
		}
	}
	return -1
}
