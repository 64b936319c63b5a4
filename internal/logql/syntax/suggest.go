package syntax

import "slices"

// unknownFunction refuses a function by name, with what may have been meant.
func unknownFunction(t token) *failure {
	switch t.text {
	case "approx_topk":
		return fail(t.at, "approx_topk is not supported; use topk, which is exact")
	case "variants":
		return fail(t.at, "variants is not supported; send a query for each variant")
	case "increase", "irate", "delta", "idelta", "changes":
		return fail(t.at, "unknown function %s: counters are made of lines here, with count_over_time, or of values, with sum_over_time or rate_counter", t.text)
	case "count_values", "quantile", "group", "limitk":
		return fail(t.at, "the aggregation %s is not supported", t.text)
	case "bool", "on", "ignoring", "group_left", "group_right", "by", "without", "offset", "and", "or", "unless":
		return fail(t.at, "syntax error: unexpected %s", t.text)
	}
	names := []string{"label_replace", "vector"}
	for op := range rangeOps {
		names = append(names, string(op))
	}
	for op := range vectorOps {
		names = append(names, string(op))
	}
	return fail(t.at, "unknown function %s%s", shortened(t.text), suggestion(t.text, names))
}

// unknownStage refuses a stage of a pipeline by name.
func unknownStage(t token) *failure {
	switch t.text {
	case "distinct", "limit", "sort", "dedup":
		return fail(t.at, "the stage %s is not supported", t.text)
	case "unwrap":
		return fail(t.at, "unwrap belongs into a range aggregation, as in sum_over_time({…} | unwrap bytes [5m])")
	}
	return fail(t.at, "syntax error: unexpected identifier %s, expected a stage (json, logfmt, line_format, …) or a condition on a label%s",
		shortened(t.text), suggestion(t.text, stageNames))
}

var stageNames = []string{
	"decolorize", "drop", "json", "keep", "label_format", "line_format", "logfmt", "pattern", "regexp", "unpack", "unwrap",
}

// suggestion returns a question after the nearest of names, or nothing if none is near.
func suggestion(word string, names []string) string {
	slices.Sort(names)
	best, least := "", 3
	if len(word) < 5 {
		least = 2
	}
	if len(word) > 40 {
		return ""
	}
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the edits between two words, where swapping two neighbours is one.
func distance(a, b string) int {
	var before, last, row [64]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
