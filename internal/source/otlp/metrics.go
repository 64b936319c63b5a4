package otlp

import "context"

func (s *Source) writeMetrics(ctx context.Context, j *job) (outcome, error) {
	return outcome{}, nil
}
