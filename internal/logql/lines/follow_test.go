package lines_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/record"
)

// followed collects what a follower is called with.
type followed struct {
	*world
	mu     sync.Mutex // guards got
	got    []string
	cancel context.CancelFunc
	ended  chan error
	stuck  chan struct{} // unless nil, emit waits for it
}

// follow begins to follow, in the test's bubble, and returns when the lines that are there
// were seen.
func (w *world) follow(q lines.Request) *followed {
	ctx, cancel := context.WithCancel(w.t.Context())
	f := &followed{world: w, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		f.ended <- w.Follow(ctx, q, func(some []lines.Line) error {
			if f.stuck != nil {
				<-f.stuck
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(some) == 0 {
				f.got = append(f.got, "(none)")
			} else {
				f.got = append(f.got, text(some))
			}
			return nil
		})
	}()
	synctest.Wait()
	return f
}

// wants compares what came since the last call.
func (f *followed) wants(want string) {
	f.t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.got, " "); got != want {
		f.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.got = nil
}

func (f *followed) end() {
	f.t.Helper()
	f.cancel()
	if err := <-f.ended; !errors.Is(err, context.Canceled) {
		f.t.Error(err)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := stream("f/a", "app=a"), stream("f/b", "app=b")
		for i, word := range []string{"one", "two", "three"} {
			w.write(a, int64(i), word)
		}
		f := w.follow(lines.Request{Query: query(t, `|~ "e|w"`), Limit: 2})
		f.wants("a:two a:three (none)")
		w.write(a, 3, "seven")
		f.wants("a:seven")
		w.write(a, 4, "six")
		f.wants("")
		f.stuck = make(chan struct{})
		w.write(a, 5, "nine")
		synctest.Wait()
		w.write(b, 7, "new") // these are there at once, and come by time
		w.write(a, 6, "newer")
		close(f.stuck)
		f.wants("a:nine a:newer b:new")
		w.show()
		f.wants("")
		time.Sleep(15 * time.Second)
		f.wants("(none)") // a sign of life
		f.end()
	})
}

// TestFollowWords follows by name, of a stream that is there and of one to come.
func TestFollowWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		odd, other := stream("docker/shop-web-1", "container=odd"), stream("docker/b", "container=b")
		w.write(odd, 0, "old")
		w.show()
		f := w.follow(lines.Request{Query: query(t, ""), Words: []string{"shop-web"}, Limit: 1})
		f.wants("shop-web-1:old (none)")
		w.write(odd, 1, "new")
		w.write(other, 1, "new")
		f.wants("shop-web-1:new")
		w.write(stream("docker/shop-web-2", "container=shop-web-2"), 2, "new")
		f.wants("shop-web-2:new")
		f.end()
	})
}

// TestSeam writes while what is there is read: each line comes once.
func TestSeam(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := stream("f/a", "app=a")
		w.write(a, 0, "old")
		w.show()
		w.Sync = func(context.Context) error {
			w.write(a, 1, "same") // seen by the follower already, and visible
			w.write(a, 1, "same")
			w.show()
			w.write(a, 1, "same") // seen by the follower alone
			w.write(a, 2, "new")
			return nil
		}
		f := w.follow(lines.Request{Query: query(t, ""), Limit: 10})
		f.wants("a:old a:same a:same a:same a:new")
		w.show()
		f.wants("")
		f.end()
	})
}

// TestCatchUp wants more than goes at one time before it follows.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := stream("f/a", "app=a")
		at := time.Now().UnixNano()/1e6 - moment/1e6
		for _, ago := range []int64{3600_000, 60_000, 11_000, 9_000, 1} {
			w.write(a, at-ago, time.Duration(ago*1e6).String())
		}
		w.show()
		f := w.follow(lines.Request{Query: query(t, ""), Start: time.Now().Add(-30 * time.Minute)})
		f.wants("a:1m0s a:11s a:9s a:1ms (none)")
		w.write(a, at, "now")
		f.wants("a:now")
		f.end()
	})
}

func TestFollowContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := stream("f/a", "app=a"), stream("f/b", "app=b")
		f := w.follow(lines.Request{Query: query(t, `|= "!"`), Limit: 1, Before: 1, After: 1})
		f.wants("(none)")
		say := func(def record.Stream, words ...string) {
			for _, word := range words {
				w.write(def, 0, word)
			}
		}
		say(a, "1", "2", "3!", "4", "5", "6", "7!", "8!")
		f.wants("a-2 a:3! a-4 -- a-6 a:7! a:8!")
		say(a, "9")
		say(b, "1!")
		say(a, "10", "11!")
		f.wants("a-9 -- b:1! -- a-10 a:11!")
		f.end()
	})
}

// TestSlow has a follower that takes nothing while more is written than is held for it.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.TailBytes = 1000
		a := stream("f/a", "app=a")
		f := w.follow(lines.Request{Query: query(t, ""), Limit: 1})
		f.wants("(none)")
		f.stuck = make(chan struct{})
		w.write(a, 0, "first")
		synctest.Wait()
		for range 5 {
			w.write(a, 1, strings.Repeat("x", 400))
		}
		w.write(a, 2, "last")
		close(f.stuck)
		x := "a:" + strings.Repeat("x", 400)
		f.wants("a:first " + x + " " + x + " lost4")
		f.end()
	})
}

func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.write(stream("f/a", "app=a"), 0, "x")
		enough := errors.New("enough")
		if err := w.Follow(t.Context(), lines.Request{Query: query(t, "")}, func([]lines.Line) error { return enough }); !errors.Is(err, enough) {
			t.Error(err)
		}
		w.Sync = func(context.Context) error { return enough }
		if err := w.Follow(t.Context(), lines.Request{Query: query(t, ""), Limit: 1}, func([]lines.Line) error { return nil }); !errors.Is(err, enough) {
			t.Error(err)
		}
	})
}
