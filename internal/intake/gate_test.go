package intake_test

import (
	"testing"
	"testing/synctest"

	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/intake"
)

// TestGate: a gate that is shut lets nobody in, and waits for those that were.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g intake.Gate
		if _, _, ok := g.Enter(); ok {
			t.Error("it was not opened")
		}
		g.Open(struct{ flow.Lines }{})
		_, leave, ok := g.Enter()
		if !ok {
			t.Fatal("it is shut")
		}
		shut := make(chan struct{})
		go func() { g.Shut(); close(shut) }()
		synctest.Wait()
		select {
		case <-shut:
			t.Error("somebody is in")
		default:
		}
		if _, _, ok := g.Enter(); ok {
			t.Error("it lets in while it waits")
		}
		leave()
		<-shut
	})
}
