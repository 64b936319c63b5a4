package reference_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config/reference"
	"github.com/weirlog/weir/internal/config/testdata/sample"
)

func book(t *testing.T) *reference.Book {
	t.Helper()
	comments, err := reference.Comments("../testdata/sample")
	if err != nil {
		t.Fatal(err)
	}
	return &reference.Book{
		Root: sample.Default(),
		Variants: map[string][]reference.Variant{
			"sources": {{Type: "file", Default: sample.DefaultFile()}, {Type: "docker", Default: &sample.Docker{Include: []string{"*"}, StatsInterval: 20 * time.Second}}},
			"sinks":   {{Type: "statsd", Default: sample.StatsD{}}},
		},
		Comments: comments,
	}
}

// golden compares what write writes with a file. WEIR_UPDATE=1 writes it anew.
func golden(t *testing.T, path string, write func(io.Writer) error) []byte {
	t.Helper()
	var got, again bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	if err := write(&again); err != nil || !bytes.Equal(got.Bytes(), again.Bytes()) {
		t.Errorf("written twice, it differs (%v)", err)
	}
	if os.Getenv("WEIR_UPDATE") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is not up to date; it should be\n%s", path, got.String())
	}
	return got.Bytes()
}

func TestMarkdown(t *testing.T) {
	golden(t, "testdata/config.md", book(t).WriteMarkdown)
}

// TestSchema also checks that every reference leads somewhere.
func TestSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(golden(t, "testdata/schema.json", book(t).WriteSchema), &schema); err != nil {
		t.Fatal(err)
	}
	defs := schema["$defs"].(map[string]any)
	refs := 0
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				visit(item)
			}
		case map[string]any:
			for key, item := range v {
				if text, ok := item.(string); ok && key == "$ref" {
					refs++
					if defs[strings.TrimPrefix(text, "#/$defs/")] == nil {
						t.Errorf("%s leads nowhere", text)
					}
				}
				visit(item)
			}
		}
	}
	visit(schema)
	if refs == 0 {
		t.Error("the schema has no references")
	}
}

func TestMissing(t *testing.T) {
	b := book(t)
	if missing := b.Missing(); len(missing) != 0 {
		t.Errorf("without comments: %s", missing)
	}
	const path = "github.com/weirlog/weir/internal/config/testdata/sample."
	delete(b.Comments, path+"Labels.Labels")
	delete(b.Comments, path+"keep.Age")
	if got, want := b.Missing(), []string{path + "Labels.Labels", path + "keep.Age"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Missing = %s, want %s", got, want)
	}
}

func TestComments(t *testing.T) {
	comments, err := reference.Comments("../testdata/sample", "../shape")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"testdata/sample.HTTP.Token":    "Token is asked for on any address but loopback.\n\nGive it by a file or the environment.",
		"testdata/sample.Limits.Memory": "Memory is a size.",
		"testdata/sample.Limits":        "Limits are bounds.",
		"shape.Field":                   "Field is one key of a struct.",
	} {
		if got := comments["github.com/weirlog/weir/internal/config/"+key]; got != want {
			t.Errorf("comment of %s is %q, want %q", key, got, want)
		}
	}
	if _, err := reference.Comments("testdata/none"); err == nil {
		t.Error("no error for a directory that is not there")
	}
	if _, err := reference.Comments(os.TempDir()); err == nil {
		t.Error("no error outside of a module")
	}
}
