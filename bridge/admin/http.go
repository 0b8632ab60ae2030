package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Limits of the HTTP port.
const (
	httpConns      = 16      // at a time; more are closed at once
	httpHeader     = 8 << 10 // bytes of a request's header
	httpPatience   = 5 * time.Second
	httpIdle       = 30 * time.Second
	healthPatience = 3 * time.Second // how long the core may not turn
)

// Check is what a part of the daemon says of itself.
type Check struct {
	Name string
	Note string // what is good
	Err  error  // what is not; nil: nothing
}

// HTTP is the port of those who watch: /metrics, /healthz and /readyz. It
// changes nothing, and tells nothing of devices and keys but their numbers.
type HTTP struct {
	admin    *Admin
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
}

// ListenHTTP opens the port.
func ListenHTTP(a *Admin, address string) (*HTTP, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	h := &HTTP{admin: a, log: a.log, listener: &limitedListener{Listener: l, slots: make(chan struct{}, httpConns)}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", h.metrics)
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	h.server = &http.Server{
		Handler: mux, MaxHeaderBytes: httpHeader, ReadHeaderTimeout: httpPatience, ReadTimeout: httpPatience,
		WriteTimeout: healthPatience + httpPatience, IdleTimeout: httpIdle, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	return h, nil
}

// Addr returns the address that the port has.
func (h *HTTP) Addr() netip.AddrPort { return h.listener.Addr().(*net.TCPAddr).AddrPort() }

// Close frees a port that was never run.
func (h *HTTP) Close() error { return h.listener.Close() }

// Run serves until ctx ends, and waits for what it started.
func (h *HTTP) Run(ctx context.Context) error {
	h.log.Info("listening for HTTP", "address", h.Addr().String())
	var wg sync.WaitGroup
	defer wg.Wait()
	ended, end := context.WithCancel(ctx)
	defer end()
	wg.Go(func() {
		<-ended.Done()
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		if h.server.Shutdown(goodbye) != nil {
			_ = h.server.Close()
		}
	})
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// healthz says whether the core turns.
func (h *HTTP) healthz(w http.ResponseWriter, r *http.Request) {
	if c := h.admin.checkCore(r.Context()); c.Err != nil {
		text(w, http.StatusServiceUnavailable, c.Err.Error()+"\n")
		return
	}
	text(w, http.StatusOK, "ok\n")
}

// readyz says whether the daemon does all of its work, with a line for each
// part.
func (h *HTTP) readyz(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	var b strings.Builder
	for _, c := range h.admin.checks(r.Context()) {
		if c.Err != nil {
			status = http.StatusServiceUnavailable
			fmt.Fprintf(&b, "%s: FAILED: %s\n", c.Name, strings.ReplaceAll(c.Err.Error(), "\n", "; "))
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", c.Name, c.Note)
	}
	text(w, status, b.String())
}

func (h *HTTP) metrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(h.admin.metrics(r.Context()))
}

var errNotTurning = errors.New("the core has not turned for some seconds")

func (a *Admin) checkCore(ctx context.Context) Check {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	if _, err := a.o.Bridge.Stats(ctx); err != nil {
		return Check{Name: "core", Err: errNotTurning}
	}
	return Check{Name: "core", Note: "turns"}
}

// checks asks each part how it is.
func (a *Admin) checks(ctx context.Context) []Check {
	out := []Check{a.checkCore(ctx), a.checkStore()}
	if a.o.Broker != nil {
		out = append(out, a.checkBroker())
	}
	return append(out, a.o.Checks()...)
}

func (a *Admin) checkStore() Check {
	c := Check{Name: "store", Note: "can be written"}
	if c.Err = a.o.Store.Health(); c.Err == nil {
		c.Err = a.o.Bridge.StoreError()
	}
	return c
}

func (a *Admin) checkBroker() Check {
	c := Check{Name: "mqtt", Note: "off"}
	var addrs []string
	for _, addr := range a.o.Broker.Addrs() {
		addrs = append(addrs, addr.String())
	}
	switch {
	case !a.o.Broker.Serving():
		c.Err = errors.New("does not serve")
	case len(addrs) > 0:
		c.Note = "listens on " + strings.Join(addrs, ", ")
	}
	return c
}

// limitedListener closes connections beyond its limit.
type limitedListener struct {
	net.Listener
	slots chan struct{}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			_ = c.Close()
		}
	}
}

// limitedConn frees its place when it is closed.
type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
