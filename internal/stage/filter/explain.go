package filter

import (
	"fmt"

	"github.com/weirlog/weir/internal/record"
)

// Explain says for a person what the filter of c makes of record i of b, and whether it
// drops it. What depends on other records, a sample without a field and a rate, is said as a
// rule.
func Explain(c Config, l Line, b *record.Batch, i int) (text string, drops bool, err error) {
	s, err := newStage(c, l)
	if err != nil {
		return "", false, err
	}
	switch s.condition(b, i) {
	case "drop_levels":
		return "drops it: its level is " + b.Records[i].Level.String(), true, nil
	case "drop":
		return fmt.Sprintf("drops it: drop[%d] fits", s.anyHolds(s.drop, b, i)), true, nil
	case "only":
		return "drops it: nothing in only fits", true, nil
	}
	text = "keeps it"
	if x := s.sample; x != nil && (x.of == nil || x.of.holds(&s.reader, b, i)) {
		if value := s.reader.field(b, i, x.by); len(value) > 0 {
			text = fmt.Sprintf("keeps one %s in %d, this one", c.Sample.By, x.n)
			if !x.keeps(&s.reader, b, i) {
				return fmt.Sprintf("keeps one %s in %d, not this one", c.Sample.By, x.n), true, nil
			}
		} else {
			text = fmt.Sprintf("keeps one in %d", x.n)
		}
	}
	if s.limit != nil {
		text += fmt.Sprintf(", at most %s, and %g at once", c.Rate, s.limit.burst)
	}
	return text, false, nil
}
