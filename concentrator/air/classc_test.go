package air

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// always has a device of Class C, which hears nothing for 50 ms after each frame.
func (b *bench) always() *Device {
	b.Helper()
	v := b.abp()
	v.opts.ClassC, v.opts.Shut = true, 50*time.Millisecond
	return v
}

// later sends a downlink with the settings of RX2 that begins after a time.
func (b *bench) later(up radio.Uplink, s Sent, after time.Duration, fCnt uint32, change ...func(*radio.Downlink)) {
	b.Helper()
	phy := b.down(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{1}}, fCnt)
	d := answer(up, Window{after, s.RX2.Frequency, s.RX2.DataRate}, phy)
	for _, f := range change {
		f(&d)
	}
	b.transmits(d)
}

// A device of Class C hears at all times, but while it sends, in RX1, and for as long as
// its receiver is shut after a frame.
func TestAlways(t *testing.T) {
	airtime, err := radio.TimeOnAir(radio.Packet{DataRate: radio.LoRaDataRate(12, 125_000), Size: 14, NoCRC: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		frames        []time.Duration // after the end of an uplink, with RX1 after 1 s
		change        func(*radio.Downlink)
		heard, missed string
	}{
		{"later", []time.Duration{30 * time.Second}, nil, "RX3 0", ""},
		{"RX2", []time.Duration{2 * time.Second}, nil, "RX3 0", ""},
		{"into RX1", []time.Duration{300 * time.Millisecond}, nil, "", "RX1 opened meanwhile"},
		{"while it listens in RX1", []time.Duration{1010 * time.Millisecond}, nil, "", "RX1 opened meanwhile"},
		{"behind RX1", []time.Duration{1100 * time.Millisecond}, nil, "RX3 0", ""},
		{
			"another frequency",
			[]time.Duration{9 * time.Second},
			func(d *radio.Downlink) { d.Frequency = 868_100_000 }, "", "on 868.1 MHz, RX2 listens on 869.525 MHz",
		},
		{
			"its receiver is shut",
			[]time.Duration{9 * time.Second, 9*time.Second + airtime + 45*time.Millisecond},
			nil,
			"RX3 0", "before the receiver was open again",
		},
		{
			"one after the other",
			[]time.Duration{9 * time.Second, 9*time.Second + airtime + 60*time.Millisecond},
			nil,
			"RX3 0, RX3 0", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onAir(t, func(b *bench) {
				v := b.always()
				s, up := b.sends(v, frame.Data{})
				for i, after := range tt.frames {
					if tt.change != nil {
						b.later(up, s, after, uint32(i+1), tt.change)
					} else {
						b.later(up, s, after, uint32(i+1))
					}
				}
				time.Sleep(time.Minute)
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

// A device of Class C that confirms, as LoRaMac-node does after a join: its frames are confirmed
// until the first downlink, which it does not hear while its state is written to flash.
func TestConfirmsUntilADownlink(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.always()
		v.opts.Confirms, v.confirms = true, true
		for range 2 {
			if s, _ := b.sends(v, frame.Data{HasFPort: true, FPort: 1}); !mustParse(t, s.PHYPayload).Confirmed() {
				t.Error("an unconfirmed frame before the first downlink")
			}
		}
		s, up := b.sends(v, frame.Data{HasFPort: true, FPort: 1})
		v.shut = s.End.Add(10 * time.Second)
		b.later(up, s, 9*time.Second, 1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(b.missed) != 1 || !strings.Contains(b.missed[0].Reason, "before the receiver was open again") {
			t.Errorf("missed %+v", b.missed)
		}
		b.missed = nil
		s, up = b.sends(v, frame.Data{HasFPort: true, FPort: 1})
		if !mustParse(t, s.PHYPayload).Confirmed() {
			t.Error("an unconfirmed frame though no downlink was heard")
		}
		b.later(up, s, 5*time.Second, 2)
		b.wants("RX3 0", "")
		if s, _ := b.sends(v, frame.Data{HasFPort: true, FPort: 1}); mustParse(t, s.PHYPayload).Confirmed() {
			t.Error("a confirmed frame after the first downlink")
		}
	})
}
