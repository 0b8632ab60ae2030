package udp

import (
	"net/netip"
	"testing"
	"time"

	"lorawand/radio"
)

// A refusal is told once in a while.
func TestRefusalAgain(t *testing.T) {
	var r refusals
	host := netip.MustParseAddr("192.0.2.1")
	at := func(after time.Duration) radio.HostTime { return radio.HostTime(time.Hour + after) }
	for _, tt := range []struct {
		name  string
		eui   radio.EUI64
		after time.Duration
		want  bool
	}{
		{"the first", euiX, 0, true},
		{"at once again", euiX, 0, false},
		{"another gateway", euiA, time.Minute, true},
		{"just before the time", euiX, toldAgain - 1, false},
		{"after it", euiX, toldAgain, true},
		{"the other, which was told later", euiA, toldAgain, false},
		{"the other after its time", euiA, toldAgain + time.Minute, true},
	} {
		if got := r.note(tt.eui, unknownGateway, host, at(tt.after)); got != tt.want {
			t.Errorf("%s: told %v, want %v", tt.name, got, tt.want)
		}
	}
	r.forget(euiX)
	if !r.note(euiX, unknownGateway, host, at(toldAgain+time.Minute)) {
		t.Error("a gateway that was configured and no longer is: not told")
	}
}

// One host with any number of EUIs does not hide the gateway of another, and
// many hosts are told no more than the table holds.
func TestRefusalsOfHostileHosts(t *testing.T) {
	var r refusals
	told := func(host netip.Addr, euis int) (n int) {
		for i := range euis {
			if r.note(radio.EUI64{host.As16()[15], host.As16()[14], host.As16()[13], byte(i >> 8), byte(i)}, unknownGateway,
				host, 1) {
				n++
			}
		}
		return n
	}
	if n := told(netip.MustParseAddr("192.0.2.1"), 5000); n != maxRefusedHost {
		t.Errorf("%d gateways of one host told, want %d", n, maxRefusedHost)
	}
	if n := told(netip.MustParseAddr("192.0.2.2"), 1); n != 1 {
		t.Error("the gateway of another host is not told")
	}
	// A host with IPv6 has as many addresses as it likes.
	n := 0
	for i := range 100 {
		n += told(netip.MustParseAddr("2001:db8::").Next(), 1) // the same
		a := netip.MustParseAddr("2001:db8::").As16()
		a[15] = byte(i + 2)
		n += told(netip.AddrFrom16(a), 1)
	}
	if n != maxRefusedHost {
		t.Errorf("%d gateways of one /64 told, want %d", n, maxRefusedHost)
	}
	for i := range 250 {
		told(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 100)
	}
	if len(r) != maxRefused {
		t.Errorf("%d refusals remembered, want %d", len(r), maxRefused)
	}
	if !r.note(euiX, unknownGateway, netip.MustParseAddr("192.0.2.3"), radio.HostTime(toldAgain)+1) || len(r) != 1 {
		t.Errorf("after a while %d are remembered", len(r))
	}
}
