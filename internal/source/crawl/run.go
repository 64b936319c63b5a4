package crawl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/config"
)

const (
	// quietTime is how long ago a time is for which no more records are expected: a window
	// that ended before lets the cursor move on though it had none. It is more than an hour,
	// by which clocks differ that are set to the wrong zone.
	quietTime = 2 * time.Hour
	// smallSkew is by how much a server's clock may differ before that is taken into account:
	// its header has whole seconds.
	smallSkew = 5 * time.Second
)

// runOnce asks for what is new, page by page, and takes it.
func (st *stream) runOnce(ctx context.Context) error {
	if err := st.begin(ctx); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, st.cfg.Deadline, fmt.Errorf("the run took longer than %s (deadline)", config.FormatDuration(st.cfg.Deadline)))
	defer cancel()
	var err error
	if st.kind == execKind {
		err = st.execute(limited)
	} else {
		err = st.crawl(limited)
	}
	st.decoder.release()
	if cause := context.Cause(limited); cause != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = cause
	}
	var refusal *refusedError
	if errors.As(err, &refusal) && refusal.after > 0 {
		st.later = time.Now().Add(refusal.after)
	}
	if st.kind == timeKind && st.at.high != 0 {
		st.source.counts.cursor.Series(st.source.deps.Name, st.name).Set(float64(st.at.high) / 1e9)
	}
	return errors.Join(err, st.flush())
}

// crawl asks for one window of time after the other: for all there is at once, where the
// configuration says nothing else.
func (st *stream) crawl(ctx context.Context) error {
	st.settle()
	for from := st.from(); ; {
		end := st.run.now - int64(st.cfg.Delay)
		until := end
		if w := int64(st.cfg.Window); w > 0 && from != 0 && until-from > w {
			until = from + w
		}
		if st.asks.until && from >= until {
			if st.told {
				return nil // there is nothing to ask for yet
			}
			until = from + int64(time.Second) // by the server's clock there may be
			end = until
		}
		v := variables{Cursor: st.at.named(), Since: momentOf(from), Until: momentOf(until), Now: momentOf(st.run.now), Page: st.cfg.Pages.First}
		err := st.pages(ctx, v)
		switch {
		case errors.Is(err, errSkewed):
			st.settle()
			from = st.from()
			continue
		case err != nil:
			return err
		}
		st.through(until, until == end)
		if until == end {
			return nil
		}
		if err := st.flush(); err != nil {
			return err
		}
		from = until
	}
}

// settle says what time it is by the server's clock, and so what is too old, whether there was an
// outage, and where the first run begins.
func (st *stream) settle() {
	st.run.now, st.run.oldest = time.Now().Add(st.skew).UnixNano(), 0
	if st.maxAge > 0 {
		st.run.oldest = st.run.now - int64(st.maxAge)
	}
	st.outage()
	if st.kind == execKind {
		return
	}
	if before, all := st.cfg.startOf(st.source.deps.Once); st.first && !all {
		st.at.since, st.moved = st.run.now-int64(before), true
	}
	if st.kind != timeKind && st.at.since != 0 {
		st.run.oldest = max(st.run.oldest, st.at.since)
		st.run.nothing = st.cfg.Start == "end"
	}
}

// from returns the time that records are asked from, 0 if there is none.
func (st *stream) from() int64 {
	if st.kind != timeKind || st.at.since == 0 {
		return 0
	}
	return max(st.at.since, st.run.oldest)
}

// noticeSkew takes note of how far the server's clock is ahead.
func (st *stream) noticeSkew(d time.Duration) {
	st.told = true
	if d.Abs() < smallSkew {
		d = 0
	}
	if (d-st.skew).Abs() >= smallSkew || d == 0 {
		st.skew = d
	}
	st.source.counts.skew.Series(st.source.deps.Name, st.name).Set(d.Seconds())
}

// errSkewed says that a run was begun by this machine's clock, and the server has another.
var errSkewed = errors.New("the server's clock is another")

// through moves the cursor when all records up to a time have come, and to whatever time the
// server has where it is the last.
func (st *stream) through(until int64, last bool) {
	if st.kind == timeKind {
		to := st.at.high
		if !last {
			to = min(to, until)
		}
		if quiet := st.run.now - int64(quietTime); st.cfg.Window > 0 && until <= quiet {
			to = max(to, until)
		}
		st.advance(to)
		if last && st.at.seen.keepTimeless(st.run.timeless) { // what came may come again
			st.moved = true
		}
		if last {
			st.answered()
		}
		return
	}
	if st.kind == idKind && last {
		if st.order == "descending" && st.run.head != nil {
			st.at.cursor = append(st.at.cursor[:0], st.run.head...)
		}
		if st.run.taken+st.run.old > 0 {
			st.at.high++ // the ids of later runs are told from these by that
			st.moved = true
		}
		st.at.seen.newest(recentIDs)
	}
	if last && st.at.since != 0 && (st.run.records > 0 || st.run.nothing) {
		st.at.since, st.moved = 0, true // start was of the first run
	}
}

// pages asks for one page after the other.
func (st *stream) pages(ctx context.Context, v variables) error {
	var next *url.URL
	if st.kind == tokenKind && v.Cursor != "" {
		v.Token = v.Cursor
		if st.cfg.Pages.By != "token" {
			var err error
			if next, err = url.Parse(v.Cursor); err != nil {
				return errors.New("the cursor is no url: it is of another way of paging (pages.by)")
			}
		}
	}
	before := map[idHash]bool{hashID([]byte(v.Token)): true}
	for n, empty := 1, 0; ; n++ {
		records, old := st.run.records, st.run.old
		st.run.turn()
		token, err := st.page(ctx, &v, next)
		if err != nil {
			return err
		}
		got := st.run.records - records
		if empty++; got > 0 {
			empty = 0
		}
		switch p := &st.cfg.Pages; {
		case p.By == "offset" || p.By == "number":
			v.Offset += got
			v.Page++
			if got == 0 && n == 1 || empty == 2 {
				return nil
			}
		case p.By == "none" || token == "":
			return nil
		case token == v.Token && n > 1 && st.run.samePage():
			return errors.New("the server gives the same page again, with the same next one: does it take what is asked (pages)?")
		case token == v.Token: // it names the last page as the next one
			return nil
		case before[hashID([]byte(token))]:
			return errors.New("the server gives the same next page again")
		default:
			before[hashID([]byte(token))] = true
			v.Token = token
			if p.By != "token" {
				if next, err = url.Parse(token); err != nil {
					return errors.New("the next page is no url")
				}
			}
		}
		if st.kind == tokenKind {
			st.turn(v.Token, got)
		}
		if st.order == "descending" && (st.run.met || got > 0 && st.run.old-old == got) {
			return nil // what follows is older still
		}
		if n >= st.cfg.Pages.Max {
			return fmt.Errorf("there are more than %d pages (pages.max)", n)
		}
	}
}

// turn moves the cursor to the next page. Of the page before, its ids are still known: some
// servers repeat its end.
func (st *stream) turn(token string, records int) {
	st.at.cursor = append(st.at.cursor[:0], token...)
	st.at.seen.newest(max(recentIDs, records))
	st.moved = true
}

// page asks for a page, takes what is in it, and returns where the next one is: a URL or a
// token, "" if there is none.
func (st *stream) page(ctx context.Context, v *variables, next *url.URL) (token string, err error) {
	skew := st.skew
	response, err := st.asks.ask(ctx, v, next)
	if err != nil {
		return "", err
	}
	defer response.close()
	if _, all := st.cfg.startOf(st.source.deps.Once); st.skew != skew && !st.run.again && (st.asks.until || st.maxAge > 0 || st.first && !all) {
		st.run.again = true // once: it might be several servers with a clock each
		return "", errSkewed
	}
	if response.StatusCode == http.StatusNoContent {
		return st.nextOf(response)
	}
	d := st.decoder
	err = d.decode(response.body, st.cfg.Format)
	st.source.counts.bytes.Series(st.source.deps.Name, st.name).Add(float64(d.off) + float64(len(d.buf)))
	if err != nil { // what broke off may be a text of the server's
		return "", fmt.Errorf("%s: %w", st.asks.where(response.Request.URL), st.asks.masks.reason(err, st.asks.token))
	}
	if said := d.notes[errorNote]; !said.absent() && !isNothing(said) {
		return "", fmt.Errorf("%s: the response says: %s", st.asks.where(response.Request.URL), st.asks.shown([]byte(d.plain(errorNote))))
	}
	if !d.found && !st.cfg.Optional {
		there := ""
		if len(d.there) > 0 {
			there = "; it has " + st.asks.shown(d.there[2:])
		}
		return "", fmt.Errorf("%s: the response has nothing at %q (records)%s", st.asks.where(response.Request.URL), st.cfg.Records, there)
	}
	if err := st.flush(); err != nil {
		return "", err
	}
	return st.nextOf(response)
}

// isNothing tells whether a value says that there is no error.
func isNothing(v value) bool {
	var room [8]byte
	if len(v.raw) > len(room) {
		return false
	}
	switch string(compact(room[:0], v.raw)) {
	case `""`, "false", "0", "{}", "[]":
		return true
	}
	return false
}

// nextOf returns where the page after a response is.
func (st *stream) nextOf(response *answer) (string, error) {
	p := &st.cfg.Pages
	token := ""
	switch p.By {
	case "link":
		token = nextLink(response.Header["Link"])
	case "url", "token":
		if name, ok := strings.CutPrefix(p.Token, headerPrefix); ok {
			token = response.Header.Get(name)
		} else {
			token = st.decoder.plain(tokenNote)
		}
	}
	if token != "" && p.By != "token" && len(token) <= maxCursor {
		u, err := response.Request.URL.Parse(token)
		if err != nil {
			return "", errors.New("the next page is no url")
		}
		token = u.String()
	}
	if len(token) > maxCursor {
		return "", fmt.Errorf("the next page's name has more than %d bytes", maxCursor)
	}
	return token, nil
}

// headerPrefix begins the name of a header in the place of a path.
const headerPrefix = "header:"

// nextLink returns the target of the link with rel="next" (RFC 8288), "" if there is none.
func nextLink(headers []string) string {
	for _, rest := range headers {
		for {
			from := strings.IndexByte(rest, '<')
			if from < 0 {
				break
			}
			rest = rest[from+1:]
			target, after, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			var params string
			params, rest = cutLink(after)
			if isNext(params) {
				return strings.TrimSpace(target)
			}
		}
	}
	return ""
}

// cutLink cuts the parameters of one link off the others: at a comma outside of quotes.
func cutLink(text string) (params, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// isNext tells whether the parameters of a link say rel="next".
func isNext(params string) bool {
	for _, p := range strings.Split(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for _, rel := range strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)) {
			if strings.EqualFold(rel, "next") {
				return true
			}
		}
	}
	return false
}
