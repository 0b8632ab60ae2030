package main

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/classb"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/gnss"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// skyLine is the line to a GNSS receiver in fake time. 100 ms behind each whole second that says
// which one it was, but in a gap.
type skyLine struct {
	text  []byte
	gap   func(time.Time) bool
	blind bool          // it has no fix
	ahead time.Duration // of the calendar of the host
}

func (*skyLine) Write(b []byte) (int, error) { return len(b), nil }
func (*skyLine) Close() error                { return nil }

func (l *skyLine) Read(b []byte) (int, error) {
	if len(l.text) == 0 {
		const behind = 100 * time.Millisecond
		time.Sleep(time.Second - time.Duration(time.Now().Add(-behind).UnixNano())%time.Second)
		now := time.Now().UTC().Truncate(time.Second)
		if l.gap(now) {
			return 0, nil
		}
		now = now.Add(l.ahead)
		if l.blind {
			l.text = []byte(nmea("GNRMC,,V,,,,,,,,,,N"))
			return l.Read(b)
		}
		l.text = []byte(nmea("GNRMC,"+now.Format("150405.00")+",A,5222.386,N,00453.550,E,0.1,,"+now.Format("020106")+",,,A") +
			nmea("GNGGA,"+now.Format("150405.00")+",5222.386,N,00453.550,E,1,09,0.9,12.4,M,46.0,M,,"))
	}
	n := copy(b, l.text)
	l.text = l.text[n:]
	return n, nil
}

// newSkyWorld is a world whose chip has a GNSS receiver, and sends beacons.
func newSkyWorld(t *testing.T, path func(opener) opener, gap func(time.Time) bool) (*world, *sx1302test.Chip) {
	t.Helper()
	w := newWorld(t, "EU_863_870_TTN")
	w.path = path
	w.gnss = gnss.New(gnss.Options{
		Device: "memory", Now: w.clock.Host, Logger: slog.New(slog.DiscardHandler),
		Open: func(int) (io.ReadWriteCloser, error) { return &skyLine{gap: gap}, nil },
	})
	model, _ := w.chipOn(radio.EUI64{0xC}, sx1302test.Options{}, 0)
	w.gateways.Gateway(radio.EUI64{0xC}).Beacons = true
	return w, model
}

// listener adds a device of Class B with a ping slot each second, which tells so.
func (w *world) listener() *air.Device {
	w.Helper()
	d := &session.Device{
		ID: deviceID("abp"), DevEUI: radio.EUI64{1}, Version: session.V1_0_3, Plan: w.plan.ID(), ClassB: true,
		Session: &session.Session{DevAddr: testAddr, Keys: testKeys(w)},
	}
	d.Session.MAC = d.Session.MAC.WithPing(macstate.Ping{Periodicity: 0, Known: true})
	if err := w.devices.Add(d); err != nil {
		w.Fatal(err)
	}
	v, err := w.air.Device(air.DeviceOptions{
		Name: "abp", Plan: w.plan, DataRate: 5, RSSI: -6000, SNR: 850, DevAddr: testAddr, Keys: testKeys(w),
	})
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// Over a model of the chip with a GNSS receiver: each beacon begins with its pulse, items go out in
// ping slots and answers in their windows, and nothing is on the air while time is kept for a beacon.
func TestAirBeacon(t *testing.T) {
	overChipPaths(t, func(t *testing.T, path func(opener) opener) {
		w, model := newSkyWorld(t, path, func(time.Time) bool { return false })
		v := w.listener()
		w.run()
		const length = 10 * time.Minute
		begun, items := time.Now(), 0
		time.Sleep(10 * time.Second)
		for time.Since(begun) < length {
			if _, err := v.Send(frame.Data{
				MType: frame.ConfirmedUp, ClassB: true, FPort: 1, HasFPort: true, FRMPayload: []byte{byte(items)},
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(12 * time.Second)
			w.push("abp", false, `{"downlinks":[{"f_port":15,"frm_payload":"AQ=="}]}`)
			items++
			time.Sleep(5 * time.Second)
		}
		w.stop()
		slices.SortFunc(w.sent, func(a, b air.Transmission) int { return a.Begin.Compare(b.Begin) })
		beacons, slots := checkSky(t, w.sent)
		want := int(radio.GPSTimeOf(begun.Add(length))/radio.GPSTime(128*time.Second) -
			radio.GPSTimeOf(begun)/radio.GPSTime(128*time.Second))
		if beacons != want || slots < items*3/4 {
			t.Errorf("%d beacons, want %d; %d of %d items in ping slots", beacons, want, slots, items)
		}
		t.Logf("%d beacons, %d of %d items in ping slots", beacons, slots, items)
		checkBeaconFrames(t, model)
	})
}

// checkSky counts the beacons and the frames in ping slots. A frame that is in none answers an uplink,
// and may be on the air as soon as the beacon is not, which takes 152.576 ms.
func checkSky(t *testing.T, sent []air.Transmission) (beacons, slots int) {
	t.Helper()
	const period, taken = 128 * time.Second, 197 * time.Millisecond
	for i := range sent {
		tx := &sent[i]
		gps := time.Duration(radio.GPSTimeOf(tx.Begin))
		since := gps.Round(10*time.Microsecond) % period
		if tx.Beacon {
			beacons++
			want := frame.Beacon{
				Time: radio.GPSTime(gps.Round(time.Second)), Place: &radio.Place{Latitude: 52.3731, Longitude: 4.8925},
			}
			if since != 0 || string(tx.PHYPayload) != string(want.Append(nil, 2, 0)) || tx.Frequency != 869_525_000 ||
				tx.DataRate != radio.LoRaDataRate(9, 125_000) {
				t.Errorf("a beacon %v behind its time on %v %v: %x", since, tx.Frequency, tx.DataRate, tx.PHYPayload)
			}
			continue
		}
		if since < taken || since+tx.End.Sub(tx.Begin) > period {
			t.Errorf("a frame is on the air %v behind the time of a beacon", since)
		}
		slot := time.Duration(classb.NextSlot(radio.GPSTime(gps-time.Millisecond), testAddr, 0))
		if (slot - gps).Abs() < 10*time.Microsecond {
			slots++
		}
	}
	return beacons, slots
}

// checkBeaconFrames checks how the chip was told to send beacons.
func checkBeaconFrames(t *testing.T, model *sx1302test.Chip) {
	t.Helper()
	for _, e := range model.Emissions() {
		if e.Trigger != sx1302test.TriggerPPS {
			continue
		}
		const implicit, crc, inverted = 1 << 1, 1 << 0, 1 << 1
		if e.Block[0x62]&(implicit|crc) != implicit || e.Block[0x69]&inverted != 0 || e.Block[0x66] != 10 || e.Cut {
			t.Errorf("a beacon with a header, a CRC, inverted polarity or another preamble than 10: % x, cut %v",
				e.Block[0x60:0x6A], e.Cut)
		}
	}
}

// Where nothing else keeps the calendar, an item goes out at the time that satellites have, and
// messages say which it is. The host's own calendar is years behind.
func TestAirAbsoluteTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 27 * 365 * 24 * time.Hour
		w := newWorld(t, "EU_863_870_TTN")
		w.gnss = gnss.New(gnss.Options{
			Device: "memory", Now: w.clock.Host, Logger: slog.New(slog.DiscardHandler),
			Open: func(int) (io.ReadWriteCloser, error) {
				return &skyLine{gap: func(time.Time) bool { return false }, ahead: ahead}, nil
			},
		})
		w.clock = bridge.NewClock(func(time.Time) radio.TimeQuality { return radio.TimeNone })
		w.clock.Follow(w.gnss.Calendar)
		w.chipOn(radio.EUI64{0xC}, sx1302test.Options{}, 0)
		var up string
		w.message = func(m v3.Message) {
			if m.Suffix == v3.Up {
				up = string(m.Payload)
			}
		}
		v := w.listener()
		w.devices.Device(deviceID("abp")).ClassB = false
		w.devices.Device(deviceID("abp")).ClassC = true
		w.run()
		time.Sleep(10 * time.Second)
		if _, err := v.Send(frame.Data{FPort: 1, HasFPort: true, FRMPayload: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		heard := time.Now().Add(ahead).UTC()
		time.Sleep(20 * time.Second)
		at := time.Now().Add(ahead + 15*time.Second).UTC()
		w.push("abp", false, `{"downlinks":[{"f_port":15,"frm_payload":"AQ==","class_b_c":{"absolute_time":"`+
			at.Format(time.RFC3339Nano)+`"}}]}`)
		time.Sleep(20 * time.Second)
		w.stop()
		last := w.sent[len(w.sent)-1]
		if off := last.Begin.Add(ahead).Sub(at); off.Abs() > time.Millisecond || len(w.sent) != 2 {
			t.Errorf("%d sent, the item %v behind its time", len(w.sent), off)
		}
		for _, want := range []string{`"gps_time":"`, `"received_at":"`, `"time":"`} {
			if want += heard.Format("2006-01-02T15:04:"); !strings.Contains(up, want) {
				t.Errorf("no %s in %s", want, up)
			}
		}
	})
}

// Without the time there is no beacon: it ends 30 s after the receiver has lost it, and begins again
// with the time.
func TestAirBeaconLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		from, to := begun.Add(3*time.Minute), begun.Add(9*time.Minute)
		w, _ := newSkyWorld(t, overSPI, func(now time.Time) bool { return now.After(from) && now.Before(to) })
		w.run()
		time.Sleep(13 * time.Minute)
		w.stop()
		var got []int
		for _, tx := range w.sent {
			if at := tx.Begin; tx.Beacon && at.After(from.Add(30*time.Second)) && at.Before(to) {
				t.Errorf("a beacon at %v", at.Sub(begun))
			}
			got = append(got, int(tx.Begin.Sub(begun)/time.Minute))
		}
		if len(got) < 3 || got[0] > 3 || got[len(got)-1] < 9 {
			t.Errorf("beacons in minutes %v", got)
		}
	})
}
