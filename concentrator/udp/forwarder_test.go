package udp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// forwarder runs a Forwarder until the test ends, or until stop.
func forwarder(t *testing.T, o ForwarderOptions) (f *Forwarder, stop func()) {
	t.Helper()
	f, err := NewForwarder(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return f, stop
}

// subject is a driver with a forwarder whose counter wraps 10 ms after the
// first frame.
func subject(t *testing.T, change func(*ForwarderOptions)) concentrator.Subject {
	t.Helper()
	begin, acks := time.Now(), 2*time.Second
	if change != nil { // there is none to wait for
		acks = 200 * time.Millisecond
	}
	d, err := Listen(Options{
		Listen: "127.0.0.1:0", Gateways: []radio.EUI64{euiA}, AckTimeout: acks,
		Now: func() radio.HostTime { return radio.HostTime(time.Since(begin)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	o := ForwarderOptions{
		Server: d.Addr().String(), EUI: euiA,
		Transmit: func(d radio.Downlink) radio.TxResult { return radio.TxResult(d.PHYPayload[0] % 3) },
	}
	if change != nil {
		change(&o)
	}
	f, stop := forwarder(t, o)
	var first time.Time
	hear := func(phy []byte) {
		if first.IsZero() {
			first = time.Now()
		}
		up := rxpk(uint32(time.Since(first).Microseconds()-10_000), string(phy))
		f.Uplink(up)
	}
	return concentrator.Subject{Driver: d, Gateway: euiA, Hear: hear, Close: stop}
}

func TestConforms(t *testing.T) {
	for name, change := range map[string]func(*ForwarderOptions){
		"answers": nil,
		"silent":  func(o *ForwarderOptions) { o.NoAck = true },
	} {
		t.Run(name, func(t *testing.T) {
			concentrator.Conform(t, func() concentrator.Subject { return subject(t, change) })
		})
	}
}

// Without a TX_ACK the frame is sent all the same.
func TestForwarderNoAck(t *testing.T) {
	b := start(t, Options{AckTimeout: 100 * time.Millisecond})
	sent := make(chan radio.Downlink, 1)
	forwarder(t, ForwarderOptions{
		Server: b.d.Addr().String(), EUI: euiA, NoAck: true,
		Transmit: func(d radio.Downlink) radio.TxResult {
			sent <- d
			return radio.TxOK
		},
	})
	b.eventually("connected", func() bool { return b.sink.kinds() == "connected " })
	transmit(t, b.d, 7)
	if d := <-sent; string(d.PHYPayload) != "down" {
		t.Errorf("sent %+v", d)
	}
	b.eventually("TxNoAck", func() bool { _, n := b.sink.count(); return n == 1 })
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	if a := b.sink.acks[0]; a.ID != 7 || a.Result != radio.TxNoAck {
		t.Errorf("ack %+v", a)
	}
}

// A network that keeps datagrams for different times, so that they overtake
// each other, does not mislead the driver about when frames have ended.
func TestForwarderDelay(t *testing.T) {
	for tries := 3; ; tries-- { // as the machine may be busy with something else
		fault := delayedFault(t)
		if fault == "" {
			break
		}
		if tries == 1 {
			t.Fatal(fault)
		}
	}
}

// delayedFault returns which frame has another end than it had; "": none.
func delayedFault(t *testing.T) (fault string) {
	t.Helper()
	b := start(t, Options{})
	var mu sync.Mutex
	delays := []time.Duration{150, 90, 200, 120, 0, 100, 200, 150, 60, 180, 100, 50, 200, 10}
	next := 0
	delay := func(up bool) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if !up || next == 0 { // the first datagram is PULL_DATA
			next += 1 - min(next, 1)
			return 20 * time.Millisecond
		}
		next++
		return delays[(next-2)%len(delays)] * time.Millisecond
	}
	f, stop := forwarder(t, ForwarderOptions{
		Server: b.d.Addr().String(), EUI: euiA, Delay: delay,
		Transmit: func(radio.Downlink) radio.TxResult { return radio.TxOK },
	})
	b.eventually("connected", func() bool { return b.sink.kinds() == "connected " })
	const counter = 4_294_900_000 // it wraps on the way
	begin := time.Now()
	ends := map[string]radio.HostTime{}
	for i := range delays {
		time.Sleep(30 * time.Millisecond)
		phy := string(rune('a' + i))
		since := time.Since(begin)
		ends[phy] = b.d.opts.Now()
		f.Uplink(rxpk(uint32(counter+since.Microseconds()), phy))
	}
	var order []byte
	for i, up := range b.ups(len(delays)) {
		order = append(order, up.PHYPayload[0])
		// From the frame without delay on the offset is known.
		late := up.Ended.Sub(ends[string(up.PHYPayload)])
		if i > 6 && (late < -time.Millisecond || late > 45*time.Millisecond) {
			fault = fmt.Sprintf("frame %s ended %v later than it did", up.PHYPayload, late)
		}
	}
	if slices.IsSorted(order) {
		t.Error("no datagram has overtaken another")
	}
	transmit(t, b.d, 7)
	b.eventually("TX_ACK", func() bool { _, n := b.sink.count(); return n == 1 })
	if b.sink.kinds() != "connected " {
		t.Errorf("events %s", b.sink.kinds())
	}
	b.sink.mu.Lock()
	if a := b.sink.acks[0]; a.Result != radio.TxOK || a.RoundTrip < 20*time.Millisecond {
		t.Errorf("ack %+v, want one after the delay", a)
	}
	b.sink.mu.Unlock()
	f.Uplink(rxpk(5, "kept"))
	stop()
	f.Uplink(rxpk(5, "after the end"))
	return fault
}
