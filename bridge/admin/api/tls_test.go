//go:build !small

package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"lorawand/bridge/broker/pace"
)

// startTLS runs an API as the broker has TLS: with a configuration of the hour, and certificates of
// clients.
func startTLS(t *testing.T, handshakes *pace.Handshakes) *API {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	inner := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(tls.ConnectionState) error { return fmt.Errorf("no certificate") },
	}
	a, err := Listen(Options{
		Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler), Calendar: time.Now, Handshakes: handshakes,
		TLS: &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		if cancel(); <-done != nil {
			t.Error("Run ends with an error")
		}
	})
	return a
}

// TLS is that of MQTT, without its client certificates, and HTTP/1.1 alone.
func TestTLS(t *testing.T) {
	a := startTLS(t, nil)
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}}
	r, err := c.Get("https://" + a.Addr().String() + prefix + "/auth_info")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if r.StatusCode != 200 || string(b) != "{}" || r.ProtoMajor != 1 {
		t.Errorf("%s %d %s", r.Proto, r.StatusCode, b)
	}
}

// Who connects as often as he can has a handshake each 50 ms, once what is saved is used up; the
// clients of other listeners count.
func TestHandshakesTakeTurns(t *testing.T) {
	const saved, more, pause = 32, 20, 50 * time.Millisecond
	var handshakes pace.Handshakes
	a, since := startTLS(t, &handshakes), time.Now()
	for range saved {
		handshakes.Wait(netip.MustParseAddr("192.0.2.1"), false, nil, nil)
	}
	for range more {
		c, err := tls.Dial("tcp", a.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if took := time.Since(since); took < more*pause {
		t.Errorf("%d handshakes in %v", more, took)
	}
}
