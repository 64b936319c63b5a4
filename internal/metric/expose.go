package metric

import "strconv"

func formatLimit(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
