//go:build !small

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/concentrator/stream"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Of strangers each address is told of once, and many addresses do not make more events than are
// bearable. They do not hide what is told of who has a key.
func TestRefusals(t *testing.T) {
	var r refusals
	now := time.Unix(1000, 0)
	at := func(host int, eui byte, why string) refusal {
		return refusal{netip.AddrFrom4([4]byte{192, 0, byte(host >> 8), byte(host)}), radio.EUI64{7: eui}, why, now}
	}
	told := func(stranger bool, hosts, euis int) (n, left int) {
		for host := range hosts {
			for eui := range euis {
				if l, ok := r.take(at(host, byte(eui+1), "wrong_key"), stranger); ok {
					n, left = n+1, left+l
				}
			}
		}
		return n, left
	}
	for i, want := range []bool{true, false, false} {
		if _, ok := r.take(at(1, 0, fmt.Sprint("garbage ", i)), true); ok != want {
			t.Errorf("garbage %d is told: %v", i, ok)
		}
	}
	if left, ok := r.take(at(1, 9, "wrong_key"), true); !ok || left != 2 {
		t.Errorf("%d left before, %v", left, ok)
	}
	if _, ok := r.take(at(1, 9, "expired"), true); !ok {
		t.Error("another reason is not told of")
	}
	now = now.Add(refusedAgain)
	if n, _ := told(true, 1, 200); n != maxRefusedSource {
		t.Errorf("%d of one address", n)
	}
	if n, _ := told(true, 300, 3); n != maxRefused-maxRefusedSource {
		t.Errorf("%d more of many", n)
	}
	if n, _ := told(false, 1, 1); n != 1 {
		t.Error("one with a key is not told of")
	}
	now = now.Add(refusedAgain)
	if n, _ := told(true, 1, 1); n != 1 || len(r.told[1]) != 1 {
		t.Errorf("after a while %d, %d are remembered", n, len(r.told[1]))
	}
}

// Garbage at the port of extenders, from many addresses, leaves the events of others in sight.
func TestExtenderGarbage(t *testing.T) {
	listen := freeTCP(t)
	s := newSite(t, "[extenders]\nlisten = \""+listen+"\"\n")
	s.withTLS("")
	r := s.start()
	for i := range 240 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(1+i%80))}}
		c, err := d.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello"}[i%2])
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
	n := len(r.d.bridge.Events().Recent(func(e *event.Event) bool { return e.Word == notAdmitted }))
	if n != maxRefused {
		t.Errorf("%d events, want %d", n, maxRefused)
	}
}

// twice is a gateway that comes both as an extender and as a packet forwarder, to one daemon.
type twice struct {
	*testing.T
	*running
	*site
	eui      radio.EUI64
	reload   func(logged string)
	key      string
	forward  net.Conn
	extender *stream.Conn
}

func newTwice(t *testing.T) *twice {
	t.Helper()
	x := &twice{T: t, eui: radio.EUI64{0xB1, 7: 9}}
	x.site = newSite(t, "[extenders]\nlisten = \""+freeTCP(t)+"\"\n")
	x.replace("[udp]\n", "[udp]\naccept_unknown = true\n")
	x.withTLS("")
	words := strings.Fields(x.must("", "gateway", "pair", x.eui.String(), "--host", "127.0.0.1"))
	x.key = words[slices.Index(words, "--key")+1]
	x.running, x.reload = x.reloading(newOpener())
	var err error
	if x.forward, err = net.Dial("udp", x.d.udp.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.forward.Close() })
	return x
}

// extend logs the extender in.
func (x *twice) extend() {
	x.T.Helper()
	c, err := tls.Dial("tcp", x.d.extenders.listener.LocalAddr().String(), &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		x.extender, err = stream.Login(context.Background(), c, x.eui, x.key)
	}
	if err != nil {
		x.T.Fatal(err)
	}
	x.T.Cleanup(func() { _ = c.Close() })
}

// pull sends a PULL_DATA.
func (x *twice) pull(c net.Conn) {
	_, _ = c.Write(gwmp.Packet{Version: 2, Token: 7, Type: gwmp.PullData, EUI: x.eui}.Append(nil))
}

// online reports whether the core has the gateway on line.
func (x *twice) online() bool {
	x.T.Helper()
	states, err := x.d.bridge.Gateways(context.Background())
	if err != nil {
		x.T.Fatal(err)
	}
	for i := range states {
		if states[i].EUI == x.eui {
			return states[i].Online
		}
	}
	return false
}

func (x *twice) eventually(what string, ok func() bool) {
	x.T.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			x.T.Fatalf("not within 30 s: %s\n%s", what, x.logged())
		}
	}
}

// transmit has the daemon send a downlink, and reports whether it comes here.
func (x *twice) transmit(here net.Conn) bool {
	x.T.Helper()
	if err := x.d.Transmit(radio.Downlink{
		ID: 1 << 40, Gateway: x.eui, PHYPayload: []byte{1}, Frequency: 868_100_000,
		DataRate: radio.LoRaDataRate(7, 125_000),
	}); err != nil {
		x.T.Error(err)
	}
	return gets(here, gwmp.PullResp)
}

// A gateway that comes as an extender is that, whatever packet forwarder has its EUI; and it is not
// that any more once the configuration says so.
func TestOneDriver(t *testing.T) {
	x := newTwice(t)
	x.pull(x.forward)
	x.eventually("the packet forwarder is on line", x.online)
	x.extend()
	x.pull(x.extender)
	x.eventually("the extender is on line", func() bool {
		return x.d.extenders.online(x.eui) && !x.d.udp.Online(x.eui)
	})
	x.pull(x.forward)
	x.eventually("the packet forwarder is dropped", func() bool {
		return strings.Contains(x.must("", "events"), "second_address")
	})
	if !x.online() || !x.transmit(x.extender) {
		t.Error("the gateway is off line, or a downlink does not go to the extender")
	}

	_ = x.extender.Close()
	x.eventually("the extender is off line", func() bool { return !x.d.extenders.online(x.eui) })
	x.pull(x.forward)
	x.eventually("the packet forwarder is on line instead", func() bool { return x.d.udp.Online(x.eui) && x.online() })
	if !x.transmit(x.forward) {
		t.Error("a downlink does not go to the packet forwarder behind the extender")
	}
	x.extend()
	x.pull(x.extender)
	x.eventually("the extender is back", func() bool { return x.d.extenders.online(x.eui) })

	x.write("lorawand.toml", x.read("lorawand.toml")+"[[gateway]]\neui = \""+x.eui.String()+"\"\ndriver = \"udp\"\n")
	x.reload("the configuration is reloaded")
	if x.d.extenders.online(x.eui) {
		t.Error("the extender is on line though its driver is another")
	}
	begin := time.Now()
	x.pull(x.extender)
	if gets(x.extender, gwmp.PullResp) || time.Since(begin) > 2*stream.KeepAlive { // silence ends it later
		t.Error("the extender is not put out")
	}
	x.pull(x.forward)
	x.eventually("the packet forwarder is on line again", func() bool { return x.d.udp.Online(x.eui) && x.online() })
	if !x.transmit(x.forward) {
		t.Error("a downlink does not go to the packet forwarder")
	}
}

// gets reports whether a datagram of a type comes before the connection ends.
func gets(c net.Conn, want gwmp.Type) bool {
	buf := make([]byte, stream.MaxSize)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := c.Read(buf)
		if err != nil {
			return false
		}
		if p, err := gwmp.ParsePacket(bytes.Clone(buf[:n])); err == nil && p.Type == want {
			return true
		}
	}
}
