package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/config/testdata/sample"
)

func TestParseDuration(t *testing.T) {
	good := func(in string, want time.Duration, short string) {
		t.Helper()
		d, err := config.ParseDuration(in)
		if err != nil || d != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", in, d, err, want)
		}
		if got := config.FormatDuration(d); got != short {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, short)
		}
		if again, err := config.ParseDuration(short); err != nil || again != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", short, again, err, want)
		}
	}
	good("0", 0, "0s")
	good("0s", 0, "0s")
	good("10s", 10*time.Second, "10s")
	good("1500ms", 1500*time.Millisecond, "1.5s")
	good("250us", 250*time.Microsecond, "250µs")
	good("250µs", 250*time.Microsecond, "250µs")
	good("5ns", 5, "5ns")
	good("1h30m", 90*time.Minute, "1h30m")
	good("90m", 90*time.Minute, "1h30m")
	good("7d", 7*24*time.Hour, "7d")
	good("2w", 14*24*time.Hour, "14d")
	good("1d12h0.5s", 36*time.Hour+500*time.Millisecond, "1d12h500ms")
	for _, bad := range []string{"", "10", "s", "10 s", "1.2.3s", "-1s", "1x", "1s2", ".s", "1e3s", "99999999w", strings.Repeat("9", 400) + "s"} {
		if d, err := config.ParseDuration(bad); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", bad, d)
		}
	}
}

func TestParseBytes(t *testing.T) {
	good := func(in string, want config.Bytes, short string) {
		t.Helper()
		n, err := config.ParseBytes(in)
		if err != nil || n != want || n.String() != short {
			t.Errorf("ParseBytes(%q) = %s, %v; want %s", in, n, err, short)
		}
		if again, err := config.ParseBytes(short); err != nil || again != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", short, again, err, want)
		}
	}
	good("0", 0, "0")
	good("512", 512, "512")
	good("512B", 512, "512")
	good("64KiB", 64<<10, "64KiB")
	good("64 kib", 64<<10, "64KiB")
	good("10MB", 10e6, "10MB")
	good("10kb", 10e3, "10kB")
	good("1GiB", 1<<30, "1GiB")
	good("1.5GiB", 3<<29, "1536MiB")
	good("2TB", 2e12, "2TB")
	good("1024KiB", 1<<20, "1MiB")
	good("9223372036854775807", math.MaxInt64, "9223372036854775807")
	for _, bad := range []string{"", "K", "10M", "10Mi", "-1", "1.5", "0.3B", "1e3", "9999999TiB", "9e99", "1 0KiB", "10  MB", strings.Repeat("9", 400) + "TB"} {
		if n, err := config.ParseBytes(bad); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", bad, n)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := struct{ Token, Empty config.Secret }{Token: "hunter2"}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %q %s", s, s, s, s, s), string(encoded)} {
		if strings.Contains(got, "hunter2") {
			t.Errorf("the secret is told: %s", got)
		}
	}
	if want := `{"Token":"***","Empty":""}`; string(encoded) != want {
		t.Errorf("json = %s, want %s", encoded, want)
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"paths", "labels", "max_line", "by", "as"}
	all := "; known are paths, labels, max_line, by, as"
	for name, want := range map[string]string{
		"lables": `, did you mean "labels"?`, "path": `, did you mean "paths"?`, "max": `, did you mean "max_line"?`,
		"labels_all": `, did you mean "labels"?`, "to": all, "b": all, "": all, "xx": all, strings.Repeat("x", 1000): all,
	} {
		if got := config.Suggest(name, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := config.Suggest("x", nil); got != "" {
		t.Errorf("Suggest among none = %q", got)
	}
	if got := config.Suggest("zz", strings.Split("abcdefghijklmnopqrst", "")); !strings.HasSuffix(got, "p, …") {
		t.Errorf("Suggest among many = %q", got)
	}
}

func TestLoadDirectories(t *testing.T) {
	dir := func(path string) []string {
		tree, mistakes := config.Load(options(), path, path)
		if len(mistakes) == 0 {
			t.Errorf("Load(%q) finds no mistakes", path)
		}
		return tree.Files
	}
	got := fmt.Sprint(dir("testdata/bad/merge/conf.d"))
	want := "[testdata/bad/merge/conf.d/10-a.yaml testdata/bad/merge/conf.d/20-b.yml testdata/bad/merge/conf.d/30-broken.yaml]"
	if got != want {
		t.Errorf("files of a directory are %s, want %s", got, want)
	}
	tree, mistakes := config.Load(options())
	if len(mistakes) != 0 || tree.Root.Kind() != config.Null || len(tree.Files) != 0 {
		t.Errorf("Load of nothing = %+v, %v", tree, mistakes)
	}
	var zero config.Tree
	if _, mistakes := sample.Decode(&zero); len(mistakes) != 0 {
		t.Errorf("Decode of the zero tree: %v", mistakes)
	}
}

func TestUnreadableDirectory(t *testing.T) {
	o := memory(map[string]string{"etc/weir.yaml": "node: a"})
	o.ReadDir = func(path string) ([]fs.DirEntry, error) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	_, mistakes := config.Load(o, "etc/weir.yaml")
	if got, want := mistakes.Error(), "etc/conf.d: read: permission denied"; got != want {
		t.Errorf("mistakes are %q, want %q", got, want)
	}
}

func TestBounds(t *testing.T) {
	load := func(text, want string) {
		t.Helper()
		_, mistakes := config.Load(memory(map[string]string{"w.yaml": text, "big": strings.Repeat("s", 1<<20), "huge": strings.Repeat("s", 2<<20)}), "w.yaml")
		if got := mistakes.Error(); !strings.Contains(got, want) {
			t.Errorf("mistakes are %.200q, want %q", got, want)
		}
	}
	load("node: "+strings.Repeat("x", 1<<20), "w.yaml: larger than 1MiB")
	load("a: ["+strings.Repeat("x,", 150_000)+"]", "w.yaml: too many values for one file")
	load(strings.Repeat("a: ", 1)+strings.Repeat("[", 200_000), "nested deeper")
	load(strings.Repeat("- ", 200_000), "nested deeper")
	load(strings.Repeat("? ", 200_000), "nested deeper")
	load("a:\n"+strings.Repeat("- ${file:big}\n", 5), "interpolation makes more than 4MiB of text")
	load("a: ${file:huge}", "is larger than 1MiB")
	load("a: ["+strings.Repeat("x", 500_000), "this bracket is not closed")
	load(strings.Repeat("a: b\n", 10_001), "too many values for one file")
	load("a: |\n  "+strings.Repeat("\r\n  ", 100_000), "more than 200 empty lines")
	load("a: ["+strings.Repeat("- ", 100_000), "w.yaml:1:5: a \"- \" inside { } or [ ]: use commas")
}

func TestMask(t *testing.T) {
	tree, mistakes := config.Load(memory(map[string]string{"w.yaml": "a: ${file:long} ${file:short}\nb: ${file:short}", "long": "correct horse\n", "short": "ab"}), "w.yaml")
	if len(mistakes) != 0 {
		t.Fatal(mistakes)
	}
	for in, want := range map[string]string{
		"a correct horse": "a ***", "ab": "***", "about": "about", `not "ab"`: "not ***", "correct horse ab": "***", "": "",
	} {
		if got := tree.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
	if got := (*config.Tree)(nil).Mask("ab"); got != "ab" {
		t.Errorf("Mask of no tree = %q", got)
	}
}

// wrapped has problems in all the ways that errors can hold them.
type wrapped struct {
	List  []int          `yaml:"list"`
	Table map[string]int `yaml:"table"`
}

func (w *wrapped) Validate() error {
	return errors.Join(
		fmt.Errorf("in the list: %w", &config.Problem{Key: "list[1]", Message: "too small"}),
		config.Join(nil, &config.Problem{Key: "list[7]", Message: "missing"}, errors.New("of no key")),
		&config.Problem{Key: "table.a.b", Message: "dotted"},
		&config.Problem{Key: "table.none.deep[3]", Message: "absent"},
		&config.Problem{Key: "absent[0].x", Message: "absent"},
		&config.Problem{Key: "[broken].]", Message: "odd"},
		&config.Problem{Key: "table", Message: "twice"},
		&config.Problem{Key: "table", Message: "twice"},
	)
}

func TestProblemsArePlaced(t *testing.T) {
	tree, mistakes := config.Load(memory(map[string]string{"w.yaml": "inner:\n  list: [1, 2]\n  table:\n    a.b: 3\n"}), "w.yaml")
	var into struct {
		Inner wrapped `yaml:"inner"`
	}
	got := append(mistakes, config.Decode(tree.Root, &into)...).Sort().Error()
	want := `w.yaml:1:1: inner: of no key
w.yaml:1:1: inner.absent[0].x: absent
w.yaml:1:1: inner["[broken]"]["]"]: odd
w.yaml:2:3: inner.list[7]: missing
w.yaml:2:13: inner.list[1]: in the list: too small
w.yaml:3:3: inner.table: twice
w.yaml:3:3: inner.table.none.deep[3]: absent
w.yaml:4:5: inner.table["a.b"]: dotted`
	if got != want {
		t.Errorf("mistakes are\n%s\nwant\n%s", got, want)
	}
}

func TestDecodeReplacesListsAndKeepsTheRest(t *testing.T) {
	tree, mistakes := config.Load(memory(map[string]string{"w.yaml": "list: [9]\nempty: []\nscalar: 1\ninner: {b: 2}\n"}), "w.yaml")
	type inner struct {
		A int `yaml:"a"`
		B int `yaml:"b"`
	}
	into := struct {
		List   []int          `yaml:"list"`
		Empty  []int          `yaml:"empty"`
		Absent []int          `yaml:"absent"`
		Scalar []float32      `yaml:"scalar"`
		Inner  *inner         `yaml:"inner"`
		Table  map[string]int `yaml:"table"`
	}{List: []int{1, 2}, Empty: []int{1}, Absent: []int{1}, Inner: &inner{A: 1, B: 1}, Table: map[string]int{"a": 1}}
	if ms := append(mistakes, config.Decode(tree.Root, &into)...); len(ms) != 0 {
		t.Fatal(ms)
	}
	if got, want := fmt.Sprintf("%v %v %v %v %v %v", into.List, into.Empty, into.Absent, into.Scalar, *into.Inner, into.Table), "[9] [] [1] [1] {1 2} map[a:1]"; got != want {
		t.Errorf("decoded %s, want %s", got, want)
	}
}

func TestUndecodableTypePanics(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "cannot be decoded") {
			t.Errorf("panic is %v", r)
		}
	}()
	tree, _ := config.Load(memory(map[string]string{"w.yaml": "a: b"}), "w.yaml")
	config.Decode(tree.Root, &struct {
		A chan int `yaml:"a"`
	}{})
}

// TestPrintedIsReadBack prints awkward texts and reads them again.
func TestPrintedIsReadBack(t *testing.T) {
	texts := []string{"", " ", "a", "null", "~", "true", "no", "1", "1e3", "0x10", "10s", "64KiB", "1d", "2024-01-01", ".5", "-", "- a", "a: b", "a #b", "#a", "'", `"`, `\`,
		"a\nb", "a\n", "\ta", "\x01", "\u0085", "\u2028", "é", "日本", "${X}", "$${X}", "$$${X}", "$x", "\\d+$", "%a", "@a", "`", "&a", "*a", "!a", "|", ">", "{a}", "[a]", "<<", "?", "a\r\nb", "---", "..."}
	for _, text := range texts {
		if err := printAndRead(text, []string{text, text}, map[string]string{"k" + strings.ReplaceAll(text, "\r", ""): text}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

type printed struct {
	Text  string            `yaml:"text"`
	List  []string          `yaml:"list"`
	Table map[string]string `yaml:"table"`
	Deep  [][]string        `yaml:"deep"`
}

func printAndRead(text string, list []string, table map[string]string) error {
	in := printed{text, list, table, [][]string{list, {}, {text}}}
	var b strings.Builder
	if err := config.WriteYAML(&b, config.Plain(in, nil)); err != nil {
		return err
	}
	tree, mistakes := config.Load(memory(map[string]string{"w.yaml": b.String()}), "w.yaml")
	var out printed
	if err := append(mistakes, config.Decode(tree.Root, &out)...).Err(); err != nil {
		return fmt.Errorf("%s\n%w", b.String(), err)
	}
	if fmt.Sprintf("%q", in) != fmt.Sprintf("%q", out) {
		return fmt.Errorf("%s\nread as %q, want %q", b.String(), out, in)
	}
	return nil
}

func TestPlainAsJSON(t *testing.T) {
	tree, mistakes := config.Load(options(), "testdata/good/full.yaml")
	if len(mistakes) != 0 {
		t.Fatal(mistakes)
	}
	encoded, err := json.Marshal(config.Plain(tree.Root, tree))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"node":"web-2","http":{"listen":"0.0.0.0:9103","token":"***",`, `"docker":null`, `"streams":"0x10"`} {
		if !strings.Contains(string(encoded), want) {
			t.Errorf("%s does not contain %s", encoded, want)
		}
	}
}

func TestMergeFiles(t *testing.T) {
	files := map[string]string{
		"a.yaml": "rules:\nlabels: {a: b}\nsources: {file: {paths: x}}\nhttp: {token: t}\n",
		"b.yaml": "rules: [{match: a}]\nlabels:\nsources: {docker: }\nhttp: {insecure: true}\n",
		"c.yaml": "rules:\n- match: b\n- mtach: c\nlabels: {c: d}\n",
	}
	tree, mistakes := config.Load(memory(files), "a.yaml", "b.yaml", "c.yaml")
	cfg := sample.Default()
	got := append(mistakes, config.Decode(tree.Root, &cfg)...).Sort().Error()
	want := "c.yaml:3:3: rules[2].match: give a selector, {} matches all\n" +
		`c.yaml:3:3: rules[2].mtach: unknown key, did you mean "match"?`
	if got != want {
		t.Errorf("mistakes are\n%s\nwant\n%s", got, want)
	}
	if got, want := fmt.Sprint(len(cfg.Rules), cfg.Labels, len(cfg.Sources), cfg.HTTP.Token, cfg.HTTP.Insecure), "3 map[a:b c:d] 2***true"; got != want {
		t.Errorf("merged is %s, want %s", got, want)
	}
	if at := tree.Root.Get("rules").Position().String(); at != "b.yaml:1:1" {
		t.Errorf("rules stand at %s, want b.yaml:1:1", at)
	}
}

// broken refuses its form as a whole, and finds fault with what is not there because of it.
type broken struct {
	Size int `yaml:"size"`
}

func (b *broken) UnmarshalNode(n *config.Node) error {
	if n.Get("size") != nil {
		return &config.Problem{Key: "size", Message: "not today, " + n.Get("size").Key()}
	}
	return errors.New("no form of it")
}

func (b *broken) Validate() error { return &config.Problem{Key: "size", Message: "missing"} }

func TestMistakesHideWhatFollows(t *testing.T) {
	long := strings.Repeat("é", 100)
	tree, mistakes := config.Load(memory(map[string]string{"w.yaml": "a: x\nb: {size: 2}\nn: " + long + "\n"}), "w.yaml")
	var into struct {
		A broken `yaml:"a"`
		B broken `yaml:"b"`
		C broken `yaml:"c"`
		N int    `yaml:"n"`
	}
	got := append(mistakes, config.Decode(tree.Root, &into)...).Sort().Error()
	want := "w.yaml:1:1: c.size: missing\n" +
		"w.yaml:1:4: a: no form of it\n" +
		"w.yaml:2:5: b.size: not today, size\n" +
		`w.yaml:3:4: n: want a whole number such as 10, not "` + long[:60] + `…"`
	if got != want {
		t.Errorf("mistakes are\n%s\nwant\n%s", got, want)
	}
}
