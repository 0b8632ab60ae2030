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

func (r *rig) next() (radio.Downlink, bool) {
	d, _, ok := r.Next(r.plan, r.g, r.g.Clock.Host, net)
	return d, ok
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
		"not asked for":   func(r *rig) { r.g.Beacons = false },
		"no GPS time":     func(r *rig) { r.g.GPS = 0 },
		"off line":        func(r *rig) { r.g.Online = false },
		"too early":       func(r *rig) { r.pass(-10 * time.Second) },
		"already planned": func(r *rig) { r.next() },
		"another frame is on the air": func(r *rig) {
			r.g.GPS = 0 // not known when that was planned
			r.plan.Commit(now, schedule.Emission{
				Gateway: r.g, Start: 8_990_000, HostStart: now.Add(1990 * time.Millisecond), Airtime: 100 * time.Millisecond,
				Frequency: 868_100_000, Priority: radio.PriorityNormal,
			})
			r.g.GPS = radio.GPSTime(time.Duration(0x01000000)*period - 2*time.Second)
		},
		"the hour is used up": func(r *rig) {
			r.plan.Restore(r.g.EUI, map[radio.Frequency]time.Duration{r.band(): 6 * time.Minute})
		},
	} {
		r := newRig(t, "EU_863_870_TTN", -2*time.Second)
		change(r)
		if d, ok := r.next(); ok {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func (r *rig) band() radio.Frequency {
	sub, _ := r.g.Plan.SubBand(869_525_000)
	return sub.Low
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
		r.Acked(r.plan, radio.TxAck{Gateway: r.g.EUI, ID: 7, Result: radio.TxNoPath}) // of another frame
		for range 2 {
			r.Acked(r.plan, radio.TxAck{Gateway: r.g.EUI, ID: d.ID, Result: result})
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
		if got := r.Acked(r.plan, r.ack(d, tt.result)); got != tt.told {
			t.Errorf("beacon %d, %v: told: %v", i, tt.result, got)
		}
		r.pass(period)
	}
	times := 0
	for range 3 * int(time.Hour/period) {
		d, _ := r.next()
		if r.Acked(r.plan, r.ack(d, radio.TxFreq)) {
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
