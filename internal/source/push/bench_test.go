package push

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/intake"
)

// BenchmarkPush reads and writes a push of 1 MiB of lines of 150 bytes, as Promtail sends
// them, up to the line.
func BenchmarkPush(b *testing.B) {
	line := strings.Repeat("some text of a line ", 7)
	var lines []string
	var entries []entry
	for i := range 7000 {
		text := fmt.Sprintf("%s %010d", line, i)
		lines = append(lines, text)
		entries = append(entries, entry{int64(i), text, nil})
	}
	run := func(name string, form lokipush.Format, body []byte) {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, nil)
			w.source.gate.Open(nowhere{})
			j := &job{Body: intake.Body{Text: body}}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if result, err := w.source.push(b.Context(), j, form, ""); err != nil || result.accepted != 7000 {
					b.Fatal(result, err)
				}
			}
		})
	}
	run("protobuf", lokipush.Protobuf, protoStream(`{app="shop"}`, lines...))
	run("json", lokipush.JSON, []byte(jsonPush(map[string]string{"app": "shop"}, entries...)))
}
