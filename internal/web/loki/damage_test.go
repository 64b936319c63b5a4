package loki_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/web/loki"
)

// TestDamage has a block of which a byte is flipped: answers have warnings, where Loki has
// them, whether they were read or counted from the index; others have none.
func TestDamage(t *testing.T) {
	w := newWorld(t, loki.Limits{}, nil)
	w.archive.Stream(web, archive.Bound{}).Seal(nil)
	if err := w.archive.Flush(); err != nil {
		t.Fatal(err)
	}
	w.archive.Show()
	for _, name := range w.disk.Names() {
		if strings.HasSuffix(name, ".zst") {
			b := w.disk.Bytes(name)
			b[len(b)/2] ^= 0x55
			w.disk.SetBytes(name, b)
		}
	}
	warns := func(want, path string, params ...string) {
		t.Helper()
		status, body := w.ask(t, path, params...)
		var got struct {
			Status   string
			Warnings []string
			Data     struct{ ResultType string }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got.Status != "success" || got.Data.ResultType == "" {
			t.Fatalf("%q: %d %s, %v", params, status, body, err)
		}
		if want == "" && len(got.Warnings) == 0 && !strings.Contains(body, "warnings") {
			return
		}
		if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "20 records of stream test/web cannot be read and "+want) || want == "" {
			t.Errorf("%q: %q; want %q", params, got.Warnings, want)
		}
	}
	at := "time=" + began.Add(59*60e9).Format("2006-01-02T15:04:05Z")
	warns("are left out: ", "query_range", within(`query={env="prod"}`)...)
	warns("are left out: ", "query_range", within(`query={env="prod"}`, "interval=1s")...)
	warns("are left out: ", "query", `query=sum(count_over_time({app="web"} |= "line" [1h]))`, at)
	warns("are counted from the index: ", "query", `query=sum(count_over_time({app="web"}[1h]))`, at)
	warns("", "query", `query=sum(count_over_time({app="shop"}[1h]))`, at)
	warns("", "query_range", within(`query={app="shop"}`)...)
	if text := w.logs(`query={env="prod"}`).Body.String(); strings.Count(text, "\n") != 21 || !strings.Contains(text, `{"warning":"20 records of stream test/web cannot be read`) {
		t.Errorf("%s", text)
	}
}
