package console

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/task"
)

// Tasks prints a list of tasks: a line each, or JSON in one line.
func (p *Printer) Tasks(l *task.List) error {
	if p.opts.Form == JSON {
		return p.object(l)
	}
	if p.opts.Terminal && len(l.Tasks) > 0 {
		p.styled(dim, fmt.Sprintf("%-8s%-*s%9s%9s%8s%8s  %-36s  NAME", "STATE", len("15:04:05.000")+1, "BEGAN", "TOOK", "RECORDS", "WARN", "ERROR", "TASK"))
		p.buf = append(p.buf, '\n')
	}
	for i := range l.Tasks {
		p.task(&l.Tasks[i])
	}
	if l.Total > len(l.Tasks) && p.opts.Terminal {
		p.note(fmt.Sprintf("%d more", l.Total-len(l.Tasks)))
	}
	if l.Forgotten > 0 {
		p.note(fmt.Sprintf("%d tasks more had no room to choose from; ask for less time", l.Forgotten))
	}
	if l.Omitted > 0 {
		p.note(fmt.Sprintf("and %d records of still more tasks", l.Omitted))
	}
	p.flush()
	return p.err
}

func (p *Printer) task(s *task.Summary) {
	p.styled(stateStyle(s.State), fmt.Sprintf("%-8s", stateWord(s.State)))
	p.began(s.Start.UnixNano())
	style := ""
	if s.Slow {
		style = yellow
	}
	p.styled(style, fmt.Sprintf("%9s", seconds(s.Duration)))
	p.styled("", fmt.Sprintf("%9d", s.Records))
	p.tally(yellow, s.Warnings)
	p.tally(red, s.Errors)
	id := string(AppendHarmless(nil, s.ID))
	p.styled(dim, "  "+id+strings.Repeat(" ", max(0, 36-utf8.RuneCountInString(id)))+"  ")
	name, _, _ := strings.Cut(s.Name, "\n")
	p.buf = AppendHarmless(p.buf, name)
	if where := strings.TrimSpace(s.Host + " " + s.Process); where != "" {
		p.styled(dim, "  "+string(AppendHarmless(nil, where)))
	}
	p.buf = append(bytes.TrimRight(p.buf, " "), '\n')
}

// began appends when something began: on a terminal what is not of today with its day, and
// then without seconds.
func (p *Printer) began(ns int64) {
	at := time.Unix(0, ns).In(p.opts.Location)
	if !p.opts.Terminal || p.day == "" || at.Format(dayForm) == p.day {
		p.time(ns)
		return
	}
	p.styled(dim, at.Format("Jan _2 15:04"))
	p.buf = append(p.buf, ' ')
}

// tally appends a number, in its style if there is any.
func (p *Printer) tally(style string, n int) {
	if n == 0 {
		style = dim
	}
	p.styled(style, fmt.Sprintf("%8d", n))
}

// Redraw begins again at the top of a terminal that has been cleared. To a program an empty
// line is between what was and what comes, unless that is JSON.
func (p *Printer) Redraw() error {
	switch {
	case p.opts.Form == JSON:
	case p.opts.Terminal:
		p.buf = append(p.buf, "\x1b[H\x1b[2J\x1b[3J"...)
	default:
		p.buf = append(p.buf, '\n')
	}
	p.flush()
	return p.err
}
