package reference

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Query is a generated query, which is valid, with what to ask it with.
type Query struct {
	Text   string
	Params Params
}

func (g generator) query() Query {
	q := Query{Params: Params{
		Start:    epoch + g.Int64N(int64(span)),
		Limit:    []int{0, 1, 5, 100}[g.IntN(4)],
		Backward: g.odds(2),
	}}
	q.Params.End = q.Params.Start + g.Int64N(int64(span))
	if !g.odds(3) {
		q.Params.Start, q.Params.End = epoch, epoch+int64(2*span)
	}
	if g.odds(3) {
		q.Params.Start = q.Params.Start / 1e9 * 1e9
	}
	if g.odds(3) {
		q.Text = g.selector() + g.pipeline()
		return q
	}
	if !g.odds(3) {
		q.Params.Step = []time.Duration{7 * time.Second, 30 * time.Second, time.Minute, 3 * time.Minute}[g.IntN(4)]
	}
	if q.Params.Step == 0 {
		q.Params.End = epoch + g.Int64N(int64(span)) // the moment asked for
	}
	q.Text = g.metric(2)
	return q
}

func (g generator) selector() string {
	first := g.one(`app="web"`, `app=~".+"`, `app=~".+"`, `source=~"s.*"`, `app=~"web|api"`, `source=~"s[0-3]"`, `env="prod"`, `app=~"w.*"`, `source!=""`)
	if !g.odds(3) {
		return "{" + first + "}"
	}
	return "{" + first + ", " + g.one(`env!="test"`, `env=""`, `level!~"i.*"`, `app!="db"`, `source="s1"`) + "}"
}

func (g generator) pipeline() string {
	var stages []string
	for n := g.IntN(4); n > 0; n-- {
		stage := g.stage()
		if len(stages) > 0 && stage[0] == '!' {
			if last := stages[len(stages)-1]; strings.HasPrefix(last, "| drop") || strings.HasPrefix(last, "| keep") {
				continue // it would be a condition on the last label
			}
		}
		stages = append(stages, stage)
	}
	if g.odds(4) {
		stages = append(stages, g.one(`| __error__=""`, `| __error__!=""`, `| drop __error__, __error_details__`, `| __error__=~".*"`))
	}
	return " " + strings.Join(stages, " ")
}

func (g generator) stage() string {
	switch g.IntN(16) {
	case 0, 1, 2:
		return g.lineFilter()
	case 3, 4, 5:
		return "| " + g.labelFilter(2)
	case 6:
		return g.one("| json", "| json", `| json status, p="req.path", x="msg[0]"`, `| json r="req", q="req.req[\"with space\"]"`, `| json first="[0]", n`)
	case 7:
		return g.one("| logfmt", "| logfmt", "| logfmt --strict", "| logfmt --keep-empty", `| logfmt --strict status, x="path", n`, `| logfmt took, id="trace.id"`)
	case 8:
		return g.one("| regexp `(?P<ip>\\S+) - (?P<user>\\S+) .*\" (?P<status>\\d+) (?P<size>\\d+)?`", "| regexp `took (?P<took>\\S*)`", "| regexp `(?i)(?P<level>info|warn|error)`",
			"| regexp `(?P<a>x)|(?P<n>\\d)`")
	case 9:
		return g.one("| pattern `<ip> - <user> [<_>] \"<method> <path> <_>\" <status> <size> <_>`", "| pattern `<level> <_> took <took>`", "| pattern `<_>=<n> <rest>`")
	case 10:
		return g.one("| unpack", "| decolorize", "| unpack | logfmt")
	case 11:
		return "| line_format " + g.template()
	case 12:
		return "| label_format " + g.one("x=status", "status=x, y=level", "app=user", "x=status, y=`{{.x}}-{{.status}}`") + g.one("", ", z="+g.template())
	case 13:
		return "| drop " + g.picks()
	case 14:
		return "| keep " + g.picks()
	}
	return g.one("| json", "| logfmt")
}

func (g generator) picks() string {
	list := []string{g.name()}
	for n := g.IntN(3); n > 0; n-- {
		list = append(list, g.one(g.name(), g.name()+"="+strconv.Quote(g.value("level")), g.name()+`=~".*o.*"`, g.name()+`!~"5.."`, g.name()+`!=""`, "__error__"))
	}
	return strings.Join(list, ", ")
}

// name returns the name of a label that lines may have.
func (g generator) name() string {
	return strings.ReplaceAll(g.one(g.key(), g.key(), g.key(), "env", "source", "detected_level", "app_extracted", "req_status", "x", "pod", "missing"), ".", "_")
}

func (g generator) template() string {
	return g.one("`{{.status}} {{.path}}`", "`{{__line__ | upper}}`", "`{{.level | lower | default \"none\"}}`", "`{{if .user}}{{.user}}{{else}}{{.app}}{{end}}`",
		"`{{__timestamp__ | unixEpoch}} {{.n | float64 | mulf 2}}`", "`{{div 10 .n}}`", "`{{.msg | trunc 5 | b64enc}}`", "`{{duration .took}}`", "`status={{.status}} n={{.n}}`",
		"`{{range $i, $e := fromJson __line__}}{{$i}}{{end}}`", "`{{.__error__}}`", "``")
}

func (g generator) lineFilter() string {
	text := func() string {
		return strconv.Quote(g.one("error", "ERROR", "disk", "ünï", "日本", `"hi"`, `\`, "took", "status", "5", "", "tab\t", "two\nlines", "<b>&", "\u2028", `{"`, "=", "200", "nowhere near"))
	}
	switch op := g.one("|=", "|=", "!=", "!=", "|~", "!~", "|>", "!>"); op {
	case "|=", "!=":
		terms := text()
		if g.odds(6) {
			terms = `ip("` + g.one("10.0.0.0/29", "10.0.0.5", "::1", "10.0.0.3-10.0.0.7", "2001:db8::/64") + `")`
		}
		for g.odds(4) {
			terms += " or " + text()
		}
		return op + " " + terms
	case "|~", "!~":
		re := func() string {
			return g.one("`error|disk`", "`(?i)ERR`", "` 5\\d\\d `", "`^\\{`", "`took \\S+s$`", "`status\\W+200`", "`a.*b`", "`\\p{Han}`", "`two.lines`", "``", "`[^ -~]`", "`x{2,3}`")
		}
		if g.odds(4) {
			return op + " " + re() + " or " + re()
		}
		return op + " " + re()
	default:
		return op + " " + g.one("`<_>took <_>`", "`<_>error<_>`", "`<_> - <_> [<_>] <_>`", "`{<_>}`", "`error<_>` or `disk<_>`", "`<_>`", "``", "`disk`")
	}
}

func (g generator) labelFilter(depth int) string {
	if depth > 0 && g.odds(3) {
		joined := g.labelFilter(depth-1) + g.one(" and ", " or ", ", ", " ") + g.labelFilter(depth-1)
		if g.odds(2) {
			return "(" + joined + ")"
		}
		return joined
	}
	switch name := g.name(); g.IntN(7) {
	case 0:
		return name + g.one("=", "!=") + strconv.Quote(g.value(name))
	case 1:
		return name + g.one("=~", "!~") + g.one(`"5..|200"`, `".*o.*"`, `""`, `".+"`, `"(?i)info"`)
	case 2:
		return "status " + g.one("=", "==", "!=", ">", ">=", "<", "<=") + g.one(" 200", " 404", " 499.5", " -1")
	case 3:
		return "took " + g.one(">", ">=", "<", "<=", "==", "!=") + g.one(" 5ms", " 1.5s", " 1m", " 0s")
	case 4:
		return "size " + g.one(">", ">=", "<", "<=", "==", "!=") + g.one(" 5KB", " 5KiB", " 0B", " 1MB")
	case 5:
		return "n " + g.one(">", "<=", "==", "!=") + g.one(" 0", " 1", " 2.5", " 1e2")
	}
	return "ip" + g.one(" = ", " != ") + `ip("` + g.one("10.0.0.0/29", "192.168.0.0/16", "::1", "2001:db8::1-2001:db8::4") + `")`
}

// metric returns an expression of at most so many levels.
func (g generator) metric(depth int) string {
	if depth == 0 {
		return g.rangeAgg()
	}
	switch g.IntN(12) {
	case 0, 1:
		return g.rangeAgg()
	case 2, 3, 4, 5:
		return g.one("sum", "avg", "min", "max", "count", "stddev", "stdvar") + g.grouping() + "(" + g.metric(depth-1) + ")"
	case 6:
		return g.one("topk", "bottomk") + g.one("", g.grouping()) + fmt.Sprintf("(%d, %s)", 1+g.IntN(4), g.metric(depth-1))
	case 7:
		return g.one("sort", "sort_desc") + "(" + g.metric(depth-1) + ")"
	case 8:
		return fmt.Sprintf(`label_replace(%s, "%s", "%s", "%s", "%s")`, g.metric(depth-1), g.one("new", "app", "status"), g.one("$1", "x-${1}", ""),
			g.one("app", "source", "status", "missing"), g.one("(.*)", "s(.)", "w.*", "(4)04"))
	case 9:
		return "(" + g.metric(depth-1) + ") " + g.one("+", "-", "*", "/", "%", "^", ">", "<=", "== bool", "!=") + " " + g.one("2", "0", "0.5", "-1")
	case 10:
		return g.one("1 > bool ", "100 / ", "3 - ") + "(" + g.metric(depth-1) + ")"
	}
	return g.joined(depth - 1)
}

// joined returns an operation on two vectors.
func (g generator) joined(depth int) string {
	left, right := g.metric(depth), g.metric(depth)
	if g.odds(2) { // on what surely fits
		agg := "sum by (app) ("
		left, right = agg+left+")", agg+right+")"
	}
	if g.odds(4) {
		return "sum by (app, source) (" + left + ") " + g.one("*", "/ ", ">") + " on (app) group_left () sum by (app) (" + right + ")"
	}
	if g.odds(5) {
		return "sum by (app) (" + left + ") - ignoring (source) group_right () sum by (app, source) (" + right + ")"
	}
	if g.odds(5) { // it may match too much
		return g.rangeAgg() + g.one(" + ", " > ", " <= bool ") + g.one("on (app) ", "ignoring (source) ", "on () ") + "(" + right + ")"
	}
	op := g.one("and", "or", "unless", "+", "/", ">", "<= bool")
	return "(" + left + ") " + op + g.one("", "", " on (app)", " ignoring (source, status)") + " (" + right + ")"
}

func (g generator) grouping() string {
	return g.one("", " by (app)", " by (status)", " by (app, source)", " without (source)", " without (app, detected_level, status)", " by (level, missing)", " by ()") + " "
}

func (g generator) rangeAgg() string {
	window := g.one("[10s]", "[30s]", "[1m]", "[2m30s]", "[5m]", "[10m]") + g.one("", "", "", " offset 30s", " offset -1m")
	log := g.selector() + g.pipeline()
	if g.odds(3) { // nothing but what an index knows
		log = g.selector() + " "
	} else if g.odds(3) {
		log = g.selector() + " " + g.lineFilter() + " "
	}
	if g.odds(2) {
		return g.one("count_over_time", "rate", "bytes_over_time", "bytes_rate", "count_over_time", "absent_over_time") + "(" + log + window + ")"
	}
	log = g.selector() + g.pipeline() + g.one(" | json", " | logfmt", " | json | logfmt", "")
	log += " | unwrap " + g.one("n", "status", "duration(took)", "bytes(size)", "duration_seconds(took)", "size")
	if !g.odds(4) {
		log += g.one(` | __error__=""`, ` | __error__="" | n > 0`, ` | __error__=~".*"`)
	}
	if g.odds(3) {
		return g.one("rate", "sum_over_time", "rate_counter", "absent_over_time") + "(" + log + " " + window + ")"
	}
	call := g.one("avg_over_time(", "min_over_time(", "max_over_time(", "stddev_over_time(", "stdvar_over_time(", "first_over_time(", "last_over_time(",
		"quantile_over_time(0.5, ", "quantile_over_time(0.99, ", "quantile_over_time(0, ", "quantile_over_time(1.5, ")
	return call + log + " " + window + ")" + g.one("", " by (app)", " without (source)", " by (status)", " by ()")
}
