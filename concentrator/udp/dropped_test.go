package udp

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Datagrams that are dropped or cannot be answered are reported with their cause, once in a
// while for each gateway and each cause, so that none hides another.
func TestDropped(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	b := start(t, Options{Now: func() radio.HostTime { return radio.HostTime(now.Load()) }})
	own, second := b.peer("127.0.0.1"), b.peer("127.0.0.2")
	count := 2 // the events so far: both have connected
	check := func(name, want string) {
		t.Helper()
		b.isTold(name, count, want)
		count++
	}
	own.pull(euiA, 2)
	own.push(euiB, 1)
	b.eventually("both", func() bool { return b.sink.kinds() == "connected connected " })
	second.send(gwmp.Packet{Version: 2, Token: 3, Type: gwmp.PullData, EUI: euiA})
	check("a second address", "A101000000000000 second_address: it comes from 127.0.0.2, and the gateway is pinned "+
		"to 127.0.0.1, which is alive")
	for range 3 {
		second.push(euiA, 1, rxpk(1_000_000, "frame"))
	}
	if up := b.ups(3)[2]; !up.Receptions[0].NoDownlink || !strings.Contains(up.NoPath, "comes from 127.0.0.2") {
		t.Errorf("a frame from there: %+v", up)
	}

	for range 3 { // those who keep on sending stay on line
		now.Add(int64(40 * time.Second))
		own.push(euiA, 1)
		own.push(euiB, 1)
		b.eventually("read", func() bool { return b.heard(euiB) == radio.HostTime(now.Load()) })
	}
	for again := range 2 {
		n, causes := b.d.Stats().Datagrams, dropCauses(own, second, &now)
		for _, tt := range causes {
			tt.send()
			check(tt.name, tt.want)
			tt.send()
			tt.send()
		}
		_, _ = own.Write([]byte("x")) // once it has come, all before it are dealt with
		all := n + 3*uint64(len(causes)) + 1
		b.eventually("all read", func() bool { return b.d.Stats().Datagrams == all })
		if again == 0 {
			b.laterByToldAgain(&now)
		}
	}
}

// dropCause is something that is dropped, sent by a peer, and what is told of it.
type dropCause struct {
	name string
	send func()
	want string
}

func dropCauses(own, second *peer, now *atomic.Int64) []dropCause {
	datagram := func(kind gwmp.Type, eui radio.EUI64, body string) func() {
		return func() { own.send(gwmp.Packet{Version: 2, Type: kind, EUI: eui, Body: []byte(body)}) }
	}
	fault := func(eui radio.EUI64) func() { return datagram(gwmp.PushData, eui, `{"rxpk":[{"tmst":1}]}`) }
	frame := func(eui radio.EUI64) func() {
		return func() { own.push(eui, 1, rxpk(uint32(now.Load()/1000), "frame")) }
	}
	return []dropCause{
		{"a frame without data", fault(euiA), "A101000000000000 faulty: malformed datagram: rxpk with freq of 0 Hz"},
		{"the same of another gateway", fault(euiB), "A102000000000000 faulty: malformed datagram: rxpk with freq of 0 Hz"},
		{"cut off", datagram(gwmp.PushData, euiA, `{"rxpk":[{`), "A101000000000000 malformed: malformed datagram: not JSON"},
		{
			"a TX_ACK that is cut off", datagram(gwmp.TxAck, euiB, `{`),
			"A102000000000000 malformed: malformed datagram: unexpected end",
		},
		{"a gateway that is not taken", datagram(gwmp.PushData, euiX, ""), "FF09000000000000 : not in the configuration"},
		{
			"not of the protocol", func() { _, _ = own.Write([]byte("x")) },
			"0000000000000000 malformed: malformed datagram: 1 bytes",
		},
		{
			"the same from another host", func() { _, _ = second.Write([]byte("x")) },
			"0000000000000000 malformed: malformed datagram: 1 bytes",
		},
		{"no PULL_DATA", frame(euiB), "A102000000000000 no_pull_data: it has sent no PULL_DATA yet"},
		{"an old PULL_DATA", frame(euiA), "A101000000000000 no_pull_data: its last PULL_DATA was 2m0s ago"},
	}
}

// isTold waits for the event behind the first count, and checks that it is the only one.
func (b *bench) isTold(name string, count int, want string) {
	b.Helper()
	b.eventually(name, func() bool { b.sink.mu.Lock(); defer b.sink.mu.Unlock(); return len(b.sink.events) > count })
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	e := b.sink.events[count]
	if got := fmt.Sprintf("%v %s: %s", e.Gateway, e.Cause, e.Fault); !strings.HasPrefix(got, want) ||
		len(b.sink.events) != count+1 || e.Address == "" {
		b.Fatalf("%s: %q at %q, %d events; want %q", name, got, e.Address, len(b.sink.events)-count, want)
	}
}

func (b *bench) heard(eui radio.EUI64) radio.HostTime {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	return b.d.gateways[eui].heard
}

// laterByToldAgain moves the clock, and what each gateway was heard last with it.
func (b *bench) laterByToldAgain(now *atomic.Int64) {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	for _, g := range b.d.gateways {
		g.heard = g.heard.Add(toldAgain)
		g.pulled = max(g.pulled.Add(toldAgain), 0)
	}
	now.Add(int64(toldAgain))
}

// A downlink that was not handed over fails with the reason.
func TestTransmitSaysWhy(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	b := start(t, Options{Now: func() radio.HostTime { return radio.HostTime(now.Load()) }})
	p := b.peer("")
	says := func(want string) {
		t.Helper()
		err := b.d.Transmit(radio.Downlink{Gateway: euiA})
		if !errors.Is(err, concentrator.ErrGateway) || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	says("it has sent no PULL_DATA yet")
	p.pull(euiA, 2)
	now.Add(int64(91 * time.Second))
	says("its last PULL_DATA was 1m31s ago")
	p.pull(euiA, 2)
	for i := range maxUnanswered {
		transmit(t, b.d, uint64(i))
	}
	says("it has left 64 downlinks unanswered")
	b.stop()
	says("its driver has stopped or does not serve it")
}
