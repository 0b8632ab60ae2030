//go:build !small

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"lorawand/cmd/lorawand/config"
)

// withTLS adds to the [mqtt] table of a site, whose certificates it makes.
func (s *site) withTLS(more string) (dir string) {
	s.Helper()
	dir = filepath.Join(s.dir, "tls")
	s.must("", "tls", "init", "--dir", dir)
	text, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	table := fmt.Sprintf("[mqtt]\ntls_listen = [\"127.0.0.1:0\"]\nwebsocket_listen = [\"127.0.0.1:0\"]\ncertificate = "+
		"%q\nkey = %q\n%s\n",
		filepath.Join(dir, fileServer), filepath.Join(dir, fileServerKey), more)
	s.write("lorawand.toml", strings.Replace(string(text), "[mqtt]\n", table, 1))
	return dir
}

// trusting is a client's configuration with the CA of a folder.
func trusting(t testing.TB, dir string) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if text, err := os.ReadFile(filepath.Join(dir, fileCA)); err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no CA: %v", err)
	}
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// serial connects over TLS and returns the serial number of the daemon's certificate.
func (r *running) serial(c *tls.Config) string {
	r.Helper()
	conn, err := tls.Dial("tcp", r.d.broker.Addrs()[1].String(), c)
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func certificateIn(t testing.TB, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(pemBytes(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTLSInit(t *testing.T) {
	s := newSite(t, "")
	dir := filepath.Join(s.dir, "certificates", "here")
	out := s.must("", "tls", "init", "--dir", dir, "--name", "gw.example", "--name", "192.0.2.7")
	ca, server := certificateIn(t, filepath.Join(dir, fileCA)), certificateIn(t, filepath.Join(dir, fileServer))
	for _, want := range []string{
		"CA (new): " + filepath.Join(dir, fileCA), fingerprint(ca.Raw), `tls_listen = [":8883"]`,
		fmt.Sprintf("key = %q", filepath.Join(dir, fileServerKey)),
		"mosquitto_sub -h gw.example -p 8883 --cafile ca.pem",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for _, name := range []string{"gw.example", "192.0.2.7", "localhost", "127.0.0.1"} {
		for _, at := range []time.Time{
			time.Date(1970, 1, 1, 0, 0, 5, 0, time.UTC), time.Now(),
			time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC),
		} {
			if _, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at}); err != nil {
				t.Errorf("%s at %v: %v", name, at, err)
			}
		}
	}
	for file, mode := range map[string]os.FileMode{
		fileCA: 0o644, fileServer: 0o644, fileCAKey: 0o600,
		fileServerKey: 0o600,
	} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	out = s.must("", "tls", "init", "--dir", dir)
	if !strings.Contains(out, "CA (of an earlier call)") || !bytes.Equal(certificateIn(t, filepath.Join(dir, fileCA)).Raw,
		ca.Raw) {
		t.Errorf("the CA is another one\n%s", out)
	}
	if certificateIn(t, filepath.Join(dir, fileServer)).SerialNumber.Cmp(server.SerialNumber) == 0 {
		t.Error("the server certificate is the same")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 4 {
		t.Errorf("left in the folder: %v", entries)
	}
	if err := os.Remove(filepath.Join(dir, fileCA)); err != nil {
		t.Fatal(err)
	}
	if status, _, errOut := s.cli("", "tls", "init", "--dir", dir); status != 1 || !strings.Contains(errOut, fileCAKey) {
		t.Errorf("a CA without its certificate: exit status %d, %s", status, errOut)
	}
}

// Clients of two makes log in over TLS, and over WebSocket with and without it.
func TestTLSClients(t *testing.T) {
	s := newSite(t, "")
	dir := s.withTLS("")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	addrs := r.d.broker.Addrs()
	for _, url := range []string{
		"ssl://" + addrs[1].String(), "ws://" + addrs[2].String() + "/mqtt", "wss://" + addrs[2].String() + "/mqtt",
	} {
		o := mqtt.NewClientOptions().AddBroker(url).SetClientID("dev").SetUsername("app1").
			SetPassword(key).SetTLSConfig(trusting(t, dir))
		c := mqtt.NewClient(o.SetConnectTimeout(5 * time.Second).SetAutoReconnect(false))
		if done := c.Connect(); !done.WaitTimeout(patience) || done.Error() != nil {
			t.Errorf("%s: %v", url, done.Error())
		}
		c.Disconnect(0)
	}
	// Without the CA nobody is trusted.
	if _, err := tls.Dial("tcp", addrs[1].String(), &tls.Config{ServerName: "127.0.0.1"}); err == nil {
		t.Error("a client that does not know the CA connects")
	}
	sub := tool(t, "mosquitto_sub")
	for _, version := range []string{"311", "5"} {
		cmd := exec.Command(sub, "-V", version, "-h", "127.0.0.1", "-p", fmt.Sprint(addrs[1].Port()), "--cafile",
			filepath.Join(dir, fileCA),
			"-t", "#", "-u", "app1", "-P", key, "-d", "-E")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "SUBACK") {
			t.Errorf("mosquitto_sub -V %s: %v\n%s", version, err, out)
		}
	}
}

// A new certificate is in use when its files have changed, and at once on SIGHUP;
// one that cannot be read leaves the one before in use.
func TestTLSReload(t *testing.T) {
	s := newSite(t, "")
	dir := s.withTLS("")
	r, reload := s.reloading(newOpener())
	c := trusting(t, dir)
	first := r.serial(c)
	s.must("", "tls", "init", "--dir", dir)
	reload("the configuration is reloaded")
	second := r.serial(c)
	if second == first {
		t.Error("SIGHUP does not read the certificate again")
	}
	s.must("", "tls", "init", "--dir", dir)
	third := r.serial(c)
	for end := time.Now().Add(2*lookEvery + time.Second); third == second && time.Now().Before(end); third = r.serial(c) {
		time.Sleep(100 * time.Millisecond)
	}
	if third == second {
		t.Error("a file that has changed is not read again")
	}
	if err := os.WriteFile(filepath.Join(dir, fileServer), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	reload("the one before stays in use")
	if got := r.serial(c); got != third {
		t.Errorf("certificate %s, want %s", got, third)
	}
}

// With client_ca a client needs a certificate of that CA.
func TestTLSClientCertificate(t *testing.T) {
	s := newSite(t, "")
	ca := filepath.Join(s.dir, "clients")
	if err := os.MkdirAll(ca, 0o755); err != nil {
		t.Fatal(err)
	}
	own, err := newCA(ca)
	if err != nil {
		t.Fatal(err)
	}
	issued := func(file string, by *authority, usage x509.ExtKeyUsage) tls.Certificate {
		t.Helper()
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: file}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{usage},
		}
		if _, err := issue(ca, file+".pem", file+"-key.pem", template, by); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(filepath.Join(ca, file+".pem"), filepath.Join(ca, file+"-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	dir := s.withTLS(fmt.Sprintf("client_ca = %q", filepath.Join(ca, fileCA)))
	r := s.start()
	stranger, err := newCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cert []tls.Certificate
		ok   bool
	}{
		{"none", nil, false},
		{"of the CA", []tls.Certificate{issued("good", own, x509.ExtKeyUsageClientAuth)}, true},
		{"of another CA", []tls.Certificate{issued("stranger", stranger, x509.ExtKeyUsageClientAuth)}, false},
		{"of a server", []tls.Certificate{issued("server", own, x509.ExtKeyUsageServerAuth)}, false},
	}
	for _, tt := range tests {
		c := trusting(t, dir)
		c.Certificates = tt.cert
		conn, err := tls.Dial("tcp", r.d.broker.Addrs()[1].String(), c)
		if err == nil { // with TLS 1.3 the refusal comes with the first read
			within := map[bool]time.Duration{true: 300 * time.Millisecond, false: patience}[tt.ok]
			_ = conn.SetReadDeadline(time.Now().Add(within))
			_, err = conn.Read(make([]byte, 1))
			if os.IsTimeout(err) {
				err = nil
			}
			conn.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Dates of a client's certificate count only while the calendar is known.
func TestTLSWithoutCalendar(t *testing.T) {
	dir := t.TempDir()
	ca, err := newCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	past, err := issue(dir, "past.pem", "past-key.pem",
		&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for now, ok := range map[time.Time]bool{
		{}: true, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC): true,
		time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC): false,
	} {
		c := &certificates{calendar: func() time.Time { return now }}
		if err := c.verify([]*x509.Certificate{past.cert}, roots); (err == nil) != ok {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

func TestTLSConfigurationRefused(t *testing.T) {
	s := newSite(t, "")
	dir := s.withTLS("")
	missing := filepath.Join(dir, "missing.pem")
	text, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(text), filepath.Join(dir, fileServer)+`"`, missing+`"`, 1))
	for _, command := range []string{"run", "config check"} {
		status, _, errOut := s.cli("", strings.Fields(command)...)
		if status == 0 || !strings.Contains(errOut, "mqtt.certificate") || !strings.Contains(errOut, missing) ||
			!strings.Contains(errOut, "lorawand tls init makes them") {
			t.Errorf("%s: exit status %d: %s", command, status, errOut)
		}
	}
	if _, err := config.Load(s.conf, true); err != nil {
		t.Errorf("the configuration itself is good: %v", err)
	}
}
