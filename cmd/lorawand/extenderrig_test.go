//go:build !small

package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

var (
	centralEUI  = radio.EUI64{0xC0, 7: 1}
	extenderEUI = testEUI
)

// wire is a way to a TCP address that a test can cut, hold and slow down.
type wire struct {
	testing.TB
	to string
	l  net.Listener

	mu    sync.Mutex
	off   bool
	held  chan struct{} // not nil: bytes wait until it is closed
	slow  time.Duration
	conns map[net.Conn]bool
	count int // connections so far
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{TB: t, to: to, l: l, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.pass(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); w.hold(false); w.cut(true); wg.Wait() })
	return w
}

// pass passes bytes on, both ways, until either end closes.
func (w *wire) pass(c net.Conn) {
	defer c.Close()
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer far.Close()
	w.mu.Lock()
	if w.off {
		w.mu.Unlock()
		return
	}
	w.conns[c], w.conns[far] = true, true
	w.count++
	w.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { w.copy(far, c) })
	w.copy(c, far)
	wg.Wait()
}

func (w *wire) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		held, slow := w.held, w.slow
		w.mu.Unlock()
		time.Sleep(slow)
		if held != nil {
			<-held
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// cut ends all connections; with off there are no new ones.
func (w *wire) cut(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = off
	for c := range w.conns {
		_ = c.Close()
	}
	clear(w.conns)
}

// hold has all bytes wait, or lets them go on: the connections are open to their ends all the time.
func (w *wire) hold(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case on && w.held == nil:
		w.held = make(chan struct{})
	case !on && w.held != nil:
		close(w.held)
		w.held = nil
	}
}

func (w *wire) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// extendedPair is a central and its extender: two daemons with real sockets, a wire between them, a packet
// forwarder beside each, and a device that both hear.
type extendedPair struct {
	*testing.T
	central, extender *site
	c, e              *running
	wire              *wire
	ups               <-chan message
	device            *air.Device

	mu          sync.Mutex
	betterAtEnd bool // the extender's gateway hears the device better
	sent        []air.Transmission
	heard       []air.Heard
	silent      int
}

// pairLine calls gateway pair on the central, and returns the command that it prints, with the wire in
// place of the central.
func (x *extendedPair) pairLine(more ...string) []string {
	x.Helper()
	line := strings.TrimSpace(x.central.must("", append([]string{
		"gateway", "pair", extenderEUI.String(), "--host", "127.0.0.1",
	}, more...)...))
	words := strings.Fields(line)
	if len(words) < 10 || words[0] != "lorawand" || words[1] != "extend" || words[2] != "--central" {
		x.Fatalf("gateway pair prints %q", line)
	}
	words[3] = x.wire.l.Addr().String()
	return words[1:]
}

// newExtended makes both, pairs them and starts them.
func newExtended(t *testing.T) *extendedPair {
	t.Helper()
	x := &extendedPair{T: t, betterAtEnd: true}
	listen := freeTCP(t)
	x.central = newSite(t, "[extenders]\nlisten = \""+listen+"\"\n")
	x.central.replace(extenderEUI.String(), centralEUI.String())
	x.central.withTLS("")
	device := settledDevice("dev1", testAddr.String(), rx1OfExtended)
	x.central.must(device, "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(x.central.must("", "api-key", "create", "--application", "app1"))
	x.c = x.central.start()
	x.ups = x.c.watch("app1", key, "v3/app1/devices/+/up")

	x.wire = newWire(t, listen)
	x.extender = newSite(t, "")
	words := x.pairLine()
	at := slices.Index(words, "--key") + 1
	secret := words[at]
	words[at] = keyOnInput
	x.extender.must(secret+"\n", words...)
	x.e = x.extender.start()
	x.radio()
	x.eventually("both gateways are connected", func() bool { return x.connected(extenderEUI) && x.connected(centralEUI) })
	return x
}

// replace changes the configuration of a site.
func (s *site) replace(old, text string) {
	s.Helper()
	c := s.read("lorawand.toml")
	if !strings.Contains(c, old) {
		s.Fatalf("%q is not in\n%s", old, c)
	}
	s.write("lorawand.toml", strings.Replace(c, old, text, 1))
}

func (s *site) read(name string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

const (
	rx1OfExtended  = 2 // s
	rx1DelayOfWire = rx1OfExtended * time.Second
)

// radio puts the device and both gateways on an air.
func (x *extendedPair) radio() {
	x.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		x.Fatal(err)
	}
	ether := air.New(1)
	ether.Log(func(t air.Transmission) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.sent = append(x.sent, t)
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	x.Cleanup(func() { cancel(); wg.Wait() })
	for eui, r := range map[radio.EUI64]*running{centralEUI: x.c, extenderEUI: x.e} {
		var f *udp.Forwarder
		receiver := ether.Listen(air.ReceiverOptions{
			EUI: eui, Counter: uint32(eui[0]) << 24, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) },
			Signal: func(string) (rssi, snr radio.Decibel) {
				x.mu.Lock()
				defer x.mu.Unlock()
				if x.betterAtEnd == (eui == extenderEUI) {
					return -6000, 800
				}
				return -9000, 200
			},
		})
		if f, err = udp.NewForwarder(udp.ForwarderOptions{
			Server: r.d.udp.Addr().String(), EUI: eui, Transmit: receiver.Transmit,
		}); err != nil {
			x.Fatal(err)
		}
		wg.Go(func() { _ = f.Run(ctx) })
	}
	x.device, err = ether.Device(air.DeviceOptions{
		Name: "dev1", Plan: plan, DataRate: 5, DevAddr: testAddr, Keys: testKeys(x), RX1Delay: rx1DelayOfWire,
		Heard: func(h air.Heard) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.heard = append(x.heard, h)
		},
		Silent: func(air.Sent) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.silent++
		},
	})
	if err != nil {
		x.Fatal(err)
	}
	wg.Go(func() { _ = ether.Run(ctx) })
}

func (x *extendedPair) eventually(what string, ok func() bool) {
	x.Helper()
	for end := time.Now().Add(40 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			x.Fatalf("not within 40 s: %s\nthe central:\n%s\nthe extender:\n%s", what, x.c.logged(), x.e.logged())
		}
	}
}

// connected reports whether the central has a gateway on line.
func (x *extendedPair) connected(eui radio.EUI64) bool {
	states, err := x.c.d.bridge.Gateways(context.Background())
	if err != nil {
		x.Fatal(err)
	}
	for i := range states {
		if states[i].EUI == eui {
			return states[i].Online
		}
	}
	return false
}

// send has the device send a confirmed frame.
func (x *extendedPair) send() {
	x.Helper()
	if _, err := x.device.Send(frame.Data{
		MType: frame.ConfirmedUp, HasFPort: true, FPort: 2, FRMPayload: []byte("hello"),
	}); err != nil {
		x.Fatal(err)
	}
}

// up waits for the message of the frame, and returns the gateways that have heard it.
func (x *extendedPair) up() (fCnt int, gateways []string) {
	x.Helper()
	m := next(x, x.ups)
	var v struct {
		Up struct {
			FCnt int `json:"f_cnt"`
			Meta []struct {
				IDs struct{ EUI string } `json:"gateway_ids"`
			} `json:"rx_metadata"`
		} `json:"uplink_message"`
	}
	if err := json.Unmarshal(m.payload, &v); err != nil {
		x.Fatalf("%s: %v", m.payload, err)
	}
	for _, g := range v.Up.Meta {
		gateways = append(gateways, g.IDs.EUI)
	}
	return v.Up.FCnt, gateways
}

// answer waits until the windows of the last frame are over, and returns what the device has heard
// in them; nil: nothing.
func (x *extendedPair) answer() *air.Heard {
	x.Helper()
	var got *air.Heard
	x.eventually("the windows are over", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.heard) > 0 {
			got = &x.heard[0]
			x.heard = nil
			return true
		}
		if x.silent > 0 {
			x.silent = 0
			return true
		}
		return false
	})
	return got
}

// exchange sends a frame, and returns the gateways that have heard it and the one that has answered.
func (x *extendedPair) exchange() (heardBy []string, answeredBy radio.EUI64) {
	x.Helper()
	x.send()
	_, heardBy = x.up()
	if h := x.answer(); h != nil {
		answeredBy = h.Gateway
	}
	return heardBy, answeredBy
}

// check checks what holds whatever happens: no gateway sends two frames at a time, no frame counter
// has two plaintexts, no frame is sent twice in one window, and no message comes twice.
func (x *extendedPair) check() {
	x.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.c.checkBeyond(x.central, nil, 0, x.sent)
	checkCounters(x, x.sent)
	seen := map[string]time.Time{}
	for _, t := range x.sent {
		if at, twice := seen[string(t.PHYPayload)]; twice && t.Begin.Sub(at).Abs() < 900*time.Millisecond {
			x.Errorf("the frame %x is sent at %v and again at %v", t.PHYPayload, at, t.Begin)
		}
		seen[string(t.PHYPayload)] = t.Begin
	}
	none(x, x.ups, "what was sent before")
}
