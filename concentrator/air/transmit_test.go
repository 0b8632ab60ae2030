package air

import (
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// txAt is a downlink that lasts 41.216 ms, at a time from now.
func (b *bench) txAt(us int64) radio.Downlink {
	return radio.Downlink{
		PHYPayload: make([]byte, 12), Time: b.r.Counter(time.Now()) + radio.ConcentratorTime(us),
		Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), Power: 1400,
	}
}

// txAirtime is the time on air of bench.txAt's packet, in µs.
const txAirtime = 41_216

func txWith(us int64, change func(*radio.Downlink)) func(*bench) radio.Downlink {
	return func(b *bench) radio.Downlink {
		d := b.txAt(us)
		if change != nil {
			change(&d)
		}
		return d
	}
}

var transmitTests = []struct {
	name   string
	queued []int64 // µs from now
	tx     func(*bench) radio.Downlink
	want   radio.TxResult
}{
	{"just in time", nil, txWith(42_501, nil), radio.TxOK},
	{"too late", nil, txWith(42_500, nil), radio.TxTooLate},
	{"past", nil, txWith(-1_000_000, nil), radio.TxTooLate},
	{"30 minutes past", nil, txWith(-1_800_000_000, nil), radio.TxTooLate},
	{"as early as can be", nil, txWith(512_000_000, nil), radio.TxOK},
	{"too early", nil, txWith(512_000_001, nil), radio.TxTooEarly},
	{"32 bits of the time", nil, txWith(1_000_000,
		func(d *radio.Downlink) { d.Time = radio.ConcentratorTime(d.Time.Counter()) }), radio.TxOK},
	{"extended time", nil, txWith(1_000_000, func(d *radio.Downlink) { d.Time += 7 << 32 }), radio.TxOK},
	{"collision", []int64{1_000_000}, txWith(1_000_000, nil), radio.TxCollisionPacket},
	{"behind, too close", []int64{1_000_000}, txWith(1_000_000+txAirtime+42_500, nil), radio.TxCollisionPacket},
	{"behind", []int64{1_000_000}, txWith(1_000_000+txAirtime+42_501, nil), radio.TxOK},
	{"before, too close", []int64{1_000_000}, txWith(1_000_000-txAirtime-42_500, nil), radio.TxCollisionPacket},
	{"before", []int64{1_000_000}, txWith(1_000_000-txAirtime-42_501, nil), radio.TxOK},
	{"between", []int64{1_000_000, 1_300_000}, txWith(1_100_000, nil), radio.TxOK},
	{"no room between", []int64{1_000_000, 1_150_000}, txWith(1_084_000, nil), radio.TxCollisionPacket},
	{"out of band", nil, txWith(1_000_000, func(d *radio.Downlink) { d.Frequency = 915_000_000 }), radio.TxFreq},
	{"between the sub-bands", nil, txWith(1_000_000, func(d *radio.Downlink) { d.Frequency = 868_650_000 }), radio.TxFreq},
	{
		"no modulation", nil, txWith(1_000_000, func(d *radio.Downlink) { d.DataRate.SpreadingFactor = 13 }),
		radio.TxUnknownError,
	},
	{"empty", nil, txWith(1_000_000, func(d *radio.Downlink) { d.PHYPayload = nil }), radio.TxUnknownError},
	{
		"too long", nil, txWith(1_000_000, func(d *radio.Downlink) { d.PHYPayload = make([]byte, 256) }),
		radio.TxUnknownError,
	},
}

// The rules of the reference forwarder's queue, to the µs.
func TestTransmit(t *testing.T) {
	for _, tt := range transmitTests {
		t.Run(tt.name, func(t *testing.T) {
			onAirWith(t, ReceiverOptions{Counter: 4_294_900_000, Plan: plan(t)}, func(b *bench) {
				for _, us := range tt.queued {
					b.transmits(b.txAt(us))
				}
				if got := b.r.Transmit(tt.tx(b)); got != tt.want {
					t.Errorf("%v, want %v", got, tt.want)
				}
				sent := len(tt.queued)
				if tt.want == radio.TxOK {
					sent++
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if len(b.log) != sent {
					t.Errorf("%d transmissions, want %d", len(b.log), sent)
				}
			})
		})
	}
}

func TestTransmitFull(t *testing.T) {
	onAir(t, func(b *bench) {
		for i := range int64(queueSize) {
			b.transmits(b.txAt(1_000_000 * (i + 1)))
		}
		if got := b.r.Transmit(b.txAt(100_000_000)); got != radio.TxCollisionPacket {
			t.Errorf("%v with a full queue", got)
		}
		time.Sleep(1100 * time.Millisecond)
		b.transmits(b.txAt(100_000_000))
	})
}

// An immediate frame goes out 80 ms from now, or in the first gap after that.
func TestTransmitImmediate(t *testing.T) {
	tests := []struct {
		name   string
		queued []int64
		want   int64
	}{
		{"nothing queued", nil, 80_000},
		{"far from what is queued", []int64{500_000}, 80_000},
		{"behind one", []int64{100_000}, 100_000 + 41_216 + 41_500 + 40_000 + 1_000},
		{"in a gap", []int64{100_000, 200_000, 600_000}, 200_000 + 41_216 + 41_500 + 40_000 + 1_000},
		{"behind all", []int64{600_000, 200_000, 100_000, 350_000, 480_000}, 600_000 + 41_216 + 41_500 + 40_000 + 1_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onAir(t, func(b *bench) {
				begin := time.Now()
				for _, us := range tt.queued {
					b.transmits(b.txAt(us))
				}
				d := b.txAt(-5)
				d.Immediate = true
				b.transmits(d)
				time.Sleep(time.Second)
				synctest.Wait()
				for _, tx := range b.log {
					if tx.Immediate && tx.Begin.Sub(begin) != time.Duration(tt.want)*time.Microsecond {
						t.Errorf("sent after %v, want %d µs", tx.Begin.Sub(begin), tt.want)
					}
				}
				if len(b.log) != len(tt.queued)+1 {
					t.Errorf("%d transmissions", len(b.log))
				}
			})
		})
	}
}

// Each gateway hears a device in its own way, and a device each gateway.
func TestSignalAndLoss(t *testing.T) {
	onAirWith(t, ReceiverOptions{
		Signal: func(dev string) (rssi, snr radio.Decibel) { return -9000, radio.Decibel(len(dev)) },
		Loss:   func(dev string) bool { return dev == "lost" },
		Deaf:   func(dev string) bool { return dev == "deaf" },
		Plan:   plan(t),
	}, func(b *bench) {
		var other []radio.Uplink
		two := b.a.Listen(ReceiverOptions{EUI: gatewayB, Hear: func(up radio.Uplink) { other = append(other, up) }})
		deaf := b.device(DeviceOptions{
			Name: "deaf", DevAddr: addr1, Keys: sessionKeys(1, 2), DataRate: 5, RSSI: -5000,
			SNR: 700,
		})
		lost := b.device(DeviceOptions{Name: "lost", DevAddr: radio.DevAddr{2}, Keys: sessionKeys(1, 2), DataRate: 5})
		s, up := b.sends(deaf, frame.Data{})
		if p, q := up.Receptions[0], other[0].Receptions[0]; p.RSSI != -9000 || p.SNR != 4 || q.RSSI != -5000 ||
			q.SNR != 700 || q.Channel != p.Channel {
			t.Errorf("signals %+v and %+v", p, q)
		}
		b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 1)))
		b.wants("", "lost on the air")
		if len(b.silent) != 1 {
			t.Errorf("told %d times that nothing came", len(b.silent))
		}
		if _, err := lost.Send(frame.Data{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(b.ups) != 1 || len(other) != 2 {
			t.Errorf("the gateways have heard %d and %d frames", len(b.ups), len(other))
		}

		// The windows are those of the frame that the first gateway has lost.
		s, err := lost.Send(frame.Data{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(s.End))
		d := answer(up, s.RX1, b.down(frame.Data{DevAddr: radio.DevAddr{2}}, 1))
		d.Time = b.r.Counter(s.End).Add(s.RX1.Delay)
		b.transmits(d)
		b.wants("RX1 0", "")

		two.Close()
		if got := two.Transmit(d); got != radio.TxNoPath {
			t.Errorf("a gateway that is off the air: %v", got)
		}
		b.sends(deaf, frame.Data{})
		if len(other) != 3 {
			t.Errorf("a gateway that is off the air has heard %d frames, want 3 from before", len(other))
		}
	})
}

// A gateway hears on the channels of its plan only.
func TestReceiverPlan(t *testing.T) {
	onAirWith(t, ReceiverOptions{Plan: plan(t)}, func(b *bench) {
		v := b.abp()
		for i, c := range []struct {
			f     radio.Frequency
			dr    uint8
			heard int
		}{{868_300_000, 5, 1}, {868_300_000, 6, 2}, {868_900_000, 5, 2}, {868_800_000, 7, 3}} {
			b.a.mu.Lock()
			v.channels, v.dataRate = []region.Channel{{Frequency: c.f, MaxDR: 7}}, c.dr
			b.a.mu.Unlock()
			if _, err := v.Send(frame.Data{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if len(b.ups) != c.heard {
				t.Errorf("case %d: %d frames heard, want %d", i, len(b.ups), c.heard)
			}
		}
		if got := []uint8{
			b.ups[0].Receptions[0].Channel, b.ups[1].Receptions[0].Channel,
			b.ups[2].Receptions[0].Channel,
		}; got[0] != 1 || got[1] != 8 || got[2] != 9 {
			t.Errorf("on channels %v, want 1, 8 and 9", got)
		}
		if up := b.ups[2]; up.CodingRate != 0 || up.DataRate != radio.FSKDataRate(50_000) {
			t.Errorf("FSK uplink %+v", up)
		}
	})
}
