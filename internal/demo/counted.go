package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	askDeadline     = time.Second
	maxMetricsBytes = 16 << 20
)

// readCounts asks url for an exposition and adds up series by its label status.
func readCounts(ctx context.Context, url, series string) (tally, error) {
	ctx, cancel := context.WithTimeout(ctx, askDeadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return tally{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return tally{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return tally{}, errors.New(url + " answers " + answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxMetricsBytes))
	if err != nil {
		return tally{}, fmt.Errorf("read %s: %w", url, err)
	}
	return parseCounts(string(text), series), nil
}

// parseCounts adds up a series of an exposition by its label status.
func parseCounts(text, series string) tally {
	var t tally
	for line := range strings.Lines(text) {
		labels, ok := strings.CutPrefix(line, series+"{")
		if !ok {
			continue
		}
		labels, value, ok := strings.Cut(labels, "} ")
		if !ok {
			continue
		}
		_, status, _ := strings.Cut(","+labels, `,status="`)
		status, _, _ = strings.Cut(status, `"`)
		n, err := strconv.Atoi(status)
		if err != nil {
			continue
		}
		value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			t.add(n, int(v))
		}
	}
	return t
}
