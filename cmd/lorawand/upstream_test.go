//go:build !small

package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"lorawand/bridge/upstream"
	"lorawand/bridge/upstream/record"
)

// hop is a way to a TCP address that a test can cut.
type hop struct {
	testing.TB
	to string
	l  net.Listener

	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

func newHop(t testing.TB, to string) *hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hop{TB: t, to: to, l: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { h.pass(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); h.cut(true); wg.Wait() })
	return h
}

// pass passes bytes on, both ways, until either end closes.
func (h *hop) pass(c net.Conn) {
	defer c.Close()
	far, err := net.Dial("tcp", h.to)
	if err != nil {
		return
	}
	defer far.Close()
	h.mu.Lock()
	if h.off {
		h.mu.Unlock()
		return
	}
	h.conns = append(h.conns, c, far)
	h.mu.Unlock()
	go func() { _, _ = io.Copy(far, c); _ = far.Close() }()
	_, _ = io.Copy(c, far)
}

// cut ends all connections; with off there are no new ones.
func (h *hop) cut(off bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off = off
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.conns = nil
}

func (h *hop) port() string {
	_, port, _ := net.SplitHostPort(h.l.Addr().String())
	return port
}

// farMosquitto is a mosquitto that messages are handed on to, and a client of it.
type farMosquitto struct {
	*testing.T
	*paho.Client
	got chan *paho.Publish
}

// startMosquitto starts one that listens for clients without TLS on clients, and has
// other listeners.
func startMosquitto(t *testing.T, clients, more string) *farMosquitto {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	_, port, _ := net.SplitHostPort(clients)
	text := fmt.Sprintf("user root\nper_listener_settings true\nlistener %s 127.0.0.1\nallow_anonymous true\n%s\n",
		port, more)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool(t, "mosquitto"), "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	listens(t, clients)
	nc, err := net.Dial("tcp", clients)
	if err != nil {
		t.Fatal(err)
	}
	m := &farMosquitto{T: t, got: make(chan *paho.Publish, 1000)}
	m.Client = paho.NewClient(paho.ClientConfig{Conn: nc})
	m.AddOnPublishReceived(func(p paho.PublishReceived) (bool, error) { m.got <- p.Packet; return true, nil })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := m.Connect(ctx, &paho.Connect{ClientID: "test", KeepAlive: 30, CleanStart: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Disconnect(&paho.Disconnect{}) })
	all := []paho.SubscribeOptions{{Topic: "#", QoS: 1}}
	if _, err := m.Subscribe(ctx, &paho.Subscribe{Subscriptions: all}); err != nil {
		t.Fatal(err)
	}
	return m
}

// next returns the next message on a topic. Others must not come, but for those on topics
// with one of these parts.
func (m *farMosquitto) next(topic string, pass ...string) *paho.Publish {
	m.Helper()
	for end := time.After(30 * time.Second); ; {
		select {
		case p := <-m.got:
			if p.Topic == topic {
				return p
			}
			if !slices.ContainsFunc(pass, func(part string) bool { return strings.Contains(p.Topic, part) }) {
				m.Fatalf("%s instead of %s: %s", p.Topic, topic, p.Payload)
			}
		case <-end:
			m.Fatalf("no message on %s", topic)
		}
	}
}

// upstreamStatus returns the state of the only upstream.
func (r *running) upstreamStatus() upstream.Status { return r.d.upstreams.list[0].Status() }

func (r *running) waitUpstream(what string, is func(upstream.Status) bool) {
	r.Helper()
	for end := time.Now().Add(30 * time.Second); !is(r.upstreamStatus()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("%s: %+v\n%s", what, r.upstreamStatus(), r.logged())
		}
	}
}

const (
	farUp     = "site1/v3/app1/devices/dev1/up"
	farStatus = "site1/lorawand/status"
	farQueued = "site1/v3/app1/devices/dev1/down/queued"
)

// A device's uplinks go to mosquitto, over a cut, and its clients' downlinks come back;
// with both versions of MQTT, and over TLS with certificates of both sides.
func TestUpstreamMosquitto(t *testing.T) {
	tool(t, "mosquitto")
	for _, tt := range []struct {
		version string
		tls     bool
	}{{"mqttv50", true}, {"mqttv311", false}} {
		t.Run(tt.version, func(t *testing.T) {
			s := newSite(t, "")
			clients, door := freeTCP(t), freeTCP(t)
			_, port, _ := strings.Cut(door, ":")
			listener := "listener " + port + " 127.0.0.1\n"
			scheme, files := "mqtt", ""
			if tt.tls {
				files = s.mutualTLS(&listener)
				scheme = "mqtts"
			}
			far := startMosquitto(t, clients, listener+"allow_anonymous true\n")
			h := newHop(t, door)
			s.add(fmt.Sprintf("[[upstream]]\nname = \"far\"\nurl = \"%s://127.0.0.1:%s\"\napplications = [\"app1\"]\n"+
				"prefix = \"site1/\"\nbridge_protocol_version = %q\n%s", scheme, h.port(), tt.version, files))
			s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
			r := s.start()
			testUpstream(t, r, far, h, tt.version == "mqttv50")
			r.checkBeyond(s, nil, 0, nil)
			contains(t, "events", s.must("", "events"), "connected to the broker upstream (far)",
				"broker upstream cannot be reached (far)  the connection has ended")
			contains(t, "status", s.must("", "status"), "upstream:  far connected; ", " messages handed on, 0 wait\n")
		})
	}
}

// add adds tables to a site's configuration, and makes it write to flash often.
func (s *site) add(tables string) {
	s.Helper()
	text, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	often := strings.Replace(string(text), "[store]\n", "[store]\ncommit_interval = \"1s\"\n", 1)
	s.write("lorawand.toml", often+"\n"+tables)
}

// mutualTLS adds to a listener that it has a certificate and wants one of its clients.
// It returns the keys of a configuration for both.
func (s *site) mutualTLS(listener *string) string {
	s.Helper()
	dir := filepath.Join(s.dir, "tls")
	s.must("", "tls", "init", "--dir", dir)
	clients := s.TempDir()
	ca, err := newCA(clients)
	if err != nil {
		s.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "site1"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if _, err := issue(dir, "own.pem", "own-key.pem", template, ca); err != nil {
		s.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	*listener += fmt.Sprintf("certfile %s\nkeyfile %s\ncafile %s\nrequire_certificate true\n", in(fileServer),
		in(fileServerKey), filepath.Join(clients, fileCA))
	return fmt.Sprintf("bridge_cafile = %q\nbridge_certfile = %q\nbridge_keyfile = %q\n", in(fileCA), in("own.pem"),
		in("own-key.pem"))
}

func testUpstream(t *testing.T, r *running, far *farMosquitto, h *hop, properties bool) {
	t.Helper()
	f := r.forwarder(testEUI)
	if p := far.next(farStatus); !strings.Contains(string(p.Payload), `"status":"online"`) {
		t.Errorf("%s", p.Payload)
	}
	f.send(0, "before")
	far.expect(0, record.Live, properties)
	r.waitUpstream("PUBACK", func(s upstream.Status) bool { return s.Live == 1 })
	h.cut(true)
	if p := far.next(farStatus); !strings.Contains(string(p.Payload), `"status":"offline"`) {
		t.Errorf("last will: %s", p.Payload)
	}
	far.push() // while we are away
	r.waitUpstream("off", func(s upstream.Status) bool { return !s.Connected })
	for n := 1; n <= 3; n++ {
		f.send(uint32(n), "away")
	}
	r.waitUpstream("journal", func(s upstream.Status) bool { return s.Journal.Messages == 3 })
	h.cut(false)
	for n := 1; n <= 3; n++ {
		far.expect(n, record.Backfill, properties)
	}
	r.waitUpstream("empty", func(s upstream.Status) bool {
		return s.Journal.Messages == 0 && s.Waiting == 0 && s.Downlinks == 1
	})
	f.send(4, "again")
	far.expect(4, record.Live, properties)
	far.push()
	r.waitUpstream("push", func(s upstream.Status) bool { return s.Downlinks == 2 })
	far.next(farQueued, "/down/")
	r.waitUpstream("its PUBACK", func(s upstream.Status) bool { return s.Waiting == 0 })
}

// push sends a downlink to the device.
func (m *farMosquitto) push() {
	m.Helper()
	p := &paho.Publish{
		QoS: 1, Topic: "site1/v3/app1/devices/dev1/down/push",
		Payload: []byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`),
	}
	if _, err := m.Publish(m.Context(), p); err != nil {
		m.Fatal(err)
	}
}

// expect expects that uplink n is the next.
func (m *farMosquitto) expect(n int, lane record.Lane, properties bool) {
	m.Helper()
	p := m.next(farUp, farStatus, "/down/")
	text := string(p.Payload)
	if !strings.Contains(text, fmt.Sprintf(`"lorawand:frame:01ABCDEF:%d"`, n)) ||
		strings.Contains(text, `"lorawand:lane:backfill"`) != (lane == record.Backfill) {
		m.Errorf("%d: %s", n, text)
	}
	user := p.Properties.User
	if properties && (user.Get(record.LaneProperty) != string(lane) ||
		user.Get(record.FrameProperty) != fmt.Sprintf("01ABCDEF:%d", n)) {
		m.Errorf("%d: %+v", n, user)
	}
}
