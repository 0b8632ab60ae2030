//go:build !small

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"lorawand/bridge/broker"
	"lorawand/cmd/lorawand/config"
)

// certificates are the files for TLS. They are read again when they change, and on
// SIGHUP. While their content is unusable, the earlier content stays in use.
type certificates struct {
	certificate, key, clientCA string           // paths; clientCA "": clients need no certificate
	calendar                   func() time.Time // zero: unknown
	log                        *slog.Logger

	mu     sync.Mutex
	config *tls.Config
	looked time.Time // when the files were last checked
	stamp  string    // their sizes and times when they were read
}

// lookEvery is the shortest interval at which the files are checked while clients
// connect.
const lookEvery = 2 * time.Second

// newCertificates reads the files. It returns nil if the configuration names none.
func newCertificates(m *config.MQTT, calendar func() time.Time, log *slog.Logger) (*certificates, error) {
	if m.Certificate == "" && m.Key == "" {
		return nil, nil
	}
	c := &certificates{certificate: m.Certificate, key: m.Key, clientCA: m.ClientCA, calendar: calendar, log: log}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// TLSConfig returns the configuration of a listener.
func (c *certificates) TLSConfig() *broker.TLSConfig {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(time.Now()), nil },
	}
}

// current returns the configuration of the files' present content.
func (c *certificates) current(now time.Time) *tls.Config {
	c.mu.Lock()
	look := now.Sub(c.looked) >= lookEvery
	if look {
		c.looked = now
	}
	changed := look && c.look() != c.stamp
	c.mu.Unlock()
	if changed {
		c.reload()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config
}

// reload reads the files again. c may be nil.
func (c *certificates) reload() {
	if c == nil {
		return
	}
	if err := c.read(); err != nil {
		c.log.Error("the certificate cannot be read again; the one before stays in use", "error", err)
		return
	}
	c.log.Info("the certificate was read", "certificate", c.certificate)
}

// look returns a text that changes when the files change.
func (c *certificates) look() (stamp string) {
	for _, path := range []string{c.certificate, c.key, c.clientCA} {
		if info, err := os.Stat(path); err == nil {
			stamp += fmt.Sprintf("%d %d;", info.Size(), info.ModTime().UnixNano())
		} else {
			stamp += ";"
		}
	}
	return stamp
}

func (c *certificates) read() error {
	stamp := c.look()
	cfg, err := c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp = stamp // a fault is reported once for each state of the files
	if err == nil {
		c.config = cfg
	}
	return err
}

var errNoCertificate = errors.New("holds no certificate")

// load makes a TLS configuration of the files.
func (c *certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		if err = fmt.Errorf("mqtt.certificate, mqtt.key: %w", err); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; lorawand tls init makes them", err)
		}
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.clientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(c.clientCA)
	if err != nil {
		return nil, fmt.Errorf("mqtt.client_ca: %w", err)
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAnyClientCert
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("mqtt.client_ca: %s: %w", c.clientCA, errNoCertificate)
	}
	cfg.VerifyConnection = func(s tls.ConnectionState) error { return c.verify(s.PeerCertificates, cfg.ClientCAs) }
	return cfg, nil
}

// verify checks a client's certificate, which comes first, followed by those
// between it and the CA. Dates are checked only if the calendar is known, because a
// gateway without a clock starts in 1970.
func (c *certificates) verify(chain []*x509.Certificate, roots *x509.CertPool) error {
	now := c.calendar()
	if now.IsZero() {
		now = chain[0].NotBefore
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}
