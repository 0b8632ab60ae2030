package beacon

import (
	"encoding/hex"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/radio"
	"lorawand/radio/region"
)

const (
	period = 128 * time.Second
	now    = radio.HostTime(time.Minute)
)

var net = radio.NetID{0x60, 0x00, 0x13}

// rig is a gateway some time after a beacon, and what is planned for it.
type rig struct {
	Sender
	plan *schedule.Scheduler
	g    *gateway.Gateway
}

func newRig(t *testing.T, plan string, since time.Duration) *rig {
	t.Helper()
	p, err := region.Lookup(plan)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{plan: schedule.New(), g: &gateway.Gateway{
		ID: "gw", EUI: radio.EUI64{1, 2, 3, 4, 5, 6, 7, 8}, Plan: p, Online: true, Local: true, EnforceDutyCycle: true,
		Beacons: true, HasClock: true, Clock: gateway.Moment{Counter: 7_000_000, Host: now},
		GPS: radio.GPSTime(time.Duration(0x01000000)*period + since),
	}}
}

// pass has time pass, in which the gateway tells its time.
func (r *rig) pass(d time.Duration) radio.HostTime {
	c := &r.g.Clock
	c.Counter, c.Host, r.g.GPS = c.Counter.Add(d), c.Host.Add(d), r.g.GPS+radio.GPSTime(d)
	return c.Host
}

func (r *rig) next() (d radio.Downlink, ok bool) {
	b, _ := r.Next(r.plan, r.g, r.g.Clock.Host, net)
	if b == nil {
		return d, false
	}
	return b.Downlink, true
}

// A beacon is planned once, 3 s before its time, and is in the ledger.
func TestNext(t *testing.T) {
	r := newRig(t, "EU_863_870_TTN", 0)
	sent := 0
	for n := range 3 * 128 {
		d, ok := r.next()
		if ok {
			sent++
			ahead := d.Time.Sub(r.g.Clock.Counter)
			if at := time.Duration(r.g.GPS) + ahead; at%period != 0 || ahead > 3*time.Second || time.Duration(d.GPS) != at {
				t.Errorf("second %d: a beacon in %v, %v behind its time", n, ahead, at%period)
			}
			if !d.Beacon || d.Gateway != r.g.EUI || d.ID == 0 {
				t.Errorf("%+v", d)
			}
		}
		r.pass(time.Second)
	}
	var used time.Duration
	for _, e := range r.plan.Sent(r.g, r.g.Clock.Host) {
		if e.Why.Window != "beacon" || e.Priority != radio.PriorityHighest {
			t.Errorf("in the ledger: %+v", e)
		}
		used += e.Airtime
	}
	if airtime := 152576 * time.Microsecond; sent != 3 || used != 3*airtime {
		t.Errorf("%d beacons, %v in the ledger, want 3 of %v", sent, used, airtime)
	}
}

// What a beacon holds, and on which channel it is sent. In US915 channels take turns.
func TestContent(t *testing.T) {
	place := &gateway.Location{Latitude: 52.3731, Longitude: 4.8925}
	const hour = "00000080" // 0x80000000 s
	for _, tt := range []struct {
		plan      string
		beacons   time.Duration // later than the first
		at        *gateway.Location
		frequency radio.Frequency
		rate      radio.DataRate
		begin     string
		size      int
	}{
		{"EU_863_870_TTN", 1, place, 869_525_000, radio.LoRaDataRate(9, 125_000), "0000" + "80000080", 17},
		{"EU_863_870_TTN", 0, nil, 869_525_000, radio.LoRaDataRate(9, 125_000), "0000" + hour, 17},
		{"US_902_928_FSB_2", 0, place, 923_300_000, radio.LoRaDataRate(12, 500_000), "0000000000" + hour, 23},
		{"US_902_928_FSB_2", 3, place, 925_100_000, radio.LoRaDataRate(12, 500_000), "0000000000" + "80010080", 23},
		{"AU_915_928_FSB_2", 7, place, 927_500_000, radio.LoRaDataRate(12, 500_000), "0000000000" + "80030080", 23},
		{"IN_865_867", 0, place, 866_550_000, radio.LoRaDataRate(8, 125_000), "00" + hour, 19},
		{"AS_920_923", 0, place, 923_400_000, radio.LoRaDataRate(9, 125_000), "0000" + hour, 17},
	} {
		r := newRig(t, tt.plan, -2*time.Second)
		r.g.Location = tt.at
		r.pass(tt.beacons * period)
		d, ok := r.next()
		text := hex.EncodeToString(d.PHYPayload)
		if !ok || d.Frequency != tt.frequency || d.DataRate != tt.rate || len(d.PHYPayload) != tt.size ||
			text[:len(tt.begin)] != tt.begin {
			t.Errorf("%s, beacon %d: %v, %v %v %s, want %v %v %s", tt.plan, tt.beacons, ok, d.Frequency, d.DataRate, text,
				tt.frequency, tt.rate, tt.begin)
			continue
		}
		info := text[len(tt.begin)+4:][:14]
		if want := map[bool]string{true: "00847d4a97a803", false: "03130060080706"}[tt.at != nil]; info[:2] != want[:2] ||
			tt.at == nil && info != want {
			t.Errorf("%s: it says %s, want %s", tt.plan, info, want)
		}
	}
}

// Why no beacon is sent.
func TestNone(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"not asked for":               func(r *rig) { r.g.Beacons = false },
		"no GPS time":                 func(r *rig) { r.g.GPS = 0 },
		"off line":                    func(r *rig) { r.g.Online = false },
		"too early":                   func(r *rig) { r.pass(-10 * time.Second) },
		"already planned":             func(r *rig) { r.next() },
		"another frame is on the air": func(r *rig) { r.occupy(2 * time.Second) },
		"the hour is used up":         (*rig).useUp,
	} {
		r := newRig(t, "EU_863_870_TTN", -2*time.Second)
		change(r)
		if d, ok := r.next(); ok {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// occupy has a frame planned where the next beacon is to begin, so long from now: GPS time was not
// known then.
func (r *rig) occupy(ahead time.Duration) *schedule.Slot {
	c, gps := &r.g.Clock, r.g.GPS
	r.g.GPS = 0
	slot, _ := r.plan.Commit(c.Host, schedule.Emission{
		Gateway: r.g, Start: c.Counter.Add(ahead - 10*time.Millisecond), HostStart: c.Host.Add(ahead - 10*time.Millisecond),
		Airtime: 100 * time.Millisecond, Frequency: 868_100_000, Priority: radio.PriorityNormal,
	})
	r.g.GPS = gps
	return slot
}

// useUp uses up the airtime of the hour.
func (r *rig) useUp() {
	sub, _ := r.g.Plan.SubBand(869_525_000)
	r.plan.Restore(r.g.EUI, map[radio.Frequency]time.Duration{sub.Low: 6 * time.Minute})
}

// A beacon that has no place yet is planned as soon as it has one.
func TestPlaceComesFree(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ahead time.Duration // when the place comes free
		want  bool
	}{
		{"at once", 3 * time.Second, true},
		{"a second later", 2 * time.Second, true},
		{"just in time", time.Second, true},
		{"never", 0, false},
	} {
		r := newRig(t, "EU_863_870_TTN", -3*time.Second)
		slot, sent, told := r.occupy(3*time.Second), 0, 0
		for left := 3 * time.Second; left > 0; left -= time.Second {
			if left == tt.ahead {
				r.plan.Release(slot)
			}
			b, err := r.Next(r.plan, r.g, r.g.Clock.Host, net)
			if b != nil {
				sent++
			}
			if err != nil {
				told++
			}
			r.pass(time.Second)
		}
		if got := sent == 1 && told == 0; got != tt.want || sent+told != 1 {
			t.Errorf("%s: %d beacons, told %d times", tt.name, sent, told)
		}
	}
}

// It is told that beacons have no place, and why: once an hour.
func TestNoPlaceTold(t *testing.T) {
	for want, change := range map[string]func(*rig){
		"there is no place for it: conflict":   func(r *rig) { r.occupy(2 * time.Second) },
		"there is no place for it: duty_cycle": func(r *rig) { r.useUp() },
	} {
		r, told := newRig(t, "EU_863_870_TTN", -2*time.Second), 0
		for range 10 {
			change(r)
			for range 2 {
				_, err := r.Next(r.plan, r.g, r.g.Clock.Host, net)
				if err != nil && err.Error() != want {
					t.Errorf("told %q, want %q", err, want)
				}
				if err != nil {
					told++
				}
				r.pass(time.Second)
			}
			r.pass(period - 2*time.Second)
		}
		if told != 1 {
			t.Errorf("%s: told %d times in %v", want, told, 10*period)
		}
	}
}

// A beacon that the gateway has refused has used no airtime.
func TestAcked(t *testing.T) {
	for result, want := range map[radio.TxResult]int{
		radio.TxOK: 1, radio.TxNoAck: 1, radio.TxNoPath: 0, radio.TxTooLate: 0,
	} {
		r := newRig(t, "EU_863_870_TTN", -2*time.Second)
		d, ok := r.next()
		if !ok {
			t.Fatal("no beacon")
		}
		_ = r.Acked(r.plan, radio.TxAck{Gateway: r.g.EUI, ID: 7, Result: radio.TxNoPath}) // of another frame
		for range 2 {
			_ = r.Acked(r.plan, radio.TxAck{Gateway: r.g.EUI, ID: d.ID, Result: result})
		}
		if got := len(r.plan.Sent(r.g, now)); got != want {
			t.Errorf("%v: %d in the ledger, want %d", result, got, want)
		}
	}
}

// It is told when beacons are refused: once an hour, for another reason at once, and again after one
// that was sent.
func TestRefusedTold(t *testing.T) {
	r := newRig(t, "EU_863_870_TTN", -2*time.Second)
	for i, tt := range []struct {
		result radio.TxResult
		told   bool
	}{
		{radio.TxOK, false},
		{radio.TxFreq, true},
		{radio.TxFreq, false},
		{radio.TxNoAck, false},
		{radio.TxFreq, false},
		{radio.TxPower, true},
		{radio.TxFreq, true},
		{radio.TxOK, false},
		{radio.TxFreq, true},
	} {
		d, ok := r.next()
		if !ok {
			t.Fatalf("beacon %d is not planned", i)
		}
		err := r.Acked(r.plan, r.ack(d, tt.result))
		if (err != nil) != tt.told || tt.told && err.Error() != tt.result.String() {
			t.Errorf("beacon %d, %v: told: %v", i, tt.result, err)
		}
		r.pass(period)
	}
	times := 0
	for range 3 * int(time.Hour/period) {
		d, _ := r.next()
		if r.Acked(r.plan, r.ack(d, radio.TxFreq)) != nil {
			times++
		}
		r.pass(period)
	}
	if times != 2 && times != 3 {
		t.Errorf("told %d times in three hours", times)
	}
}

func (r *rig) ack(d radio.Downlink, result radio.TxResult) radio.TxAck {
	return radio.TxAck{Gateway: r.g.EUI, ID: d.ID, Result: result, At: r.g.Clock.Host}
}
