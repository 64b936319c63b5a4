package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/syntax"
	"github.com/weirlog/weir/internal/logql/unit"
)

// question is what weir logs is asked.
type question struct {
	lines.Request
	follow bool
	// byDefault is set when nobody said how many lines.
	byDefault bool
	// highlight is what was looked for, nil for nothing.
	highlight *regexp.Regexp

	// numbers is the query when its answer is no lines; step is 0 for a moment.
	numbers syntax.Expr
	step    time.Duration
}

// defaultTail is how many lines are shown when nobody says how many.
const defaultTail = 100

// question makes sense of arguments and flags.
func (o *logsOptions) question(args []string, now time.Time) (q question, err error) {
	q.follow = o.follow
	if err := o.times(&q, now); err != nil {
		return q, err
	}
	expr := syntax.Expr(&syntax.LogQuery{})
	for _, arg := range args {
		if !isQuery(arg) {
			q.Words = append(q.Words, arg)
			continue
		}
		if log, ok := expr.(*syntax.LogQuery); !ok || len(log.Matchers) > 0 {
			return q, errors.New("give one query, in quotes")
		}
		if expr, err = syntax.Parse(arg); err != nil {
			return q, err
		}
	}
	log, ok := expr.(*syntax.LogQuery)
	if !ok {
		q.numbers = expr
		return q, o.onlyNumbers(&q, now)
	}
	if o.step != "" {
		return q, errors.New("--step goes with a query for numbers")
	}
	if q.Query, q.highlight, err = o.filtered(log); err != nil {
		return q, err
	}
	return q, o.amounts(&q)
}

// isQuery tells LogQL from the name of a stream, which may have braces too.
func isQuery(arg string) bool {
	if strings.HasPrefix(strings.TrimSpace(arg), "{") {
		return true
	}
	if !strings.Contains(arg, "{") {
		return false
	}
	_, err := syntax.Parse(arg)
	return err == nil || strings.Contains(arg, "(")
}

// onlyNumbers sees to what a query for numbers is asked with.
func (o *logsOptions) onlyNumbers(q *question, now time.Time) error {
	switch {
	case len(q.Words) > 0:
		return errors.New("a query for numbers names its streams itself: leave out " + strings.Join(q.Words, " "))
	case o.follow || o.tail != "" || o.level != "" || len(o.grep) > 0 || o.invert || o.ignoreCase || o.context+o.before+o.after > 0:
		return errors.New("--follow, --tail, --level, --grep and context are for lines; the query asks for numbers")
	}
	if q.End.IsZero() {
		q.End = now
	}
	if o.step == "" && q.Start.IsZero() {
		return nil
	}
	if q.Start.IsZero() {
		return errors.New("--step goes with --since")
	}
	// As many moments as a course has columns, as far apart as people would choose.
	q.step = max(q.End.Sub(q.Start)/60, time.Second).Round(time.Second)
	if o.step != "" {
		var err error
		if q.step, err = unit.ParseDuration(o.step); err != nil || q.step <= 0 {
			return fmt.Errorf("--step %s: give a time such as 30s or 5m", o.step)
		}
	}
	return nil
}

// levels are those that --level knows, the worst last.
func levels() []string { return []string{"trace", "debug", "info", "warn", "error", "fatal"} }

// worse returns a level and those above it as a regular expression.
func worse(level string) (string, error) {
	level = strings.ToLower(level)
	for _, other := range [][2]string{{"warning", "warn"}, {"err", "error"}, {"crit", "fatal"}, {"critical", "fatal"}, {"panic", "fatal"}} {
		if level == other[0] {
			level = other[1]
		}
	}
	for i, l := range levels() {
		if l == level {
			return strings.Join(levels()[i:], "|"), nil
		}
	}
	return "", fmt.Errorf("--level %s: use one of %s", level, strings.Join(levels(), ", "))
}

// filtered returns a query with the filters that the flags ask for, and what to highlight.
// The level comes first, where the index knows it; --grep last, on the line as it is shown.
func (o *logsOptions) filtered(query *syntax.LogQuery) (*syntax.LogQuery, *regexp.Regexp, error) {
	all := &syntax.LogQuery{Matchers: query.Matchers}
	add := func(pipeline string) error {
		expr, err := lines.Parse(pipeline)
		if err != nil {
			return err
		}
		all.Stages = append(all.Stages, expr.(*syntax.LogQuery).Stages...)
		return nil
	}
	if o.level != "" {
		re, err := worse(o.level)
		if err != nil {
			return nil, nil, err
		}
		if err := add("| " + syntax.LevelLabel + "=~" + strconv.Quote(re)); err != nil {
			return nil, nil, err
		}
	}
	all.Stages = append(all.Stages, query.Stages...)
	if len(o.grep) == 0 {
		if o.invert || o.ignoreCase {
			return nil, nil, errors.New("--ignore-case and --invert go with --grep")
		}
		return all, nil, nil
	}
	filter, re, err := o.lineFilter()
	if err != nil {
		return nil, nil, err
	}
	if o.invert {
		re = nil
	}
	return all, re, add(filter)
}

// lineFilter returns --grep as LogQL, plain text where it is that, and as one expression.
func (o *logsOptions) lineFilter() (filter string, re *regexp.Regexp, err error) {
	var terms, any []string
	plain := !o.ignoreCase
	for _, text := range o.grep {
		if _, err := regexp.Compile(text); err != nil {
			return "", nil, fmt.Errorf("--grep %s: %w", text, err)
		}
		any = append(any, "(?:"+text+")")
		plain = plain && regexp.QuoteMeta(text) == text
	}
	for _, text := range o.grep {
		if o.ignoreCase {
			text = "(?i)" + text
		}
		terms = append(terms, strconv.Quote(text))
	}
	op := map[bool]map[bool]syntax.LineOp{
		true: {false: syntax.LineContains, true: syntax.LineContainsNot}, false: {false: syntax.LineRegexp, true: syntax.LineRegexpNot},
	}[plain][o.invert]
	joined := strings.Join(any, "|")
	if o.ignoreCase {
		joined = "(?i)" + joined
	}
	re, err = regexp.Compile(joined)
	return string(op) + " " + strings.Join(terms, " or "), re, err
}

// amounts sets how many lines are wanted, and how many around them.
func (o *logsOptions) amounts(q *question) error {
	q.Before, q.After = max(o.context, o.before), max(o.context, o.after)
	if min(o.context, o.before, o.after) < 0 || max(q.Before, q.After) > lines.MaxContext {
		return fmt.Errorf("context: give a number from 0 to %d", lines.MaxContext)
	}
	if len(q.Query.Stages) == 0 {
		q.Before, q.After = 0, 0 // every line is shown as it is
	}
	switch n, err := strconv.Atoi(o.tail); {
	case o.tail == "" && q.Start.IsZero():
		q.Limit, q.byDefault = defaultTail, true
	case o.tail == "" || o.tail == "all":
		q.Limit = 0
	case err != nil || n < 0:
		return fmt.Errorf("--tail %s: give a number, or all", o.tail)
	case n == 0 && !o.follow:
		return errors.New("--tail 0 goes with --follow")
	case n == 0:
		q.Start = time.Now()
	default:
		q.Limit = n
	}
	return nil
}

// times sets the range of time.
func (o *logsOptions) times(q *question, now time.Time) (err error) {
	if o.follow && o.until != "" {
		return errors.New("--until and --follow exclude one another")
	}
	if o.since != "" {
		if q.Start, err = moment(o.since, now); err != nil {
			return fmt.Errorf("--since %w", err)
		}
	}
	if o.until != "" {
		if q.End, err = moment(o.until, now); err != nil {
			return fmt.Errorf("--until %w", err)
		}
	}
	if !q.Start.IsZero() && !q.End.IsZero() && !q.Start.Before(q.End) {
		return errors.New("--since is not before --until")
	}
	return nil
}

// moment reads a point in time: how long ago, a time of day, a day, or both. What has no zone
// is in that of now.
func moment(text string, now time.Time) (time.Time, error) {
	if d, err := unit.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "now":
		return now, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, form := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, form := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(form, text); err == nil {
			at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, nil
		}
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) == len("1795197600") {
		return time.Unix(seconds, 0), nil
	}
	return time.Time{}, fmt.Errorf("%s: give how long ago (90s, 2h, 3d), or a time such as 15:04, 2026-11-21, 2026-11-21T15:04:05Z", text)
}

// params are those of a query for numbers.
func (q *question) params() logql.Params {
	p := logql.Params{Expr: q.numbers, Start: q.End, End: q.End}
	if q.step > 0 {
		p.Start, p.End = logql.Align(q.Start, q.End, q.step)
		p.Step = q.step
	}
	return p
}
