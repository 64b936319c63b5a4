package kept_test

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/record"
)

// TestWritten: of what an Appender has written, Written says what Rest says.
func TestWritten(t *testing.T) {
	texts := []string{"a", `"`, `\`, `\"`, `"}}`, `x"}}`, `","raw":"`, "\n", "é", "\xff", `}`, `\\"}}`}
	show := func(l kept.Line, err error) string {
		s := fmt.Sprint(l.Flags, l.Weight, string(l.Gap), l.GapBytes, string(l.Raw), err)
		for name, value := range l.Fields() {
			s += fmt.Sprintf(" %s=%s", name, value)
		}
		return s
	}
	var a kept.Appender
	check := func(r *kept.Record) {
		t.Helper()
		line := a.Append(nil, r)
		line = line[:len(line)-1]
		_, end := kept.BodyAt(line)
		want, got := show(kept.Rest(line, end)), show(kept.Written(line, end))
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	for _, body := range texts {
		for _, value := range texts {
			for _, r := range []kept.Record{{}, {Flags: record.Stderr}, {Flags: record.Cut}, {Weight: 3}, {Gap: "lost"}} {
				r.Body = []byte(body)
				check(&r)
				r.Fields = []kept.Field{{Name: []byte("a"), Value: []byte(value)}}
				check(&r)
				r.Fields = append(r.Fields, kept.Field{Name: kept.Escape(nil, []byte(body)), Value: []byte(value)})
				check(&r)
			}
		}
	}
}
