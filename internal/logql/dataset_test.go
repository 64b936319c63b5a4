package logql_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/dockerjson"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/codec/scan"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/record"
)

// The benchmarks read the lines that `make bench` makes; without them they are skipped.
const datasetFile = "../../bench/data/docker-1000000-lines-1-files-v1/access-0000.log"

// nginxRegex is the pattern that the lines of the dataset fit.
const nginxRegex = `(?P<remote_addr>\S+) - \S+ \[(?P<time_local>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) \S+" (?P<status>\d+) (?P<bytes>\d+) "[^"]*" "[^"]*" "[^"]*" rt=(?P<rt>\S+) uct="(?P<uct>[^"]*)" uht="(?P<uht>[^"]*)" urt="(?P<urt>[^"]*)" upstream=(?P<upstream>\S+) rid=(?P<rid>\S+) cache=(?P<cache>\S+)`

// loadDataset returns an archive with the dataset twice: as {job="plain"}, and with the
// status stored as {job="stored"}.
func loadDataset(b *testing.B) *archive.Archive {
	b.Helper()
	file, err := os.ReadFile(datasetFile)
	if err != nil {
		b.Skip("no dataset: ", err)
	}
	tree, err := disk.OS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a, err := archive.Open(archive.Options{Tree: tree}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, job := range []string{"plain", "stored"} {
		load(b, a.Stream(record.Stream{ID: "bench/" + job, Source: "bench", Labels: record.Labels{{Name: "job", Value: job}}}, archive.Bound{}), file)
		if err := a.Flush(); err != nil {
			b.Fatal(err)
		}
		a.Show()
	}
	return a
}

func load(b *testing.B, s *archive.Stream, file []byte) {
	var appender kept.Appender
	var text []byte
	pattern, err := scan.Compile(`" (?P<status>\d{3}) `)
	if err != nil {
		b.Fatal(err)
	}
	row := make([]record.Span, 1)
	for line := range bytes.Lines(file) {
		e, err := dockerjson.Parse(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			b.Fatal(err)
		}
		r := kept.Record{Time: e.Time, Level: severity.FromLine(e.Log), Flags: record.Escaped, Body: e.Log}
		if s.Labels().Get("job") == "stored" && pattern.Match(row, e.Log, record.Span{Len: uint32(len(e.Log))}, true) == scan.Matched {
			r.Fields = []kept.Field{{Name: []byte("status"), Value: e.Log[row[0].Off : row[0].Off+row[0].Len]}}
		}
		if text = appender.Append(text, &r); len(text) > 4<<20 {
			s.Add(nil, kept.TextOf(text))
			text = text[:0]
		}
	}
	s.Add(nil, kept.TextOf(text))
}

func BenchmarkDecode(b *testing.B) {
	a := loadDataset(b)
	v := a.Streams()[0].View()
	var d archive.Decoder
	var buf []byte
	for b.Loop() {
		n := 0
		for i := range v.Len() {
			text, err := v.AppendText(buf[:0], i, &d)
			if err != nil {
				b.Fatal(err)
			}
			n += len(text)
			buf = text
		}
		b.SetBytes(int64(n))
	}
	b.Logf("%+v %d", a.Stats(), v.Len())
	_ = buf
	v.Close()
}
