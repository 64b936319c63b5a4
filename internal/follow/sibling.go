package follow

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// errMoved says that a name means another file than a moment ago.
var errMoved = errors.New("files moved while they were being looked at")

// kind is how a rotated file got its name.
type kind uint8

const (
	unknown  kind = iota
	numbered      // access.log.1: all names move up by one at a rotation
	dated         // access.log-20261120: a file keeps its name
	series        // the targets of a symbolic link, as 0.log, 1.log, or log.20261120
)

// suffix is what a rotated file's name says.
type suffix struct {
	kind   kind
	num    int // of a numbered file; 1 is the newest
	packed bool
}

// maxNumber is the highest number of a numbered file; what is higher is a date.
const maxNumber = 99999

// Rotated returns the path of the log that the file at path was rotated away from,
// judging by its name alone.
func Rotated(path string) (log string, ok bool) {
	dir, name := filepath.Split(path)
	plain, _ := cutPacked(name)
	if live, ok := cutNumber(plain); ok {
		return dir + live, true
	}
	if live, ok := cutDate(plain); ok {
		return dir + live, true
	}
	return "", false
}

func cutPacked(name string) (plain string, packed bool) {
	return strings.CutSuffix(name, ".gz")
}

func cutNumber(name string) (live string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i <= 0 {
		return "", false
	}
	n, ok := number(name[i+1:])
	return name[:i], ok && n > 0
}

// number parses a number without leading zeros, and the words that stand for the newest.
func number(s string) (int, bool) {
	switch s {
	case "old", "bak", "prev":
		return 1, true
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxNumber || strconv.Itoa(n) != s {
		return 0, false
	}
	return n, true
}

// cutDate takes a date off the end of a name, or from before its extension.
func cutDate(name string) (live string, ok bool) {
	if i := dateStart(name); i > 0 {
		return name[:i], true
	}
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	if i := dateStart(stem); ext != "" && i > 0 {
		return stem[:i] + ext, true
	}
	return "", false
}

// dateStart returns where the separator and date at the end of s begin, or -1. A date has
// eight digits at least; what separates them is not told apart.
func dateStart(s string) int {
	digits, start := 0, -1
	for i := len(s) - 1; i >= 0; i-- {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
			continue
		case c == '-' || c == '.' || c == '_':
			start = i
			continue
		case c == 'T' || c == 't' || c == 'Z' || c == ':' || c == '+':
			continue
		}
		break
	}
	if digits < 8 {
		return -1
	}
	// The first separator that has the whole date behind it: "web-2-20261120" is of web-2.
	for i := start; i >= 0 && i < len(s); {
		next := strings.IndexAny(s[i+1:], "-._")
		word := s[i+1:]
		if next >= 0 {
			word = s[i+1 : i+1+next]
		}
		if isYear(word) {
			return i
		}
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return -1
}

// isYear tells whether a word of digits can begin a date: 2026, 20261120…, an epoch.
func isYear(word string) bool {
	if len(word) < 4 || strings.Trim(word, "0123456789TtZ:+") != "" {
		return false
	}
	if (len(word) == 10 || len(word) == 13) && word[0] == '1' && word[:2] != "19" {
		return true // seconds or milliseconds since 1970
	}
	if century := word[:2]; century != "19" && century != "20" {
		return false
	}
	if len(word) == 4 {
		return true
	}
	return len(word) >= 8 && word[4:6] >= "01" && word[4:6] <= "12" && word[6:8] >= "01" && word[6:8] <= "31"
}

// suffixOf returns how name is rotated from the log named live.
func suffixOf(name, live string) suffix {
	if !strings.HasPrefix(name, strings.TrimSuffix(live, filepath.Ext(live))) {
		return suffix{} // as most names in a directory of many logs
	}
	plain, packed := cutPacked(name)
	if from, ok := cutNumber(plain); ok && from == live {
		n, _ := number(plain[len(from)+1:])
		return suffix{kind: numbered, num: n, packed: packed}
	}
	// Zero is a number here: a log that exists may have it, but a name ending in .0 alone
	// does not make a file a rotated one.
	if rest, ok := strings.CutPrefix(plain, live+"."); ok && rest == "0" {
		return suffix{kind: numbered, packed: packed}
	}
	if from, ok := cutDate(plain); ok && from == live {
		return suffix{kind: dated, packed: packed}
	}
	return suffix{}
}

// entry is a rotated file as the survey found it.
type entry struct {
	suffix
	info
	path string
}

// survey is what stands around a log's path at one moment.
type survey struct {
	dir     string // of the file that the path resolves to
	target  string // the path without symbolic links
	live    content
	is      info    // of live
	head    digest  // of live's first bytes, before anything else was looked at
	was     int64   // when the directory was last changed, before it was listed
	last    bool    // there will be no other: changes of the directory alone do not count
	entries []entry // newest first within a kind
	names   []string
}

// surveyTries bounds how often a survey is repeated because files moved meanwhile.
const surveyTries = 8

// maxSurvey bounds how many names of a directory are looked at.
const maxSurvey = 10000

// takeSurvey opens what is at path, if anything, and lists the files rotated away from it.
// Numbered names are walked upwards, the way the files move, so that none slips through;
// it is done again when the path changed hands meanwhile. Without list the rotated files are
// left out: a log that is new has none to ask for, and listing a directory for each of its
// files would cost the square of their number.
func takeSurvey(path, previous string, list bool) (*survey, error) {
	for try := 1; ; try++ {
		s, err := surveyOnce(path, previous, list)
		if err != nil {
			return nil, err
		}
		again, err := stat(path)
		if err == nil && s.live.open && again.id == s.is.id || err != nil && absent(err) && !s.live.open {
			return s, nil
		}
		if try == surveyTries {
			// A path that never rests: what was found is true of some moment.
			return s, nil
		}
		s.live.close()
	}
}

func surveyOnce(path, previous string, list bool) (*survey, error) {
	s := &survey{target: path}
	fd, in, err := openRead(path)
	switch {
	case err == nil:
		s.live, s.is = content{open: true, fd: fd}, in
		if _, packed := cutPacked(path); packed {
			s.live.gz = &inflater{fd: fd} // it is a log of its own, if its plain one is gone
		}
		var head [headBytes]byte
		if n, err := s.live.readAt(head[:], 0); err == nil {
			s.head = digestOf(head[:n])
		}
	case !absent(err):
		return nil, err
	}
	if t, err := filepath.EvalSymlinks(path); err == nil && isLink(path) {
		s.target = t
	} else if !s.live.open && previous != "" {
		s.target = previous // of a link that points nowhere: where its last file was
	}
	s.dir = filepath.Dir(s.target) + "/"
	if list {
		s.list(previous)
	}
	return s, nil
}

// list looks for the files that were rotated away.
func (s *survey) list(previous string) {
	base := filepath.Base(s.target)
	if in, err := stat(s.dir); err == nil {
		s.was = in.mtime
	}
	s.names = dirNames(s.dir)
	s.walkNumbered(base)
	s.listDated(base)
	if previous != "" && previous != s.target && filepath.Dir(previous) == filepath.Dir(s.target) {
		s.listSeries(filepath.Base(previous), base)
	}
}

// outdated tells whether something moved, was created or truncated since the survey. The
// newest rotated file may also be a copy in the making.
func (s *survey) outdated() bool {
	if s.was == 0 {
		return false // nothing was listed
	}
	if in, err := stat(s.dir); !s.last && (err != nil || in.mtime != s.was) {
		return true
	}
	if in, err := fstat(s.live.fd); s.live.open && err == nil && in.size < s.is.size {
		return true
	}
	for _, e := range s.entries[:min(len(s.entries), 2)] {
		if in, err := stat(e.path); err != nil || in.id != e.id || in.size != e.size && e.kind != series {
			return true
		}
	}
	return false
}

func isLink(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.Mode()&os.ModeSymlink != 0
}

// dirNames returns the names in dir, in no order, as many as are looked at.
func dirNames(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil // a directory that cannot be listed may still be searched by name
	}
	defer f.Close()
	names, _ := f.Readdirnames(maxSurvey)
	return names
}

func (s *survey) walkNumbered(base string) {
	type candidate struct {
		suffix
		name string
	}
	all := []candidate{{suffix{numbered, 1, false}, base + ".1"}, {suffix{numbered, 1, true}, base + ".1.gz"}}
	for _, name := range s.names {
		x := suffixOf(name, base)
		if x.kind != numbered {
			continue
		}
		all = append(all, candidate{x, name})
		// The file may have moved on by one since the directory was listed, or packed.
		for _, n := range []int{x.num, x.num + 1} {
			name := base + "." + strconv.Itoa(n)
			all = append(all, candidate{suffix{numbered, n, false}, name}, candidate{suffix{numbered, n, true}, name + ".gz"})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.num, b.num), boolCompare(a.packed, b.packed), strings.Compare(a.name, b.name))
	})
	all = slices.CompactFunc(all, func(a, b candidate) bool { return a.name == b.name })
	for _, c := range all {
		s.add(entry{suffix: c.suffix, path: s.dir + c.name})
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (s *survey) listDated(base string) {
	var names []string
	for _, name := range s.names {
		if suffixOf(name, base).kind == dated {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return -compareNatural(a, b) })
	for _, name := range names {
		_, packed := cutPacked(name)
		s.add(entry{suffix: suffix{kind: dated, packed: packed}, path: s.dir + name})
	}
}

// listSeries lists the files between two targets of a symbolic link whose names differ in
// their numbers only: the link went over them while nobody looked.
func (s *survey) listSeries(from, to string) {
	if shape(from) != shape(to) {
		return
	}
	var names []string
	for _, name := range s.names {
		if shape(name) == shape(to) && compareNatural(name, from) >= 0 && compareNatural(name, to) < 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return -compareNatural(a, b) })
	for _, name := range names {
		s.add(entry{suffix: suffix{kind: series}, path: s.dir + name})
	}
}

// add looks at one candidate. A file seen before has moved up since, with all that were
// seen in between being newer: its later place counts.
func (s *survey) add(e entry) {
	in, err := stat(e.path)
	if err != nil || !in.regular {
		return
	}
	if s.live.open && in.id == s.is.id {
		return
	}
	e.info = in
	s.entries = slices.DeleteFunc(s.entries, func(o entry) bool { return o.id == e.id })
	s.entries = append(s.entries, e)
}

// shape is a name with each run of digits replaced by one zero.
func shape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < '0' || c > '9' {
			b.WriteByte(c)
		} else if i == 0 || name[i-1] < '0' || name[i-1] > '9' {
			b.WriteByte('0')
		}
	}
	return b.String()
}

// compareNatural compares names with the numbers in them by value.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		x, y := digitRun(a), digitRun(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		p, q := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if c := cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q)); c != 0 {
			return c
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

func digitRun(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
