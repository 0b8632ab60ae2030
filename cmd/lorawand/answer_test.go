package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/bridge/event"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// An application that answers the uplink that it has just seen is in time: its
// downlink comes in RX1, in the same frame as the acknowledgement. Everything is
// real here but the radio: sockets, broker, client, clock. So a machine that has
// no time for the test makes answers late; there the records say whether the
// daemon did what it could.
func TestAnswersRideAlong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		rx1Delay int // s
		wait     time.Duration
		count    int
	}{
		{"5 s, answered within 100 ms", 5, 80 * time.Millisecond, 100},
		{"5 s, answered after 700 ms", 5, 700 * time.Millisecond, 50},
		{"1 s, answered after 500 ms", 1, 500 * time.Millisecond, 50},
	}
	starved := watchStarvation(t)
	var wg sync.WaitGroup
	for _, tt := range tests { // all at once: they take as long as their windows
		a := newAnswering(t, tt.rx1Delay, tt.wait)
		wg.Go(func() {
			a.warm()
			warm := len(a.decided())
			a.rounds(tt.count)
			lead := answerLead
			if starved() {
				lead = starvedLead
			}
			both, faults := rodeAlong(a.decided()[warm:], lead)
			for _, f := range faults {
				t.Errorf("%s: %s", tt.name, f)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.wrong) > 0 {
				t.Errorf("%s: messages that are none: %v", tt.name, a.wrong)
			}
			if both < a.together || a.together == 0 {
				t.Errorf("%s: %d frames with both came, and the records tell of %d", tt.name, a.together, both)
			}
			if a.together == tt.count && len(a.apart) == 0 {
				return
			}
			tell := t.Errorf
			if starved() {
				tell = t.Logf
			}
			tell("%s: %d of %d answers came with the acknowledgement in RX1; else: %s", tt.name, a.together, tt.count,
				strings.Join(a.apart, "; "))
		})
	}
	wg.Wait()
}

// decided returns what became of downlinks until now.
func (a *answering) decided() []event.Event {
	return a.events.Recent(func(e *event.Event) bool { return e.Decision != nil || e.Kind == event.DownlinkQueued })
}

// answerLead is how long before its window a downlink goes to a forwarder on the
// loopback.
const answerLead = 150 * time.Millisecond

// starvedLead is the same where its answers take so long that there could be a network in between.
const starvedLead = 500 * time.Millisecond

// rodeAlong looks at what was decided and not at what came of it: each frame in
// RX1 was held until the last moment, and each took along what waited for its
// device by then, unless the time for that had run out. lead is how long before its window at most.
func rodeAlong(events []event.Event, lead time.Duration) (both int, faults []string) {
	waiting := map[session.ID]int{}
	last := map[session.ID]radio.HostTime{} // uplink that was answered
	for i := range events {
		e := &events[i]
		d := e.Decision
		if e.Kind == event.DownlinkQueued {
			waiting[e.Device]++
		}
		if d == nil {
			continue
		}
		item := strings.HasSuffix(d.Content, " on f_port 9")
		switch {
		case e.Kind == event.DownlinkUnsent && item:
			waiting[e.Device]++
		case e.Kind != event.DownlinkScheduled || last[e.Device] == d.Uplink: // the same frame again, in RX2
		default:
			last[e.Device] = d.Uplink
			chosen := &d.Options[d.Chosen]
			if !strings.HasPrefix(d.Content, "acknowledgement") || !item && waiting[e.Device] > 0 && !ranOut(d, "RX2") ||
				chosen.Window != "RX1" && !ranOut(d, "RX1") {
				faults = append(faults, fmt.Sprintf("%d waited for %v: %s", waiting[e.Device], e.Device, d.Text()))
			}
			if chosen.Window == "RX1" && d.Lead > lead {
				faults = append(faults, fmt.Sprintf("%v: decided %v ahead: %s", e.Device, d.Lead, d.Text()))
			}
			if item {
				waiting[e.Device]--
				both++
			}
		}
	}
	return both, faults
}

// rodeAlong finds each answer that could have gone with the acknowledgement and did not.
func TestRodeAlong(t *testing.T) {
	dev := session.ID{Application: "app1", Device: "dev1"}
	queued := event.Event{Kind: event.DownlinkQueued, Device: dev}
	scheduled := func(content, window string, lead time.Duration, before ...event.Option) event.Event {
		return event.Event{Kind: event.DownlinkScheduled, Device: dev, Decision: &event.Decision{
			Uplink: 1, Content: content, Options: append(before, event.Option{Window: window, WithItem: true}),
			Chosen: len(before), Lead: lead,
		}}
	}
	late := func(window string) event.Option {
		return event.Option{Window: window, WithItem: true, Verdict: schedule.Verdict{Reason: schedule.TooLate}}
	}
	const ack, both = "acknowledgement", "acknowledgement, 2 bytes on f_port 9"
	tests := []struct {
		name   string
		events []event.Event
		faults int
	}{
		{"both in RX1", []event.Event{queued, scheduled(both, "RX1", answerLead)}, 0},
		{"the answer came after the decision", []event.Event{scheduled(ack, "RX1", answerLead), queued}, 0},
		{"in RX2 as RX1 was too late", []event.Event{queued, scheduled(both, "RX2", time.Second, late("RX1"))}, 0},
		{"alone, as both were too late", []event.Event{queued, scheduled(ack, "RX1", 0, late("RX1"), late("RX2"))}, 0},
		{"left behind", []event.Event{queued, scheduled(ack, "RX1", answerLead)}, 1},
		{"left behind for RX2", []event.Event{queued, scheduled(ack, "RX1", answerLead, late("RX1"))}, 1},
		{"in RX2 for nothing", []event.Event{queued, scheduled(both, "RX2", time.Second)}, 1},
		{"decided too early", []event.Event{scheduled(ack, "RX1", answerLead+1), queued}, 1},
		{"without the acknowledgement", []event.Event{queued, scheduled("2 bytes on f_port 9", "RX1", answerLead)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, faults := rodeAlong(tt.events, answerLead); len(faults) != tt.faults {
				t.Errorf("%q, want %d", faults, tt.faults)
			}
		})
	}
}

// ranOut reports whether an item could not go in a window any more.
func ranOut(d *event.Decision, window string) bool {
	for _, o := range d.Options {
		if o.Window == window && o.WithItem &&
			slices.Contains([]schedule.Reason{schedule.TooLate, schedule.Conflict, schedule.Refused}, o.Verdict.Reason) {
			return true
		}
	}
	return false
}

// How long our threads may wait for a CPU within a time, and how late a sleep of that time
// may end, if the machine has time for us.
const (
	starvedFor    = 50 * time.Millisecond
	starvedWithin = 100 * time.Millisecond
)

// watchStarvation returns what tells whether the machine has had no time for us.
func watchStarvation(t *testing.T) func() bool {
	var starved atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() {
		for waited, slept := waitedForCPU(), time.Now(); sleep(ctx, starvedWithin); slept = time.Now() {
			late, now := time.Since(slept)-starvedWithin, waitedForCPU()
			if max(late, now-waited) > starvedFor {
				starved.Store(true)
			}
			waited = now
		}
	})
	return starved.Load
}

// waitedForCPU returns how long the threads of this process were ready to run
// and did not, or 0 where the kernel does not tell. Source: Linux Documentation/
// scheduler/sched-stats.rst, /proc/<pid>/schedstat.
func waitedForCPU() (sum time.Duration) {
	names, _ := filepath.Glob("/proc/self/task/*/schedstat")
	for _, name := range names {
		var ran, waited int64
		if text, err := os.ReadFile(name); err == nil { // else the thread is gone
			if _, err := fmt.Sscan(string(text), &ran, &waited); err == nil {
				sum += time.Duration(waited)
			}
		}
	}
	return sum
}

const (
	answerDevices  = 20
	answerGateways = 4
)

// answering is a daemon with gateways, devices and an application that answers.
type answering struct {
	*testing.T
	devices []*air.Device
	events  *event.Log
	delay   time.Duration
	heard   chan struct{} // a device has heard something, or nothing

	mu       sync.Mutex
	counting bool
	together int
	apart    []string // what came otherwise
	wrong    []string // messages that are none
}

func answerGateway(i int) radio.EUI64 { return radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE, 0, 0, 1, byte(i)} }

func newAnswering(t *testing.T, rx1Delay int, wait time.Duration) *answering {
	t.Helper()
	var conf strings.Builder
	for i := range answerGateways {
		fmt.Fprintf(&conf, "[[gateway]]\neui = %q\nenforce_duty_cycle = false\n", answerGateway(i))
	}
	s := newSite(t, conf.String())
	var devices strings.Builder
	for i := range answerDevices {
		d := settledDevice(fmt.Sprintf("dev%02d", i), fmt.Sprintf("010000%02X", i), rx1Delay)
		fmt.Fprintln(&devices, strings.Replace(d, "0102030405060708", fmt.Sprintf("01020304050607%02X", i), 1))
	}
	s.must(devices.String(), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	a := &answering{
		T: t, events: r.d.bridge.Events(), delay: time.Duration(rx1Delay) * time.Second,
		heard: make(chan struct{}, 1000),
	}
	a.application(r.d.mqttAddr().String(), key, wait)
	a.radio(r)
	return a
}

// application subscribes, and answers each uplink after a while.
func (a *answering) application(addr, key string, wait time.Duration) {
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" +
		addr).SetUsername("app1").SetPassword(key).SetOrderMatters(false))
	a.done("connect", c.Connect())
	a.Cleanup(func() { c.Disconnect(0) })
	a.done("subscribe", c.Subscribe("v3/+/devices/+/up", 0, func(_ paho.Client, m paho.Message) {
		var v struct {
			Up struct {
				FCnt int `json:"f_cnt"`
			} `json:"uplink_message"`
		}
		err := json.Unmarshal(m.Payload(), &v)
		a.mu.Lock()
		if err != nil { // the test may be over
			a.wrong = append(a.wrong, fmt.Sprintf("%s: %v", m.Payload(), err))
		}
		counting := a.counting
		a.mu.Unlock()
		if !counting {
			return
		}
		time.Sleep(wait)
		body := fmt.Sprintf(`{"downlinks":[{"f_port":9,"frm_payload":"%s"}]}`, []string{"AAA=", "AAE="}[v.Up.FCnt%2])
		c.Publish(strings.TrimSuffix(m.Topic(), "/up")+"/down/push", 1, false, body)
	}))
}

func (a *answering) done(what string, token paho.Token) {
	a.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		a.Fatalf("%s: %v", what, token.Error())
	}
}

// radio puts gateways and devices on the air. All gateways hear all devices,
// each a quarter of them best.
func (a *answering) radio(r *running) {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		a.Fatal(err)
	}
	ether := air.New(1)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	a.Cleanup(func() { cancel(); wg.Wait() })
	for i := range answerGateways {
		var f *udp.Forwarder
		receiver := ether.Listen(air.ReceiverOptions{
			EUI: answerGateway(i), Counter: uint32(i) << 30, Plan: plan, Hear: func(up radio.Uplink) { f.Uplink(up) },
			Signal: func(dev string) (rssi, snr radio.Decibel) {
				var n int
				_, _ = fmt.Sscanf(dev, "dev%d", &n)
				return radio.Decibel(-6000 - 500*((n+i)%answerGateways)), 800
			},
		})
		if f, err = udp.NewForwarder(udp.ForwarderOptions{
			Server: r.d.udp.Addr().String(), EUI: answerGateway(i), Transmit: receiver.Transmit,
		}); err != nil {
			a.Fatal(err)
		}
		wg.Go(func() { _ = f.Run(ctx) })
	}
	keys := testKeys(a.T)
	for i := range answerDevices {
		v, err := ether.Device(air.DeviceOptions{
			Name: fmt.Sprintf("dev%02d", i), Plan: plan, DataRate: 5, DevAddr: radio.DevAddr{1, 0, 0, byte(i)}, Keys: keys,
			RX1Delay: a.delay,
			Heard:    a.deviceHeard,
			Missed:   func(m air.Missed) { a.otherwise(m.Device, "missed: "+m.Reason) },
			Silent:   func(air.Sent) { a.otherwise("a device", "heard nothing") },
		})
		if err != nil {
			a.Fatal(err)
		}
		a.devices = append(a.devices, v)
	}
	wg.Go(func() { _ = ether.Run(ctx) })
	eventually(a, patience, "the ways for downlinks", func() bool { return len(r.d.udp.Links()) == answerGateways })
}

func (a *answering) deviceHeard(h air.Heard) {
	a.mu.Lock()
	if a.counting {
		if d := h.Data; h.Window == 1 && d.ACK && d.FPort == 9 && !d.FPending {
			a.together++
		} else {
			a.apart = append(a.apart, fmt.Sprintf("%s in RX%d: ACK %v, f_port %d, pending %v", h.Device, h.Window, d.ACK,
				d.FPort, d.FPending))
		}
	}
	a.mu.Unlock()
	a.heard <- struct{}{}
}

func (a *answering) otherwise(device, what string) {
	a.mu.Lock()
	if a.counting {
		a.apart = append(a.apart, device+" "+what)
	}
	a.mu.Unlock()
	a.heard <- struct{}{}
}

func (a *answering) send(v *air.Device) {
	if _, err := v.Send(frame.Data{
		MType: frame.ConfirmedUp, HasFPort: true, FPort: 2,
		FRMPayload: []byte("answer me"),
	}); err != nil {
		a.Error(err)
	}
}

// await waits until so many uplinks have had their windows.
func (a *answering) await(n int) {
	for range n {
		select {
		case <-a.heard:
		case <-time.After(a.delay + 10*time.Second):
			a.otherwise("a device", "hears nothing, and not even that")
			return
		}
	}
}

// warm lets every gateway send once: until its first TX_ACK a forwarder is taken
// for one without a queue of its own.
func (a *answering) warm() {
	for _, v := range a.devices[:answerGateways] {
		a.send(v)
		time.Sleep(150 * time.Millisecond)
	}
	a.await(answerGateways)
	time.Sleep(200 * time.Millisecond)
	a.mu.Lock()
	a.counting = true
	a.mu.Unlock()
}

// rounds lets the devices send so many uplinks in all, side by side, one after
// the other within each cycle.
func (a *answering) rounds(count int) {
	cycle := a.delay + 500*time.Millisecond
	var wg sync.WaitGroup
	for i, v := range a.devices {
		wg.Go(func() {
			time.Sleep(cycle * time.Duration(i) / answerDevices)
			for n := i; n < count; n += answerDevices {
				a.send(v)
				time.Sleep(cycle)
			}
		})
	}
	wg.Wait()
	a.await(count)
}
