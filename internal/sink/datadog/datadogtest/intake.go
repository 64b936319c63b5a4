// Package datadogtest plays Datadog's intake of logs for tests: it has its bounds and its answers,
// and remembers what it took.
//
//	intake := datadogtest.Start(t, "key")
//	... a sink with intake.URL ...
//	logs := intake.Logs()
//
// It is safe for concurrent use.
package datadogtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/codec/compress"
)

// The bounds of the intake.
const (
	MaxEntries = 1000
	MaxBody    = 5_000_000
	MaxEntry   = 1_000_000
	MaxAge     = 18 * time.Hour
)

// Log is one that came, as JSON has it.
type Log map[string]any

// Text returns a value that is a text.
func (l Log) Text(name string) string {
	s, _ := l[name].(string)
	return s
}

// Answer is what the intake says in place of what it would. A zero Code is as usual.
type Answer struct {
	Code       int
	RetryAfter string
	Body       string
	// Hangup breaks the connection, after the logs were taken if Code is 202.
	Hangup bool
}

// Intake is a server on loopback.
type Intake struct {
	// URL is its address for logs.
	URL string

	t   testing.TB
	key string

	mu     sync.Mutex // guards below
	answer func(logs []Log) Answer
	logs   []Log
	sizes  []int
	codes  []int
}

// Start runs an intake until the test ends. It knows one key.
func Start(t testing.TB, key string) *Intake {
	t.Helper()
	in := &Intake{t: t, key: key}
	server := httptest.NewServer(in)
	t.Cleanup(server.Close)
	in.URL = server.URL + "/api/v2/logs"
	return in
}

// StartAt does the same on an address.
func StartAt(t testing.TB, key, address string) *Intake {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	in := &Intake{t: t, key: key, URL: "http://" + address + "/api/v2/logs"}
	server := httptest.NewUnstartedServer(in)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return in
}

// Answers has f decide what requests are answered; nil is as usual. It gets the logs, none of a
// body that is no JSON.
func (in *Intake) Answers(f func(logs []Log) Answer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.answer = f
}

// Logs returns what was taken.
func (in *Intake) Logs() []Log {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]Log(nil), in.logs...)
}

// Sizes returns how many logs were in each request that was taken, those without any left out.
func (in *Intake) Sizes() []int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]int(nil), in.sizes...)
}

// Codes returns what was answered.
func (in *Intake) Codes() []int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]int(nil), in.codes...)
}

// ServeHTTP implements http.Handler.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	logs, code, said := in.read(r)
	in.mu.Lock()
	answer := Answer{}
	if in.answer != nil {
		answer = in.answer(logs)
	}
	if answer.Code != 0 {
		code, said = answer.Code, answer.Body
	}
	if code/100 == 2 && len(logs) > 0 {
		in.logs = append(in.logs, logs...)
		in.sizes = append(in.sizes, len(logs))
	}
	in.codes = append(in.codes, code)
	in.mu.Unlock()
	if answer.Hangup {
		panic(http.ErrAbortHandler)
	}
	if answer.RetryAfter != "" {
		w.Header().Set("Retry-After", answer.RetryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, said)
}

// read checks a request as the intake does.
func (in *Intake) read(r *http.Request) (logs []Log, code int, said string) {
	body, err := unpack(r)
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/api/v2/logs" && r.URL.Path != "/v1/input":
		return nil, http.StatusNotFound, `{"errors":["Not found"]}`
	case r.Header.Get("DD-API-KEY") == "":
		return nil, http.StatusUnauthorized, `{"errors":[{"status":"401","title":"Unauthorized","detail":"API key is missing"}]}`
	case r.Header.Get("DD-API-KEY") != in.key:
		return nil, http.StatusForbidden, `{"errors":[{"status":"403","title":"Forbidden","detail":"API key ` + r.Header.Get("DD-API-KEY") + ` is invalid"}]}`
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Sprintf(`{"errors":[{"status":"400","detail":%q}]}`, err.Error())
	case len(body) > MaxBody:
		return nil, http.StatusRequestEntityTooLarge, `{"errors":[{"status":"413","title":"Payload too large"}]}`
	case r.Header.Get("Content-Type") != "application/json":
		return nil, http.StatusBadRequest, `{"errors":[{"status":"400","detail":"content type"}]}`
	}
	if string(body) == "{}" {
		return nil, http.StatusAccepted, "{}"
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil || len(raw) > MaxEntries {
		return nil, http.StatusBadRequest, fmt.Sprintf(`{"errors":[{"status":"400","detail":"%d entries"}]}`, len(raw))
	}
	for _, text := range raw {
		l, err := in.check(text)
		if err != nil {
			in.t.Error(err) // it would be taken, and cut or lost without a word
			return nil, http.StatusBadRequest, `{"errors":[{"status":"400"}]}`
		}
		logs = append(logs, l)
	}
	if r.URL.Path == "/v1/input" {
		return logs, http.StatusOK, "{}"
	}
	return logs, http.StatusAccepted, "{}"
}

// check looks at one log.
func (in *Intake) check(text []byte) (l Log, err error) {
	if len(text) >= MaxEntry {
		return nil, fmt.Errorf("a log has %d bytes", len(text))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&l); err != nil {
		return nil, err
	}
	if _, ok := l["message"].(string); !ok {
		return nil, fmt.Errorf("a log has no message: %s", text)
	}
	number, _ := l["timestamp"].(json.Number)
	ms, err := number.Int64()
	if err != nil {
		return nil, fmt.Errorf("a log's timestamp is %q: %w", number, err)
	}
	if age := time.Since(time.UnixMilli(ms)); age > MaxAge+time.Minute {
		return nil, fmt.Errorf("a log is %v old", age)
	}
	return l, nil
}

// unpack returns the body of a request as it was before it was packed.
func unpack(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(z, MaxBody+1))
	case "zstd":
		var d compress.Decoder
		return d.AppendBlock(nil, body, 2*MaxBody)
	default:
		return nil, fmt.Errorf("content encoding %q", encoding)
	}
}
