package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/disk"
	"github.com/weirlog/weir/internal/journal"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/record"
)

// keptText is a data directory, read without a running weir.
type keptText struct {
	*process
	cfg agent.Config
}

func (k *keptText) open() (*archive.Archive, error) {
	log, err := k.logger()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(k.cfg.DataDir); err != nil {
		return nil, fmt.Errorf("data directory: %w; name another one with --data-dir", err)
	}
	return journal.OpenArchive(disk.Dir(k.cfg.DataDir), log)
}

// unfollowed says why there is nothing to follow.
func (k *keptText) unfollowed() error {
	return fmt.Errorf("no weir answers at %s, so nothing new is read that could be followed: start weir run, or leave out --follow to read %s", k.cfg.HTTP.Listen, k.cfg.DataDir)
}

// Lines implements logSource.
func (k *keptText) Lines(ctx context.Context, q question, matched func(int) error, emit func([]lines.Line) error) error {
	if q.follow {
		return k.unfollowed()
	}
	a, err := k.open()
	if err != nil {
		return err
	}
	r := lines.Reader{Engine: logql.New(logql.Options{Archive: a}), Archive: a}
	if err := matched(r.Count(q.Request)); err != nil {
		return err
	}
	return r.Read(ctx, q.Request, emit)
}

// Numbers implements logSource.
func (k *keptText) Numbers(ctx context.Context, q question) (logql.Result, []string, error) {
	a, err := k.open()
	if err != nil {
		return logql.Result{}, nil, err
	}
	res, err := logql.New(logql.Options{Archive: a}).Query(ctx, q.params())
	return res, res.Warnings(), err
}

// runningWeir is a weir that answers HTTP.
type runningWeir struct{ url, token string }

// nobodyError says that nothing listens where a weir should.
type nobodyError struct {
	url string
	err error
}

// Error returns the address alone: the cause says no more.
func (e *nobodyError) Error() string { return "no weir answers at " + e.url }

// Unwrap returns the cause.
func (e *nobodyError) Unwrap() error { return e.err }

// get asks, and returns the answer if it is one.
func (r *runningWeir) get(ctx context.Context, path string, params url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+path+"?"+params.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	client := http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		ResponseHeaderTimeout: 2 * time.Minute,
	}}
	resp, err := client.Do(req)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" && ctx.Err() == nil {
		return nil, &nobodyError{r.url, err}
	}
	if err != nil {
		return nil, fmt.Errorf("ask the running weir: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	said := strings.TrimSpace(string(text))
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("the weir at %s asks for a token: set http.token, as its own configuration does", r.url)
	case resp.StatusCode == http.StatusBadRequest:
		return nil, errors.New(said)
	case err != nil:
		said = err.Error()
	}
	return nil, fmt.Errorf("what answers at %s is no weir that can be searched: %s: %.200q; --data-dir reads a directory without it", r.url, resp.Status, said)
}

// Lines implements logSource.
func (r *runningWeir) Lines(ctx context.Context, q question, matched func(int) error, emit func([]lines.Line) error) error {
	params := url.Values{"query": {strings.TrimPrefix(q.Query.String(), "{}")}, "stream": q.Words}
	number := func(name string, n int) {
		if n > 0 {
			params.Set(name, strconv.Itoa(n))
		}
	}
	number("limit", q.Limit)
	number("before", q.Before)
	number("after", q.After)
	setTime(params, "start", q.Start)
	setTime(params, "end", q.End)
	if q.follow {
		params.Set("follow", "true")
	}
	resp, err := r.get(ctx, "/weir/v1/logs", params)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	streams, err := strconv.Atoi(resp.Header.Get("Weir-Streams"))
	if err != nil {
		return fmt.Errorf("what answers at %s is no weir that can be searched; --data-dir reads a directory without it", r.url)
	}
	if err := matched(streams); err != nil {
		return err
	}
	err = eachPiece(resp.Body, emit)
	if q.follow && errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the weir at %s has ended", r.url)
	}
	var said *lines.RemoteError
	if errors.As(err, &said) {
		return fmt.Errorf("the weir at %s says: %s", r.url, said.Text)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func setTime(params url.Values, name string, t time.Time) {
	if !t.IsZero() {
		params.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}

// pieceLines is how many lines are printed at a time.
const pieceLines = 4096

// eachPiece calls emit with lines as they come: with those that have come already.
func eachPiece(body io.Reader, emit func([]lines.Line) error) error {
	in := bufio.NewReaderSize(body, 256<<10)
	var some []lines.Line
	for {
		text, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 && err == nil {
			l, err := lines.ParseLine(text)
			if err != nil {
				return errors.Join(emit(some), err)
			}
			some = append(some, l)
		}
		if len(some) >= pieceLines || err != nil || !lineWaits(in) {
			if failed := emit(some); failed != nil {
				return failed
			}
			some = nil
		}
		if err != nil {
			return err
		}
	}
}

// lineWaits tells whether a whole line has come that was not read.
func lineWaits(in *bufio.Reader) bool {
	there, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(there, '\n') >= 0
}

// Numbers implements logSource, by Loki's API.
func (r *runningWeir) Numbers(ctx context.Context, q question) (logql.Result, []string, error) {
	params := url.Values{"query": {q.numbers.String()}}
	path := "/loki/api/v1/query"
	if q.step > 0 {
		path = "/loki/api/v1/query_range"
		setTime(params, "start", q.Start)
		setTime(params, "end", q.End)
		params.Set("step", strconv.FormatFloat(q.step.Seconds(), 'f', -1, 64))
	} else {
		setTime(params, "time", q.End)
	}
	resp, err := r.get(ctx, path, params)
	if err != nil {
		return logql.Result{}, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return logql.Result{}, nil, fmt.Errorf("ask the running weir: %w", err)
	}
	return parseNumbers(text)
}

// lokiPoint is [seconds, "value"].
type lokiPoint logql.Point

// UnmarshalJSON implements json.Unmarshaler.
func (p *lokiPoint) UnmarshalJSON(text []byte) error {
	var seconds json.Number
	var value string
	if err := json.Unmarshal(text, &[]any{&seconds, &value}); err != nil {
		return err
	}
	s, err := seconds.Float64()
	if err != nil {
		return err
	}
	p.Time = int64(s*1e3) * 1e6 // it is to the millisecond
	p.Value, err = strconv.ParseFloat(value, 64)
	return err
}

// parseNumbers reads the answer of Loki's API to a query for numbers.
func parseNumbers(text []byte) (res logql.Result, warnings []string, err error) {
	var answer struct {
		Warnings []string
		Data     struct {
			ResultType logql.Kind
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return res, nil, fmt.Errorf("the running weir's answer: %w", err)
	}
	res.Kind = answer.Data.ResultType
	if res.Kind == logql.Scalar {
		err := json.Unmarshal(answer.Data.Result, (*lokiPoint)(&res.Scalar))
		return res, answer.Warnings, err
	}
	var series []struct {
		Metric map[string]string
		Value  *lokiPoint
		Values []lokiPoint
	}
	if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
		return res, nil, fmt.Errorf("the running weir's answer: %w", err)
	}
	for _, s := range series {
		one := logql.Series{Labels: record.NewLabels(s.Metric)}
		if res.Kind == logql.Vector {
			if s.Value == nil {
				return res, nil, errors.New("the running weir's answer: a series of a moment has no value")
			}
			s.Values = []lokiPoint{*s.Value}
		}
		for _, p := range s.Values {
			one.Points = append(one.Points, logql.Point(p))
		}
		res.Series = append(res.Series, one)
	}
	return res, answer.Warnings, nil
}
