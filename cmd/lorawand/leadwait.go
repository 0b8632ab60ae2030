//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/store/jetstream"
	"lorawand/cmd/lorawand/config"
)

// waiting answers on the control socket while this process does not lead.
type waiting struct {
	log     *slog.Logger
	why     atomic.Pointer[string] // what is told before the servers have answered
	standby atomic.Pointer[jetstream.Standby]
}

var errNoAnswer = errors.New("no NATS server has answered yet")

// waits takes why the servers are of no use yet, and tells it once.
func (w *waiting) waits(why error) {
	text := why.Error()
	if last := w.why.Swap(&text); last != nil && *last != text {
		w.log.Warn("waiting for the NATS servers", "reason", text)
	}
}

func (w *waiting) follows(s *jetstream.Standby) { w.standby.Store(s) }

func (w *waiting) state() jetstream.State {
	if s := w.standby.Load(); s != nil {
		return s.State()
	}
	return jetstream.State{Fault: *w.why.Load()}
}

// refuse returns why an operation is refused.
func (w *waiting) refuse() error {
	switch st := w.state(); {
	case st.Fault != "":
		return fmt.Errorf("this machine stands by, and has no way to the state: %s", st.Fault)
	case st.Leader == "":
		return fmt.Errorf("this machine stands by, and nobody leads yet")
	default:
		return fmt.Errorf("this machine stands by: %s leads since %s; do it there", st.Leader, st.Since.Format(time.DateTime))
	}
}

// serve opens the control socket. stop closes it.
func (w *waiting) serve(ctx context.Context, c *config.Config, log *slog.Logger) (stop func(), err error) {
	silent := slog.New(slog.DiscardHandler)
	b, err := newBridge(*c, bridge.Options{
		Devices: session.NewRegistry(bridge.WrongMICs()), Gateways: gateway.NewRegistry(), Store: noStore{},
		Outbox: nobody{}, Logger: silent,
	})
	if err != nil {
		return nil, err
	}
	applications, codecs := access.NewApplications(), codec.NewLibrary()
	a, err := admin.New(admin.Options{
		Bridge: b, Keys: emptyKeys(c), Store: noStore{}, Build: thisBuild(), Logger: log,
		Applications: applications, Codecs: codecs, Resolver: codec.NewResolver(applications, codecs), Refuse: w.refuse,
	})
	if err != nil {
		return nil, err
	}
	addLead(a, w.state)
	s, err := admin.Listen(a, c.Control.Socket)
	if err != nil {
		return nil, err
	}
	return stage(ctx, func(error) {}, s.Run), nil
}

// noStore is that of a process that has none yet. Nobody asks for it.
type noStore struct{}

func (noStore) Commit(...store.Record) error { return store.ErrClosed }
func (noStore) Backup(io.Writer) error       { return store.ErrClosed }
func (noStore) Stats() store.Stats           { return store.Stats{} }
func (noStore) Health() error                { return store.ErrClosed }

// leadStatus is what status tells of a state on NATS JetStream.
type leadStatus struct{ jetstream.State }

// askLead asks the running daemon who leads; nil: the state is in files.
func askLead(ctx context.Context, c config.Config) (*leadStatus, error) {
	if c.Store.URL == "" {
		return nil, nil
	}
	var out leadStatus
	err := ask(ctx, c, leadOperation, nil, func(st jetstream.State) error { out.State = st; return nil })
	return &out, err
}

// standsBy reports whether this machine does not lead.
func (l *leadStatus) standsBy() bool { return l != nil && !l.Leads }

// print prints some lines about it.
func (l *leadStatus) print(w io.Writer) {
	if l == nil {
		return
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name+":", plainLine(fmt.Sprintf(format, args...)))
	}
	since := ""
	if !l.Since.IsZero() {
		since = " since " + l.Since.Local().Format(time.DateTime)
	}
	switch {
	case l.Leads:
		line("leads", "%s%s: this machine, lease for %.1f s", l.Leader, since, l.Lease)
	case l.Leader == "":
		line("leads", "nobody")
	default:
		line("leads", "%s%s; this machine stands by, heard of it %.1f s ago", l.Leader, since, l.Silent)
	}
	if l.Leads && l.Lease == 0 {
		line("lease", "NONE: nothing is sent until the servers renew it")
	}
	line("commits", "%d; %d messages; connected to %s", l.Commits, l.Last, l.Connected)
	for _, o := range l.Standbys {
		line("standby", "%s, %d messages behind, heard %.1f s ago", o.Name, o.Behind, o.Silence)
	}
	if l.Leads && len(l.Standbys) == 0 {
		line("standby", "none was heard")
	}
	if l.Fault != "" {
		line("store", "%s", l.Fault)
	}
}

// alone prints all that is told of a machine that stands by.
func (l *leadStatus) alone(w io.Writer, asJSON bool) error {
	if !asJSON {
		l.print(w)
		return nil
	}
	return json.NewEncoder(w).Encode(map[string]any{"lead": l.State})
}

// nats says whether the state on NATS JetStream can be had.
func (d *doctor) nats(c *config.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), natsPatience)
	defer cancel()
	o, err := natsOptions(c, slog.New(slog.DiscardHandler))
	var st jetstream.State
	if err == nil {
		_, st, err = jetstream.Read(ctx, o)
	}
	switch {
	case err != nil:
		d.say("store", false, "look at store.url, at the credentials and at the servers: nats server check jetstream",
			"%v", err)
	case st.Leader == "":
		d.say("store", true, "", "the bucket on NATS is empty, and nobody leads")
	default:
		d.say("store", true, "", "%s was the last one to lead, since %s; connected to %s", st.Leader,
			st.Since.Local().Format(time.DateTime), st.Connected)
	}
}
