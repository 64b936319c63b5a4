package crawl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// The values that are wanted of a response.
const (
	tokenNote = iota
	errorNote
	notes
)

// frame returns what is wanted of a response.
func (c *Stream) frame() (*node, error) {
	frame := new(node)
	steps, err := parsePath(c.Records)
	frame.add(steps).records = true
	if c.Error != "" {
		err = errors.Join(err, frame.want(c.Error, errorNote))
	}
	return frame, err
}

// asking makes the requests of a stream.
type asking struct {
	url    text
	query  map[string]text
	client *http.Client
}

func newAsking(source *Config, c *Stream, err error) (asking, error) {
	a := asking{client: &http.Client{}, query: map[string]text{}}
	add := func(s string) text {
		t, failed := parseText(s)
		err = errors.Join(err, failed)
		return t
	}
	a.url = add(c.URL)
	for name, value := range c.Query {
		a.query[name] = add(value)
	}
	return a, err
}

func (a *asking) ask(ctx context.Context, v *variables) (*http.Response, error) {
	where, err := a.url.with(v)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	for name, t := range a.query {
		value, err := t.with(v)
		if err != nil {
			return nil, err
		}
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), strings.NewReader(""))
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		response.Body.Close()
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	return response, nil
}
