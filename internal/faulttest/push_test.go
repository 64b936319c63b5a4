package faulttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/faulttest"
)

// TestPushOverKills kills weir while a sender pushes, who sends again what was not answered.
// Whatever was answered with 204 is there; only what was not may be there twice.
func TestPushOverKills(t *testing.T) {
	const pushes, lines, kills = 200, 10, 5
	w := faulttest.Start(t, faulttest.Options{Config: "sources: {push: {}}\nrules: []\n"})
	target := "http://" + w.Address() + "/loki/api/v1/push"
	var answered, again atomic.Int64
	sent := make(chan struct{})
	start := time.Now().Add(-time.Minute)
	go func() {
		defer close(sent)
		for i := range pushes {
			var values []string
			for k := range lines {
				n := i*lines + k
				values = append(values, fmt.Sprintf(`["%d","line %d",{"n":"%d"}]`, start.UnixNano()+int64(n), n, n))
			}
			body := `{"streams":[{"stream":{"app":"fault"},"values":[` + strings.Join(values, ",") + `]}]}`
			for {
				response, err := http.Post(target, "application/json", strings.NewReader(body))
				if err == nil {
					_ = response.Body.Close()
					if response.StatusCode == http.StatusNoContent {
						break
					}
				}
				again.Add(1)
				<-time.After(5 * time.Millisecond)
			}
			answered.Add(1)
		}
	}()
	for i := range kills {
		faulttest.WaitFor(t, "some more pushes", func() bool { return answered.Load() >= int64((i+1)*pushes/(kills+1)) })
		w.Kill()
		w.Again()
	}
	<-sent
	w.Kill()
	w.Again()
	times := map[string]int{}
	for _, line := range pushedLines(t, w, start) {
		times[line]++
	}
	twice := 0
	for n := range pushes * lines {
		switch count := times[fmt.Sprintf("line %d", n)]; {
		case count == 0:
			t.Errorf("line %d was answered and is lost", n)
		case count > 1:
			twice += count - 1
		}
	}
	if len(times) != pushes*lines || twice > kills*lines {
		t.Errorf("%d different lines of %d, %d more than once after %d kills", len(times), pushes*lines, twice, kills)
	}
	t.Logf("%d pushes sent again, %d lines there twice", again.Load(), twice)
}

// pushedLines asks for all lines of the stream.
func pushedLines(t *testing.T, w *faulttest.Weir, start time.Time) []string {
	t.Helper()
	query := url.Values{
		"query": {`{app="fault"}`}, "limit": {"5000"}, "direction": {"forward"},
		"start": {fmt.Sprint(start.UnixNano())}, "end": {fmt.Sprint(start.Add(time.Second).UnixNano())},
	}
	response, err := http.Get("http://" + w.Address() + "/loki/api/v1/query_range?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct {
			Result []struct{ Values [][]string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(response.Status, err)
	}
	var lines []string
	for _, r := range answer.Data.Result {
		for _, v := range r.Values {
			lines = append(lines, v[1])
		}
	}
	return lines
}
