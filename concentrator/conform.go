package concentrator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"lorawand/radio"
)

// Tester has the methods of *testing.T that Conform uses, so that package testing
// stays out of the binary.
type Tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Subject is a driver that has not run yet, with the means to test it.
type Subject struct {
	Driver  Driver
	Gateway radio.EUI64

	// Hear lets the gateway hear a frame that has just ended. Its counter must
	// start shortly before 2^32, so that it wraps between two frames.
	Hear func(phy []byte)

	// Close frees everything around the driver. It is called after Run has
	// returned.
	Close func()
}

// Conform tests that a driver keeps the promises of Driver. The tests of every
// driver call it. open makes a new driver for each check. Conform may run in fake
// time.
func Conform(t Tester, open func() Subject) {
	t.Helper()
	checks := []struct {
		name string
		do   func(*trial)
	}{
		{"uplinks", (*trial).uplinks},
		{"transmit", (*trial).transmits},
		{"from the sink", (*trial).fromSink},
		{"stop", (*trial).stops},
	}
	for _, c := range checks {
		s := open()
		x := &trial{Tester: t, Subject: s, check: c.name, ended: make(chan struct{})}
		err := s.Driver.Transmit(radio.Downlink{ID: 1, Gateway: s.Gateway, PHYPayload: []byte{0x60}})
		if !errors.Is(err, ErrGateway) {
			x.errorf("Transmit before Run: %v, want ErrGateway", err)
		}
		x.run(c.do)
	}
}

// conformTimeout limits the time for an event that must happen at once.
const conformTimeout = 5 * time.Second

// trial is one check.
type trial struct {
	Tester
	Subject
	FakeSink
	check  string
	cancel func()        // ends Run
	ended  chan struct{} // closed when Run has returned
	err    error         // what Run has returned
	runner string        // number of Run's goroutine

	hook func(radio.Uplink) // called on each uplink
}

func (x *trial) errorf(format string, args ...any) {
	x.Helper()
	x.Errorf("%s: %s", x.check, fmt.Sprintf(format, args...))
}

// run does a check while the driver runs, and then checks how the driver ends.
func (x *trial) run(check func(*trial)) {
	x.Helper()
	defer x.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	x.cancel = cancel
	go func() {
		defer close(x.ended)
		x.runner = goroutine()
		x.err = x.Driver.Run(ctx, x)
	}()
	x.eventually("the gateway is connected", func() bool { return len(x.GatewayEvents()) > 0 })
	if ev := x.GatewayEvents()[0]; ev.Gateway != x.Gateway || ev.Kind != radio.GatewayConnected || len(x.Uplinks()) > 0 {
		x.errorf("the first event is %+v", ev)
	}
	check(x)
	cancel()
	select {
	case <-x.ended:
	case <-time.After(conformTimeout):
		x.Fatalf("%s: Run does not end within %v of its context", x.check, conformTimeout)
	}
	if x.err != nil {
		x.errorf("Run returns %v after its context has ended, want nil", x.err)
	}
	if err := x.transmit(1 << 40); !errors.Is(err, ErrGateway) {
		x.errorf("Transmit after Run: %v, want ErrGateway", err)
	}
	x.eventually("Run has left no goroutine", func() bool { return !hasStarted(x.runner) })
	told := len(x.Uplinks()) + len(x.TxAcks()) + len(x.GatewayEvents())
	time.Sleep(20 * time.Millisecond)
	if now := len(x.Uplinks()) + len(x.TxAcks()) + len(x.GatewayEvents()); now != told {
		x.errorf("the sink was told of something after Run")
	}
}

func (x *trial) eventually(what string, f func() bool) {
	x.Helper()
	x.within(conformTimeout, what, f)
}

func (x *trial) within(d time.Duration, what string, f func() bool) {
	x.Helper()
	for end := time.Now().Add(d); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			x.Fatalf("%s: not within %v: %s", x.check, d, what)
		}
	}
}

// Uplink implements Sink.
func (x *trial) Uplink(up radio.Uplink) {
	x.FakeSink.Uplink(up)
	if x.hook != nil {
		x.hook(up)
	}
}

// heard lets the gateway hear one more frame, and returns it as the sink got it.
func (x *trial) heard() radio.Uplink {
	x.Helper()
	n := len(x.Uplinks())
	phy := []byte{0x40, byte(n), 2, 3, 4, 0, 0, 0, 1, 2, 3, 4}
	x.Hear(phy)
	x.eventually("an uplink", func() bool { return len(x.Uplinks()) > n })
	up := x.Uplinks()[n]
	if string(up.PHYPayload) != string(phy) || up.Gateway != x.Gateway {
		x.errorf("heard %x by %v, want %x by %v", up.PHYPayload, up.Gateway, phy, x.Gateway)
	}
	return up
}

// uplinks checks that uplinks are complete, and that their times continue where the
// counter wraps.
func (x *trial) uplinks() {
	wrapped := false
	var last radio.Uplink
	for i := range 5 {
		up := x.heard()
		if up.Ended > up.Received {
			x.errorf("a frame ends at %d, after it was received at %d", up.Ended, up.Received)
		}
		if len(up.Receptions) == 0 {
			x.errorf("no Receptions")
		}
		for _, r := range up.Receptions {
			want := radio.UplinkToken{Gateway: x.Gateway, Antenna: r.Antenna, Time: up.Time, Host: up.Received, GPS: up.GPS}
			if r.Token != want || r.NoDownlink {
				x.errorf("token %+v, want %+v", r.Token, want)
			}
		}
		if i > 0 {
			if d := up.Time.Sub(last.Time); d <= 0 || d > conformTimeout || up.Received < last.Received {
				x.errorf("time %d µs, received at %d, after %d µs, received at %d", up.Time, up.Received, last.Time, last.Received)
			}
			wrapped = wrapped || up.Time.Counter() < last.Time.Counter()
		}
		last = up
		time.Sleep(5 * time.Millisecond)
	}
	if !wrapped && last.Time.Counter() >= 1<<31 {
		x.errorf("the counter has not wrapped: begin it closer to 2^32")
	}
}

// maxAhead is how far ahead transmit asks at the most. A driver may answer only
// when the frame was sent.
const maxAhead = 8 * time.Second

// transmit asks for a transmission at least one second after the last uplink.
func (x *trial) transmit(id uint64) error {
	d := radio.Downlink{
		ID: id, Gateway: x.Gateway, PHYPayload: []byte{0x60, 1, 2, 3, 4, 0, 0, 0, 1, 2, 3, 4},
		Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), Power: 1400,
	}
	if ups := x.Uplinks(); len(ups) > 0 {
		d.Time = ups[len(ups)-1].Time + 1_000_000 + radio.ConcentratorTime(id%1000*200_000)
	}
	return x.Driver.Transmit(d)
}

// transmits checks that each accepted Transmit is answered once and each refused
// one never, also when several goroutines call it.
func (x *trial) transmits() {
	x.heard()
	stranger := radio.Downlink{ID: 1 << 41, Gateway: radio.EUI64{0xfe, 1, 2, 3, 4, 5, 6, 7}, PHYPayload: []byte{0x60}}
	if err := x.Driver.Transmit(stranger); !errors.Is(err, ErrGateway) {
		x.errorf("Transmit through a gateway that does not exist: %v, want ErrGateway", err)
	}
	var accepted ids
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(4) {
				if id := g*4 + i; x.transmit(id) == nil {
					accepted.add(id)
				}
			}
		})
	}
	wg.Wait()
	if accepted.len() == 0 {
		x.errorf("no Transmit is accepted")
	}
	x.within(conformTimeout+maxAhead, "a TxAck to each Transmit", func() bool { return len(x.TxAcks()) >= accepted.len() })
	x.answered(&accepted)
}

// answered checks that each accepted Transmit has exactly one answer.
func (x *trial) answered(accepted *ids) {
	x.Helper()
	answers := map[uint64]int{}
	for _, a := range x.TxAcks() {
		answers[a.ID]++
		if a.Gateway != x.Gateway || a.RoundTrip < 0 || a.Result > radio.TxNoPath {
			x.errorf("TxAck %+v", a)
		}
		if !accepted.has(a.ID) {
			x.errorf("%d was not accepted, and is answered with %v", a.ID, a.Result)
		}
	}
	for id := range accepted.all {
		if answers[id] != 1 {
			x.errorf("%d is answered %d times, want once", id, answers[id])
		}
	}
}

// fromSink checks that a sink may call Transmit: the driver holds no lock while it
// calls the sink.
func (x *trial) fromSink() {
	var accepted ids
	x.hook = func(up radio.Uplink) {
		if id := uint64(up.PHYPayload[1]); x.transmit(id) == nil {
			accepted.add(id)
		}
	}
	x.heard()
	x.heard()
	x.eventually("a TxAck to each Transmit", func() bool { return accepted.len() == 2 && len(x.TxAcks()) == 2 })
	x.answered(&accepted)
}

// stops checks that each accepted Transmit is answered before Run returns, also if
// Run ends at that moment.
func (x *trial) stops() {
	x.heard()
	var accepted ids
	var wg sync.WaitGroup
	for g := range uint64(2) {
		wg.Go(func() {
			for id := g << 20; ; id++ {
				if x.transmit(id) == nil {
					accepted.add(id)
				}
				select {
				case <-x.ended:
					return
				default:
					time.Sleep(50 * time.Microsecond)
				}
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	x.cancel()
	wg.Wait()
	if accepted.len() == 0 {
		x.errorf("no Transmit is accepted")
	}
	x.answered(&accepted)
}

// goroutine returns the number of the goroutine that calls it.
func goroutine() string {
	buf := make([]byte, 64)
	number, _, _ := strings.Cut(strings.TrimPrefix(string(buf[:runtime.Stack(buf, false)]), "goroutine "), " ")
	return number
}

// hasStarted reports whether there is a goroutine that the given one has started.
func hasStarted(number string) bool {
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for ; n == len(buf); n = runtime.Stack(buf, true) {
		buf = make([]byte, 2*len(buf))
	}
	return strings.Contains(string(buf[:n]), " in goroutine "+number+"\n")
}

// ids is a set of ids that several goroutines fill.
type ids struct {
	mu  sync.Mutex
	all map[uint64]bool
}

func (s *ids) add(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[uint64]bool{}
	}
	s.all[id] = true
}

func (s *ids) has(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[id]
}

func (s *ids) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}
