//go:build !small

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"lorawand/bridge/admin/problems"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/upstream"
	"lorawand/bridge/upstream/client"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/v3"
	"lorawand/cmd/lorawand/config"
)

// upstreams hand messages on to other brokers.
type upstreams struct {
	list  []*upstream.Upstream
	began time.Time
}

// Times of an upstream.
const (
	upstreamSession = 7 * 24 * time.Hour // how long the other broker keeps downlinks for us
	pushLimit       = 2 * time.Second    // until a downlink must be stored
)

// newUpstreams opens the journals.
func newUpstreams(c *config.Config, d *daemon) (*upstreams, error) {
	u := &upstreams{began: time.Now()}
	for i := range c.Upstreams {
		one, err := newUpstream(c, &c.Upstreams[i], d)
		if err != nil {
			return nil, err
		}
		u.list = append(u.list, one)
	}
	return u, nil
}

func newUpstream(c *config.Config, u *config.Upstream, d *daemon) (*upstream.Upstream, error) {
	folder, err := store.Folder(filepath.Join(c.Store.Path, upstreamFolder, u.Name))
	if err != nil {
		return nil, err
	}
	host, port, secure := u.Address()
	address := net.JoinHostPort(host, port)
	if _, err := upstreamTLS(u, host, d.calendar); err != nil {
		return nil, err
	}
	o := upstream.Options{
		Name: u.Name, Applications: u.Applications, Prefix: u.Prefix, Rate: u.BackfillRate, Folder: folder,
		Journal: journal.Options{Bytes: u.Journal.Bytes(), Age: u.JournalAge.D()}, Commit: c.Store.CommitInterval.D(),
		Calendar: d.calendar, Logger: d.log,
		Client:  clientOptions(u),
		Changed: func(up bool, why string) { d.upstreamChanged(u.Name, address, up, why) },
		Dial: func(ctx context.Context) (net.Conn, error) {
			if !secure {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			}
			config, err := upstreamTLS(u, host, d.calendar) // the files may be newer ones
			if err != nil {
				return nil, err
			}
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		},
	}
	if *u.Downlinks {
		o.Client.Expiry = upstreamSession
		o.Push = func(ctx context.Context, application, device string, replace bool, payload []byte) error {
			ctx, cancel := context.WithTimeout(ctx, pushLimit)
			defer cancel()
			return d.bridge.Push(ctx, session.ID{Application: application, Device: device}, replace, payload)
		}
	}
	return upstream.New(o)
}

// mqttVersions are the versions by their words in the configuration.
var mqttVersions = map[string]byte{"mqttv50": client.V5, "mqttv311": client.V311}

// clientOptions returns how the client logs in.
func clientOptions(u *config.Upstream) client.Options {
	o := client.Options{
		ClientID: u.ClientID, UserName: u.UserName, Password: u.Password, KeepAlive: u.KeepAlive.D(),
		Version: mqttVersions[u.ProtocolVersion],
	}
	if *u.Notifications {
		online, offline := v3.Status(true, version, time.Time{}), v3.Status(false, version, time.Time{})
		o.Birth = &client.Message{Topic: u.NotifyTopic, Payload: online.Payload, Retain: true}
		o.Will = &client.Message{Topic: u.NotifyTopic, Payload: offline.Payload, Retain: true}
	}
	return o
}

// upstreamTLS reads the files for TLS with another broker.
func upstreamTLS(u *config.Upstream, host string, calendar func() time.Time) (*tls.Config, error) {
	var roots *x509.CertPool // nil: those of this host
	if u.CAFile != "" {
		text, err := os.ReadFile(u.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CA of the broker: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("CA of the broker: %s has no certificate", u.CAFile)
		}
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host,
		// VerifyConnection does it: where no clock is set, nothing can be expired.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			name := host
			if u.Insecure {
				name = ""
			}
			return verifyChain(s.PeerCertificates, roots, name, calendar())
		},
	}
	if u.CertFile != "" {
		own, err := tls.LoadX509KeyPair(u.CertFile, u.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("certificate for the broker: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// verifyChain checks the certificate of a server. name "" takes that of any host; now is
// the zero time where the calendar is not known.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool, name string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the server has no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), DNSName: name, CurrentTime: now}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if now.IsZero() {
		o.CurrentTime = chain[0].NotBefore // a leaf is younger than what has signed it
	}
	_, err := chain[0].Verify(o)
	return err
}

// upstreamChanged makes an event of it.
func (d *daemon) upstreamChanged(name, address string, up bool, why string) {
	now := d.bridge.Now()
	e := event.Event{Kind: event.UpstreamConnected, Host: now.Host, Address: address, Word: name}
	if !up {
		e.Kind, e.Err = event.UpstreamLost, errors.New(why)
	}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	d.bridge.Events().Write(&e)
}

// publish takes what is published.
func (u *upstreams) publish(m v3.Message) {
	for _, one := range u.list {
		one.Publish(m)
	}
}

// run works until ctx ends.
func (u *upstreams) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, one := range u.list {
		wg.Go(func() { _ = one.Run(ctx) })
	}
	<-ctx.Done()
	wg.Wait()
	return nil
}

// problems tells of them what can be wrong.
func (u *upstreams) problems() (out []problems.Upstream) {
	for _, one := range u.list {
		s := one.Status()
		out = append(out, problems.Upstream{
			Name: s.Name, Connected: s.Connected, Since: time.Since(s.Since), Error: s.Error, Unheard: s.Unheard,
			Sent: s.Live + s.Backfilled, Waiting: s.Journal.Messages + int64(s.Waiting), Lost: s.Journal.Lost + int64(s.Lost),
			Refused: s.Refused, Fault: s.Fault,
		})
	}
	return out
}
