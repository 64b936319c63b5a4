// Package crawl is for crawlers written in Go: programs that ask an API for what is new, and
// give it to weir record by record with a cursor.
//
//	type events struct{ client *acme.Client }
//
//	func (e *events) Name() string { return "events" }
//
//	func (e *events) Records(ctx context.Context, cursor crawl.Cursor) iter.Seq2[crawl.Record, error] {
//		return func(yield func(crawl.Record, error) bool) {
//			var last struct{ ID int }
//			if err := cursor.Decode(&last); err != nil {
//				yield(crawl.Record{}, err)
//				return
//			}
//			for event, err := range e.client.EventsAfter(ctx, last.ID) {
//				last.ID = event.ID
//				if !yield(crawl.Record{Time: event.Time, Data: event, Cursor: last}, err) {
//					return
//				}
//			}
//		}
//	}
//
//	func main() {
//		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//		defer stop()
//		if err := crawl.Run(ctx, crawl.Options{}, &events{client: acme.New()}); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//	}
//
// Weir runs the program for each stream that names it:
//
//	sources:
//	  acme: {type: crawl, streams: {events: {exec: [/usr/local/bin/acme-crawler]}}}
//
// What was printed with a cursor is in weir's journal with that cursor, or not at all, so
// wherever either is killed, the next run goes on behind the last record that is there. A run
// that fails, or panics, leaves the cursor where its last record put it. Started by hand, the
// program prints the records of all its streams, again and again, and keeps the cursors in a
// file: see Options.
//
// The package needs the standard library alone.
package crawl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// Stream is a sequence of records that goes on from a cursor.
type Stream interface {
	// Name tells the stream from others of its program. It stays the same, since the cursor
	// is kept under it.
	Name() string
	// Records asks for what comes after the cursor, which is that of the last record given
	// before; it is the zero Cursor at first. An error ends the run; what came before it is
	// kept. It returns when there is nothing more for now, or ctx ends.
	Records(ctx context.Context, cursor Cursor) iter.Seq2[Record, error]
}

// Record is one record of a stream, or a checkpoint.
type Record struct {
	// Time is when it happened. The zero time means now.
	Time time.Time
	// Data is the record: a text, or what encoding/json makes JSON of. With nil Data there is
	// no record, and the cursor alone is kept: a checkpoint.
	Data any
	// Cursor is what the next run goes on from if this is the last record that was kept: any
	// value that encoding/json makes JSON of and Cursor.Decode reads. A time alone is none,
	// since two records may have the same: put the ids beside it that were seen at that time,
	// or a number or token of the API. With nil the cursor stays where it is, and a run that
	// ends there gets this record again.
	Cursor any
}

// Cursor is the JSON of a Record's Cursor. The zero Cursor is that of the first run.
type Cursor struct{ text string }

// ParseCursor returns the cursor that is written as JSON. Empty text is the zero Cursor.
func ParseCursor(text string) (Cursor, error) {
	if text == "" || text == "null" {
		return Cursor{}, nil
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return Cursor{}, fmt.Errorf("crawl: the cursor %.100q is no JSON", text)
	}
	return Cursor{b.String()}, nil
}

// IsZero tells whether there is no cursor yet.
func (c Cursor) IsZero() bool { return c.text == "" }

// String returns the JSON, "" of the zero Cursor.
func (c Cursor) String() string { return c.text }

// Decode puts the cursor into what v points to. The zero Cursor leaves that as it is.
func (c Cursor) Decode(v any) error {
	if c.text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(c.text), v); err != nil {
		return fmt.Errorf("crawl: the cursor %.100s: %w", c.text, err)
	}
	return nil
}
