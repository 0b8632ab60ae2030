//go:build !small

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
)

// signer is a certificate with its key.
type signer struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// sign makes a certificate that by has signed; nil: it signs itself. The serial number is its name too.
func sign(t *testing.T, serial int64, by *signer, host string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{SerialNumber: big.NewInt(serial).String()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: host == "", BasicConstraintsValid: true,
	}
	if host != "" {
		one.DNSNames = []string{host}
	}
	if by == nil {
		by = &signer{one, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, one, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if one, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &signer{one, key}
}

// pemOf returns certificates as the text of a file.
func pemOf(chain ...*signer) []byte {
	var out bytes.Buffer
	for _, s := range chain {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: s.Raw})
	}
	return out.Bytes()
}

// chainFolder names the folder with the certificates, for a process whose system trusts the root in it.
const chainFolder = "PAIR_CHAIN_FOLDER"

// A certificate that an intermediate CA has signed, as those of public CAs are: where the system trusts
// the root nothing is pinned, and the root of a private CA is. So a renewal changes nothing.
func TestPairChain(t *testing.T) {
	const host, another = "central.example", "elsewhere.example"
	dir := os.Getenv(chainFolder)
	if dir == "" {
		dir = t.TempDir()
		root := sign(t, 1, nil, "")
		between := sign(t, 2, root, "")
		leaf := sign(t, 3, between, host)
		key, err := x509.MarshalECPrivateKey(leaf.key)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{
			"root.pem": pemOf(root), "full.pem": pemOf(leaf, between), "all.pem": pemOf(leaf, between, root),
			"leaf.pem": pemOf(leaf), "key.pem": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestPairChain$")
		cmd.Env = append(os.Environ(), chainFolder+"="+dir, "SSL_CERT_DIR="+filepath.Join(dir, "none"),
			"SSL_CERT_FILE="+filepath.Join(dir, "root.pem"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	all := chainIn(t, filepath.Join(dir, "all.pem"))
	leaf, root := fingerprint(all[0].Raw), fingerprint(all[2].Raw)
	for _, tt := range []struct{ file, host, want string }{
		{"full.pem", host, ""},
		{"full.pem", another, leaf},
		{"leaf.pem", host, leaf},
		{"all.pem", host, root},
		{"all.pem", another, leaf},
	} {
		var c config.Config
		c.MQTT.Certificate, c.MQTT.Key = filepath.Join(dir, tt.file), filepath.Join(dir, "key.pem")
		c.Extenders.Listen = ":1700"
		address, print, err := shownCertificate(&c, tt.host)
		if err != nil || address != tt.host+":1700" || print != tt.want {
			t.Errorf("%s for %s: %s, %q, %v; want %q", tt.file, tt.host, address, print, err, tt.want)
		}
		pin, err := (&config.Central{Fingerprint: print}).Pin()
		if err != nil {
			t.Fatal(err)
		}
		if err := verifyCentral(chainIn(t, c.MQTT.Certificate), pin, tt.host, time.Now()); err != nil {
			t.Errorf("%s for %s: the extender says %v", tt.file, tt.host, err)
		}
	}
}
