// Package web answers HTTP: the status page, the metrics for scrapers, health, and the
// JSON of /weir/v1.
//
//	h := web.Handler(cfg, web.Deps{Metrics: registry, Status: agent, Log: log})
//	srv, err := web.Listen(cfg, h, log)
//	err = srv.Run(ctx)
//
// "/" is the page for who accepts HTML, and the metrics for everyone else. The page and
// the APIs ask for Config.Token, metrics for Config.MetricsToken, health for nothing. All
// text that comes from logs goes through html/template. Handlers may be called
// concurrently; the package leaves out where a Snapshot comes from.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/metric"
)

// Config says where weir answers HTTP and whom.
type Config struct {
	// Listen is the address to listen on, as host:port; "" serves nothing. Default
	// 127.0.0.1:9103. On any other host than this one a token is asked for.
	Listen string `yaml:"listen"`
	// Token is what the page and the APIs ask for. Default none: everyone on this machine
	// may look.
	Token config.Secret `yaml:"token"`
	// MetricsToken is what scrapers are asked for. Default none: metrics are open.
	MetricsToken config.Secret `yaml:"metrics_token"`
	// Hosts are more names under which weir may be addressed while it listens on
	// loopback, as by a proxy on the same machine. Default none: localhost alone.
	Hosts []string `yaml:"hosts"`
	// Insecure lets the page and the APIs be open on every address. Default false.
	Insecure bool `yaml:"insecure"`
}

// Default returns the configuration of who says nothing.
func Default() Config { return Config{Listen: "127.0.0.1:9103"} }

// minTokenBytes is the shortest token that is not simply tried out.
const minTokenBytes = 12

// Validate returns what is wrong with c.
func (c Config) Validate() error {
	var problems []error
	problem := func(key, message string) {
		problems = append(problems, &config.Problem{Key: key, Message: message})
	}
	host, port, err := net.SplitHostPort(c.Listen)
	number, badPort := strconv.ParseUint(port, 10, 16)
	switch {
	case c.Listen == "": // nothing is served
	case err != nil:
		problem("listen", "use host:port, as in 127.0.0.1:9103")
	case badPort != nil || number == 0 && port != "0":
		problem("listen", "use a port from 1 to 65535, as in 127.0.0.1:9103")
	case !isLoopback(host) && c.Token == "" && !c.Insecure:
		problem("token", "give a token, because "+c.Listen+" can be reached from other machines; or set insecure: true")
	}
	if n := len(c.Token); n > 0 && n < minTokenBytes {
		problem("token", "use at least 12 characters")
	}
	if n := len(c.MetricsToken); n > 0 && n < minTokenBytes {
		problem("metrics_token", "use at least 12 characters")
	}
	return config.Join(problems...)
}

// Metrics is where the numbers are.
type Metrics interface {
	// WriteText writes all of them in pieces that are not much larger than buf, of one moment
	// however long that takes.
	WriteText(write func([]byte) error, buf []byte, format metric.Format) error
}

// Status is where the rest is.
type Status interface {
	// Snapshot returns what weir is doing now. The caller may change it.
	Snapshot() Snapshot
	// NotReady returns why weir is not ready yet, nothing when it is.
	NotReady() []string
}

// Past knows what the numbers did before.
type Past interface {
	// Fill sets all that is past of s. It may be called concurrently.
	Fill(ctx context.Context, s *Snapshot)
}

// Deps is what a handler shows.
type Deps struct {
	Metrics Metrics
	Status  Status
	// Push takes what is sent to Loki's addresses for pushes; nil where nothing does.
	Push http.Handler
	// Loki answers all other addresses of Loki's API, /weir/v1/logs and /weir/v1/tasks; nil where
	// nothing does.
	Loki http.Handler
	// Prometheus answers Prometheus' query API; nil where nothing does.
	Prometheus http.Handler
	// Tasks are shown on a page of their own; nil where there are none.
	Tasks Tasks
	// Past is asked for the page alone; nil where there is none.
	Past Past
	Log  *slog.Logger
}

const (
	// maxScrapes bounds the answers with metrics made at one time, and so their memory.
	maxScrapes = 4
	// pieceBytes is about how large the pieces are that a scrape is answered in.
	pieceBytes = 64 << 10
)

type handler struct {
	Deps
	config  Config
	page    guard
	metrics guard
	view    *view
	rates   rates
	list    lastList
	scrapes chan struct{} // holds a token for each answer being made
	bodies  sync.Pool     // of *[]byte
	zippers sync.Pool     // of *gzip.Writer
}

// Handler returns all of weir's HTTP.
func Handler(c Config, d Deps) http.Handler {
	h := &handler{
		Deps: d, config: c, page: guard{c.Token}, metrics: guard{c.MetricsToken}, view: newView(),
		scrapes: make(chan struct{}, maxScrapes), list: lastList{turn: make(chan struct{}, 1)},
	}
	h.view.tasks = d.Tasks != nil
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", h.catch(h.root))
	mux.Handle("GET /metrics", h.catch(h.scrape))
	mux.Handle("GET /healthz", h.catch(h.health))
	mux.Handle("GET /readyz", h.catch(h.ready))
	mux.Handle("GET /weir/v1/ledger", own(h.catch(h.ledger)))
	mux.Handle("GET /weir/v1/streams", own(h.catch(h.streams)))
	mux.Handle("GET /weir/v1/rules", own(h.catch(h.rules)))
	if d.Push != nil {
		mux.Handle("POST /loki/api/v1/push", own(h.catch(h.push)))
		mux.Handle("POST /api/prom/push", own(h.catch(h.push)))
	}
	if d.Loki != nil {
		mux.Handle("/loki/", own(h.catch(h.loki)))
		mux.Handle("/prometheus/", own(h.catch(h.loki))) // where Loki has its rules
		mux.Handle("GET /weir/v1/logs", own(h.catch(h.loki)))
		mux.Handle("GET /weir/v1/tasks", own(h.catch(h.loki)))
		mux.Handle("GET /weir/v1/tasks/", own(h.catch(h.loki)))
		mux.Handle("GET /ready", h.catch(h.ready)) // where Loki has it
	}
	if d.Tasks != nil {
		mux.Handle("GET /tasks", h.catch(h.tasks))
		mux.Handle("GET /tasks/{id...}", h.catch(h.tasks))
	}
	if d.Prometheus != nil {
		mux.Handle("/api/v1/", own(h.catch(h.prometheus)))
	} else {
		mux.Handle("/api/v1/", own(http.HandlerFunc(noHistory)))
	}
	mux.Handle("POST /weir/v1/login", own(h.catch(h.login)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secureHeaders(w.Header())
		if !c.hostAllowed(r) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			http.Error(w, "weir listens on this machine alone and is not known as "+strings.ToValidUTF8(r.Host, "?")+
				"; name it in http.hosts", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// catch answers and logs what a handler could not do. A client that went away is nobody's
// problem.
func (h *handler) catch(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		switch {
		case err == nil:
		case r.Context().Err() != nil:
			h.Log.Debug("client went away", "path", r.URL.Path, "error", err)
		default:
			h.Log.Error("answer request", "path", r.URL.Path, "error", err)
			http.Error(w, "something went wrong here; weir's log has more", http.StatusInternalServerError)
		}
	})
}

// root is the page for browsers and the metrics for scrapers.
func (h *handler) root(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept")
	if !wantsHTML(r) {
		return h.scrape(w, r)
	}
	if !h.admit(w, r) {
		return nil
	}
	s := h.snapshot()
	if h.Past != nil {
		h.Past.Fill(r.Context(), &s)
	}
	nonce := newNonce()
	body, err := h.view.status(s, nonce)
	if err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	w.Header().Set("Content-Security-Policy", pagePolicy(nonce))
	return h.send(w, r, "text/html; charset=utf-8", body)
}

// pagePolicy lets a page's own style and script work, and it ask for itself.
func pagePolicy(nonce string) string {
	return "default-src 'none'; style-src 'nonce-" + nonce + "'; script-src 'nonce-" + nonce +
		"'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

func (h *handler) snapshot() Snapshot {
	s := h.Status.Snapshot()
	h.rates.set(&s)
	s.finish()
	return s
}

func (h *handler) health(w http.ResponseWriter, r *http.Request) error {
	return h.send(w, r, "text/plain; charset=utf-8", []byte("ok\n"))
}

func (h *handler) ready(w http.ResponseWriter, r *http.Request) error {
	reasons := h.Status.NotReady()
	if len(reasons) == 0 {
		return h.send(w, r, "text/plain; charset=utf-8", []byte("ready\n"))
	}
	http.Error(w, strings.Join(reasons, "\n"), http.StatusServiceUnavailable)
	return nil
}
