package agent

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/weirlog/weir/internal/config"
	filesink "github.com/weirlog/weir/internal/sink/file"
	"github.com/weirlog/weir/internal/source/file"
)

// ownDirs returns the directories that weir writes to: a source of files leaves them out.
func ownDirs(dataDir string, sinks []sinkPart) []string {
	dirs := []string{dataDir}
	for _, p := range sinks {
		if c, ok := p.settings.(filesink.Config); ok {
			dirs = append(dirs, c.Dir)
		}
	}
	return dirs
}

// separateSinks sees that no file sink writes into the directory of another: each cuts what
// it does not know of, after a crash.
func (c *Config) separateSinks(all []sinkPart) (mistakes config.Mistakes) {
	for i, p := range all {
		mine, ok := p.settings.(filesink.Config)
		if !ok || mine.Dir == "" {
			continue
		}
		for _, q := range all[:i] {
			other, ok := q.settings.(filesink.Config)
			if !ok || other.Dir == "" || !within(mine.Dir, other.Dir) && !within(other.Dir, mine.Dir) {
				continue
			}
			mistakes = append(mistakes, setting(c.Sinks[p.name], "dir", 0).Mistake(
				fmt.Sprintf("the sink %s writes to %s: give each file sink a directory of its own, not in that of another", q.name, other.Dir)))
			break
		}
	}
	return mistakes
}

// ownPatterns sees that no source names files of weir's alone, which it would never follow.
func (c *Config) ownPatterns(p parts) (mistakes config.Mistakes) {
	dirs := ownDirs(c.DataDir, p.sinks)
	if c.DefaultDataDir {
		dirs = dirs[1:] // with --once another is taken
	}
	for _, s := range p.sources {
		settings, ok := s.settings.(file.Config)
		if !ok {
			continue
		}
		for i, pattern := range settings.Paths {
			for _, dir := range dirs {
				if dir == "" || !within(fixedPart(pattern), dir) {
					continue
				}
				mistakes = append(mistakes, setting(c.Sources[s.name], "paths", i).Mistake(
					fmt.Sprintf("it names files in %s, which weir writes to itself and does not follow: leave it out, or give weir another directory", dir)))
				break
			}
		}
	}
	return mistakes
}

// setting returns a setting of a component, an item of it if it is a list.
func setting(component config.Node, key string, item int) *config.Node {
	n := component.Get(key)
	if n == nil {
		return &component
	}
	if items := n.Items(); item < len(items) {
		return items[item]
	}
	return n
}

// fixedPart returns the folder in which all is that a pattern fits.
func fixedPart(pattern string) string {
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		pattern = pattern[:i] + "x" // the name it belongs to is not fixed
	}
	return filepath.Dir(pattern)
}

// within tells whether a path is dir or in it, whatever links lead there.
func within(path, dir string) bool {
	rest, err := filepath.Rel(resolved(dir), resolved(path))
	return err == nil && rest != ".." && !strings.HasPrefix(rest, "../")
}

// resolved returns where a path leads. What of it does not exist yet leads nowhere else.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path // there is no current directory: the path as it is written
	}
	for there, rest := path, ""; ; there, rest = filepath.Dir(there), filepath.Join(filepath.Base(there), rest) {
		if at, err := filepath.EvalSymlinks(there); err == nil {
			return filepath.Join(at, rest)
		}
		if there == filepath.Dir(there) {
			return path
		}
	}
}
