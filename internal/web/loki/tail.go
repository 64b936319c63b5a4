package loki

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/syntax"
)

const (
	// frameTime is how long a client may take to read a message, and to answer a ping.
	frameTime = 30 * time.Second
	// maxDelay is how long lines may be held back for others that come late.
	maxDelay = 5 * time.Second
)

// tailParams are those of /tail.
type tailParams struct {
	expr  *syntax.LogQuery
	start time.Time
	limit int // of the lines that were there before
	delay time.Duration
	usage usage
}

func (a *API) tailParams(r *http.Request) (p tailParams, err error) {
	f, err := readForm(r)
	if err != nil {
		return p, err
	}
	expr, err := syntax.Parse(f.get("query"))
	if err != nil {
		return p, err
	}
	p.expr, _ = expr.(*syntax.LogQuery)
	if p.expr == nil {
		return p, bad("only log selector is supported")
	}
	if p.start, err = f.time("start", f.now.Add(-lastHour)); err != nil {
		return p, err
	}
	if p.limit, err = f.limit(defaultLimit, a.Limits.Entries); err != nil {
		return p, err
	}
	seconds, err := f.number("delay_for", 0)
	p.delay = time.Duration(seconds) * time.Second
	if err == nil && (p.delay < 0 || p.delay > maxDelay) {
		err = bad("delay_for can't be greater than " + strconv.Itoa(int(maxDelay/time.Second)))
	}
	p.usage.categorize = wantsCategories(r)
	return p, err
}

// tail answers /tail: lines that are there already, then those to come, as messages of a
// WebSocket.
func (a *API) tail(w http.ResponseWriter, r *http.Request) {
	p, err := a.tailParams(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	select {
	case a.tails <- struct{}{}:
		defer func() { <-a.tails }()
	default:
		a.numbers.refused("tail")
		a.refuse(w, r, requestErrorOf(http.StatusTooManyRequests, "too many connections follow streams already"))
		return
	}
	query := logql.NewFollower(p.expr)
	live := a.Live.Tail(query.Selects, a.Limits.TailBytes)
	defer live.Close()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // and answered
	}
	defer func() { _ = conn.CloseNow() }() // does nothing if it is closed
	a.numbers.tails.Add(1)
	defer a.numbers.tails.Add(-1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	gone := conn.CloseRead(context.WithoutCancel(ctx)) // answers pings; ends with the connection
	defer context.AfterFunc(gone, cancel)()
	err = a.follow(ctx, &follower{tailParams: p, query: query, live: live, conn: conn, ping: a.Limits.Ping, numbers: &a.numbers})
	switch status, text := statusOf(err); {
	case gone.Err() != nil:
	case r.Context().Err() != nil:
		_ = conn.Close(websocket.StatusGoingAway, "weir stops")
	case status == http.StatusInternalServerError && !errors.Is(err, errSlow):
		a.Log.Error("follow streams", "error", err)
		fallthrough
	default:
		_ = conn.Close(websocket.StatusInternalError, shortened(text))
	}
}

// shortened cuts a text to what has room in a close frame.
func shortened(text string) string {
	const room = 120
	if len(text) <= room {
		return text
	}
	return strings.ToValidUTF8(text[:room], "") + "…"
}

// follow sends what is there, then what comes.
func (a *API) follow(ctx context.Context, t *follower) error {
	entries, err := a.backlog(ctx, &t.tailParams)
	if err != nil {
		return err
	}
	return t.run(ctx, entries)
}

// historyBytes is about how many bytes lines that were kept before may take in a tail.
const historyBytes = 16 << 20

// backlog returns the newest lines that are there already, the oldest first.
func (a *API) backlog(ctx context.Context, p *tailParams) ([]logql.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Limits.Timeout)
	defer cancel()
	// What was accepted before the tail began shows only once it is synced.
	if err := a.Sync(ctx); err != nil {
		a.Log.Warn("commit before following streams", "error", err)
	}
	if !a.gate.admit() {
		return nil, errBusy
	}
	defer a.gate.leave()
	if err := a.gate.enter(ctx); err != nil {
		return nil, err
	}
	defer a.gate.exit()
	res, err := a.Engine.Query(ctx, logql.Params{Expr: p.expr, Start: p.start, End: time.Now().Add(time.Hour), Limit: p.limit, Bytes: historyBytes})
	for i, k := 0, len(res.Entries)-1; i < k; i, k = i+1, k-1 {
		res.Entries[i], res.Entries[k] = res.Entries[k], res.Entries[i]
	}
	return res.Entries, err
}
