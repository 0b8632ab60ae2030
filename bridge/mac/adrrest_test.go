package mac

import (
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// fadings are what a frame gains or loses by its ways to the gateway, in dB.
var fadings = []struct {
	name  string
	later int // devices in a thousand that may be moved after 40 uplinks
	gain  func(r *rand.Rand) float64
	loses bool // so much, at the power that ADR leaves, that a transmission is not enough
}{
	{"none", 0, func(*rand.Rand) float64 { return 0 }, false},
	{"Rice, 0.8 of the power comes straight", 0, func(r *rand.Rand) float64 {
		x, y := math.Sqrt(0.8)+math.Sqrt(0.1)*r.NormFloat64(), math.Sqrt(0.1)*r.NormFloat64()
		return 10 * math.Log10(x*x+y*y+1e-9)
	}, false},
	{"Rayleigh", 10, func(r *rand.Rand) float64 { return 10 * math.Log10(r.ExpFloat64()+1e-9) }, true},
	{"shadows of 3 dB", 10, func(r *rand.Rand) float64 { return 3 * r.NormFloat64() }, false},
}

// place is where a device stands.
type place struct {
	r    *rand.Rand
	full float64 // SNR at full power without fading, hundredths of a dB
	lost float64 // share of the transmissions that others disturb
	gain func(*rand.Rand) float64
}

// heard returns the best SNR of the transmissions of a frame that are heard.
func (p *place) heard(e *endDevice) (best radio.Decibel, ok bool) {
	below, _ := e.plan.TXPower(e.power)
	rate, err := e.plan.DataRate(e.dataRate)
	if err != nil {
		e.Fatal(err)
	}
	floor, _ := Floor(rate)
	best, e.times = lowestSNR, 0
	for range e.sends() {
		snr := min(radio.Decibel(p.full+100*p.gain(p.r))-below, maxSNR)
		if p.r.Float64() >= p.lost && snr >= floor {
			best, ok, e.times = max(best, snr), true, e.times+1
		}
	}
	return best, ok
}

// newRestDevice is a device with any data rate and number of transmissions, in any place.
func newRestDevice(t *testing.T, seed int64, lost float64, gain func(*rand.Rand) float64) (*endDevice, *place) {
	r := rand.New(rand.NewSource(seed*100 + int64(lost*100)))
	e := newEndDevice(t, yearPlan, session.V1_0_4, link{uint8(r.Intn(6)), 0, 1 + uint8(r.Intn(3))})
	e.d.Session.Parameters.ADRNbTrans = e.nbTrans
	p := &place{r: r, full: -1500 + 4000*r.Float64(), lost: lost, gain: gain}
	e.heard = p.heard
	return e, p
}

// changedAfter sends so many uplinks that are heard, and returns the first with which the
// device has changed, of those after a number; 0: none.
func (e *endDevice) changedAfter(number, uplinks int) (first int) {
	for sent := 0; e.count < uplinks && sent < 20*uplinks; sent++ {
		was := e.link
		if e.uplink(); e.link != was && e.count > number && first == 0 {
			first = e.count
		}
	}
	return first
}

// Whatever share of the transmissions is lost, and however the SNR fades, data rate, power and
// NbTrans are decided within 40 uplinks that are heard, and then nothing changes in 500 more.
func TestADRRests(t *testing.T) {
	devices := 15
	if shortened() {
		devices = 3
	}
	for _, fading := range fadings {
		all, moved := 0, ""
		for _, lost := range []float64{0, .02, .05, .1, .15, .2, .25, .3, .35, .4, .5, .6} {
			for seed := range int64(devices) {
				e, _ := newRestDevice(t, seed, lost, fading.gain)
				all++
				if n := e.changedAfter(40, 540); n > 0 {
					moved += fmt.Sprintf(" %.0f%%/%d:%d", 100*lost, seed, n)
					fading.later -= 1000 / max(devices*12, 1)
				}
			}
		}
		t.Logf("%s: %d devices, changed later (loss/seed:uplink):%s", fading.name, all, moved)
		if fading.later < 0 {
			t.Errorf("%s: too many were changed later:%s", fading.name, moved)
		}
	}
}

// A device that rests is decided about again once conditions have changed: within as many
// uplinks that are heard.
func TestADRNoticesChanges(t *testing.T) {
	for _, tt := range []noticing{
		{
			"5 % lost, then 40 %", 100, 0.05, 5, 1300, false,
			func(p *place) { p.lost = 0.4 }, func(e *endDevice, _ link) bool { return e.nbTrans > 1 },
		},
		{
			"10 dB weaker", 30, 0, 5, 1300, false,
			func(p *place) { p.full -= 1000 }, func(e *endDevice, was link) bool { return e.power < was.power },
		},
		{
			"10 dB stronger", 60, 0, 0, -300, false,
			func(p *place) { p.full += 1000 }, func(e *endDevice, was link) bool {
				return e.dataRate > was.dataRate || e.power > was.power
			},
		},
		{
			"40 % lost, then none", 200, 0.4, 5, 1300, false,
			func(p *place) { p.lost = 0 }, func(e *endDevice, was link) bool { return e.nbTrans < max(was.nbTrans, 2) },
		},
		{
			"40 % lost, then none, down to one transmission", 300, 0.4, 5, 1300, false,
			func(p *place) { p.lost = 0 }, func(e *endDevice, _ link) bool { return e.nbTrans == 1 },
		},
		{
			"20 % lost, then none, down to one transmission", 250, 0.2, 5, 1300, false,
			func(p *place) { p.lost = 0 }, func(e *endDevice, _ link) bool { return e.nbTrans == 1 },
		},
		{
			"40 % lost, then none, each frame sent once", 800, 0.4, 5, 1300, true,
			func(p *place) { p.lost = 0 }, func(e *endDevice, was link) bool { return e.nbTrans < was.nbTrans },
		},
	} {
		slowest := 0
		for _, fading := range fadings {
			if fading.loses && strings.Contains(tt.name, "then none") || tt.once && fading.name != "none" {
				continue
			}
			for seed := range int64(15) {
				e, p := newRestDevice(t, seed, tt.before, fading.gain)
				took, ok := tt.run(e, p)
				if slowest = max(slowest, took); !ok {
					t.Errorf("%s, %s, seed %d: %+v after %d uplinks", tt.name, fading.name, seed, e.link, took)
				}
			}
		}
		t.Logf("%s: noticed within %d uplinks", tt.name, slowest)
	}
}

// noticing is a change of conditions, and what ADR makes of it.
type noticing struct {
	name   string
	within int // uplinks that are heard
	before float64
	start  uint8   // data rate
	full   float64 // SNR at full power
	once   bool    // the device sends each frame once, whatever it was told
	change func(*place)
	done   func(e *endDevice, was link) bool
}

// run has a device rest, and then conditions change. It returns within how many uplinks ADR has
// noticed it.
func (n *noticing) run(e *endDevice, p *place) (took int, ok bool) {
	e.link, p.full, e.once = link{n.start, 0, 1}, n.full, n.once
	e.d.Session.Parameters.ADRNbTrans = 1
	e.changedAfter(40, 200)
	was, from := e.link, e.count
	n.change(p)
	for sent := 0; !n.done(e, was) && e.count-from <= n.within && sent < 5000; sent++ {
		e.uplink()
	}
	return e.count - from, n.done(e, was)
}

// A frame is sent less often where few are lost, of those that are sent as often as before: not
// where one of two transmissions is needed.
func TestADRKeepsWhatIsNeeded(t *testing.T) {
	const devices, settled, later = 15, 600, 4000
	for _, lost := range []float64{0.12, 0.15, 0.2, 0.25} {
		sum, gone := 0, 0
		for seed := range int64(devices) {
			e, p := newRestDevice(t, seed, 0.4, fadings[0].gain)
			e.link, p.full = link{5, 0, 1}, 1300
			e.d.Session.Parameters.ADRNbTrans = 1
			e.changedAfter(40, settled)
			p.lost = lost
			e.changedAfter(40, settled+later)
			before, from := e.fCnt, e.count
			e.changedAfter(40, settled+2*later)
			sum, gone = sum+int(e.fCnt-before), gone+int(e.fCnt-before)-(e.count-from)
		}
		share := 100 * float64(gone) / float64(sum)
		t.Logf("%.0f %% of the transmissions lost: %.1f %% of the frames", 100*lost, share)
		if share > lossTolerated {
			t.Errorf("%.0f %% of the transmissions lost: %.1f %% of the frames", 100*lost, share)
		}
	}
}
