package mongodb

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// server speaks as much of MongoDB's wire protocol as the sink needs: it makes collections,
// inserts documents, and knows duplicates of _id.
type server struct {
	t        *testing.T
	listener net.Listener
	ended    sync.WaitGroup

	mu        sync.Mutex // guards what follows
	documents []bson.Raw
	ids       map[string]bool
	commands  []bson.Raw // but for inserts and greetings
	inserts   int
	conns     map[net.Conn]bool
	// judge, if set, returns an error's code for a document, 0 to take it.
	judge func(bson.Raw) int32
	// fail, if set, returns a whole answer for a command, nil to go on.
	fail func(name string) bson.D
	// silent has so many inserts done and not answered: the connection ends.
	silent int
}

func newServer(t *testing.T) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, l)
}

// serve answers what comes to l until the test ends.
func serve(t *testing.T, l net.Listener) *server {
	s := &server{t: t, listener: l, ids: map[string]bool{}, conns: map[net.Conn]bool{}}
	s.ended.Go(s.accept)
	t.Cleanup(func() {
		l.Close()
		s.cut()
		s.ended.Wait()
	})
	return s
}

// cut ends all connections.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.ended.Go(func() {
			s.serve(c)
			c.Close()
		})
	}
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// serve answers the commands of a connection until it ends.
func (s *server) serve(c net.Conn) {
	for {
		var head [16]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(head[:])-16)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		code := binary.LittleEndian.Uint32(head[12:])
		command, documents, err := parse(code, body)
		if err != nil {
			s.t.Errorf("the driver sent what cannot be read: %v", err)
			return
		}
		answer := s.answer(command, documents)
		if answer == nil {
			return
		}
		raw, err := bson.Marshal(answer)
		if err != nil {
			s.t.Errorf("answer %v: %v", answer, err)
			return
		}
		var out []byte
		if code == opQuery {
			out = append(make([]byte, 16+16), 1, 0, 0, 0) // flags, cursor, from; one document
			out = append(out, raw...)
			binary.LittleEndian.PutUint32(out[12:], opReply)
		} else {
			out = append(append(make([]byte, 16+4), 0), raw...) // flags; a body follows
			binary.LittleEndian.PutUint32(out[12:], opMsg)
		}
		binary.LittleEndian.PutUint32(out, uint32(len(out)))
		copy(out[8:12], head[4:8]) // to which request
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

var errMessage = errors.New("no message")

// parse returns a command, and the documents that it comes with.
func parse(code uint32, body []byte) (command bson.Raw, documents []bson.Raw, err error) {
	next := func(from []byte) (bson.Raw, []byte) {
		if len(from) < 5 || int(binary.LittleEndian.Uint32(from)) > len(from) {
			err = errMessage
			return nil, nil
		}
		n := binary.LittleEndian.Uint32(from)
		return bson.Raw(from[:n]), from[n:]
	}
	if code == opQuery {
		at := 4 // behind the name of the collection are two numbers
		for body[at] != 0 {
			at++
		}
		command, _ = next(body[at+1+8:])
		return command, nil, err
	}
	if code != opMsg || len(body) < 5 {
		return nil, nil, errMessage
	}
	rest := body[4:]
	for len(rest) > 0 && err == nil {
		kind := rest[0]
		rest = rest[1:]
		if kind == 0 {
			command, rest = next(rest)
			continue
		}
		n := binary.LittleEndian.Uint32(rest)
		section := rest[4:n]
		rest = rest[n:]
		for section[0] != 0 {
			section = section[1:]
		}
		for section = section[1:]; len(section) > 0 && err == nil; {
			var d bson.Raw
			d, section = next(section)
			documents = append(documents, d)
		}
	}
	return command, documents, err
}

// answer does a command. nil ends the connection.
func (s *server) answer(command bson.Raw, documents []bson.Raw) bson.D {
	elements, err := command.Elements()
	if err != nil || len(elements) == 0 {
		s.t.Errorf("a command that is none: %v", err)
		return nil
	}
	name := elements[0].Key()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if answer := s.fail(name); answer != nil {
			return answer
		}
	}
	switch name {
	case "hello", "isMaster", "ismaster":
		return bson.D{
			{Key: "ismaster", Value: true}, {Key: "isWritablePrimary", Value: true}, {Key: "helloOk", Value: true},
			{Key: "maxBsonObjectSize", Value: int32(16 << 20)}, {Key: "maxMessageSizeBytes", Value: int32(48_000_000)}, {Key: "maxWriteBatchSize", Value: int32(100_000)},
			{Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(21)}, {Key: "ok", Value: 1.0},
		}
	case "insert":
		s.inserts++
		answer := s.insert(documents)
		if s.silent > 0 {
			s.silent--
			return nil
		}
		return answer
	case "endSessions", "ping":
	default:
		s.commands = append(s.commands, command)
	}
	return bson.D{{Key: "ok", Value: 1.0}}
}

func (s *server) insert(documents []bson.Raw) bson.D {
	var wrong bson.A
	for i, d := range documents {
		code := int32(0)
		if s.judge != nil {
			code = s.judge(d)
		}
		id := string(d.Lookup("_id").Value)
		if code == 0 && s.ids[id] {
			code = codeDuplicateKey
		}
		if code != 0 {
			wrong = append(wrong, bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: code}, {Key: "errmsg", Value: "no"}})
			continue
		}
		s.ids[id] = true
		s.documents = append(s.documents, d)
	}
	answer := bson.D{{Key: "n", Value: int32(len(documents) - len(wrong))}, {Key: "ok", Value: 1.0}}
	if len(wrong) > 0 {
		answer = append(answer, bson.E{Key: "writeErrors", Value: wrong})
	}
	return answer
}

// failing returns a whole answer that is an error.
func failing(code int32) bson.D {
	return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: code}, {Key: "errmsg", Value: "no"}}
}
