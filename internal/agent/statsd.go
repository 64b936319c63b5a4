package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/source/otlp"
	"github.com/weirlog/weir/internal/source/statsd"
)

// statsdEntry is the catalogue's line of the source statsd, whose settings may name a file.
func statsdEntry(n *config.Node, _ environment) (sourcePart, config.Mistakes) {
	c := statsd.Default()
	mistakes := config.Decode(n, &c)
	build := c
	if c.Mapping != "" {
		more, wrong := readStatsdMapping(n.Get("mapping"), c.Mapping)
		build.Mappings = append(build.Mappings[:len(build.Mappings):len(build.Mappings)], more...)
		mistakes = append(mistakes, wrong...)
	}
	return sourcePart{settings: c, build: func(d flow.Deps) (flow.Source, error) { return statsd.New(build, d) }}, mistakes
}

// readStatsdMapping reads a mapping file of statsd_exporter, whose path may be relative to the
// file that names it. In such a file ${1} is no variable.
func readStatsdMapping(at *config.Node, path string) ([]statsd.Mapping, config.Mistakes) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(at.Position().File), path)
	}
	read := func(path string) ([]byte, error) {
		text, err := os.ReadFile(path)
		return []byte(strings.ReplaceAll(string(text), "${", "$${")), err
	}
	alone := func(string) ([]fs.DirEntry, error) { return nil, fs.ErrNotExist } // no conf.d beside it
	tree, mistakes := config.Load(config.Options{ReadFile: read, ReadDir: alone}, path)
	var file statsd.MappingFile
	if len(mistakes) == 0 {
		mistakes = config.Decode(tree.Root, &file)
	}
	return file.All(), mistakes
}

// forgetNumbers removes the families of sources of numbers that a new configuration has no longer.
func (a *Agent) forgetNumbers(old, next Config) {
	stay := map[string]string{}
	for _, p := range next.parts.sources {
		stay[p.name] = p.typ
	}
	for _, p := range old.parts.sources {
		if stay[p.name] == p.typ {
			continue
		}
		for _, owner := range ownersOf(p) {
			for _, f := range a.registry.Owned(owner) {
				a.registry.Forget(f.Desc().Name)
			}
		}
	}
}

// ownersOf returns who owns the families of a source of numbers.
func ownersOf(p sourcePart) []string {
	switch p.typ {
	case "statsd":
		return statsd.Owners(p.name)
	case "otlp":
		return []string{otlp.Owner(p.name)}
	}
	return nil
}
