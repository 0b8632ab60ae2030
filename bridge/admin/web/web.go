//go:build !small

package web

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/conns"
	"lorawand/bridge/admin/sharing"
	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/admin/web/trial"
)

// prefix is that of the answers for the page.
const prefix = "/api/page/"

// Limits of requests.
const (
	maxBody      = 128 << 10 // bytes; a script has up to 40 KiB
	maxBigBody   = 16 << 20  // bytes: of an import and of a backup; one such request at a time
	maxLoginBody = 4 << 10   // bytes
	timeout      = 15 * time.Second
	longTimeout  = 2 * time.Minute // for a long body to come, and for an answer that takes long
)

// Site is the web page.
type Site struct {
	o        Options
	log      *slog.Logger
	files    *door.Files
	sessions door.Sessions
	tries    door.Tries
	big      chan struct{} // full while a long body is at work
	hub      hub
	streams  counter
	trials   *trial.Trials
	slow     time.Duration // how long a client may take for what a stream sends
}

//go:embed static
var static embed.FS

// New returns a Site. Its sessions end when the password changes.
func New(o Options) *Site {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // static is no valid name
	}
	s := &Site{o: o, log: o.Logger, files: door.NewFiles(root), big: make(chan struct{}, 1), slow: writePatience}
	s.hub = hub{events: o.Bridge.Events(), activity: o.Bridge.Activity()}
	s.trials = trial.New(o.Admin, trial.Options{Bridge: o.Bridge, Resolver: o.Resolver, Formatters: o.Formatters})
	o.Passwords.changed = func() { s.sessions.End(func(*door.Browser) bool { return true }) }
	return s
}

// Close ends all sessions, their streams, and what works for them. It is called before
// the servers end: they wait for streams.
func (s *Site) Close() {
	s.sessions.End(func(*door.Browser) bool { return true })
	s.hub.close()
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy",
		"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	name, asked := strings.CutPrefix(r.URL.Path, prefix)
	if !door.IsLocal(r) {
		http.Error(w, "This name is not one of a local network. Use the address of the gateway, or TLS (lorawand tls init).",
			http.StatusMisdirectedRequest)
		return
	}
	if !asked {
		s.files.ServeHTTP(w, r)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	c := &call{site: s, w: w, r: r, ctl: http.NewResponseController(w)}
	if err := c.serve(name); err != nil {
		c.refuse(err)
	}
}

// call is a request on its way.
type call struct {
	site    *Site
	w       http.ResponseWriter
	r       *http.Request
	ctl     *http.ResponseController
	session *door.Browser // nil: has not logged in
}

// fault is an answer that says no.
type fault struct {
	status int
	text   string
	wait   time.Duration // before another try
	off    bool          // the page is off
}

func (f *fault) Error() string { return f.text }

func refused(status int, text string) error { return &fault{status: status, text: text} }

// Reasons for refusing a request.
var (
	errNoSession  = refused(http.StatusUnauthorized, "Log in first.")
	errNotFound   = refused(http.StatusNotFound, "There is no such address.")
	errForeign    = refused(http.StatusForbidden, "The request does not come from this page.")
	errHeader     = refused(http.StatusForbidden, "The request lacks the header X-Lorawand: 1.")
	errTooLarge   = refused(http.StatusRequestEntityTooLarge, "The request is too large.")
	errBusy       = refused(http.StatusServiceUnavailable, "Another large request is at work; try again.")
	errTrials     = refused(http.StatusTooManyRequests, "Wait until the formatters that are tried have ended.")
	errIncomplete = refused(http.StatusBadRequest, "The request did not come as a whole.")
	errMethod     = refused(http.StatusMethodNotAllowed, "Changes are asked for by POST, all else by GET.")
)

// serve answers the request for a name of the table.
func (c *call) serve(name string) error {
	route, params, err := find(c.r.Method, name)
	if err != nil {
		return err
	}
	if !door.IsOwn(c.r) {
		return errForeign
	}
	if route.method == http.MethodPost && c.r.Header.Get("X-Lorawand") != "1" {
		return errHeader
	}
	if c.session = c.site.session(c.r); c.session == nil && !route.open {
		return errNoSession
	}
	if route.method == http.MethodPost {
		want := cmp.Or(route.takes, "application/json")
		if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != want {
			return refused(http.StatusUnsupportedMediaType, "The request must be "+want+".")
		}
	}
	c.patience(timeout)
	return route.handle(c, params)
}

// patience is how long the client may take for the rest of the request, and then for the
// answer.
func (c *call) patience(d time.Duration) {
	now := time.Now()
	_ = c.ctl.SetReadDeadline(now.Add(d))
	_ = c.ctl.SetWriteDeadline(now.Add(2 * d))
}

// address returns the IP address of the client.
func (c *call) address() netip.Addr { return conns.AddressOf(c.r.RemoteAddr) }

// body reads the request. Only one long one is held at a time: release, which is never
// nil, frees that place.
func (c *call) body(most int64) (b []byte, release func(), err error) {
	release = func() {}
	if c.r.ContentLength > most {
		return nil, release, errTooLarge
	}
	if c.r.ContentLength > maxBody || c.r.ContentLength < 0 && most > maxBody {
		select {
		case c.site.big <- struct{}{}:
			release = func() { <-c.site.big }
			c.patience(longTimeout)
		default:
			return nil, release, errBusy
		}
	}
	var all bytes.Buffer
	n, err := io.Copy(&all, io.LimitReader(c.r.Body, most+1))
	switch {
	case err != nil:
		return nil, release, errIncomplete
	case n > most:
		return nil, release, errTooLarge
	}
	return all.Bytes(), release, nil
}

// answer sends a value as JSON.
func (c *call) answer(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, _ = c.w.Write(b)
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// refuse answers with why not.
func (c *call) refuse(err error) {
	f := &fault{status: http.StatusBadRequest, text: err.Error()}
	switch {
	case errors.As(err, &f):
	case errors.Is(err, admin.ErrRights), errors.Is(err, admin.ErrApplication):
		f.status = http.StatusForbidden
	case errors.Is(err, sharing.ErrBusy):
		f.status = http.StatusServiceUnavailable
	}
	out := map[string]any{"error": f.text}
	if f.wait > 0 {
		seconds := int((f.wait + time.Second - 1) / time.Second)
		out["wait_s"] = seconds
		c.w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if f.off {
		out["off"] = true
	}
	b, _ := encode(out) // texts and numbers
	c.w.WriteHeader(f.status)
	_, _ = c.w.Write(b)
}
