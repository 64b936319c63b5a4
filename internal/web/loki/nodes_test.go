package loki

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/task"
)

// fill gives v, and all that is in it, some value.
func fill(rnd *rand.Rand, v reflect.Value) {
	texts := []string{"", "plain", "a \"quoted\" <one> & \\", "é\u202e\x7f\n", "\xff"}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(rnd.Int64N(4e9)-2e9, rnd.Int64N(3)*500).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(rnd, v.Field(i))
		}
	case reflect.Pointer:
		if rnd.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rnd, v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rnd.IntN(3), 3))
		for i := range v.Len() {
			fill(rnd, v.Index(i))
		}
	case reflect.String:
		v.SetString(texts[rnd.IntN(len(texts))])
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, math.MaxInt64}[rnd.IntN(4)])
	case reflect.Float64:
		v.SetFloat([]float64{0, 1, 0.25, -1.5, 1e-7, 123456.789, 1e21, 1e20}[rnd.IntN(8)])
	case reflect.Bool:
		v.SetBool(rnd.IntN(2) == 0)
	default:
		panic(fmt.Sprint("a kind of field that the test does not know: ", v.Kind()))
	}
}

// TestAppendNode: a node is written as encoding/json writes it, with all that it has.
func TestAppendNode(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		var n task.Node
		fill(rnd, reflect.ValueOf(&n).Elem())
		text, err := json.Marshal(&n)
		if err != nil {
			t.Fatal(err)
		}
		want := string(lines.AppendHarmlessJSON([]byte("x"), text))
		if got := string(appendNode([]byte("x"), &n)); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// BenchmarkAppendNode is most of what sending a tree takes.
func BenchmarkAppendNode(b *testing.B) {
	end := time.Unix(1795197434, 0).UTC()
	n := task.Node{
		ID: "b54cda58-fbbe-487e-afbb-e21d730f4a7d/17", Depth: 1, Name: "count up", State: task.Success, Start: time.Unix(1795197433, 5e8).UTC(), Last: end, End: &end,
		Duration: 0.5, Records: 10, Host: "vm", Process: "9139", Stream: "file/tasks.log", Fields: []task.Field{{Name: "job", Value: "count up"}},
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendNode(buf[:0], &n)
	}
}
