package task

// SpanOf is for tests.
func SpanOf(id string) string { return spanOf(id) }
