package statsd

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestRestarts stops and kills a sink at moments chosen by their distance from the window.
func TestRestarts(t *testing.T) {
	for _, kind := range []string{"gauge", "count"} {
		for name, c := range map[string]struct {
			kill         bool
			away         time.Duration
			sent, missed int // of the 3 lines before and the 4 after
		}{
			"stopped, same window":           {false, time.Second, 7, 0},
			"stopped, next window":           {false, 10 * time.Second, 7, 0},
			"stopped, for an hour":           {false, time.Hour, 7, 0},
			"killed, same window":            {true, time.Second, 7, 0},
			"killed, window sent late":       {true, 10 * time.Second, 7, 0},
			"killed, window missed":          {true, 20 * time.Second, 4, 3},
			"killed, long ago":               {true, time.Hour, 4, 3},
			"killed, clock set back an hour": {true, -time.Hour, 7, 0},
		} {
			inTime(t, func(t *testing.T, w *world, srv *server) {
				export := func() Export { return Export{Family: w.status, Name: "n", As: kind} }
				stop := run(w.piped(srv, config10s("tcp://h:1"), export()))
				w.count("200", 5)
				time.Sleep(9 * time.Second) // :12
				w.state.commit()
				if got := srv.sum(t); got != 5 {
					t.Fatalf("the window before: %d lines", got)
				}
				w.count("200", 3)
				if c.kill {
					w.state.kill()
					srv.stop()
				}
				stop()
				srv.start()
				w.restart(c.kill)
				wall := time.Now
				if c.away < 0 {
					wall = func() time.Time { return time.Now().Add(c.away) }
				} else {
					time.Sleep(c.away)
				}
				s := w.piped(srv, config10s("tcp://h:1"), export())
				s.wall = wall
				stop = run(s)
				time.Sleep(time.Second)
				w.count("200", 4)
				time.Sleep(20 * time.Second)
				stop()
				want, missed := c.sent, c.missed
				if kind == "count" {
					want, missed = 7, 0
				}
				if got := srv.sum(t); got != want || w.missed() != float64(missed) {
					t.Errorf("%s, %s: sent %d, missed %v; want %d, %d", kind, name, got, w.missed(), want, missed)
				}
			})
		}
	}
}

// TestBrokenConnection breaks the connection after every possible number of bytes.
func TestBrokenConnection(t *testing.T) {
	whole := len("nginx.status_count:1|c|#status:200\nnginx.status_count:20|c|#status:404\nnginx.status_count:300|c|#status:500\n")
	for n := 1; n <= whole+1; n++ {
		inTime(t, func(t *testing.T, w *world, srv *server) {
			srv.cut = n
			stop := run(w.piped(srv, config10s("tcp://h:1"), Export{Family: w.status, Name: "nginx.status_count", As: "count"}))
			w.count("200", 1)
			w.count("404", 20)
			w.count("500", 300)
			time.Sleep(9 * time.Second)
			if got := srv.sum(t); got != 321 {
				t.Errorf("cut after %d bytes: received %d of 321", n, got)
			}
			stop()
			if sent := w.ledgerValue("weir_component_sent_total"); sent != 3 {
				t.Errorf("cut after %d bytes: the ledger has %v lines", n, sent)
			}
		})
	}
}

// TestFaults lets traffic, outages, broken connections, reloads and crashes come as they
// like. No line may be lost or doubled, but for what was sent and not kept at a crash.
func TestFaults(t *testing.T) {
	for seed := range uint64(50) {
		for _, kind := range []string{"gauge", "count"} {
			inTime(t, func(t *testing.T, w *world, srv *server) { faults(t, w, srv, seed, kind) })
		}
	}
}

func faults(t *testing.T, w *world, srv *server, seed uint64, kind string) {
	dice := rand.New(rand.NewPCG(seed, 1))
	lines, received, doubled := 0, 0, 0
	missed := 0.0
	start := func() func() {
		return run(w.piped(srv, config10s("tcp://h:1"), Export{Family: w.status, Name: "n", As: kind}))
	}
	uncommitted := 0 // received since the last commit
	known := 0.0     // missed up to the last commit
	take := func() {
		n := srv.sum(t)
		received += n
		uncommitted += n
	}
	stop := start()
	w.state.commit()
	for range 60 {
		time.Sleep(time.Duration(dice.IntN(9000)) * time.Millisecond)
		synctest.Wait()
		n := dice.IntN(100)
		w.count([]string{"200", "404", "500"}[dice.IntN(3)], n)
		lines += n
		switch dice.IntN(12) {
		case 0:
			take()
			srv.stop()
		case 1, 2, 3:
			srv.start()
		case 4:
			srv.mu.Lock()
			srv.cut = 1 + dice.IntN(60)
			srv.mu.Unlock()
		case 5: // a reload
			stop()
			missed += w.missed()
			w.restart(false)
			stop = start()
		case 6:
			take()
			srv.stop()
			w.state.kill()
			stop()
			missed += w.missed()
			doubled += uncommitted + int(missed-known)
			uncommitted, known = 0, missed
			w.restart(true)
			time.Sleep(time.Duration(dice.IntN(30)) * time.Second)
			srv.start()
			stop = start()
		default:
			take()
			w.state.commit()
			uncommitted, known = 0, missed+w.missed()
		}
	}
	srv.start()
	time.Sleep(15 * time.Second)
	stop()
	take()
	missed += w.missed()
	if sum := received + int(missed); sum < lines || sum > lines+doubled {
		t.Errorf("seed %d, %s: %d lines, received %d and missed %v; up to %d may have come twice", seed, kind, lines, received, missed, doubled)
	}
	if kind == "count" && missed != 0 {
		t.Errorf("seed %d: a count missed %v", seed, missed)
	}
}

// TestRemadeWithinTheSecond stops a sink, and a series is forgotten and made anew within
// the second in which it was first made: what was sent of the first is nothing of the other.
func TestRemadeWithinTheSecond(t *testing.T) {
	inTime(t, func(t *testing.T, w *world, srv *server) {
		export := func() Export { return Export{Family: w.status, Name: "n"} }
		stop := run(w.piped(srv, config10s("tcp://h:1"), export()))
		w.count("200", 5)
		stop()
		expect(t, srv, "before", "n:5|g|#status:200\n")
		time.Sleep(time.Millisecond)
		w.reg.Forget(statusDesc.Name)
		w.status = w.family(statusDesc)
		w.count("200", 2)
		stop = run(w.piped(srv, config10s("tcp://h:1"), export()))
		stop()
		expect(t, srv, "of the new series", "n:2|g|#status:200\n")
	})
}
