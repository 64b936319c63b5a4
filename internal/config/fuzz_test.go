package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/testdata/sample"
)

// FuzzLoad loads, decodes and shows any text. Nothing panics, mistakes are in order and of
// one line, and what is shown of a text without mistakes is one without mistakes, and shows
// the same.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(content))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown, mistakes := show(t, text)
		for i, m := range mistakes {
			if s := m.String(); strings.ContainsAny(s, "\r\n") || len(s) > 8<<10 || !strings.HasPrefix(s, "w.yaml") {
				t.Errorf("mistake %d is %q", i, s)
			}
		}
		if len(mistakes) > 0 || strings.Contains(shown, "***") {
			return
		}
		again, mistakes := show(t, shown)
		if len(mistakes) > 0 {
			t.Fatalf("%q shows as\n%s\nwhich has the mistakes\n%v", text, shown, mistakes)
		}
		if again != shown {
			t.Fatalf("%q shows as\n%s\nwhich shows as\n%s", text, shown, again)
		}
	})
}

func show(t *testing.T, text string) (string, config.Mistakes) {
	tree, mistakes := config.Load(memory(map[string]string{"w.yaml": text, "secret": "s3cr3t-text"}), "w.yaml")
	value, more := sample.Decode(tree)
	var b strings.Builder
	if err := config.WriteYAML(&b, config.Plain(value, tree)); err != nil {
		t.Fatal(err)
	}
	return b.String(), append(mistakes, more...).Sort()
}

// FuzzPrint prints any text as a value, an element and a key, and reads it back.
func FuzzPrint(f *testing.F) {
	f.Add("a: b\n\t${X} $$${", "key")
	f.Add("1e3", "true")
	f.Add("\u0085\ufeff\x00", "<<")
	f.Fuzz(func(t *testing.T, text, key string) {
		text, key = strings.ToValidUTF8(text, ""), strings.ToValidUTF8(key, "")
		if len(key) > 200 || len(text) > 10_000 {
			return
		}
		if err := printAndRead(text, []string{text}, map[string]string{key: text}); err != nil {
			t.Error(err)
		}
	})
}
