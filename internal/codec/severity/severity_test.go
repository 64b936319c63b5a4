package severity_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/record"
)

func TestFromLine(t *testing.T) {
	for line, want := range map[string]record.Level{
		"E1120 17:56:45.088231   12 main.go:7] gone":                record.LevelError,
		"I1120 17:56:45.088231   12 main.go:7] come":                record.LevelInfo,
		"<11>Nov 20 17:56:45 web app: gone":                         record.LevelError,
		"2026-11-20 17:56:45,088 - shop - ERROR - no stock":         record.LevelError,
		"ERROR:root:no stock":                                       record.LevelError,
		"WARNING:shop.cart:slow":                                    record.LevelWarn,
		"time=2026-11-20T17:56:45Z level=WARN msg=slow":             record.LevelWarn,
		`{"time":"2026-11-20T17:56:45Z","level":"error","msg":"x"}`: record.LevelError,
		`{\"level\":\"error\",\"msg\":\"x\"}`:                       record.LevelError,
		"level=error msg=x":                                         record.LevelError,
		"2026-11-20 17:56:45.088 ERROR [main] c.e.Shop - no stock":  record.LevelError,
		"2026/11/20 17:56:45 [error] 12#12: *5 open() failed":       record.LevelError,
		"[Fri Nov 20 17:56:45 2026] [warn] slow":                    record.LevelWarn,
		"[INFO] started":                                            record.LevelInfo,
		"error: no stock":                                           record.LevelError,
		"panic: runtime error: index out of range":                  record.LevelFatal,
		"fatal error: all goroutines are asleep - deadlock!":        record.LevelFatal,
		"main.c:1:10: fatal error: x.h: No such file":               record.LevelError,
		"FATAL terminating connection":                              record.LevelFatal,
		"W1120 17:56:45.088231   12 main.go:7] slow":                record.LevelWarn,
		"F1120 17:56:45.088231   12 main.go:7] dead":                record.LevelFatal,
		"<191>debug": record.LevelDebug,
		`{"level":30,"time":1700000000000,"pid":1,"msg":"ERROR in name"}`:   record.LevelInfo,
		`{"name":"a","hostname":"b","pid":1,"level":50,"msg":"x","v":0}`:    record.LevelError,
		`{"message":"no ERROR: \"level\":\"error\"","level" : "Info" }`:     record.LevelInfo,
		`{"@timestamp":"2026","log.level":"WARN","message":"x"}`:            record.LevelWarn,
		`{"msg":"FATAL nothing says more"}`:                                 record.LevelFatal,
		`{'levelname': 'CRITICAL'}`:                                         record.LevelFatal,
		`{"severity":"NOTICE"}`:                                             record.LevelInfo,
		`{"PRIORITY":"3","MESSAGE":"x"}`:                                    record.LevelError,
		`{\"level\":50}`:                                                    record.LevelError,
		"time=x lvl=eror msg=y":                                             record.LevelError,
		"\x1b[31mERROR\x1b[0m red":                                          record.LevelError,
		"\x1b[1;33mwarn\x1b[0m: yellow":                                     record.LevelUnknown,
		"\x1b[90m18:07\x1b[0m \x1b[32mINF\x1b[0m started":                   record.LevelInfo,
		"2026-11-20T17:56:45.088Z\terror\tmain.go:7\tno stock":              record.LevelError,
		"2026-11-20T17:56:45.088Z\tINFO\tmain.go:7\tcome":                   record.LevelInfo,
		"fail: Shop.Orders[0]":                                              record.LevelError,
		"dbug: Shop.Orders[0]":                                              record.LevelDebug,
		"[18:07:46 ERR] no stock":                                           record.LevelError,
		"E, [2026-11-20T18:07:46.117012 #7] ERROR -- : no stock":            record.LevelError,
		"2026-11-20T18:07:46.117Z  WARN 1 --- [main] c.e.Shop : slow":       record.LevelWarn,
		"2026-11-20 18:07:46.117 UTC [7] LOG:  checkpoint starting":         record.LevelInfo,
		"2026-11-20 18:07:46.117 UTC [7] ERROR:  duplicate key":             record.LevelError,
		"2026-11-20T18:07:46.117012Z 0 [Warning] [MY-010055] [Server] x":    record.LevelWarn,
		"2026-11-20T18:07:46.117012Z 0 [Note] Access denied":                record.LevelInfo,
		"[Fri Nov 20 17:56:45.123456 2026] [core:error] [pid 7] x":          record.LevelError,
		"PHP Fatal error:  Uncaught":                                        record.LevelError,
		"PHP Warning:  Undefined":                                           record.LevelWarn,
		"npm ERR! code 1":                                                   record.LevelError,
		"SEVERE: request failed":                                            record.LevelError,
		"2026/11/20 18:07:46 INFO started name=x":                           record.LevelInfo,
		"<warn>  [1700000000.1] device: gone":                               record.LevelWarn,
		"[notice] 7#7: start worker processes":                              record.LevelInfo,
		"ERROR":                                                             record.LevelError,
		"a LOG of wood, a FINE day, a NOTE":                                 record.LevelUnknown,
		"the ERRORCODE is 7, ERROR=0, ERROR(7), no-ERROR":                   record.LevelUnknown,
		"http://example.com/error: gone":                                    record.LevelUnknown,
		"tolog: x, catalog: y, terror: z, status:error7":                    record.LevelUnknown,
		"my_level=error sublevel=error":                                     record.LevelUnknown,
		"call fail: it did, a note: this":                                   record.LevelUnknown,
		"[errors] <infos> (warned)":                                         record.LevelUnknown,
		"mERROR 3ERROR":                                                     record.LevelUnknown,
		"<999>x":                                                            record.LevelUnknown,
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
		" [Warning] ": record.LevelWarn, "'error'": record.LevelError, "35": record.LevelInfo, "69": record.LevelFatal, "70": record.LevelUnknown, "5x": record.LevelUnknown,
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

func TestOnlyTheBeginning(t *testing.T) {
	if got := severity.FromLine([]byte(strings.Repeat("x ", 150) + "ERROR")); got != record.LevelUnknown {
		t.Errorf("a word far behind makes it %v", got)
	}
}

func BenchmarkFromLine(b *testing.B) {
	line := []byte(`10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a/b/c?d=e HTTP/1.1" 200 512 "-" "curl/8" "-" rt=0.005 uct="0.000" uht="0.004" urt="0.004" upstream=10.0.0.2:80 rid=abc cache=-`)
	for b.Loop() {
		severity.FromLine(line)
	}
}
