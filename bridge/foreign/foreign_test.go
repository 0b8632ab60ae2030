package foreign

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

const (
	ms  = time.Millisecond
	now = radio.HostTime(time.Minute)
)

// rig is a gateway near by, whose counter shows 5 s before it wraps, and what is planned for it.
type rig struct {
	*testing.T
	Sender
	plan *schedule.Scheduler
	g    *gateway.Gateway
}

const counterNow = radio.ConcentratorTime(3<<32 - 5_000_000)

func newRig(t *testing.T, plan string) *rig {
	t.Helper()
	p, err := region.Lookup(plan)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, plan: schedule.New(), g: &gateway.Gateway{
		ID: "gw", EUI: radio.EUI64{1, 2, 3, 4, 5, 6, 7, 8}, Plan: p, Online: true, Local: true, EnforceDutyCycle: true,
		HasClock: true, Clock: gateway.Moment{Counter: counterNow, Host: now},
	}}
	r.g.Answered(3 * ms)
	return r
}

// rx1 is a downlink of 20 bytes that begins a time from now.
func rx1(ahead time.Duration, change ...func(*radio.Downlink)) Request {
	d := radio.Downlink{
		PHYPayload: make([]byte, 20), Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), Power: 1400,
		Time: radio.ConcentratorTime(counterNow.Add(ahead).Counter()),
	}
	for _, f := range change {
		f(&d)
	}
	return Request{Ticket: 7, Network: "server:1700", Downlink: d}
}

func on(f radio.Frequency) func(*radio.Downlink) { return func(d *radio.Downlink) { d.Frequency = f } }

func at(sf uint8) func(*radio.Downlink) {
	return func(d *radio.Downlink) { d.DataRate = radio.LoRaDataRate(sf, 125_000) }
}

func size(n int) func(*radio.Downlink) {
	return func(d *radio.Downlink) { d.PHYPayload = make([]byte, n) }
}

func immediate(d *radio.Downlink) { d.Immediate, d.Time = true, 0 }

func atGPS(t radio.GPSTime) func(*radio.Downlink) {
	return func(d *radio.Downlink) { d.GPS, d.Time = t, 0 }
}

// local plans a downlink of a device of ours, a second from now.
func (r *rig) local(hold bool, p radio.Priority, fallback bool) *schedule.Slot {
	r.Helper()
	e := schedule.Emission{
		Gateway: r.g, Start: counterNow.Add(time.Second), HostStart: now.Add(time.Second), Airtime: 60 * ms,
		Frequency: 868_300_000, Priority: p, Fallback: fallback,
	}
	plan := r.plan.Commit
	if hold {
		plan = r.plan.Hold
	}
	slot, v := plan(now, e)
	if slot == nil {
		r.Fatalf("no place for our own downlink: %v", v.Reason)
	}
	return slot
}

func gps(t radio.GPSTime) func(*rig) { return func(r *rig) { r.g.GPS = t } }

const second = radio.GPSTime(time.Second)

// full uses up nearly all that another network may use of a sub-band.
func full(r *rig) {
	sub, _ := r.g.Plan.SubBand(868_100_000)
	r.plan.Restore(r.g.EUI, map[radio.Frequency]time.Duration{sub.Low: 36 * time.Second * 39 / 100})
}

// ours plans a downlink of a device of ours, or holds its place.
func ours(hold bool, p radio.Priority, fallback bool) func(*rig) {
	return func(r *rig) { r.local(hold, p, fallback) }
}

const (
	tooLate   = radio.TxTooLate
	collision = radio.TxCollisionPacket
)

var words = []struct {
	name   string
	plan   string // default: that of EU868
	given  func(*rig)
	ask    Request
	want   radio.TxResult
	reason string
}{
	{name: "RX1", ask: rx1(time.Second)},
	{name: "RX2, behind the wrap of the counter", ask: rx1(6*time.Second, on(869_525_000), at(9))},
	{name: "at the last moment", ask: rx1(80 * ms)},
	{name: "too close", ask: rx1(70 * ms), want: tooLate, reason: "too_late"},
	{name: "past", ask: rx1(-time.Second), want: tooLate, reason: "too_late"},
	{name: "two minutes ahead", ask: rx1(2 * time.Minute)},
	{name: "further ahead", ask: rx1(2*time.Minute + ms), want: radio.TxTooEarly, reason: "too_early"},
	{name: "of a counter before", ask: rx1(30 * time.Minute), want: radio.TxTooEarly, reason: "too_early"},
	{name: "outside of the band", ask: rx1(time.Second, on(915_000_000)), want: radio.TxFreq, reason: "no_sub_band"},
	{name: "no such data rate", ask: rx1(time.Second, at(4)), want: radio.TxFreq, reason: "data_rate"},
	{
		name: "longer than the plan allows", plan: "AS_923_925", ask: rx1(time.Second, on(923_200_000), at(12)),
		want: radio.TxFreq, reason: "dwell_time",
	},
	{
		name: "our own at that time", given: ours(false, radio.PriorityLowest, false), ask: rx1(time.Second),
		want: collision, reason: "conflict",
	},
	{
		name: "our own held", given: ours(true, radio.PriorityLowest, false), ask: rx1(time.Second),
		want: collision, reason: "conflict",
	},
	{
		name: "our own RX2 held", given: ours(true, radio.PriorityLowest, true), ask: rx1(time.Second),
		want: collision, reason: "conflict",
	},
	{
		name: "our own just before", given: ours(true, radio.PriorityLowest, true), ask: rx1(1090 * ms),
		want: collision, reason: "conflict",
	},
	{name: "our own a moment before", given: ours(false, radio.PriorityHigh, true), ask: rx1(1110 * ms)},
	{
		name: "a beacon", given: func(r *rig) { r.g.Beacons, r.g.GPS = true, 127*second }, ask: rx1(time.Second),
		want: radio.TxCollisionBeacon, reason: "conflict",
	},
	{
		name: "the share of the sub-band is used up", given: full, ask: rx1(time.Second, size(255), at(9)),
		want: collision, reason: "duty_cycle",
	},
	{
		name: "it is not to be kept", given: func(r *rig) { full(r); r.g.EnforceDutyCycle = false },
		ask: rx1(time.Second, size(255), at(9)),
	},
	{name: "another sub-band has room", given: full, ask: rx1(time.Second, size(255), at(9), on(869_525_000))},
	{name: "GPS time", given: gps(100 * second), ask: rx1(0, atGPS(103*second))},
	{name: "GPS time is not known", ask: rx1(0, atGPS(103*second)), want: radio.TxGPSUnlocked, reason: "clock"},
	{
		name: "GPS time that is past", given: gps(100 * second), ask: rx1(0, atGPS(99*second)),
		want: tooLate, reason: "too_late",
	},
	{name: "at once", ask: rx1(0, immediate)},
	{name: "at once, behind our own", given: ours(false, radio.PriorityLow, false), ask: rx1(0, immediate)},
	{
		name: "nothing was heard yet", given: func(r *rig) { r.g.HasClock = false }, ask: rx1(time.Second),
		want: tooLate, reason: "clock",
	},
	{
		name: "off line", given: func(r *rig) { r.g.Online = false }, ask: rx1(time.Second),
		want: radio.TxNoPath, reason: "gateway_offline",
	},
}

// Each downlink of another network gets a place, or a word of the protocol.
func TestWords(t *testing.T) {
	for _, tt := range words {
		t.Run(tt.name, func(t *testing.T) {
			if tt.plan == "" {
				tt.plan = "EU_863_870_TTN"
			}
			r := newRig(t, tt.plan)
			if tt.given != nil {
				tt.given(r)
			}
			held := len(r.plan.Sent(r.g, now))
			p, ok := r.Plan(r.plan, r.g, now, tt.ask)
			if p.Result.Answer != tt.want || p.Result.Reason != tt.reason || ok != (tt.want == radio.TxOK) ||
				p.Result.Planned != ok || p.Result.Ticket != 7 {
				t.Fatalf("%+v, want %v for %q", p.Result, tt.want, tt.reason)
			}
			if sent := len(r.plan.Sent(r.g, now)); sent != held+map[bool]int{true: 1}[ok] {
				t.Errorf("%d in the ledger, before %d", sent, held)
			}
			if ok {
				r.checkFrame(p, tt.ask)
			}
		})
	}
}

// checkFrame checks the frame for the gateway: it has a whole time of the counter.
func (r *rig) checkFrame(p Plan, ask Request) {
	r.Helper()
	f, ok := r.HandOver(p.ID)
	d := f.Downlink
	if !ok || d.ID != p.ID || d.Gateway != r.g.EUI || d.Immediate || p.At != now {
		r.Fatalf("it is handed over %v ahead as %+v, %v", p.At.Sub(now), d, ok)
	}
	ahead := d.Time.Sub(counterNow)
	switch {
	case ask.Downlink.Immediate:
		if ahead < r.g.Lead() || ahead > r.g.Lead()+time.Second {
			r.Errorf("it is sent in %v", ahead)
		}
	case ask.Downlink.GPS != 0:
		if ahead != 3*time.Second || d.GPS != ask.Downlink.GPS {
			r.Errorf("it is sent in %v at GPS time %v", ahead, d.GPS)
		}
	case d.Time.Counter() != ask.Downlink.Time.Counter() || ahead < 0 || ahead > maxAhead:
		r.Errorf("it is sent in %v, at %d", ahead, d.Time)
	}
}

// What another network has got stays its own: ours goes to its next window.
func TestPlaceStays(t *testing.T) {
	r := newRig(t, "EU_863_870_TTN")
	if _, ok := r.Plan(r.plan, r.g, now, rx1(time.Second)); !ok {
		t.Fatal("no place")
	}
	v := r.plan.Check(now, schedule.Emission{
		Gateway: r.g, Start: counterNow.Add(time.Second), HostStart: now.Add(time.Second), Airtime: 60 * ms,
		Frequency: 868_300_000, Priority: radio.PriorityHighest,
	})
	if v.Reason != schedule.Conflict {
		t.Errorf("our own join-accept may take its place: %v", v.Reason)
	}
}

// No more power is asked of the gateway than its plan and its antenna allow.
func TestPower(t *testing.T) {
	for _, tt := range []struct {
		name        string
		gain, asked radio.Decibel
		f           radio.Frequency
		want        radio.Decibel
		lowered     bool
		eirp        bool
	}{
		{"as it may", 0, 1400, 868_100_000, 1400, false, false},
		{"less", 0, 300, 868_100_000, 300, false, false},
		{"more", 0, 2000, 868_100_000, 1400, true, false},
		{"an antenna that the network does not know of", 300, 1400, 868_100_000, 1100, true, false},
		{"less, radiated", 300, 1000, 868_100_000, 700, false, true},
		{"more, radiated", 300, 1600, 868_100_000, 1100, true, true},
		{"more is allowed there", 0, 2700, 869_525_000, 2700, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, "EU_863_870_TTN")
			r.g.AntennaGain = tt.gain
			ask := rx1(time.Second, on(tt.f), func(d *radio.Downlink) { d.Power = tt.asked })
			ask.EIRP = tt.eirp
			p, ok := r.Plan(r.plan, r.g, now, ask)
			f, handed := r.HandOver(p.ID)
			d := f.Downlink
			if !ok || !handed || d.Power != tt.want || p.Result.Lowered != tt.lowered || p.Result.Power != tt.want {
				t.Errorf("%v, %v, %+v; want %v", ok, d.Power, p.Result, tt.want)
			}
		})
	}
}

// A downlink that was not sent has used no airtime, and each has one last Result.
func TestAcked(t *testing.T) {
	for answer, used := range map[radio.TxResult]int{
		radio.TxOK: 1, radio.TxNoAck: 1, radio.TxTooLate: 0, radio.TxNoPath: 0, radio.TxChannelBusy: 0,
	} {
		r := newRig(t, "EU_863_870_TTN")
		p, ok := r.Plan(r.plan, r.g, now, rx1(time.Second))
		if !ok {
			t.Fatal("no place")
		}
		if _, ok := r.Acked(r.plan, radio.TxAck{ID: p.ID + 1, Result: answer}); ok {
			t.Error("the answer to another frame is taken")
		}
		got, ok := r.Acked(r.plan, radio.TxAck{ID: p.ID, Result: answer})
		if !ok || got.Planned || got.Answer != answer || got.Ticket != 7 {
			t.Errorf("%v: %+v, %v", answer, got, ok)
		}
		if _, again := r.Acked(r.plan, radio.TxAck{ID: p.ID, Result: answer}); again {
			t.Errorf("%v: taken twice", answer)
		}
		if n := len(r.plan.Sent(r.g, now)); n != used {
			t.Errorf("%v: %d in the ledger, want %d", answer, n, used)
		}
	}
}

// A gateway that may have no queue of its own gets the frame shortly before its time. If its counter
// begins anew meanwhile, it does not get it.
func TestHandOverLater(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*gateway.Gateway)
		ok     bool
	}{
		"the counter goes on": {func(g *gateway.Gateway) {
			g.Clock = gateway.Moment{Counter: counterNow.Add(4100 * ms), Host: now.Add(4 * time.Second)}
		}, true},
		"it begins anew": {func(g *gateway.Gateway) {
			g.Clock = gateway.Moment{Counter: 4 << 32, Host: now.Add(4 * time.Second)}
		}, false},
		"it has begun anew, and nothing was heard since": {func(g *gateway.Gateway) { g.HasClock = false }, false},
	} {
		r := newRig(t, "EU_863_870_TTN")
		r.g.Answers = false
		p, ok := r.Plan(r.plan, r.g, now, rx1(5*time.Second))
		if want := now.Add(5*time.Second - r.g.Lead()); !ok || p.At != want {
			t.Fatalf("%s: handed over in %v, want %v", name, p.At.Sub(now), want.Sub(now))
		}
		tt.change(r.g)
		if _, ok := r.HandOver(p.ID); ok != tt.ok {
			t.Errorf("%s: handed over: %v", name, ok)
		}
	}
}

// Downlinks that no gateway answers are forgotten.
func TestForget(t *testing.T) {
	r := newRig(t, "EU_863_870_TTN")
	for n := range 50 {
		later := time.Duration(n) * 45 * time.Second
		r.g.Clock = gateway.Moment{Counter: counterNow.Add(later), Host: now.Add(later)}
		if _, ok := r.Plan(r.plan, r.g, now.Add(later), rx1(later+time.Second)); !ok {
			t.Fatalf("downlink %d has no place", n)
		}
		if len(r.planned) > 1 {
			t.Fatalf("%d are remembered", len(r.planned))
		}
	}
}

// What people are told.
func TestEvent(t *testing.T) {
	for _, tt := range []struct {
		r    Result
		kind event.Kind
		text string
	}{
		{Result{Planned: true}, "", ""},
		{Result{Network: "s:1700", Gateway: "gw"}, event.ForeignSent, ""},
		{Result{Answer: radio.TxNoAck}, event.ForeignSent, ""},
		{Result{Answer: radio.TxCollisionPacket, Reason: "duty_cycle"}, event.ForeignRefused, "duty_cycle"},
		{Result{Answer: radio.TxFreq}, event.ForeignRefused, "refused by the gateway"},
	} {
		e, ok := tt.r.Event()
		if ok != (tt.kind != "") || ok && (e.Kind != tt.kind || e.Gateway != tt.r.Gateway || e.Address != tt.r.Network) {
			t.Errorf("%+v: %+v, %v", tt.r, e, ok)
		}
		if ok && (e.Err != nil) != (tt.text != "") || e.Err != nil && !strings.Contains(e.Err.Error(), tt.text) {
			t.Errorf("%+v: %v, want %q", tt.r, e.Err, tt.text)
		}
	}
}

// A frame is ours by the address that it names, whether or not its MIC is right.
func TestIsOwn(t *testing.T) {
	devices := session.NewRegistry(0)
	if err := devices.Add(&session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1, 2, 3, 4, 5, 6, 7, 8},
		JoinEUI: radio.EUI64{9}, HasJoinEUI: true, SupportsJoin: true, Plan: "EU_863_870_TTN", Version: session.V1_0_3,
		Session: &session.Session{DevAddr: radio.DevAddr{0x26, 1, 2, 3}, Keys: frame.SessionKeys{
			FNwkSIntKey: frame.Key{1}, SNwkSIntKey: frame.Key{1}, NwkSEncKey: frame.Key{1}, AppSKey: frame.Key{2},
		}},
	}); err != nil {
		t.Fatal(err)
	}
	join := func(devEUI byte) []byte {
		phy := make([]byte, 23)
		copy(phy[9:], []byte{8, 7, 6, 5, 4, 3, 2, devEUI})
		return phy
	}
	rejoin := func(devEUI byte) []byte {
		return append([]byte{0xc0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, devEUI}, make([]byte, 6)...)
	}
	data := func(addr byte) []byte { return append([]byte{0x40, addr, 2, 1, 0x26}, make([]byte, 8)...) }
	for _, tt := range []struct {
		name string
		phy  []byte
		want bool
	}{
		{"data of our DevAddr", data(3), true},
		{"data of another", data(4), false},
		{"a join-request of our DevEUI, with another JoinEUI", join(1), true},
		{"a join-request of another", join(2), false},
		{"a rejoin-request of our DevEUI", rejoin(1), true},
		{"a rejoin-request of another", rejoin(2), false},
		{"a proprietary frame", []byte{0xe0, 3, 2, 1, 0x26}, false},
		{"too short", data(3)[:11], false},
	} {
		if got := IsOwn(devices, tt.phy); got != tt.want {
			t.Errorf("%s: ours: %v", tt.name, got)
		}
	}
}
