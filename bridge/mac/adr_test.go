package mac

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// endDevice is a simulated device that does what it is asked, as its table says, and
// the network's side of it.
type endDevice struct {
	testing.TB
	d    *session.Device
	plan *region.Plan
	link
	fCnt    uint32
	answers []byte
	heard   func(*endDevice) (snr radio.Decibel, ok bool)
	refuses func(macstate.Command) (status byte, refuses bool)
	mute    bool
	busy    bool               // nothing can be sent to it
	strange bool               // no gateway that hears it can answer
	asked   []macstate.Command // so far
	changes []int              // uplinks that were heard before LinkADRReq has changed something
	count   int                // uplinks that were heard
	times   int                // that the last one was heard, of NbTrans; 0: each time
	once    bool               // the device sends each frame once, whatever it was told
	noADR   bool
	mask    region.ChannelMask // channels in use

	// Of an uplink: the device has begun anew with it, or asks for a downlink.
	begun, ackReq bool
	downlinks     int // so far
	requests      int // downlinks with requests
}

func newEndDevice(t testing.TB, planID string, version session.Version, start link) *endDevice {
	t.Helper()
	p, err := region.Lookup(planID)
	if err != nil {
		t.Fatal(err)
	}
	never, at := uint32(0), uint8(1)
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, Version: version, Plan: planID, SupportsJoin: true,
		Session: &session.Session{Parameters: &session.Parameters{
			RX1Delay: 1, RX2DataRate: p.RX2().DataRate,
			RX2Frequency: p.RX2().Frequency,
		}},
	}
	d.Settings.Desired.RX1Delay, d.Settings.MAC.StatusCount, d.Settings.MAC.StatusTime = &at, &never, new(time.Duration)
	e := &endDevice{TB: t, d: d, link: start}
	if e.plan, err = d.FrequencyPlan(); err != nil {
		t.Fatal(err)
	}
	if e.mask = e.plan.StartMask(); len(e.plan.CFList().Masks) > 0 {
		e.mask = e.plan.PlanMask()
	}
	return e
}

// uplink sends a frame, which is heard if the air lets it, and obeys what is asked in
// answer. It returns the requests.
func (e *endDevice) uplink() []macstate.Command {
	e.Helper()
	snr, ok := radio.Decibel(1000), true
	if e.heard != nil {
		snr, ok = e.heard(e)
	}
	e.fCnt++
	if !ok {
		return nil
	}
	e.count++
	rate, err := e.plan.DataRate(e.dataRate)
	if err != nil {
		e.Fatal(err)
	}
	e.d.History.Uplink(e.fCnt, rate)
	by := []radio.Reception{{SNR: snr, NoDownlink: e.strange}}
	e.d.History.HeardBy(&radio.Uplink{Gateway: radio.EUI64{1}, Receptions: by})
	if e.begun {
		Forget(e.d.Session)
	}
	f := frame.Data{MType: frame.UnconfirmedUp, ADR: !e.noADR, ADRACKReq: e.ackReq}
	plan, err := e.d.PlanIn(e.d.Session)
	if err != nil {
		e.Fatal(err)
	}
	ctx := UplinkContext{
		Device: e.d, Session: e.d.Session, Plan: plan, FCnt: e.fCnt, Rate: rate, RX1Delay: 5,
		Begun: e.begun,
	}
	o := Uplink(&f, e.answers, ctx)
	e.answers = nil
	e.repeats(!o.IsZero() && !e.busy)
	if !o.IsZero() {
		e.downlinks++
	}
	due := o.Requests()
	if len(due) == 0 || e.busy {
		return nil
	}
	e.requests++
	o.sent(e.d.Session, e.fCnt)
	e.asked = append(e.asked, due...)
	if !e.mute {
		e.obey(due)
	}
	return due
}

// sends returns how often the device sends each frame.
func (e *endDevice) sends() uint8 {
	if e.once {
		return 1
	}
	return e.nbTrans
}

// repeats has the frame heard as often as it is, but for one that was answered: that is not sent
// again.
func (e *endDevice) repeats(answered bool) {
	if answered {
		e.d.History.Answered()
	}
	times := e.times
	if times == 0 {
		times = int(e.sends())
	}
	for n := 1; n < times && !answered; n++ {
		e.d.History.Repeated()
	}
}

// obey does what is asked, and prepares the answers.
func (e *endDevice) obey(due []macstate.Command) {
	for _, c := range due {
		status, refused := byte(0), false
		if e.refuses != nil {
			status, refused = e.refuses(c)
		}
		switch c.CID {
		case cidLinkADR:
			if !refused {
				status = 7
				next := link{c.Payload[0] >> 4, c.Payload[0] & 0x0f, c.Payload[3] & 0x0f}
				if next != e.link {
					e.changes = append(e.changes, e.count)
				}
				e.link = next
				e.mask, _ = e.plan.ApplyLinkMask(e.mask, region.LinkMask{
					Cntl: c.Payload[3] >> 4, Mask: uint16(c.Payload[1]) | uint16(c.Payload[2])<<8,
				})
			}
			e.answers = append(e.answers, c.CID, status)
		case cidRXParamSetup, cidNewChannel, cidDlChannel, cidRejoinParam:
			if !refused {
				status = 7
			}
			e.answers = append(e.answers, c.CID, status)
		case cidDevStatus:
			e.answers = append(e.answers, c.CID, 254, 10)
		default:
			e.answers = append(e.answers, c.CID)
		}
	}
}

// snrAt is the SNR of a device that has one at full power.
func snrAt(full radio.Decibel) func(*endDevice) (radio.Decibel, bool) {
	return func(e *endDevice) (radio.Decibel, bool) {
		below, _ := e.plan.TXPower(e.power)
		return full - below, true
	}
}

// ADR changes a device that starts at DR0 as The Things Stack was measured to do.
func TestADRAsMeasured(t *testing.T) {
	every := func(n uint32, snr radio.Decibel) func(*endDevice) (radio.Decibel, bool) {
		return func(e *endDevice) (radio.Decibel, bool) { return snr, (e.fCnt+1)%n != 0 }
	}
	for _, tt := range []struct {
		name    string
		heard   func(*endDevice) (radio.Decibel, bool)
		adr     macstate.ADR
		noADR   bool
		uplinks int
		want    string // LinkADRReq
	}{
		{"10 dB", snrAt(1000), macstate.ADR{}, false, 42, "[0350ff0001 0351ff0001]"},
		{"0 dB", snrAt(0), macstate.ADR{}, false, 42, "[0310ff0001 0320ff0001]"},
		{"-10 dB", snrAt(-1000), macstate.ADR{}, false, 42, "[]"},
		{"-18 dB", snrAt(-1800), macstate.ADR{}, false, 42, "[]"},
		{"-10 dB, every 4th lost", every(4, -1000), macstate.ADR{}, false, 30, "[0300ff0002 0300ff0003]"},
		{"-10 dB, every 2nd lost", every(2, -1000), macstate.ADR{}, false, 40, "[0300ff0003]"},
		{"no ADR bit", snrAt(1000), macstate.ADR{}, true, 42, "[]"},
		{"disabled", snrAt(1000), macstate.ADR{Disabled: true}, false, 42, "[]"},
		{
			"static", snrAt(1000),
			macstate.ADR{Static: &macstate.Static{DataRate: 3, Power: 2, NbTrans: 2}},
			false, 42,
			"[0332ff0002]",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{0, 0, 1})
			e.heard, e.noADR, e.d.Settings.MAC.ADR = tt.heard, tt.noADR, tt.adr
			for range tt.uplinks {
				e.uplink()
			}
			var got []string
			for _, c := range e.asked {
				got = append(got, fmt.Sprintf("%x", c.Append(nil)))
			}
			if s := fmt.Sprint(got); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}

// From any start ADR converges within 40 uplinks that are heard, and then never changes while
// conditions stay, nor is the device ever heard with less than the floor and the margin
// if full power would have been enough for that.
func TestADRConverges(t *testing.T) {
	r, devices := rand.New(rand.NewSource(1)), 300
	if shortened() {
		devices = 30
	}
	for _, plan := range []string{
		"EU_863_870_TTN", "US_902_928_FSB_2", "AU_915_928_FSB_2", "AS_923", "KR_920_923_TTN",
		"IN_865_867",
	} {
		p, err := region.Lookup(plan)
		if err != nil {
			t.Fatal(err)
		}
		low, high := p.ADRDataRates()
		for range devices {
			start := link{low + uint8(r.Intn(int(high-low)+1)), uint8(r.Intn(int(p.MaxTXPower()) + 1)), 1 + uint8(r.Intn(3))}
			full, lossEvery := radio.Decibel(r.Intn(5000)-2500), []uint32{0, 2, 3, 4, 5, 10, 20}[r.Intn(7)]
			e := newEndDevice(t, plan, session.V1_0_4, start)
			current := e.d.Session.Parameters
			current.ADRDataRate, current.ADRTXPower, current.ADRNbTrans = start.dataRate, start.power, start.nbTrans
			e.d.Session.MAC = &macstate.State{LinkADR: true, Masked: true}
			air := snrAt(full)
			e.heard = func(e *endDevice) (radio.Decibel, bool) {
				snr, _ := air(e)
				return snr, lossEvery == 0 || (e.fCnt+1)%lossEvery != 0
			}
			for range 300 {
				e.uplink()
			}
			if n := len(e.changes); n > 0 && e.changes[n-1] > 40 {
				t.Errorf("%s from %+v at %v dB, loss %d: changed after uplinks %v", plan, start, full, lossEvery, e.changes)
			}
			checkMargin(t, e, start, full)
		}
	}
}

func checkMargin(t *testing.T, e *endDevice, start link, full radio.Decibel) {
	t.Helper()
	rate, err := e.plan.DataRate(e.dataRate)
	if err != nil {
		t.Fatal(err)
	}
	floor, _ := Floor(rate)
	snr, _ := snrAt(full)(e)
	if enough := full >= floor+adrMargin; snr < floor+adrMargin && (enough || e.dataRate > start.dataRate) {
		t.Errorf("from %+v at %v dB: %+v is heard with %v dB, floor %v dB", start, full, e.link, snr, floor)
	}
}

// A device that refuses everything is asked a few times, each data rate and power once.
func TestADRRefused(t *testing.T) {
	e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{0, 0, 1})
	e.heard = snrAt(850)
	e.refuses = func(macstate.Command) (byte, bool) { return 0, true }
	for range 60 {
		e.uplink()
	}
	seen := map[macstate.Command]bool{}
	for _, c := range e.asked {
		if seen[c] {
			t.Errorf("%x is asked again", c.Append(nil))
		}
		seen[c] = true
	}
	if len(e.asked) == 0 || len(e.asked) > 8 {
		t.Errorf("%d requests", len(e.asked))
	}
}
