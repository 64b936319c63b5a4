package syntax

import "strings"

// maxLine is how many bytes a line may have before Format breaks it.
const maxLine = 100

// Format returns a query on as many lines as make it readable. Its error is a *ParseError.
// Comments are lost.
func Format(query string) (string, error) {
	e, err := Parse(query)
	if err != nil {
		return "", err
	}
	return strings.Join(lines(e), "\n"), nil
}

// lines returns an expression as lines of text.
func lines(e Expr) []string {
	if s := e.String(); len(s) <= maxLine {
		return []string{s}
	}
	switch e := e.(type) {
	case *LogQuery:
		return pipelineLines(e, nil)
	case *RangeAgg:
		return e.lines()
	case *VectorAgg:
		body := lines(e.Inner)
		if k := strings.TrimSpace(e.param()); k != "" {
			body = append([]string{k}, body...)
		}
		return enclosed(e.head(), body, ")")
	case *LabelReplace:
		body := lines(e.Inner)
		body[len(body)-1] += ","
		return enclosed("label_replace(", append(body, strings.TrimPrefix(e.arguments(), ", ")), ")")
	case *BinOp:
		left, right := e.parentheses()
		list := indented(operandLines(e.Left, left))
		list = append(list, e.operator())
		return append(list, indented(operandLines(e.Right, right))...)
	}
	return []string{e.String()}
}

func (r *RangeAgg) lines() []string {
	var body []string
	if param := strings.TrimSpace(r.param()); param != "" {
		body = append(body, param)
	}
	body = append(body, pipelineLines(r.Log, r.Unwrap)...)
	return enclosed(string(r.Op)+"(", append(body, r.window()), ")"+r.Grouping.after())
}

func pipelineLines(q *LogQuery, u *Unwrap) []string {
	list := []string{selectorString(q.Matchers)}
	for _, s := range q.Stages {
		list = append(list, "  "+s.String())
	}
	if u != nil {
		list = append(list, indented(u.strings())...)
	}
	return list
}

func operandLines(e Expr, parentheses bool) []string {
	list := lines(e)
	switch {
	case !parentheses:
		return list
	case len(list) == 1:
		return []string{"(" + list[0] + ")"}
	}
	return enclosed("(", list, ")")
}

func enclosed(first string, body []string, last string) []string {
	return append(append([]string{first}, indented(body)...), last)
}

func indented(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = "  " + s
	}
	return out
}
