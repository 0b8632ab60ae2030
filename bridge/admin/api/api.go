//go:build !small

package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/conns"
	"lorawand/bridge/admin/sharing"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/broker/secure"
)

// Limits of the API.
const (
	maxConns      = 32 // at a time; more are closed
	maxPerAddress = 16
	maxStreams    = 8 // of events; of one application at most half of them
	maxHeader     = 16 << 10
	maxBody       = 64 << 10         // bytes
	maxBigBody    = 1 << 20          // bytes; one such request at a time
	timeout       = 15 * time.Second // Options.Timeout
	idleTimeout   = 10 * time.Second
)

// API serves the routes.
type API struct {
	o        Options
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	backoff  access.Backoff
	requests sharing.Sharing // of all who ask
	futile   futile          // requests that are refused
	lines    pace.Lines      // of the log, that clients can cause
	big      chan struct{}   // full while a long body is at work
	streams  streams
	stop     context.Context // ends when Run does
	stopped  context.CancelFunc
	page     http.Handler // of what is no route; nil: nothing
}

// Mount has a web page answer what is not below the prefix of the API. It is called
// before Run.
func (a *API) Mount(page http.Handler) { a.page = page }

// Listen opens the socket. Run does the work.
func Listen(o Options) (*API, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Timeout == 0 {
		o.Timeout = timeout
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	a := &API{o: o, log: o.Logger, big: make(chan struct{}, 1)}
	a.stop, a.stopped = context.WithCancel(context.Background())
	a.listener = conns.Few(l, maxConns, maxPerAddress)
	if o.TLS != nil {
		turns := cmp.Or(o.Handshakes, new(pace.Handshakes))
		a.listener = secure.Listen(a.stop, a.listener, withoutClients(o.TLS), func(from net.Addr, over <-chan struct{}) bool {
			addr := conns.AddressOf(from.String())
			return turns.Wait(pace.SourceOf(addr), addr.IsLoopback(), over, nil)
		})
	}
	a.server = &http.Server{
		Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		// One request at a time on a connection: their number is the limit of all.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	return a, nil
}

// withoutClients returns a configuration that asks for no client certificate.
func withoutClients(c *tls.Config) *tls.Config {
	strip := func(c *tls.Config) *tls.Config {
		c = c.Clone()
		c.ClientAuth, c.ClientCAs, c.VerifyConnection, c.NextProtos = tls.NoClientCert, nil, nil, []string{"http/1.1"}
		return c
	}
	out := strip(c)
	if inner := c.GetConfigForClient; inner != nil {
		out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			current, err := inner(hello)
			if current == nil || err != nil {
				return current, err
			}
			return strip(current), nil
		}
	}
	return out
}

// Addr returns the address that it listens on.
func (a *API) Addr() net.Addr { return a.listener.Addr() }

// Close frees a socket that was never run.
func (a *API) Close() error { return a.listener.Close() }

// Run serves until ctx ends.
func (a *API) Run(ctx context.Context) error {
	a.log.Info("serving the HTTP API", "address", a.Addr().String(), "tls", a.o.TLS != nil)
	defer a.stopped()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		a.stopped()
		admin.Shut(a.server)
	})
	err := a.server.Serve(a.listener)
	if !stop() {
		<-ended
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("api: %w", err)
	}
	return nil
}
