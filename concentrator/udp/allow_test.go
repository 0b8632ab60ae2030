package udp

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Whose datagrams are read.
func TestAllows(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("fe80::/10")}
	for _, tt := range []struct {
		from string
		all  []netip.Prefix
		want bool
	}{
		{"192.0.2.1", nil, true},
		{"192.168.1.255", networks, true},
		{"192.168.2.1", networks, false},
		{"fe80::1%eth0", networks, true},
		{"fd00::1", networks, false},
		{"127.0.0.1", networks, true},
		{"::1", networks, true},
	} {
		d := Driver{opts: Options{Allow: tt.all}}
		if got := d.allows(netip.MustParseAddr(tt.from)); got != tt.want {
			t.Errorf("%s of %v: %v", tt.from, tt.all, got)
		}
	}
}

// What comes from elsewhere does nothing, whatever it is and however many send it; one event tells
// of all for a while.
func TestNotAllowed(t *testing.T) {
	d, err := Listen(Options{
		Listen: "127.0.0.1:0", Gateways: []radio.EUI64{euiA}, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Now: func() radio.HostTime { return 1 },
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close() // no answer gets out
	s := &sink{}
	pull := gwmp.Packet{Version: 2, Type: gwmp.PullData, EUI: euiA}.Append(nil)
	now := radio.HostTime(time.Hour)
	for i := range 1000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 1700)
		d.datagram(pull, from, now, s)
		d.datagram([]byte("x"), from, now, s)
	}
	if st := d.Stats(); st.NotAllowed != 2000 || st.Malformed != 0 || len(s.events) != 1 ||
		s.events[0].Cause != "not_allowed" || s.events[0].Address != "192.0.0.0:1700" || d.gateways[euiA].path.IsValid() {
		t.Errorf("%+v, events %+v", st, s.events)
	}
	d.datagram(pull, netip.MustParseAddrPort("192.0.2.1:1700"), now.Add(toldAgain), s)
	d.datagram(pull, netip.MustParseAddrPort("10.1.2.3:1700"), now.Add(toldAgain), s)
	if len(s.events) != 3 || s.events[1].Cause != "not_allowed" || s.events[2].Kind != radio.GatewayConnected {
		t.Errorf("events %+v", s.events)
	}
}

// An address that takes the downlinks of a gateway over does not do so unnoticed, be it that the
// gateway is silent for a while or that the other is of this host.
func TestPathTaken(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Hour))
	d, err := Listen(Options{
		Listen: "127.0.0.1:0", Gateways: []radio.EUI64{euiA},
		Now: func() radio.HostTime { return radio.HostTime(now.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close() // no answer gets out
	pull := gwmp.Packet{Version: 2, Type: gwmp.PullData, EUI: euiA}.Append(nil)
	for _, tt := range []struct {
		name  string
		after time.Duration
		from  string
		want  string // the last event; "": there is none
	}{
		{"the gateway", 0, "192.0.2.1:1700", "connected "},
		{"another port of it", time.Second, "192.0.2.1:1701", ""},
		{"another address, too soon", 10 * time.Second, "192.0.2.66:1", "second_address it comes from 192.0.2.66"},
		{"another address later", 21 * time.Second, "192.0.2.66:1", "path_moved its downlinks go to 192.0.2.66 now; " +
			"192.0.2.1, to which they went, has sent no PULL_DATA for 31s"},
		{"the gateway too soon", 5 * time.Second, "192.0.2.1:1701", ""}, // second_address was told a moment ago
		{"this host at any time", toldAgain, "127.0.0.1:5", "path_moved its downlinks go to 127.0.0.1 now"},
	} {
		s := &sink{}
		now.Add(int64(tt.after))
		d.datagram(pull, netip.MustParseAddrPort(tt.from), radio.HostTime(now.Load()), s)
		got := ""
		if len(s.events) > 0 {
			e := s.events[len(s.events)-1]
			if got = e.Cause + " " + e.Fault; e.Kind == radio.GatewayConnected {
				got = "connected "
			}
		}
		if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if st := d.Stats(); st.Moved != 2 || st.ForeignAddress != 2 {
		t.Errorf("%+v", st)
	}
}
