package air

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// The windows of TestWindows.
const rx1, rx2 = 1, 2

func late(us int64) func(*radio.Downlink) {
	return func(d *radio.Downlink) { d.Time += radio.ConcentratorTime(us) }
}

var windowsTests = []struct {
	name   string
	window int
	change func(*radio.Downlink)
	heard  string
	missed string
}{
	{"RX1", rx1, late(0), "RX1 0", ""},
	{"RX2", rx2, late(0), "RX2 0", ""},
	{"latest", rx1, late(20), "RX1 20", ""},
	{"earliest", rx2, late(-20), "RX2 -20", ""},
	{"too late", rx1, late(21), "", "21 µs late for RX1"},
	{"too early", rx1, late(-412), "", "412 µs early for RX1"},
	{"between", rx1, late(499_999), "", "499.999ms late for RX1"},
	{"nearer to RX2, but for RX1", rx1, late(600_000), "", "600ms late for RX1"},
	{"nearer to RX1, but for RX2", rx2, late(-600_000), "", "600ms early for RX2"},
	{
		"for neither", rx2, func(d *radio.Downlink) { d.Time, d.DataRate = d.Time-600_000, radio.LoRaDataRate(8, 125_000) },
		"", "400ms late for RX1; on 869.525 MHz, RX1 listens on 868.5 MHz; at SF8BW125, RX1 listens at SF7BW125",
	},
	{"long after", rx2, late(30_000_000), "", "30s late for RX2"},
	{
		"other channel", rx1, func(d *radio.Downlink) { d.Frequency = 868_300_000 }, "",
		"on 868.3 MHz, RX1 listens on 868.5 MHz",
	},
	{
		"other data rate", rx2, func(d *radio.Downlink) { d.DataRate = radio.LoRaDataRate(9, 125_000) }, "",
		"at SF9BW125, RX2 listens at SF12BW125",
	},
	{"as an uplink", rx1, func(d *radio.Downlink) { d.Uplink = true }, "", "plain polarity; with a CRC"},
	{
		"coding rate", rx1, func(d *radio.Downlink) { d.CodingRate = radio.CodingRate46 }, "",
		"at coding rate 4/6 instead of 4/5",
	},
	{"coding rate 4/5", rx1, func(d *radio.Downlink) { d.CodingRate = radio.CodingRate45 }, "RX1 0", ""},
	{"loudest", rx1, func(d *radio.Downlink) { d.Power = 1615 }, "RX1 0", ""},
	{"too loud", rx1, func(d *radio.Downlink) { d.Power = 1616 }, "", "with 16.16 dBm EIRP, want 0 to 16.15"},
	{"louder in RX2", rx2, func(d *radio.Downlink) { d.Power = 2700 }, "RX2 0", ""},
	{"too faint", rx1, func(d *radio.Downlink) { d.Power = -1 }, "", "with -0.01 dBm EIRP, want 0 to 16.15"},
	{"all at once", rx1, func(d *radio.Downlink) {
		d.Time, d.Frequency, d.DataRate, d.Uplink = d.Time-30, 867_100_000, radio.LoRaDataRate(8, 125_000), true
	}, "", "30 µs early for RX1; on 867.1 MHz, RX1 listens on 868.5 MHz; at SF8BW125, RX1 listens at SF7BW125; " +
		"plain polarity; with a CRC"},
	{"wrong MIC", rx1, func(d *radio.Downlink) { d.PHYPayload[len(d.PHYPayload)-1]++ }, "", "wrong MIC"},
	{
		"cut short", rx1, func(d *radio.Downlink) { d.PHYPayload = d.PHYPayload[:11] }, "",
		"malformed frame: a data frame of 11 bytes, want at least 12",
	},
}

// One fault after the other keeps a downlink from being heard, and is named.
func TestWindows(t *testing.T) {
	for _, tt := range windowsTests {
		t.Run(tt.name, func(t *testing.T) {
			onAir(t, func(b *bench) {
				v := b.abp()
				s, up := b.sends(v, frame.Data{})
				for s.RX1.Frequency != 868_500_000 { // the channels are drawn
					s, up = b.sends(v, frame.Data{})
				}
				d := answer(up, *(&uplink{Sent: s}).window(tt.window), b.down(frame.Data{}, 1))
				tt.change(&d)
				b.transmits(d)
				time.Sleep(25 * time.Second)
				b.wants(tt.heard, tt.missed)
			})
		})
	}
}

// RX2 stays closed when RX1 has brought a frame for the device.
func TestRX2AfterRX1(t *testing.T) {
	slow := func(d *radio.Downlink) { d.PHYPayload = append(d.PHYPayload, make([]byte, 200)...) }
	tests := []struct {
		name          string
		dataRate      uint8
		change1       func(*radio.Downlink) // of what is sent for RX1
		heard, missed string
	}{
		{"RX1 brought a frame", 5, nil, "RX1 0", "RX2 was not opened: RX1 brought a frame"},
		{"RX1 brought a bad one", 5, slow, "RX2 0", "wrong MIC"},
		{"RX1 brought none", 5, func(d *radio.Downlink) { d.Time -= 100 }, "RX2 0", "100 µs early for RX1"},
		{"RX1 still receives", 0, nil, "RX1 0", "RX2 was not opened: RX1 was still receiving"},
		{
			"RX1 still receives a bad one", 0, func(d *radio.Downlink) { d.PHYPayload[11]++ }, "",
			"wrong MIC, RX2 was not opened: RX1 was still receiving",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onAir(t, func(b *bench) {
				v := b.abp()
				if err := v.SetDataRate(tt.dataRate); err != nil {
					t.Fatal(err)
				}
				other := b.a.Listen(ReceiverOptions{EUI: gatewayB, Counter: 7})
				s, up := b.sends(v, frame.Data{})
				d := answer(up, s.RX1, b.down(frame.Data{HasFPort: true, FPort: 1, FRMPayload: make([]byte, 9)}, 1))
				if tt.change1 != nil {
					tt.change1(&d)
				}
				b.transmits(d)
				two := answer(up, s.RX2, b.down(frame.Data{}, 2))
				two.Time = other.Counter(s.End).Add(s.RX2.Delay)
				if result := other.Transmit(two); result != radio.TxOK {
					t.Fatal(result)
				}
				b.wants(tt.heard, tt.missed)
				silent := 0
				if tt.heard == "" {
					silent = 1
				}
				if len(b.silent) != silent {
					t.Errorf("told %d times that nothing came, want %d", len(b.silent), silent)
				}
			})
		})
	}
}

// Two gateways send for the same window: one frame is received.
func TestSameWindow(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.abp()
		other := b.a.Listen(ReceiverOptions{EUI: gatewayB, Counter: 7})
		s, up := b.sends(v, frame.Data{})
		b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 1)))
		d := answer(up, s.RX1, b.down(frame.Data{}, 2))
		d.Time = other.Counter(s.End).Add(s.RX1.Delay) + 5
		if result := other.Transmit(d); result != radio.TxOK {
			t.Fatal(result)
		}
		b.wants("RX1 0", "RX1 was taken by another frame")
	})
}

// A device that sends again closes the windows of the frame before.
func TestSendAgain(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.abp()
		b.transmits(radio.Downlink{
			PHYPayload: b.down(frame.Data{}, 1), Time: b.r.Counter(time.Now()) + 100_000, Frequency: 868_100_000,
			DataRate: radio.LoRaDataRate(7, 125_000),
		})
		b.wants("", "no window was opened: the device has not sent yet")
		s, up := b.sends(v, frame.Data{})
		b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 2)))
		time.Sleep(500 * time.Millisecond)
		if _, err := v.Send(frame.Data{}); err != nil {
			t.Fatal(err)
		}
		b.wants("", "RX1 was not opened: the device has sent again")

		s, up = b.sends(v, frame.Data{})
		b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 3)))
		time.Sleep(s.RX1.Delay + 10*time.Millisecond)
		if _, err := v.Send(frame.Data{}); err != nil {
			t.Fatal(err)
		}
		b.wants("", "broken off: the device has sent again")
		if len(b.silent) != 2 {
			t.Errorf("told %d times that nothing came, want 2: of the frames whose windows passed", len(b.silent))
		}
	})
}

// The windows are counted by the gateway that sends, whatever its counter does.
func TestDriftAndReset(t *testing.T) {
	for _, drift := range []int{0, 50, -50, 300} {
		onAirWith(t, ReceiverOptions{Counter: 4_294_967_000, Drift: drift}, func(b *bench) {
			v := b.abp()
			for i := uint32(1); i < 20; i++ {
				s, up := b.sends(v, frame.Data{})
				w, name := s.RX1, "RX1 0"
				if i%2 == 0 {
					w, name = s.RX2, "RX2 0"
				}
				b.transmits(answer(up, w, b.down(frame.Data{}, i)))
				b.wants(name, "")
				time.Sleep(7 * time.Minute)
			}
			s, up := b.sends(v, frame.Data{})
			b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 20)))
			b.r.Reset(1000)
			b.wants("", "") // it was lost with the queue
			s, up = b.sends(v, frame.Data{})
			if up.Time > 1000+11_000_000*2 {
				t.Errorf("counter %d after the reset", up.Time)
			}
			b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 20)))
			b.wants("RX1 0", "")
			s, up = b.sends(v, frame.Data{})
			b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 21)))
			time.Sleep(s.RX1.Delay + 10*time.Millisecond)
			b.r.Reset(5)
			b.wants("", "cut off: the gateway was restarted")
		})
	}
}

// A device hears a frame by the times at which things happen, not by the time at which a
// busy machine runs Run.
func TestRunBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{TB: t, a: New(1)}
		b.r = b.a.Listen(ReceiverOptions{EUI: gatewayA})
		v := b.abp()
		for i := range uint32(3) {
			s, err := v.Send(frame.Data{})
			if err != nil {
				t.Fatal(err)
			}
			b.transmits(answer(radio.Uplink{Time: b.r.Counter(s.End)}, s.RX1, b.down(frame.Data{}, i)))
			switch i {
			case 0:
				time.Sleep(4 * time.Second) // long after RX2
			case 1:
				time.Sleep(1060 * time.Millisecond) // while it is received
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		go func() { _ = b.a.Run(ctx) }()
		b.wants("RX1 0, RX1 0", "broken off: the device has sent again")
		if len(b.silent) != 0 {
			t.Errorf("told %d times that nothing came", len(b.silent))
		}
		cancel()
	})
}

func TestBusy(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.abp()
		busy := func(after, want time.Duration) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := v.Busy(); got != want {
				t.Errorf("busy for %v, want %v", got, want)
			}
		}
		busy(0, 0)
		b.sends(v, frame.Data{})
		busy(0, 2100*time.Millisecond)
		busy(2*time.Second, 100*time.Millisecond)
		busy(100*time.Millisecond, 0)
		s, up := b.sends(v, frame.Data{})
		d := answer(up, s.RX2, b.down(frame.Data{}, 1)) // lasts 991.232 ms
		b.transmits(d)
		busy(2010*time.Millisecond, 981_232*time.Microsecond)
		busy(time.Second, 0)
		s, up = b.sends(v, frame.Data{})
		b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 2)))
		busy(1010*time.Millisecond, 1090*time.Millisecond) // RX2 may yet be opened
		busy(50*time.Millisecond, 0)
		b.wants("RX2 0, RX1 0", "")
	})
}
