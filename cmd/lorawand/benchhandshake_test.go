//go:build !small

package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkHandshake tells what a TLS handshake costs the daemon on a small CPU, with
// the certificate that "lorawand tls init" makes: the instructions, without those of
// the kernel.
func BenchmarkHandshake(b *testing.B) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b.Run(tls.VersionName(version), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(float64(mipsle.handshake(b, version)), "instructions/handshake")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// handshake returns the instructions of one handshake.
func (e *emulation) handshake(b *testing.B, version uint16) int64 {
	b.Helper()
	const count = 10
	d := newBenchDaemon(b, 1, 1)
	d.must("", "tls", "init", "--dir", d.dir)
	conf, err := os.ReadFile(d.conf)
	if err != nil {
		b.Fatal(err)
	}
	d.write("lorawand.toml", strings.Replace(string(conf), `listen = ["127.0.0.1:0"]`, fmt.Sprintf(
		"listen = []\ntls_listen = [\"127.0.0.1:0\"]\ncertificate = %q\nkey = %q",
		filepath.Join(d.dir, fileServer), filepath.Join(d.dir, fileServerKey)), 1))
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	c := &instructionCounter{size: map[string]int64{}}
	go c.read(r)
	d.start(b, e.settings(), []*os.File{w}, e.counted(d.build(b, e.env...))...)
	_ = w.Close()
	handshake := func() {
		nc, err := tls.Dial("tcp", d.mqtt, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err != nil {
			b.Fatal(err)
		}
		_ = nc.Close()
	}
	handshake()
	time.Sleep(time.Second)
	begin := c.total.Load()
	for range count {
		handshake()
	}
	time.Sleep(time.Second)
	all := c.total.Load() - begin
	d.stop()
	return all / count
}
