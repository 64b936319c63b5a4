package demo

import (
	"archive/tar"
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
	"strings"
)

// maxAnswerBytes is the most of an answer that is read.
const maxAnswerBytes = 1 << 20

// engine is a Docker engine that may be written to.
type engine struct {
	base   string // URL up to the version
	client *http.Client
}

// dial finds the engine's way to be talked to.
func dial(ctx context.Context, host string) (*engine, error) {
	u, err := url.Parse(host)
	if err != nil {
		return nil, fmt.Errorf("read the engine's address: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // a few calls, far apart
	e := &engine{client: &http.Client{Transport: transport}}
	switch u.Scheme {
	case "unix":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.Path)
		}
		e.base = "http://docker"
	case "tcp", "http":
		e.base = "http://" + u.Host
	default:
		return nil, fmt.Errorf("engine at %s: the demo speaks to unix:// and tcp:// only", host)
	}
	answer, err := e.do(ctx, call{method: http.MethodGet, path: "/version"})
	if err != nil {
		return nil, err
	}
	var version struct {
		API string `json:"ApiVersion"`
	}
	if err := json.Unmarshal(answer, &version); err != nil || version.API == "" {
		return nil, fmt.Errorf("%s does not answer as a Docker engine does", host)
	}
	e.base += "/v" + version.API
	return e, nil
}

// importBinary makes the image: the binary at path as /weir and nothing else.
func (e *engine) importBinary(ctx context.Context, path string) error {
	binary, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read weir's binary: %w", err)
	}
	defer binary.Close()
	info, err := binary.Stat()
	if err != nil {
		return fmt.Errorf("read weir's binary: %w", err)
	}
	archive, size, err := tarOf(binary, "weir", info.Size())
	if err != nil {
		return err
	}
	answer, err := e.do(ctx, call{
		method: http.MethodPost, path: "/images/create?fromSrc=-&repo=" + imageName + "&tag=latest",
		body: archive, size: size, kind: "application/x-tar",
	})
	if err != nil {
		return err
	}
	// The answer is a stream of messages; a failure is one of them, under status 200.
	messages := json.NewDecoder(bytes.NewReader(answer))
	for {
		var m struct{ Error string }
		if err := messages.Decode(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("import the image: %w", err)
		}
		if m.Error != "" {
			return fmt.Errorf("import the image: %s", m.Error)
		}
	}
}

// tarOf returns a tar archive of one executable, and the archive's size.
func tarOf(content io.Reader, name string, size int64) (io.Reader, int64, error) {
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: size}); err != nil {
		return nil, 0, fmt.Errorf("make the archive of the image: %w", err)
	}
	const block = 512
	foot := make([]byte, (block-size%block)%block+2*block) // padding and two empty blocks
	whole := int64(head.Len()) + size + int64(len(foot))
	return io.MultiReader(&head, content, bytes.NewReader(foot)), whole, nil
}

// call is a call of the engine's API.
type call struct {
	method, path string
	body         io.Reader
	size         int64  // of body; zero: what net/http finds
	kind         string // the body's content type; empty: JSON
}

func post(path string) call { return call{method: http.MethodPost, path: path} }

// statusError is an answer of the engine that is no success.
type statusError struct {
	what    string
	status  int
	message string
}

// Error returns what was asked and what the engine said.
func (e *statusError) Error() string {
	return fmt.Sprintf("%s: status %d: %s", e.what, e.status, e.message)
}

// ignoreMissing turns the answer that something is not there into success.
func ignoreMissing(err error) error {
	var s *statusError
	if errors.As(err, &s) && s.status == http.StatusNotFound {
		return nil
	}
	return err
}

// do makes a call and returns the body of its answer.
func (e *engine) do(ctx context.Context, c call) ([]byte, error) {
	what := c.method + " " + c.path
	request, err := http.NewRequestWithContext(ctx, c.method, e.base+c.path, c.body)
	if err != nil {
		return nil, err
	}
	if c.size > 0 {
		request.ContentLength = c.size
	}
	if c.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.kind != "" {
		request.Header.Set("Content-Type", c.kind)
	}
	answer, err := e.client.Do(request)
	if err != nil {
		return nil, err // says what and where itself
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if answer.StatusCode >= 300 {
		var m struct{ Message string }
		if json.Unmarshal(body, &m) != nil || m.Message == "" {
			m.Message = strings.TrimSpace(string(body[:min(len(body), 200)]))
		}
		return nil, &statusError{what, answer.StatusCode, m.Message}
	}
	return body, nil
}
