package severity

import (
	"math/bits"

	"github.com/weirlog/weir/internal/codec/processor"
	"github.com/weirlog/weir/internal/record"
)

// halves has, for a byte, what the lower and the upper half of it may belong to, a bit for
// each of groups. It does if both say so, as the first or as the second byte of a pair.
type halves struct{ firstLow, firstHigh, secondLow, secondHigh [16]uint8 }

// group is pairs with any of the first bytes before any of the second.
type group struct{ first, second string }

// groups have all of pairs, and as few others as bytes in sixteen rows and columns allow.
var groups = [8]group{
	{"FDINCLAE", "IEBNOALM"},
	{"VSWP", "EIA"},
	{"TSWEC", "RU"},
	{"FD", "TP"},
	{":<", starts},
	{"[(\t", starts},
	{`cefglnorstyLEY"'`, ":"},
	{"leyLEY", "="},
}

// starts are the letters that a level begins with.
const starts = "TFVSDINCLWEPAtfvsdinclwepa"

var inGroups = func() *halves {
	of := &halves{}
	for i, g := range groups {
		bit := uint8(1) << i
		for _, c := range []byte(g.first) {
			of.firstLow[c&0xf] |= bit
			of.firstHigh[c>>4] |= bit
		}
		for _, c := range []byte(g.second) {
			of.secondLow[c&0xf] |= bit
			of.secondHigh[c>>4] |= bit
		}
	}
	return of
}()

// mark sets, with SSSE3, the bit of each byte of a line that is the second of a pair of groups. The line
// has 16 to 256 bytes, and no others are read. It looks at sixteen bytes at once, with a
// table in a register for each half of a byte.
//
//go:noescape
func mark(marks *[4]uint64, line []byte, of *halves)

// fromWords has mark go over a line, since nearly none of its places is that of a level,
// and decides at the few that may be.
func fromWords(line []byte) record.Level {
	if len(line) < 16 || len(line) > 256 || !processor.HasSSSE3 {
		return fromPairs(line)
	}
	var marks [4]uint64
	mark(&marks, line, inGroups)
	for k, set := range marks {
		for ; set != 0; set &= set - 1 {
			i := 64*k + bits.TrailingZeros64(set)
			if pairs[line[i-1]].first&pairs[line[i]].second == 0 {
				continue
			}
			if l := at(line, i); l != record.LevelUnknown {
				return l
			}
		}
	}
	return record.LevelUnknown
}
