package config_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/testdata/sample"
)

// options has an environment of its own. Paths in mistakes are those given to Load.
func options() config.Options {
	env := map[string]string{"HOST": "10.0.0.1", "EMPTY": "", "PORT": "8125", "STRUCTURE": "{a: b}\nc: d", "WORD": "null"}
	return config.Options{
		Env:   func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Whole: []string{"sources", "sinks"},
	}
}

// TestBad loads every case of testdata/bad: a file, or a directory with a weir.yaml. The
// exact mistakes stand beside it. WEIR_UPDATE=1 writes them anew.
func TestBad(t *testing.T) {
	cases, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("testdata/bad")
	count := 0
	for _, path := range cases {
		name := filepath.Base(path)
		if filepath.Ext(name) != ".yaml" && filepath.Ext(name) != "" {
			continue
		}
		count++
		load, want := name, strings.TrimSuffix(name, ".yaml")+".want"
		if filepath.Ext(name) == "" {
			load = name + "/weir.yaml"
		}
		t.Run(name, func(t *testing.T) { checkBad(t, load, want) })
	}
	if count < 25 {
		t.Errorf("%d cases, want at least 25", count)
	}
}

func checkBad(t *testing.T, load, wantFile string) {
	tree, mistakes := config.Load(options(), load)
	_, more := sample.Decode(tree)
	got := append(mistakes, more...).Sort().Error() + "\n"
	if os.Getenv("WEIR_UPDATE") != "" {
		if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(wantFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("mistakes are\n%s\nwant\n%s", got, want)
	}
}

// TestGood loads every case of testdata/good and compares what is shown.
func TestGood(t *testing.T) {
	cases, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(path), func(t *testing.T) {
			tree, mistakes := config.Load(options(), path)
			shown, more := sample.Decode(tree)
			if err := append(mistakes, more...).Err(); err != nil {
				t.Fatalf("mistakes:\n%v", err)
			}
			var got strings.Builder
			if err := config.WriteYAML(&got, config.Plain(shown, tree)); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".want"
			if os.Getenv("WEIR_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("shown is\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// memory makes options that read files from a map.
func memory(files map[string]string) config.Options {
	o := options()
	o.ReadFile = func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	o.ReadDir = func(path string) ([]fs.DirEntry, error) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return o
}
