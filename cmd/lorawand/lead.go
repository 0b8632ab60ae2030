//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/store/jetstream"
	"lorawand/cmd/lorawand/config"
)

const hasNATS = true

// lead is a store on NATS JetStream that this process leads; nil: the store is another one.
type lead struct {
	*jetstream.Store
	mark *highWater // nil before the first
}

// store returns the store, or nil.
func (l lead) store() stateStore {
	if l.Store == nil {
		return nil
	}
	return l.Store
}

// left returns how to ask how long this machine may send; nil: for ever.
func (l lead) left() func() time.Duration {
	if l.Store == nil {
		return nil
	}
	return l.Left
}

// run waits for the loss of the lead, and returns jetstream.ErrLost then.
func (l lead) run(ctx context.Context) error {
	var lost <-chan struct{}
	if l.Store != nil {
		lost = l.Lost()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-lost:
		return jetstream.ErrLost
	}
}

// isLost reports whether a daemon has ended because another machine leads.
func (lead) isLost(err error) bool { return errors.Is(err, jetstream.ErrLost) }

// natsOptions returns the options of the bucket.
func natsOptions(c *config.Config, log *slog.Logger) (o jetstream.Options, err error) {
	s := &c.Store
	host, _ := os.Hostname()
	o = jetstream.Options{
		Servers: s.Servers(), Bucket: s.Bucket, Name: cmp.Or(s.Name, host, "lorawand"), Credentials: s.Credentials,
		Replicas: s.Replicas, Logger: log,
	}
	if s.CAFile == "" && s.CertFile == "" {
		return o, nil
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		text, err := os.ReadFile(s.CAFile)
		if err != nil {
			return o, fmt.Errorf("store.ca_cert: %w", err)
		}
		if o.TLS.RootCAs = x509.NewCertPool(); !o.TLS.RootCAs.AppendCertsFromPEM(text) {
			return o, fmt.Errorf("store.ca_cert: %s has no certificate", s.CAFile)
		}
	}
	if s.CertFile != "" {
		own, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return o, fmt.Errorf("store.tls_cert: %w", err)
		}
		o.TLS.Certificates = []tls.Certificate{own}
	}
	return o, nil
}

// natsPatience is how long a command tries to get the lead. A leader that has crashed is waited for.
const natsPatience = 15 * time.Second

// openNATS opens the bucket for a command.
func openNATS(ctx context.Context, c *config.Config, log *slog.Logger) (stateStore, error) {
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	o, err := natsOptions(c, log)
	if err != nil {
		return nil, err
	}
	h := openHighWater(c, log)
	o.After, o.Saw = h.number, h.saw
	s, err := jetstream.Open(ctx, o)
	if err != nil {
		h.close()
		return nil, emptied(c, err)
	}
	return marked{s, h}, nil
}

// marked is a store that closes the file with its number too.
type marked struct {
	*jetstream.Store
	mark *highWater
}

// Close closes the store.
func (m marked) Close() error {
	defer m.mark.close()
	return m.Store.Close()
}

// emptied says what to do where a stream has nothing of what this machine has seen in it.
func emptied(c *config.Config, err error) error {
	if errors.Is(err, jetstream.ErrStream) {
		return fmt.Errorf("%w; to begin with another state all the same, delete %s", err, highWaterPath(c))
	}
	return err
}

func natsBucket(c *config.Config) string { return cmp.Or(c.Store.Bucket, "lorawand") }

// readNATS returns what the bucket holds, whoever leads.
func readNATS(ctx context.Context, c *config.Config) (backer, error) {
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	o, err := natsOptions(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	content, _, err := jetstream.Read(ctx, o)
	if err != nil {
		return nil, err
	}
	return content, nil
}

// standBy waits until this process leads. Meanwhile the control socket tells who does.
func (l *lead) standBy(ctx context.Context, c *config.Config, log *slog.Logger) error {
	o, err := natsOptions(c, log)
	if err != nil {
		return err
	}
	if l.mark == nil {
		l.mark = openHighWater(c, log)
	}
	o.After, o.Saw = l.mark.number, l.mark.saw
	w := waiting{log: log}
	w.waits(errNoAnswer)
	o.Waits = w.waits
	stop, err := w.serve(ctx, c, log)
	if err != nil {
		return err
	}
	defer stop()
	s, err := jetstream.StandBy(ctx, o)
	if err != nil {
		return emptied(c, err)
	}
	w.follows(s)
	if st := s.State(); st.Leader != "" {
		log.Info("standing by", "leader", st.Leader, "since", st.Since)
	}
	if l.Store, err = s.Lead(ctx, false); err != nil {
		return err
	}
	log.Info("leading", "bucket", natsBucket(c))
	return nil
}

// after returns the lead to begin with when a daemon has ended.
func (l lead) after(lost bool) lead {
	if !lost || l.Store == nil {
		return l
	}
	return lead{mark: l.mark}
}

// emptyKeys is for those who have no store yet.
func emptyKeys(c *config.Config) *access.Registry { return access.NewRegistry(c.MQTT.Tenant) }

// leadOperation is the operation that tells who leads.
const leadOperation = "store.lead"

// addTo adds the operation that tells who leads.
func (l lead) addTo(a *admin.Admin) {
	if l.Store != nil {
		addLead(a, l.State)
	}
}

func addLead(a *admin.Admin, state func() jetstream.State) {
	tell := func(_ context.Context, _ struct{}, reply func(v any) error) error { return reply(state()) }
	a.Add(leadOperation, admin.Operation{
		Run: admin.Decoding(tell), Right: admin.Right{Rights: access.GatewaysRead}, Limit: problemLimit,
	})
}
