package core

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/audit"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/region"
)

// regionRules is what holds in a region, written down here once more: from the rules
// and not from the tables by which the scheduler works. Of EU868 and EU433: ETSI EN
// 300 220-2, annex B, as RP002-1.0.4 and the gateways of The Things Network keep it;
// of AS923 and KR920 the dwell time of their plans.
type regionRules struct {
	plan  string
	rates []radio.DataRate // of uplinks
	bands []audit.SubBand
	dwell time.Duration
}

// share is a sub-band with its duty cycle in parts of 1000; 1000: no limit.
func share(low, high radio.Frequency, parts int) audit.SubBand {
	return audit.SubBand{Low: low, High: high, Hour: time.Hour * time.Duration(parts) / 1000}
}

func sf(from, to int) (out []radio.DataRate) {
	for n := from; n <= to; n++ {
		out = append(out, radio.LoRaDataRate(uint8(n), 125_000))
	}
	return out
}

var regions = []regionRules{
	{"EU_863_870_TTN", sf(7, 12), []audit.SubBand{
		share(863_000_000, 865_000_000, 1), share(865_000_000, 868_000_000, 10), share(868_000_000, 868_600_000, 10),
		share(868_700_000, 869_200_000, 1), share(869_400_000, 869_650_000, 100), share(869_700_000, 870_000_000, 10),
	}, 0},
	{"EU_433", sf(12, 12), []audit.SubBand{share(433_050_000, 434_790_000, 100)}, 0},
	{"US_902_928_FSB_2", sf(7, 10), []audit.SubBand{share(923_000_000, 928_000_000, 1000)}, 0},
	{"AU_915_928_FSB_2", sf(7, 12), []audit.SubBand{share(915_000_000, 928_000_000, 1000)}, 0},
	{"AS_923_925", sf(7, 10), []audit.SubBand{share(923_100_000, 924_700_000, 1000)}, 400 * time.Millisecond},
	{"SG_920_923_TTN", sf(12, 12), []audit.SubBand{share(921_900_000, 923_500_000, 100)}, 0},
	{"KR_920_923_TTN", sf(7, 12), []audit.SubBand{share(920_800_000, 923_400_000, 1000)}, 0},
	{"IN_865_867", sf(7, 12), []audit.SubBand{share(865_000_000, 867_000_000, 1000)}, 0},
	{"IL_917_920_TTN", sf(7, 12), []audit.SubBand{share(917_200_000, 920_000_000, 10)}, 0},
}

// traffic is random traffic of a region.
type traffic struct {
	*stand
	rules regionRules
	plan  *region.Plan
	rnd   *rand.Rand
	fCnt  map[string]uint32
	nonce uint16
	acked int // of sent
}

// newTraffic returns a stand with devices and two gateways of a region.
func newTraffic(t *testing.T, rules regionRules) *traffic {
	w := &traffic{stand: newStand(t), rules: rules, rnd: rand.New(rand.NewPCG(1, 2)), fCnt: map[string]uint32{}}
	w.keeps.seldom = true
	w.otaa("joins", session.V1_0_3)
	for i, name := range []string{"lamp", "group"} { // of Class C
		w.add(&session.Device{
			ID: session.ID{Application: "app1", Device: name}, Version: session.V1_0_3,
			ClassC: true, Multicast: name == "group",
			Session: &session.Session{DevAddr: radio.DevAddr{9, 9, 9, byte(i)}, Keys: testKeys(byte(9 + i))}, Plan: rules.plan,
		})
	}
	for i, name := range []string{"meter", "lights"} { // of Class B
		d := &session.Device{
			ID: session.ID{Application: "app1", Device: name}, Version: session.V1_0_3,
			ClassB: true, Multicast: name == "lights",
			Session: &session.Session{DevAddr: radio.DevAddr{8, 8, 8, byte(i)}, Keys: testKeys(byte(7 + i))}, Plan: rules.plan,
		}
		w.add(d)
		d.Settings.MAC.Ping = macstate.Ping{Periodicity: 1, Known: true}
		d.Session.SetMAC(d.Session.MAC.With(func(m *macstate.State) { m.ClassB = true }))
	}
	for _, d := range w.devices {
		w.onPlan(rules.plan, d)
		records, err := state.DeviceRecords(d)
		if err != nil {
			t.Fatal(err)
		}
		w.hand(records)
	}
	w.plan, w.gateway(gwB).Plan = w.gateway(gwA).Plan, w.gateway(gwA).Plan
	w.answering(gwB)
	w.online(gwB)
	w.step(Starting{})
	w.gateway(gwA).EnforceDutyCycle, w.gateway(gwB).EnforceDutyCycle = true, true
	return w
}

// heardBySome has one gateway hear a frame, or both.
func (w *traffic) heardBySome(phy []byte) {
	channels := w.plan.Channels()
	frequency := channels[w.rnd.IntN(min(len(channels), 8))].Frequency
	rate := w.rules.rates[w.rnd.IntN(len(w.rules.rates))]
	same := func(u *radio.Uplink) { u.Frequency, u.DataRate, u.GPS = frequency, rate, w.gps() }
	first, second := gwA, gwB
	if w.rnd.IntN(2) == 0 {
		first, second = second, first
	}
	w.hear(first, phy, same, at(radio.Decibel(-9000+w.rnd.IntN(6000))))
	if w.rnd.IntN(2) == 0 {
		w.hear(second, phy, same, at(radio.Decibel(-9000+w.rnd.IntN(6000))))
	}
}

// happen does one thing.
func (w *traffic) happen() {
	device := []string{"dev1", "dev2"}[w.rnd.IntN(2)]
	switch w.rnd.IntN(14) {
	case 10, 12:
		quiet := map[bool]string{true: "lamp", false: "meter"}[w.rnd.IntN(2) == 0]
		w.push(quiet, item(strings.Repeat("l", 1+w.rnd.IntN(30)), prio(radio.Priority(w.rnd.IntN(7)))))
	case 11, 13:
		group := map[bool]string{true: "group", false: "lights"}[w.rnd.IntN(2) == 0]
		w.push(group, item(strings.Repeat("g", 1+w.rnd.IntN(30)), prio(radio.Priority(w.rnd.IntN(7))), via(
			session.GatewayAntenna{GatewayID: "gw-a", Group: 1}, session.GatewayAntenna{
				GatewayID: "gw-b",
				Group:     uint32(1 + w.rnd.IntN(2)),
			},
		)))
	case 0:
		w.nonce++
		w.heardBySome(w.joinRequest(w.devices["joins"], w.nonce))
	case 1, 2, 3:
		var items []session.Item
		for range 1 + w.rnd.IntN(4) {
			it := item(strings.Repeat("x", 1+w.rnd.IntN(40)), prio(radio.Priority(w.rnd.IntN(7))))
			if w.rnd.IntN(3) == 0 {
				confirm(&it)
			}
			items = append(items, it)
		}
		w.push(device, items...)
	default:
		w.fCnt[device]++
		f := payload("up")
		if w.rnd.IntN(4) > 0 {
			f = confirmed("up")
		}
		f.ADRACKReq = w.rnd.IntN(8) == 0
		w.heardBySome(w.phy(device, w.fCnt[device], f))
	}
	for ; w.acked < len(w.sent); w.acked++ {
		h := &w.sent[w.acked]
		if refused := w.rnd.IntN(12) == 0; refused && h.Time > radio.ConcentratorTime(w.now.Host/1000) {
			w.ackOf(h, []radio.TxResult{radio.TxTooLate, radio.TxCollisionPacket, radio.TxPower}[w.rnd.IntN(3)])
		} else if w.rnd.IntN(6) > 0 {
			w.ackOf(h, radio.TxOK)
		}
	}
}

// emissions are what a gateway was given and has not refused.
func (w *traffic) emissions(g radio.EUI64) (out []audit.Emission) {
	for i := range w.sent {
		if h := &w.sent[i]; h.Gateway == g && !h.over {
			start := time.Duration(h.Time) * time.Microsecond
			out = append(out, audit.Emission{Start: start, Counter: start, Airtime: h.airtime, Frequency: h.Frequency})
		}
	}
	return out
}

// emulated says that the processor is most likely emulated.
var emulated = strings.HasPrefix(runtime.GOARCH, "mips") || runtime.GOARCH == "arm"

// fewer returns how often something random is tried: a third under emulation, where each
// time takes thirty times as long.
func fewer(n int) int {
	if emulated {
		return n / 3
	}
	return n
}

// Whatever devices of Classes A, B and C, groups and applications do in a week: no rolling hour of a gateway has more
// than its duty cycle, no two of its transmissions meet, and none is too long.
func TestDutyCycleProof(t *testing.T) {
	days, regions := 7, regions
	if emulated {
		days, regions = 1, regions[:3] // there a week takes minutes
	}
	for _, rules := range regions {
		t.Run(rules.plan, func(t *testing.T) {
			t.Parallel()
			w := newTraffic(t, rules)
			// Not a minute more: what was sent in the first hour is to be kept.
			for w.now.Host < radio.HostTime(days)*radio.HostTime(24*time.Hour)-radio.HostTime(40*time.Minute) {
				w.happen()
				pause := 10 * time.Second
				if len(rules.rates) == 1 { // slow, as more than 1 % is to be filled
					pause = 4 * time.Second
				}
				if time.Duration(w.now.Host)%(72*time.Hour) > time.Hour { // one hour of three days is busy
					pause = 30 * time.Minute
				}
				w.wait(time.Duration(w.rnd.Int64N(int64(pause))))
				w.events, w.ups, w.commits, w.answers = nil, nil, nil, nil
			}
			w.wait(time.Minute)
			for _, g := range []radio.EUI64{gwA, gwB} {
				w.prove(g)
			}
			_, err := w.plan.PingSlot(region.VersionUnknown, radio.DevAddr{}, 0)
			least := uint64(7 * days)
			if sent := w.c.Stats().Sent; sent[2] < least || err == nil && sent[3] < least {
				t.Errorf("sent in RX1, RX2, RXC, ping slots: %v: that tests little", sent)
			}
		})
	}
}

// prove checks what a gateway has sent.
func (w *traffic) prove(g radio.EUI64) {
	w.Helper()
	sent := w.emissions(g)
	r := audit.Check(sent, audit.Rules{SubBands: w.rules.bands, Dwell: w.rules.dwell, Gap: 40 * time.Millisecond})
	for _, fault := range r.Faults {
		w.Error(fault)
	}
	if len(sent) < 100 {
		w.Errorf("gateway %v has sent %d times: that tests little", g, len(sent))
	}
	full := false
	for i, worst := range r.Worst {
		limit := w.rules.bands[i].Hour
		full = full || limit == time.Hour || worst.Airtime > limit*8/10 || worst.Airtime > 2*time.Minute
		if low := w.rules.bands[i].Low; limit < time.Hour && worst.Airtime > 0 {
			w.Logf("gateway %v from %v: %v of %v in the worst rolling hour", g, low, worst.Airtime, limit)
		}
	}
	if !full {
		w.Errorf("gateway %v: no sub-band was nearly full: that tests little", g)
	}
	w.agrees(g, r.Worst)
}

// agrees looks whether what the gateway is said to have sent is what it has sent.
func (w *traffic) agrees(g radio.EUI64, worst []audit.Worst) {
	w.Helper()
	told := make([]time.Duration, len(worst))
	for _, h := range w.c.Airtime(w.gateway(g), w.now).Hours {
		for _, b := range h.Bands {
			i := slices.IndexFunc(w.rules.bands, func(s audit.SubBand) bool { return s.Low == b.Low })
			if i < 0 {
				w.Errorf("a sub-band from %v", b.Low)
				return
			}
			told[i] = max(told[i], b.Worst)
		}
	}
	for i := range worst {
		if d := (told[i] - worst[i].Airtime).Abs(); d > time.Millisecond {
			w.Errorf("gateway %v from %v: %v is told to be the worst rolling hour, %v is", g, w.rules.bands[i].Low, told[i],
				worst[i].Airtime)
		}
	}
}
