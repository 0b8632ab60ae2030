//go:build !small

package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Where unknown packet forwarders are accepted, one with the EUI of the chip on board is not, though the
// configuration does not have that EUI: neither once the chip has told it, nor before.
func TestChipIsNotUnknown(t *testing.T) {
	for _, before := range []bool{false, true} {
		t.Run(map[bool]string{false: "the chip first", true: "the packet forwarder first"}[before], func(t *testing.T) {
			testChipIsNotUnknown(t, before)
		})
	}
}

func testChipIsNotUnknown(t *testing.T, before bool) {
	s := newChipSite(t, "")
	s.replace("[udp]\nlisten = \"\"", "[udp]\nlisten = \"127.0.0.1:0\"\naccept_unknown = true")
	plugged := make(chan struct{})
	open := (&simulation{air: air.New(7), chip: sx1302test.Options{EUI: chipEUI}}).open
	r := s.startOn(func(x *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
		<-plugged
		return open(x, c)
	}, nil)
	c, err := net.Dial("udp", r.d.udp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	pull := func() {
		_, _ = c.Write(gwmp.Packet{Version: 2, Token: 7, Type: gwmp.PullData, EUI: chipEUI}.Append(nil))
	}
	if before {
		pull()
		eventually(t, patience, "the packet forwarder is on line", func() bool { return r.d.udp.Online(chipEUI) })
	}
	close(plugged)
	eventually(t, patience, "the chip tells its EUI", func() bool { return r.d.boards.has(chipEUI) })
	pull()
	eventually(t, patience, "the packet forwarder is dropped", func() bool {
		return strings.Contains(s.must("", "events"), "second_address") && !r.d.udp.Online(chipEUI)
	})
	if err := r.d.Transmit(radio.Downlink{
		ID: 1 << 40, Gateway: chipEUI, PHYPayload: []byte{1}, Frequency: 868_100_000,
		DataRate: radio.LoRaDataRate(7, 125_000),
	}); err != nil && !strings.Contains(err.Error(), "sx1302") {
		t.Errorf("a downlink does not go to the chip: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	buf := make([]byte, 2048)
	for {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		if p, err := gwmp.ParsePacket(buf[:n]); err == nil && p.Type == gwmp.PullResp {
			t.Error("a downlink for the chip goes to the packet forwarder")
		}
	}
	eventually(t, patience, "the gateway is on line", func() bool {
		out := s.must("", "gateway", "list")
		return strings.Contains(out, "eui-0016c001f1234567") && strings.Contains(out, "connected") &&
			strings.Count(out, "\n") == 2
	})
}
