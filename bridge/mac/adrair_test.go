package mac

import (
	"fmt"
	"math/rand"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// air is what becomes of the uplinks of a device that stays where it is.
type air struct {
	r     *rand.Rand
	full  radio.Decibel // SNR at full power
	noise radio.Decibel // the SNR is as much higher or lower at the most
	lost  float64       // share of the transmissions
}

func (a *air) String() string {
	return fmt.Sprintf("%v dB at full power, noise %v dB, %.0f %% lost", a.full, a.noise, 100*a.lost)
}

// heard returns the best SNR of the transmissions of a frame that are heard.
func (a *air) heard(e *endDevice) (best radio.Decibel, ok bool) {
	below, _ := e.plan.TXPower(e.power)
	best, e.times = lowestSNR, 0
	for range e.nbTrans {
		snr := a.full - below + radio.Decibel(a.r.Intn(int(2*a.noise)+1)) - a.noise
		if a.r.Float64() >= a.lost {
			best, ok, e.times = max(best, snr), true, e.times+1
		}
	}
	return best, ok
}

const lowestSNR radio.Decibel = -10_000

func pick[T any](r *rand.Rand, from ...T) T { return from[r.Intn(len(from))] }

// strayDevice is a device with any data rate, power, number of transmissions, channels and
// settings, and with any past.
func strayDevice(t *testing.T, r *rand.Rand, plan string, version session.Version) *endDevice {
	e := newEndDevice(t, plan, version, link{nbTrans: 1})
	low, high := e.plan.ADRDataRates()
	e.dataRate = low + uint8(r.Intn(int(high-low)+1))
	set := &e.d.Settings.MAC.ADR
	set.Margin = pick(r, nil, nil, ptr(radio.Decibel(500)), ptr(radio.Decibel(1000)))
	if r.Intn(4) == 0 {
		set.MaxDataRate = ptr(e.dataRate + uint8(r.Intn(int(high-e.dataRate)+1)))
	}
	if r.Intn(2) == 0 { // a session that goes on
		e.power, e.nbTrans = uint8(r.Intn(int(e.plan.MaxTXPower())+1)), 1+uint8(r.Intn(3))
		p := e.d.Session.Parameters
		p.ADRDataRate, p.ADRTXPower, p.ADRNbTrans = e.dataRate, e.power, e.nbTrans
		e.d.Session.MAC = &macstate.State{LinkADR: true, Masked: true}
		e.mask = e.plan.PlanMask()
	} else if r.Intn(2) == 0 { // a join-accept without channels
		e.d.Session.MAC = &macstate.State{NoCFList: true}
		e.mask = e.plan.StartMask()
	}
	e.heard = func(*endDevice) (radio.Decibel, bool) { return radio.Decibel(r.Intn(5000) - 2500), r.Intn(2) == 0 }
	for range pick(r, 0, 0, 10, 25, 60) {
		e.uplink()
	}
	return e
}

// rests counts the devices that came to rest, those that were moved after that, and those
// whose NbTrans was raised.
type rests struct{ devices, moved, nbMoved int }

// Whatever a device has been through, its data rate, power and NbTrans come to rest within
// 40 uplinks that are heard, once conditions stay. One in a hundred devices is moved later,
// where what it has been through was not told from what is; losses that have ceased are found
// out one transmission after the other.
func TestADRComesToRest(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	var all rests
	devices := 100
	if shortened() {
		devices = 5
	}
	for _, plan := range []string{"EU_863_870_TTN", "US_902_928_FSB_2", "AS_923", "CN_470_510_FSB_11"} {
		for version := session.V1_0_0; version <= session.V1_1; version++ {
			t.Run(fmt.Sprintf("%s, %v", plan, version), func(t *testing.T) {
				for range devices {
					all.check(t, r, strayDevice(t, r, plan, version))
				}
			})
		}
	}
	t.Logf("%d of %d devices were moved later, NbTrans of %d raised", all.moved, all.devices, all.nbMoved)
	if all.moved*100 > all.devices || all.nbMoved*100 > all.devices {
		t.Error("more than one in a hundred")
	}
}

func (rs *rests) check(t *testing.T, r *rand.Rand, e *endDevice) {
	t.Helper()
	a := &air{
		r: r, full: radio.Decibel(r.Intn(5000) - 2500), noise: pick[radio.Decibel](r, 0, 100, 200),
		lost: pick(r, 0, 0, 0.02, 0.05, 0.1, 0.2, 0.5),
	}
	rest := 40
	if e.heard, e.count = a.heard, 0; e.fCnt > 0 {
		rest += adrUplinks // until nothing of before is looked at any more
	}
	start, moved, nbChanges := e.link, false, 0
	for range 300 {
		last := e.link
		switch e.uplink(); {
		case e.count <= rest-40:
			start = e.link
		case e.count <= rest:
		case e.dataRate != last.dataRate || e.power != last.power:
			moved = true
		case e.nbTrans > last.nbTrans && e.count > rest+2*lessAgain: // it comes down by one at a time
			nbChanges++
		}
	}
	if nbChanges > 0 && a.lost == 0 && !moved {
		t.Errorf("%v: from %+v to %+v, NbTrans has changed %d times", a, start, e.link, nbChanges)
	}
	if rs.devices++; nbChanges > 0 {
		rs.nbMoved++
	}
	if moved {
		rs.moved++
	}
	checkRest(t, e, a, start)
	if e.plan.FixedChannels() && e.mask != e.plan.PlanMask() {
		t.Errorf("channels %v, want those of the plan, %v", e.mask, e.plan.PlanMask())
	}
}

// checkRest: the best SNR is not below the floor and the margin, less what is borne,
// where full power and the data rate that the device came with leave that to the network.
func checkRest(t *testing.T, e *endDevice, a *air, start link) {
	t.Helper()
	rate, err := e.plan.DataRate(e.dataRate)
	if err != nil {
		t.Fatal(err)
	}
	floor, known := Floor(rate)
	margin := adrMargin
	set := &e.d.Settings.MAC.ADR
	if set.Margin != nil {
		margin = *set.Margin
	}
	below, known2 := e.plan.TXPower(e.power)
	least := floor + margin - 2*adrSlack // a device that rests may have become weaker by as much
	if snr := a.full + a.noise - below; !known || !known2 || snr < least && (e.power > 0 || e.dataRate > start.dataRate) {
		t.Errorf("%v: from %+v to %+v: heard with %v dB, floor %v dB, margin %v dB", a, start, e.link, snr, floor, margin)
	}
	if set.MaxDataRate != nil && e.dataRate > *set.MaxDataRate || e.nbTrans > maxNbTrans {
		t.Errorf("%+v, with data rate %d at the most", e.link, *set.MaxDataRate)
	}
}
