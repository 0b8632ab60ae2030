//go:build !small

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// process is a daemon as its users run it, which can be killed.
type process struct {
	*site
	binary string
	udp    string
	cmd    *exec.Cmd
}

func (p *process) run() {
	p.Helper()
	p.cmd = exec.Command(p.binary, "run", "-c", p.conf)
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.Fatal(err)
	}
}

// kill ends it as a power cut would, but that the disk lives on.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// killedPair are a central and its extender as two processes, a packet forwarder beside each, and a device that both
// hear, the extender better.
type killedPair struct {
	*testing.T
	central, extender *process
	device            *air.Device
	client            paho.Client

	mu     sync.Mutex
	came   map[int][]string // gateways that have heard an uplink, by its counter, for each message
	sent   []air.Transmission
	heard  int
	silent int
	wrong  []string // messages that are none
}

func newKilledPair(t *testing.T) *killedPair {
	t.Helper()
	x := &killedPair{T: t, came: map[int][]string{}}
	binary := filepath.Join(t.TempDir(), "lorawand")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listen, mqtt := freeTCP(t), freeTCP(t)
	x.central = &process{site: newSite(t, "[extenders]\nlisten = \""+listen+"\"\n"), binary: binary, udp: freeUDP(t)}
	x.central.replace(extenderEUI.String(), centralEUI.String())
	x.central.replace(`listen = ["127.0.0.1:0"]`, `listen = ["`+mqtt+`"]`)
	x.central.replace("[udp]\nlisten = \"127.0.0.1:0\"", "[udp]\nlisten = \""+x.central.udp+"\"")
	x.central.withTLS("")
	x.central.replace("[store]\n", "[store]\ncommit_interval = \"500ms\"\n")
	device := settledDevice("dev1", testAddr.String(), rx1OfExtended)
	x.central.must(device, "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(x.central.must("", "api-key", "create", "--application", "app1"))
	t.Cleanup(x.central.kill)
	x.central.run()
	x.eventually("the central serves", func() bool { status, _, _ := x.central.cli("", "status"); return status == 0 })

	x.extender = &process{site: newSite(t, ""), binary: binary, udp: freeUDP(t)}
	words := strings.Fields(x.central.must("", "gateway", "pair", extenderEUI.String(), "--host", "127.0.0.1"))[1:]
	words[slices.Index(words, "--central")+1] = listen
	x.extender.must("", words...)
	x.extender.replace("[udp]\nlisten = \"127.0.0.1:0\"", "[udp]\nlisten = \""+x.extender.udp+"\"")
	t.Cleanup(x.extender.kill)
	x.extender.run()
	x.subscribe(mqtt, key)
	x.radio()
	return x
}

// subscribe sees the uplinks that the central publishes.
func (x *killedPair) subscribe(mqtt, key string) {
	up := func(_ paho.Client, m paho.Message) {
		var v struct {
			Up struct {
				FCnt int `json:"f_cnt"`
				Meta []struct {
					IDs struct{ EUI string } `json:"gateway_ids"`
				} `json:"rx_metadata"`
			} `json:"uplink_message"`
		}
		err := json.Unmarshal(m.Payload(), &v)
		var by []string
		for _, g := range v.Up.Meta {
			by = append(by, g.IDs.EUI)
		}
		slices.Sort(by)
		x.mu.Lock()
		defer x.mu.Unlock()
		if err != nil { // the test may be over
			x.wrong = append(x.wrong, fmt.Sprintf("%s: %v", m.Payload(), err))
			return
		}
		x.came[v.Up.FCnt] = append(x.came[v.Up.FCnt], strings.Join(by, " "))
	}
	x.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + mqtt).SetClientID("app").SetUsername("app1").
		SetPassword(key).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).
		SetMaxReconnectInterval(100 * time.Millisecond).SetOnConnectHandler(func(c paho.Client) {
		c.Subscribe("v3/app1/devices/+/up", 0, up)
	}))
	x.client.Connect()
	x.Cleanup(func() { x.client.Disconnect(1000) }) // ms, at most
}

// radio puts the device and both gateways on an air.
func (x *killedPair) radio() {
	x.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		x.Fatal(err)
	}
	ether := air.New(1)
	ether.Log(func(t air.Transmission) { x.mu.Lock(); defer x.mu.Unlock(); x.sent = append(x.sent, t) })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	x.Cleanup(func() { cancel(); wg.Wait() })
	for eui, server := range map[radio.EUI64]string{centralEUI: x.central.udp, extenderEUI: x.extender.udp} {
		var f *udp.Forwarder
		receiver := ether.Listen(air.ReceiverOptions{
			EUI: eui, Counter: uint32(eui[0]) << 24, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) },
			Signal: func(string) (rssi, snr radio.Decibel) {
				if eui == extenderEUI {
					return -6000, 800
				}
				return -9000, 200
			},
		})
		if f, err = udp.NewForwarder(udp.ForwarderOptions{
			Server: server, EUI: eui, KeepAlive: 200 * time.Millisecond, Transmit: receiver.Transmit,
		}); err != nil {
			x.Fatal(err)
		}
		wg.Go(func() { _ = f.Run(ctx) })
	}
	x.device, err = ether.Device(air.DeviceOptions{
		Name: "dev1", Plan: plan, DataRate: 5, DevAddr: testAddr, Keys: testKeys(x), RX1Delay: rx1DelayOfWire,
		Heard:  func(air.Heard) { x.mu.Lock(); defer x.mu.Unlock(); x.heard++ },
		Silent: func(air.Sent) { x.mu.Lock(); defer x.mu.Unlock(); x.silent++ },
	})
	if err != nil {
		x.Fatal(err)
	}
	wg.Go(func() { _ = ether.Run(ctx) })
}

func (x *killedPair) eventually(what string, ok func() bool) {
	x.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			var logs string
			for _, p := range []*process{x.central, x.extender} {
				if p != nil {
					text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
					logs += p.dir + ":\n" + string(text[max(0, len(text)-4000):])
				}
			}
			x.Fatalf("not within 60 s: %s\n%s", what, logs)
		}
	}
}

// send has the device send a confirmed frame. It returns its counter.
func (x *killedPair) send() int {
	x.Helper()
	var s air.Sent
	x.eventually("the device sends", func() bool {
		var err error
		s, err = x.device.Send(frame.Data{MType: frame.ConfirmedUp, HasFPort: true, FPort: 2, FRMPayload: []byte("hello")})
		return err == nil
	})
	return int(s.FCnt)
}

// over waits until the windows of the last frame are over, and reports whether the device has heard an answer.
func (x *killedPair) over() (answered bool) {
	x.Helper()
	x.eventually("the windows are over", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		answered = x.heard > 0
		done := x.heard+x.silent > 0
		if done {
			x.heard, x.silent = 0, 0
		}
		return done
	})
	return answered
}

// whole sends frames until one is heard by both and answered.
func (x *killedPair) whole() {
	x.Helper()
	both := centralEUI.String() + " " + extenderEUI.String()
	if extenderEUI.String() < centralEUI.String() {
		both = extenderEUI.String() + " " + centralEUI.String()
	}
	x.eventually("a frame is heard by both gateways and answered", func() bool {
		n := x.send()
		answered := x.over()
		x.mu.Lock()
		defer x.mu.Unlock()
		return answered && len(x.came[n]) == 1 && x.came[n][0] == both
	})
}

// Either side is killed in the middle of an exchange, again and again: nothing comes twice or is sent twice, and both
// work together again without a hand.
func TestExtenderKilled(t *testing.T) {
	t.Parallel()
	x := newKilledPair(t)
	x.whole()
	for i, p := range []*process{x.extender, x.central, x.extender, x.central} {
		x.send()
		time.Sleep(time.Duration(i*600) * time.Millisecond) // before and after the answer is handed over
		p.kill()
		x.over()
		x.send() // with one of them
		x.over()
		p.run()
		x.whole()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for n, times := range x.came {
		if len(times) != 1 {
			t.Errorf("uplink %d comes %d times, by %v", n, len(times), times)
		}
	}
	if len(x.wrong) > 0 {
		t.Errorf("messages that are none: %v", x.wrong)
	}
	checkOverlaps(t, x.sent)
	checkDutyCycle(t, x.sent)
	checkCounters(t, x.sent)
	seen := map[string]time.Time{}
	for _, tx := range x.sent {
		if at, twice := seen[string(tx.PHYPayload)]; twice && tx.Begin.Sub(at).Abs() < 900*time.Millisecond {
			t.Errorf("the frame %x is sent at %v and again at %v", tx.PHYPayload, at, tx.Begin)
		}
		seen[string(tx.PHYPayload)] = tx.Begin
	}
	if len(x.sent) < 6 || len(x.came) < 9 {
		t.Errorf("%d transmissions, %d uplinks: that tests little", len(x.sent), len(x.came))
	}
	if out := x.central.must("", "gateway", "airtime", "--proof"); !strings.Contains(out, "none meets another") {
		t.Errorf("the ledger of the central:\n%s", out)
	}
}
