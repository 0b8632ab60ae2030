//go:build !small

package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// config has a certificate, signed by itself.
func config(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// connect returns both ends of a connection over loopback.
func connect(t *testing.T, version uint16, recorded func(int) error) (server net.Conn, client *tls.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	of := config(t)
	accepted := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err == nil {
			server, err = Accept(nc, of, false, func() bool { return true }, recorded)
		}
		accepted <- err
	}()
	client, err = tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	if err := errors.Join(err, <-accepted); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	_ = server.SetReadDeadline(time.Now().Add(time.Minute))
	return server, client
}

// Records that carry little are told of, and others are not, whatever the version.
func TestRecords(t *testing.T) {
	const many = 5000
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name         string
			times, bytes int
			least, most  int // packets
		}{
			{"of a byte", many, 1, (many*22 - 2*readAhead) / recordBytes, many * 40 / recordBytes},
			{"long ones", 10, 100_000, 0, 0},
		} {
			t.Run(tls.VersionName(version)+" "+tt.name, func(t *testing.T) {
				told := 0
				server, client := connect(t, version, func(n int) error { told += n; return nil })
				go func() {
					for range tt.times {
						_, _ = client.Write(make([]byte, tt.bytes))
					}
					_ = client.CloseWrite()
				}()
				n, err := io.Copy(io.Discard, server)
				if err != nil || n != int64(tt.times*tt.bytes) || told < tt.least || told > tt.most {
					t.Errorf("%d bytes, %v; told of %d packets, want %d to %d", n, err, told, tt.least, tt.most)
				}
			})
		}
	}
}

// What is answered to them ends the connection.
func TestRecordsEnd(t *testing.T) {
	enough := errors.New("enough")
	server, client := connect(t, 0, func(int) error { return enough })
	go func() {
		for range 5000 {
			_, _ = client.Write([]byte{0})
		}
	}()
	if _, err := io.Copy(io.Discard, server); !errors.Is(err, enough) {
		t.Errorf("ends with %v", err)
	}
}
