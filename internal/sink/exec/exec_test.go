package exec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/child"
	"github.com/weirlog/weir/internal/deliver"
	"github.com/weirlog/weir/internal/record"
)

// states keeps values in memory.
type states map[string][]byte

func (s states) Load(key string) []byte         { return s[key] }
func (s states) Store(key string, value []byte) { s[key] = value }
func (s states) Sync(context.Context) error     { return nil }

var shop = record.Stream{ID: "docker/shop", Source: "docker", Labels: record.Labels{{Name: "container", Value: "shop"}}}

// batch returns n records from the number first on.
func batch(first, n int) *record.Batch {
	b := &record.Batch{Stream: &shop, First: uint64(first)}
	for i := range n {
		b.Records = append(b.Records, record.Record{Time: int64(first+i) * 1e9, Level: record.LevelInfo, Body: b.Append(fmt.Appendf(nil, "line %d", first+i))})
	}
	return b
}

func open(t *testing.T, script string) *deliver.Sink {
	t.Helper()
	c := Default()
	c.Command, c.Timeout = []string{"/bin/sh", "-c", script}, 5*time.Second
	s, err := New(c, deliver.Deps{Name: "plugin", Log: slog.New(slog.DiscardHandler), State: states{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// write writes a batch until it is taken.
func write(t *testing.T, s *deliver.Sink, b *record.Batch) (failures []error) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		err := errors.Join(s.Write(t.Context(), b), s.Flush(t.Context()))
		if err == nil {
			return failures
		}
		if !errors.Is(err, child.ErrPausing) {
			failures = append(failures, err)
		}
	}
	t.Fatalf("never taken: %v", failures)
	return nil
}

// TestDelivered writes to a program that crashes half way through its first batch.
func TestDelivered(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := open(t, `while read -r l; do
	case $l in
	'{"commit":'*) echo "$l" ;;
	*) echo "$l" >>`+out+`; [ -e `+out+`.was ] || { touch `+out+`.was; exit 1; } ;;
	esac
done`)
	b := batch(1, 3)
	b.Records[1].Flags = record.Dropped
	if failures := write(t, s, b); len(failures) != 1 || !strings.Contains(failures[0].Error(), "exit status 1") {
		t.Errorf("failures: %v", failures)
	}
	if failures := write(t, s, batch(4, 1)); len(failures) > 0 {
		t.Errorf("failures: %v", failures)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	line := func(n int) string {
		return fmt.Sprintf(`{"time":"1970-01-01T00:00:%02d.000000000Z","level":"info","body":"line %d","stream":"docker/shop","seq":%d,"labels":{"container":"shop"}}`, n, n, n)
	}
	want := []string{line(1), line(1), line(3), line(4), ""}
	if got := strings.Split(string(text), "\n"); !slices.Equal(got, want) {
		t.Errorf("it got %q", got)
	}
	if next, ok := s.Next(shop.ID); next != 5 || !ok {
		t.Errorf("the cursor is at %d", next)
	}
}

// TestAnswers are acknowledgements, refusals or nonsense.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct{ answer, want string }{
		"refused":     {`{"commit":'$n',"error":"the disk is full"}`, "the program refuses: the disk is full"},
		"no JSON":     {`ok`, `no JSON but "ok"`},
		"another":     {`{"commit":7}`, `instead of {"commit":1}`},
		"empty":       {``, "no JSON"},
		"wrong types": {`{"commit":"1"}`, "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, `n=1; while read -r l; do case $l in '{"commit":'*) echo '`+test.answer+`' ;; esac; done`)
			if err := s.Write(t.Context(), batch(1, 2)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v; want %q", err, test.want)
			}
			if _, ok := s.Next(shop.ID); ok {
				t.Error("it is taken all the same")
			}
		})
	}
}
