//go:build !small

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// doors is a daemon with every way into the broker, and a device.
type doors struct {
	*running
	dir, key     string
	tcp, tls, ws netip.AddrPort
}

func openDoors(t *testing.T) *doors {
	t.Helper()
	s := newSite(t, "")
	v := &doors{dir: s.dir}
	ca := s.withTLS("")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	v.key = strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	v.running = s.start()
	addrs := v.d.broker.Addrs()
	v.tcp, v.tls, v.ws = addrs[0], addrs[1], addrs[2]
	if v.dir = ca; len(addrs) != 3 {
		t.Fatalf("%d ways into the broker", len(addrs))
	}
	return v
}

func (v *doors) ca() string { return filepath.Join(v.dir, fileCA) }

func port(a netip.AddrPort) string { return fmt.Sprint(a.Port()) }

const (
	ttsPush  = `{"downlinks":[{"f_port": 15,"frm_payload":"vu8=","priority": "NORMAL"}]}`
	ttsTopic = "v3/app1/devices/dev1/down/push"
)

// background starts a program and returns what waits for its end and gives its output.
func background(t *testing.T, path string, args ...string) (ended func() string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return func() string {
		t.Helper()
		err := cmd.Wait()
		if kill.Stop(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out.String())
		}
		return out.String()
	}
}

// repeated does something again and again until a program has ended, which waits for
// its effect and may not be ready for it yet; it returns the program's output.
func repeated(ended func() string, again func()) (out string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		out = ended()
	}()
	for {
		select {
		case <-done:
			return out
		case <-time.After(100 * time.Millisecond):
			again()
		}
	}
}

// The lines of The Things Stack's documentation to push a downlink and to see what
// becomes of it: as they stand there, with MQTT 5, and over TLS.
func TestDocumentedLines(t *testing.T) {
	sub, pub := tool(t, "mosquitto_sub"), tool(t, "mosquitto_pub")
	v := openDoors(t)
	overTLS := []string{"-p", port(v.tls), "--cafile", v.ca()}
	for _, version := range [][]string{nil, {"-V", "5"}, {"-V", "mqttv31"}} {
		for name, door := range map[string][]string{"tcp": {"-p", port(v.tcp)}, "tls": overTLS} {
			t.Run(fmt.Sprint(name, version), func(t *testing.T) {
				line := append([]string{"-h", "127.0.0.1", "-u", "app1", "-P", v.key, "-d"}, append(door, version...)...)
				got := background(t, sub, append([]string{"-t", "#", "-C", "1"}, line...)...)
				push := func() { background(t, pub, append([]string{"-t", ttsTopic, "-m", ttsPush}, line...)...)() }
				if out := repeated(got, push); !strings.Contains(out, "v3/app1/devices/dev1/down/queued") {
					t.Errorf("the subscriber gets\n%s", out)
				}
			})
		}
	}
}

// The Paho client of Python.
func TestPython(t *testing.T) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(p, "-c", "import paho.mqtt.client").Run() == nil {
			python = p
		}
	}
	if python == "" {
		missing(t, "python3-paho-mqtt")
	}
	v := openDoors(t)
	out := background(t, python, filepath.Join("testdata", "clients.py"), v.key, v.ca(), port(v.tcp), port(v.tls),
		port(v.ws))()
	if n := strings.Count(out, "good"); n != 8 {
		t.Errorf("%d of 8 ways:\n%s", n, out)
	}
}

// MQTT.js, the client of Node. It comes with what it needs from the registry of npm, in
// the versions and with the sums of package-lock.json; once it is there it stays.
func TestNode(t *testing.T) {
	node, npm := tool(t, "node"), tool(t, "npm")
	source, err := filepath.Abs(filepath.Join("testdata", "node"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", ".build", "node")
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.ReadFile(filepath.Join(dir, "installed")); err != nil || !bytes.Equal(done, lock) {
		install(t, npm, source, dir)
	}
	v := openDoors(t)
	ended := background(t, "sh", "-c", `cd "$0" && exec "$@"`, dir, node, filepath.Join(source, "clients.js"), v.key,
		v.ca(), port(v.tcp),
		port(v.tls), port(v.ws))
	out := ended()
	if n := strings.Count(out, ": good"); n != 8 {
		t.Errorf("%d of 8 ways:\n%s", n, out)
	}
}

// install puts what package-lock.json in source lists into dir.
func install(t *testing.T, npm, source, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("mqtt of npm: %v\n%s", err, out))
	}
	if err := os.Rename(filepath.Join(dir, "package-lock.json"), filepath.Join(dir, "installed")); err != nil {
		t.Fatal(err)
	}
}

// listens waits until somebody listens on an address.
func listens(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Mosquitto as a bridge: it fetches what the daemon publishes, with QoS 1, and
// brings the pushes of its own clients. With MQTT 3.1.1 it asks for a protocol
// level of its own first, is refused, and comes back with the right one.
func TestMosquittoBridge(t *testing.T) {
	mosquitto, sub, pub := tool(t, "mosquitto"), tool(t, "mosquitto_sub"), tool(t, "mosquitto_pub")
	v := openDoors(t)
	for _, version := range []string{"mqttv311", "mqttv50"} {
		for name, door := range map[string]string{
			"tcp": v.tcp.String(),
			"tls": v.tls.String() + "\nbridge_cafile " + v.ca(),
		} {
			t.Run(name+" "+version, func(t *testing.T) {
				listen := freeTCP(t)
				_, own, _ := strings.Cut(listen, ":")
				conf := filepath.Join(t.TempDir(), "mosquitto.conf")
				text := fmt.Sprintf("user root\nlistener %s 127.0.0.1\nallow_anonymous true\nconnection lorawand\naddress "+
					"%s\nbridge_protocol_version %s\n"+
					"remote_username app1\nremote_password %s\nremote_clientid bridge-%s-%s\ncleansession false\nnotifications "+
					"false\nrestart_timeout 1\n"+
					"topic v3/app1/devices/+/down/queued in 1\ntopic v3/app1/devices/+/down/push out 1\n", own, door, version,
					v.key, name, version)
				if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(mosquitto, "-c", conf)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
				listens(t, listen)
				got := background(t, sub, "-h", "127.0.0.1", "-p", own, "-t", "v3/+/devices/+/down/queued", "-C", "1", "-v")
				push := func() { background(t, pub, "-h", "127.0.0.1", "-p", own, "-q", "1", "-t", ttsTopic, "-m", ttsPush)() }
				if out := repeated(got, push); !strings.HasPrefix(out, "v3/app1/devices/dev1/down/queued ") {
					t.Errorf("a client of the other broker gets\n%s", out)
				}
			})
			for end := time.Now().Add(20 * time.Second); v.d.broker.Stats().Clients > 0 && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}
