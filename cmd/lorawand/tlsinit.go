//go:build !small

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newTLS() *cobra.Command {
	return group("tls", "Encrypt the connections of MQTT clients", newTLSInit())
}

// defaultTLSFolder is the folder of the certificates.
const defaultTLSFolder = "/etc/lorawand/tls"

// Names of the files in it.
const (
	fileCA        = "ca.pem"
	fileCAKey     = "ca-key.pem"
	fileServer    = "server.pem"
	fileServerKey = "server-key.pem"
)

// Gateways without a clock start in 1970. The end is the last year that every
// client can read (RFC 5280, 4.1.2.5).
var (
	validFrom = time.Unix(0, 0).UTC()
	validTo   = time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)
)

func newTLSInit() *cobra.Command {
	var dir string
	var names []string
	cmd := &cobra.Command{
		Use: "init", Short: "Make a certificate for this host, and a CA of its own that signs it", Args: noArgs,
		Long: "Make a CA and a server certificate for this host's names and addresses.\n" +
			"A CA from an earlier call is used again to sign a new server certificate:\n" +
			"clients that know this CA need nothing new.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, err := hostNames(names)
			if err != nil {
				return err
			}
			if err := makeFolder(dir); err != nil {
				return err
			}
			if err := errors.Join(complete(dir, fileCA, fileCAKey), complete(dir, fileServer, fileServerKey)); err != nil {
				return err
			}
			ca, isNew, err := openCA(dir)
			if err != nil {
				return err
			}
			if err := ca.sign(dir, names); err != nil {
				return err
			}
			giveToDaemon(cmd, filepath.Join(dir, fileServerKey))
			tellTLS(cmd, dir, ca, isNew, names)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultTLSFolder, "`folder` of the certificates")
	cmd.Flags().StringSliceVar(&names, "name", nil,
		"a further `name` or address by which clients reach this host; may be repeated")
	return cmd
}

// hostNames returns the names and addresses of this host, and those in more.
func hostNames(more []string) ([]string, error) {
	names := slices.Clone(more)
	if h, err := os.Hostname(); err == nil && h != "" {
		names = append(names, h)
		if !strings.Contains(h, ".") {
			names = append(names, h+".local") // by multicast DNS
		}
	}
	names = append(names, "localhost")
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of this host: %w", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			names = append(names, n.IP.String())
		}
	}
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// authority is a CA with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openCA reads the CA in a folder, or makes one. A CA with a missing file is an
// error, because a second CA would replace it by mistake.
func openCA(dir string) (ca *authority, isNew bool, err error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, fileCA))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, fileCAKey)); err == nil {
			return nil, false, fmt.Errorf("%s: there is %s but no %s: move it away, or bring the other back", dir, fileCAKey,
				fileCA)
		}
		ca, err = newCA(dir)
		return ca, true, err
	}
	if err != nil {
		return nil, false, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, fileCAKey))
	if err != nil {
		return nil, false, err
	}
	ca = new(authority)
	if ca.cert, err = x509.ParseCertificate(pemBytes(certPEM)); err != nil {
		return nil, false, fmt.Errorf("%s: %w", filepath.Join(dir, fileCA), err)
	}
	if ca.key, err = x509.ParseECPrivateKey(pemBytes(keyPEM)); err != nil {
		return nil, false, fmt.Errorf("%s: %w", filepath.Join(dir, fileCAKey), err)
	}
	if !ca.key.PublicKey.Equal(ca.cert.PublicKey) {
		return nil, false, fmt.Errorf("%s: %s is not the key of %s", dir, fileCAKey, fileCA)
	}
	return ca, false, nil
}

func pemBytes(b []byte) []byte {
	block, _ := pem.Decode(b)
	if block == nil {
		return nil
	}
	return block.Bytes
}

func newCA(dir string) (*authority, error) {
	host, _ := os.Hostname()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: strings.TrimSpace("lorawand CA " + host)}, IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true,
		KeyUsage:       x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issue(dir, fileCA, fileCAKey, template, nil)
}

// sign makes a server certificate for names and addresses.
func (a *authority) sign(dir string, names []string) error {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	_, err := issue(dir, fileServer, fileServerKey, template, a)
	return err
}

// issue makes a certificate and writes it and its key. ca signs it; if ca is nil,
// it signs itself. Both are on the disk before the first takes its name: what a crash
// between the two names leaves, the next call completes.
func issue(dir, certFile, keyFile string, template *x509.Certificate, by *authority) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, validFrom, validTo
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := writePEM(staged(dir, keyFile), "EC PRIVATE KEY", 0o600, keyDER); err != nil {
		return nil, err
	}
	chain := [][]byte{der}
	if by != nil { // who knows only the fingerprint of the CA gets the CA too
		chain = append(chain, by.cert.Raw)
	}
	if err := writePEM(staged(dir, certFile), "CERTIFICATE", 0o644, chain...); err != nil {
		return nil, err
	}
	if err := giveName(dir, keyFile); err != nil {
		return nil, err
	}
	return &authority{cert, key}, giveName(dir, certFile)
}

// staged is where a new file stands until it takes its name.
func staged(dir, name string) string { return filepath.Join(dir, "."+name+".new") }

func giveName(dir, name string) error { return os.Rename(staged(dir, name), filepath.Join(dir, name)) }

// complete gives a certificate its name if an earlier call ended when only its key had it.
func complete(dir, certFile, keyFile string) error {
	der, err := os.ReadFile(staged(dir, certFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	keyDER, _ := os.ReadFile(filepath.Join(dir, keyFile))
	cert, certErr := x509.ParseCertificate(pemBytes(der))
	key, keyErr := x509.ParseECPrivateKey(pemBytes(keyDER))
	if certErr != nil || keyErr != nil || !key.PublicKey.Equal(cert.PublicKey) {
		return nil // its key has not got its name either: all is as it was
	}
	return giveName(dir, certFile)
}

// writePEM writes a file anew.
func writePEM(path, kind string, mode fs.FileMode, ders ...[]byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, der := range ders {
		err = errors.Join(err, pem.Encode(f, &pem.Block{Type: kind, Bytes: der}))
	}
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// giveToDaemon makes a key readable for the daemon's user, who owns the store. A
// user who is not root, or has no store yet, keeps the key.
func giveToDaemon(cmd *cobra.Command, key string) {
	c, err := loadConfig(cmd)
	if err != nil {
		return
	}
	if info, err := os.Stat(c.Store.Path); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = os.Chown(key, int(owner.Uid), int(owner.Gid))
		}
	}
}

// tellTLS prints what was made and how to use it.
func tellTLS(cmd *cobra.Command, dir string, ca *authority, isNew bool, names []string) {
	out := cmd.OutOrStdout()
	at := func(file string) string { return filepath.Join(dir, file) }
	state := "of an earlier call"
	if isNew {
		state = "new"
	}
	fmt.Fprintf(out, "CA (%s): %s\n", state, at(fileCA))
	fmt.Fprintf(out, "Its fingerprint, SHA-256: %s\n", fingerprint(ca.cert.Raw))
	fmt.Fprintf(out, "Server certificate: %s\n  for %s\n\n", at(fileServer), strings.Join(names, ", "))
	fmt.Fprintf(out, "In the configuration, below [mqtt]:\n  tls_listen = [\":8883\"]\n  certificate = %q\n  key = %q\n\n",
		at(fileServer), at(fileServerKey))
	fmt.Fprintf(out, "On a client that has %s:\n"+
		"  mosquitto_sub -h %s -p 8883 --cafile %s -t \"#\" -u APPLICATION -P KEY\n",
		fileCA, names[0], fileCA)
}

// fingerprint returns "AB:CD:…".
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}
