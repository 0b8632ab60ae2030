package air

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// A device has the ping slots in which The Things Stack 3.32.1 has sent to DevAddr 0068DA7D, with
// one each 2 s, by GPS time in ms.
func TestPingSlots(t *testing.T) {
	v := &Device{opts: DeviceOptions{Periodicity: 1}, session: Session{DevAddr: radio.DevAddr{0x00, 0x68, 0xda, 0x7d}}}
	const ms = radio.GPSTime(time.Millisecond)
	for _, want := range []radio.GPSTime{1_479_919_234_360 * ms, 1_479_919_243_960 * ms} {
		for _, off := range []radio.GPSTime{0, 1, -1, 900 * ms, -900 * ms} {
			if slot, beacon := v.pingSlot(want + off); slot != want || beacon > want || beacon%(128_000*ms) != 0 {
				t.Errorf("%d ms from the slot at %d ms: %d ms, beacon at %d ms", off/ms, want/ms, slot/ms, beacon/ms)
			}
		}
	}
}

// pinging has a device of Class B that the network has answered, with a ping slot each 4 s. The
// gateway knows GPS time.
func (b *bench) pinging() *Device {
	b.Helper()
	v := b.abp()
	v.opts.ClassB, v.opts.Periodicity = true, 2
	s, up := b.sends(v, frame.Data{HasFPort: true, FPort: 1})
	if d := mustParse(b, s.PHYPayload); d.ClassB || string(d.FOpts) != "\x10\x02" {
		b.Errorf("the first uplink: %+v", d)
	}
	if up.GPS != radio.GPSTimeOf(s.End) {
		b.Errorf("the uplink ends at %v of GPS time, want %v", up.GPS, radio.GPSTimeOf(s.End))
	}
	b.transmits(answer(up, s.RX1, b.down(frame.Data{FOpts: []byte{0x10}}, 1)))
	b.wants("RX1 0", "")
	s, _ = b.sends(v, frame.Data{HasFPort: true, FPort: 1})
	if d := mustParse(b, s.PHYPayload); !d.ClassB || len(d.FOpts) > 0 {
		b.Errorf("after the answer: %+v", d)
	}
	b.wants("", "")
	return v
}

// A device of Class B hears in its ping slots, on their channel.
func TestClassB(t *testing.T) {
	const slot = 4 * time.Second
	for _, tt := range []struct {
		name          string
		late          time.Duration
		change        func(*Device, *radio.Downlink)
		heard, missed string
	}{
		{"in its slot", 0, nil, "RX4 0", ""},
		{"one slot of others later", 30 * time.Millisecond, nil, "", "RX2"},
		{"a millisecond early", -time.Millisecond, nil, "", "RX2"},
		{"on another frequency", 0, func(_ *Device, d *radio.Downlink) { d.Frequency = 868_100_000 }, "", "on 868.1 MHz"},
		{"at another data rate", 0, func(_ *Device, d *radio.Downlink) {
			d.DataRate = radio.LoRaDataRate(12, 125_000)
		}, "", "at SF12BW125"},
		{"it was not answered", 0, func(v *Device, _ *radio.Downlink) { v.pinging = false }, "", "RX2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onAirWith(t, ReceiverOptions{Counter: 4_290_000_000, GPS: true}, func(b *bench) {
				v := b.pinging()
				at, _ := v.pingSlot(radio.GPSTimeOf(time.Now().Add(2 * slot)))
				d := radio.Downlink{
					PHYPayload: b.down(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{1}}, 2),
					Frequency:  869_525_000, DataRate: radio.LoRaDataRate(9, 125_000), Power: 1400,
					GPS: at + radio.GPSTime(tt.late),
				}
				if tt.change != nil {
					tt.change(v, &d)
				}
				b.transmits(d)
				time.Sleep(3 * slot)
				synctest.Wait()
				missed := ""
				for _, m := range b.missed {
					missed += m.Reason
				}
				if !strings.Contains(missed, tt.missed) || (missed == "") != (tt.missed == "") {
					t.Errorf("missed %q, want %q", missed, tt.missed)
				}
				b.missed = nil
				b.wants(tt.heard, "")
			})
		})
	}
}

// A gateway without GPS time cannot send by it.
func TestNoGPS(t *testing.T) {
	onAir(t, func(b *bench) {
		d := radio.Downlink{PHYPayload: []byte{1}, Frequency: 869_525_000, DataRate: radio.LoRaDataRate(9, 125_000), GPS: 1}
		if got := b.r.Transmit(d); got != radio.TxGPSUnlocked {
			t.Errorf("%v", got)
		}
	})
}
