package severity_test

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

func TestFromLine(t *testing.T) {
	for line, want := range map[string]record.Level{
		"E1120 17:56:45.088231   12 main.go:7] gone":                        record.LevelError,
		"I1120 17:56:45.088231   12 main.go:7] come":                        record.LevelInfo,
		"<11>Nov 20 17:56:45 web app: gone":                                 record.LevelError,
		"2026-11-20 17:56:45,088 - shop - ERROR - no stock":                 record.LevelError,
		"ERROR:root:no stock":                                               record.LevelError,
		"WARNING:shop.cart:slow":                                            record.LevelWarn,
		"time=2026-11-20T17:56:45Z level=WARN msg=slow":                     record.LevelWarn,
		`{"time":"2026-11-20T17:56:45Z","level":"error","msg":"x"}`:         record.LevelError,
		`{\"level\":\"error\",\"msg\":\"x\"}`:                               record.LevelError,
		"level=error msg=x":                                                 record.LevelError,
		"2026-11-20 17:56:45.088 ERROR [main] c.e.Shop - no stock":          record.LevelError,
		"2026/11/20 17:56:45 [error] 12#12: *5 open() failed":               record.LevelError,
		"[Fri Nov 20 17:56:45 2026] [warn] slow":                            record.LevelWarn,
		"[INFO] started":                                                    record.LevelInfo,
		"error: no stock":                                                   record.LevelError,
		"panic: runtime error: index out of range":                          record.LevelFatal,
		"FATAL terminating connection":                                      record.LevelFatal,
		"NO_ERRORS found":                                                   record.LevelUnknown,
		"errors=0 warnings=0":                                               record.LevelUnknown,
		"we had no error today":                                             record.LevelUnknown,
		"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /error HTTP/1.1\"": record.LevelUnknown,
		"GET /ERROR HTTP/1.1":                                               record.LevelUnknown,
		"file info.txt opened":                                              record.LevelUnknown,
		"":                                                                  record.LevelUnknown,
	} {
		if got := severity.FromLine([]byte(line)); got != want {
			t.Errorf("FromLine(%q) = %v, want %v", line, got, want)
		}
	}
}

func TestFromValue(t *testing.T) {
	for v, want := range map[string]record.Level{
		"error": record.LevelError, "ERR": record.LevelError, "warning": record.LevelWarn, "W": record.LevelWarn,
		"Information": record.LevelInfo, "notice": record.LevelInfo, "crit": record.LevelFatal,
		"10": record.LevelTrace, "30": record.LevelInfo, "40": record.LevelWarn, "50": record.LevelError, "60": record.LevelFatal,
		"3": record.LevelError, "7": record.LevelDebug, "0": record.LevelFatal,
		"": record.LevelUnknown, "8": record.LevelUnknown, "errors": record.LevelUnknown, "99999999999999999999": record.LevelUnknown,
	} {
		if got := severity.FromValue([]byte(v)); got != want {
			t.Errorf("FromValue(%q) = %v, want %v", v, got, want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	line := []byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 512 "-" "curl/8" "-" rt=0.005`)
	if n := testing.AllocsPerRun(100, func() { severity.FromLine(line) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzFromLine(f *testing.F) {
	f.Add([]byte("E1120 17:56:45.088231 x"))
	f.Add([]byte(`"level":"warn"`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if severity.FromLine(line) > record.LevelFatal || severity.FromValue(line) > record.LevelFatal {
			t.Fatal("no level")
		}
	})
}

func ExampleFromLine() {
	fmt.Println(severity.FromLine([]byte("2026-11-20 17:56:45,088 - shop - ERROR - no stock")))
	// Output: error
}

func BenchmarkFromLine(b *testing.B) {
	line := []byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a/b/c?d=e HTTP/1.1" 200 512 "-" "curl/8" "-" rt=0.005 uct="0.000" uht="0.004" urt="0.004" upstream=10.0.0.2:80 rid=abc cache=-`)
	for b.Loop() {
		severity.FromLine(line)
	}
}
