package crawl

import (
	"encoding/binary"

	"github.com/weirlog/weir/internal/record"
)

// gapOutage states that records may have become older than max_age, and are not asked for any
// more, since they were asked for last.
const gapOutage = "not asked for in time"

// askedParts is how often in the time max_age a stream without records notes that it was asked for.
const askedParts = 16

// asked returns up to when all there was has come, 0 where that is not known. With the kind time
// and max_age it stands in the place of a cursor.
func (p *position) asked() int64 {
	if p.kind != timeKind || len(p.cursor) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(p.cursor))
}

func (p *position) setAsked(ns int64) {
	p.cursor = binary.BigEndian.AppendUint64(p.cursor[:0], uint64(ns))
}

// outage notes whether there was a time that nobody has asked for, and nobody will.
func (st *stream) outage() {
	asked := st.at.asked()
	st.run.outage = st.kind == timeKind && asked != 0 && max(asked, st.at.since) < st.run.oldest
}

// answered notes that all there is has come.
func (st *stream) answered() {
	if st.kind != timeKind || st.maxAge == 0 {
		return
	}
	if st.run.outage || st.run.now-st.at.asked() >= int64(st.maxAge/askedParts) {
		st.moved = true
	}
	if st.moved {
		st.at.setAsked(st.run.now)
	}
}

// gap states an outage in a batch, which with its cursor ends it.
func (st *stream) gap(b *record.Batch) {
	if st.run.outage {
		b.Gaps = append(b.Gaps, record.Gap{Bytes: -1, Reason: gapOutage})
		st.at.setAsked(st.run.now)
		st.run.outage = false
	}
}
