//go:build !small

package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"lorawand/bridge/admin/conns"
	"lorawand/bridge/admin/sharing"
)

// Limits of the HTTP server.
const (
	maxHTTPConns  = 16 // at a time; more wait in the kernel
	maxHTTPHeader = 8 << 10
	httpTimeout   = 10 * time.Second // for a request, and again for its answer
)

// HTTP serves /metrics, /healthz and /readyz to everybody who can reach it. The
// answers have no secrets in them, and a request changes nothing.
type HTTP struct {
	mux      *http.ServeMux
	listener net.Listener
	server   *http.Server
	log      *slog.Logger
}

// ListenHTTP opens the socket. Run does the work.
func ListenHTTP(a *Admin, addr string) (*HTTP, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin: http: %w", err)
	}
	mux := a.handler()
	s := &http.Server{
		Handler: mux, ReadTimeout: httpTimeout, ReadHeaderTimeout: httpTimeout, WriteTimeout: httpTimeout,
		MaxHeaderBytes: maxHTTPHeader, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	s.SetKeepAlivesEnabled(false) // idle clients would take all of the few connections
	return &HTTP{mux: mux, listener: conns.Waiting(l, maxHTTPConns), server: s, log: a.log}, nil
}

// Mount has a web page answer all other addresses. It is called before Run.
func (h *HTTP) Mount(page http.Handler) {
	var requests sharing.Sharing
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_ = requests.Pace(r.Context(), "", 0, 0)
		page.ServeHTTP(w, r)
	})
}

// Addr returns the address that it listens on.
func (h *HTTP) Addr() net.Addr { return h.listener.Addr() }

// Close frees a socket that was never run.
func (h *HTTP) Close() error { return h.listener.Close() }

// Run serves until ctx ends.
func (h *HTTP) Run(ctx context.Context) error {
	h.log.Info("serving metrics and health", "address", h.Addr().String())
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		Shut(h.server)
	})
	err := h.server.Serve(h.listener)
	if !stop() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

// Shut ends a server: answers that are on their way may come to their end, as those of
// the control socket may.
func Shut(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close()
	}
}

func (a *Admin) handler() *http.ServeMux {
	var questions sharing.OneByOne
	answer := func(kind string, f func(context.Context) (string, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text, err := questions.Answer(r.Context(), r.URL.Path, pulseTimeout, f)
			w.Header().Set("Content-Type", "text/plain; "+kind+"charset=utf-8")
			tell(w, err, text)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", answer("", a.pulse))
	mux.HandleFunc("GET /readyz", answer("", a.ready))
	mux.HandleFunc("GET /metrics", answer("version=0.0.4; ", a.metrics))
	return mux
}

// tell writes the text, or status 503, the text and the error.
func tell(w http.ResponseWriter, err error, text string) {
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		text += err.Error() + "\n"
	}
	_, _ = w.Write([]byte(text))
}

// pulse returns "good", or an error if the core does not answer.
func (a *Admin) pulse(ctx context.Context) (string, error) {
	if _, err := a.o.Bridge.Stats(ctx); err != nil {
		return "", err
	}
	return "good\n", nil
}

// errNotReady is the last line of a text that has the reasons.
var errNotReady = errors.New("not ready")

// ready returns a line for each part: whether it works, or why not.
func (a *Admin) ready(ctx context.Context) (string, error) {
	var b strings.Builder
	var failed error
	line := func(part string, err error, good string) {
		if err != nil {
			good, failed = strings.ReplaceAll(err.Error(), "\n", "; "), errNotReady
		}
		fmt.Fprintf(&b, "%s: %s\n", part, good)
	}
	stats, unanswered := a.o.Bridge.Stats(ctx)
	line("core", unanswered, "good")
	line("store", a.storeError(), "good")
	if a.o.Broker != nil && len(a.o.Broker.Addrs()) > 0 {
		var err error
		if !a.o.Broker.Serving() {
			err = errors.New("the broker does not serve")
		}
		line("mqtt", err, "listening on "+a.o.Broker.Addrs()[0].String())
	}
	for _, d := range a.o.Drivers() {
		line("driver "+d.Name, d.Err, "good")
	}
	if unanswered == nil {
		line("gateways", nil, fmt.Sprintf("%d, %d connected", stats.Gateways, stats.Online))
	}
	return b.String(), failed
}
