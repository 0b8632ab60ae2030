//go:build smoke

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// The environment says what is to be tried.
const (
	// smokeEnv is how lorawand is called: a path, or with what goes before it, as
	// "qemu-mips-static -cpu 24Kc .build/lorawand-mips" or "chroot /root lorawand".
	smokeEnv = "LORAWAND_SMOKE"
	// installedEnv says that its daemon runs already, with its own configuration
	// and the gateway testEUI.
	installedEnv = "LORAWAND_INSTALLED"
)

// smoke is a daemon in a process of its own, which was built for some CPU or is
// installed, and all that has to be around it.
type smoke struct {
	testing.TB
	command   []string
	conf      string // "": that of the daemon that runs
	mqtt, udp string
	messages  chan paho.Message
	heard     chan air.Heard
}

// TestSmoke has a device join, send, and be answered.
func TestSmoke(t *testing.T) {
	s := newSmoke(t)
	if s.conf != "" {
		s.run()
	}
	name := fmt.Sprintf("smoke-%d", time.Now().Unix())
	eui := radio.EUI64{
		0x70, 0xB3, 0xD5, 0x7E, byte(rand.Uint32()), byte(rand.Uint32()), byte(rand.Uint32()),
		byte(rand.Uint32()),
	}
	s.call("device", "create", name, "--application", "smoke", "--dev-eui", eui.String(), "--join-eui", "0000000000000007",
		"--app-key", testApp)
	client := s.login(strings.TrimSpace(s.call("api-key", "create", "--application", "smoke")))
	device := s.onAir(name, eui)

	topic := "v3/smoke/devices/" + name
	s.wants(device.Join, topic+"/join", `"session_key_id":`)
	s.hears("a join-accept", func(h air.Heard) bool { return h.JoinAccept != nil })
	uplink := func() (air.Sent, error) {
		return device.Send(frame.Data{MType: frame.ConfirmedUp, HasFPort: true, FPort: 2, FRMPayload: []byte("up")})
	}
	s.wants(uplink, topic+"/up", `"frm_payload":"`+base64.StdEncoding.EncodeToString([]byte("up"))+`"`)
	s.hears("an acknowledgement", func(h air.Heard) bool { return h.Data != nil && h.Data.ACK })
	if token := client.Publish(topic+"/down/push", 1, false, `{"downlinks":[{"f_port":3,"frm_payload":"AQI="}]}`); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("the push is not answered: %v", token.Error())
	}
	s.wants(uplink, topic+"/down/sent", `"f_port":3`)
	s.hears("a downlink", func(h air.Heard) bool { return h.Data != nil && bytes.Equal(h.Data.FRMPayload, []byte{1, 2}) })
}

func newSmoke(t testing.TB) *smoke {
	t.Helper()
	s := &smoke{TB: t, messages: make(chan paho.Message, 64), heard: make(chan air.Heard, 64)}
	for word := range strings.FieldsSeq(os.Getenv(smokeEnv)) {
		if strings.HasPrefix(word, ".") {
			word = filepath.Join("..", "..", word) // the test runs in its package's folder
		}
		s.command = append(s.command, word)
	}
	if len(s.command) == 0 {
		t.Fatalf("%s is not set", smokeEnv)
	}
	if os.Getenv(installedEnv) != "" {
		s.mqtt, s.udp = "127.0.0.1:1883", "127.0.0.1:1700"
		return s
	}
	dir := t.TempDir()
	s.mqtt, s.udp, s.conf = freeTCP(t), freeUDP(t), filepath.Join(dir, "lorawand.toml")
	text := fmt.Sprintf("[store]\npath = %q\nephemeral = true\n[control]\nsocket = %q\n[network]\nrx1_delay = "+
		"\"1s\"\n[mqtt]\nlisten = [%q]\n[http]\nlisten = \"\"\n[udp]\nlisten = %q\n[[gateway]]\neui = %q\n",
		filepath.Join(dir, "store"), filepath.Join(dir, "control.sock"), s.mqtt, s.udp, testEUI)
	if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *smoke) cmd(args ...string) *exec.Cmd {
	args = append(s.command[1:len(s.command):len(s.command)], args...)
	if s.conf != "" {
		args = append(args, "-c", s.conf)
	}
	return exec.Command(s.command[0], args...)
}

// call runs a command line that is to succeed, and returns what it printed.
func (s *smoke) call(args ...string) string {
	s.Helper()
	cmd := s.cmd(args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		s.Fatalf("%v: %v\n%s%s", args, err, out, &errOut)
	}
	return string(out)
}

// run starts the daemon, and has the test stop it: it has 5 s.
func (s *smoke) run() {
	s.Helper()
	cmd := s.cmd("run")
	var log lockedWriter
	var text bytes.Buffer
	log.w = &text
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	s.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-done:
			if err != nil {
				s.Errorf("the daemon ends with %v", err)
			}
		case <-time.After(5 * time.Second):
			s.Error("the daemon does not stop within 5 s")
			_ = cmd.Process.Kill()
		}
		if s.Failed() {
			log.mu.Lock()
			defer log.mu.Unlock()
			s.Logf("its log:\n%s", text.String())
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if s.cmd("status").Run() == nil {
			return
		}
		if time.Now().After(end) {
			s.Fatal("the daemon does not answer within 30 s")
		}
	}
}

// login subscribes to all of the application.
func (s *smoke) login(key string) paho.Client {
	s.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		s.mqtt).SetClientID("smoke").SetUsername("smoke").SetPassword(key).
		SetAutoReconnect(false).SetConnectTimeout(10 * time.Second))
	for _, token := range []func() paho.Token{client.Connect, func() paho.Token {
		return client.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { s.messages <- m })
	}} {
		if tk := token(); !tk.WaitTimeout(10*time.Second) || tk.Error() != nil {
			s.Fatalf("no login: %v", tk.Error())
		}
	}
	s.Cleanup(func() { client.Disconnect(100) })
	return client
}

// onAir puts the device and a packet forwarder on an air.
func (s *smoke) onAir(name string, eui radio.EUI64) *air.Device {
	s.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		s.Fatal(err)
	}
	ether := air.New(3)
	var f *udp.Forwarder
	receiver := ether.Listen(air.ReceiverOptions{EUI: testEUI, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) }})
	if f, err = udp.NewForwarder(udp.ForwarderOptions{
		Server: s.udp, EUI: testEUI, KeepAlive: time.Second,
		Transmit: receiver.Transmit,
	}); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	wg.Go(func() { _ = ether.Run(ctx) })
	s.Cleanup(func() { cancel(); wg.Wait() })
	o := air.DeviceOptions{
		Name: name, Plan: plan, DataRate: 5, RSSI: -7000, SNR: 800, DevEUI: eui,
		JoinEUI: radio.EUI64{7: 7}, Heard: func(h air.Heard) {
			s.heard <- h
		},
	}
	if err := o.RootKeys.AppKey.UnmarshalText([]byte(testApp)); err != nil {
		s.Fatal(err)
	}
	device, err := ether.Device(o)
	if err != nil {
		s.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(s.call("gateway", "list", "--json"),
		`"last_pull_data_s"`); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatal("the packet forwarder is not connected within 10 s")
		}
	}
	return device
}

// wants sends until a message with a text is published; a frame that is not
// answered in time, as on a busy machine, is sent again.
func (s *smoke) wants(send func() (air.Sent, error), topic, text string) {
	s.Helper()
	for range 3 {
		if _, err := send(); err != nil {
			s.Fatal(err)
		}
		for timeout := time.After(10 * time.Second); ; {
			select {
			case m := <-s.messages:
				if m.Topic() == topic && strings.Contains(string(m.Payload()), text) {
					return
				}
				continue
			case <-timeout:
			}
			break
		}
	}
	s.Fatalf("no %s with %s", topic, text)
}

// hears waits until the device has heard something.
func (s *smoke) hears(what string, is func(air.Heard) bool) {
	s.Helper()
	for timeout := time.After(10 * time.Second); ; {
		select {
		case h := <-s.heard:
			if is(h) {
				return
			}
		case <-timeout:
			s.Fatalf("the device does not hear %s", what)
		}
	}
}
