//go:build !small

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/forward"
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/stream"
	"lorawand/radio"
)

// central is the server of an extender: all frames go there, and its downlinks come from there.
func central(c *config.Central, calendar func() time.Time) (forward.Server, error) {
	conf, err := centralTLS(c, calendar)
	if err != nil {
		return forward.Server{}, err
	}
	return forward.Server{
		Address: c.Address, Selection: foreign.Selection{Own: true}, Trusted: true, KeepAlive: stream.KeepAlive,
		Dial: func(ctx context.Context, eui radio.EUI64) (net.Conn, error) {
			conn, err := dialCentral(ctx, c, conf, eui)
			if err != nil {
				return nil, err
			}
			return conn, nil
		},
	}, nil
}

// dialCentral connects to a central and logs a gateway in.
func dialCentral(ctx context.Context, c *config.Central, conf *tls.Config, eui radio.EUI64) (*stream.Conn, error) {
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	return stream.Login(ctx, conn, eui, c.Key)
}

// errOtherCertificate is the reason for not trusting a central.
var errOtherCertificate = errors.New("the central shows another certificate than the one of central.fingerprint")

// centralTLS is the configuration for a central whose certificate is pinned, or one that this host
// trusts.
func centralTLS(c *config.Central, calendar func() time.Time) (*tls.Config, error) {
	pin, err := c.Pin()
	if err != nil {
		return nil, fmt.Errorf("central.fingerprint: %w", err)
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("central.address: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host,
		// VerifyConnection does it: a certificate may be pinned, and where no clock is set nothing
		// can be expired.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			return verifyCentral(s.PeerCertificates, pin, host, calendar())
		},
	}, nil
}

// verifyCentral checks the certificates of a central. The pinned one is that of the central, whose
// names then do not matter, or that of a CA, which comes last. now is the zero time where the
// calendar is not known.
func verifyCentral(chain []*x509.Certificate, pin []byte, host string, now time.Time) error {
	if pin == nil {
		return verifyChain(chain, nil, host, now)
	}
	at := slices.IndexFunc(chain, func(c *x509.Certificate) bool {
		sum := sha256.Sum256(c.Raw)
		return bytes.Equal(sum[:], pin)
	})
	switch at {
	case -1:
		return errOtherCertificate
	case 0:
		return nil
	}
	root := x509.NewCertPool()
	root.AddCert(chain[at])
	return verifyChain(chain[:at], root, host, now)
}
