package session

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// flood is a run of frames with the DevAddr of devices and random MICs, by some
// sources, while one of the devices sends as ever.
type flood struct {
	*testing.T
	rnd     *rand.Rand
	r       *Registry
	devices []*Device
	sources []Source
	near    bool // counters are those that the devices are about to use

	bound   int            // wrong MICs a second that the registry pays for
	tried   map[int]uint64 // wrong MICs by second
	refused int            // forged frames that were not looked at in full
}

func newFlood(t *testing.T, bound, devices int, counters uint32) *flood {
	t.Helper()
	f := &flood{T: t, rnd: rand.New(rand.NewSource(1)), r: NewRegistry(bound), bound: bound, tried: map[int]uint64{}}
	for i := range devices {
		d := abp(fmt.Sprintf("dev%03d", i), byte(i), V1_0_3, int64(f.rnd.Intn(int(counters))))
		d.Session.Keys.FNwkSIntKey[2] = byte(i >> 8)
		f.devices = append(f.devices, d)
		if err := f.r.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// forge makes a frame that nobody has the key of.
func (f *flood) forge() *frame.Data {
	d := f.devices[f.rnd.Intn(len(f.devices))]
	fCnt := uint16(f.rnd.Intn(1 << 16))
	if f.near {
		fCnt = uint16(d.Session.FCntUp) + 1
	}
	a := d.Session.DevAddr
	phy := []byte{0x40, a[3], a[2], a[1], a[0], 0, byte(fCnt), byte(fCnt >> 8), 1}
	for range 4 + f.rnd.Intn(20) {
		phy = append(phy, byte(f.rnd.Intn(256)))
	}
	p, err := frame.ParseData(phy)
	if err != nil {
		f.Fatal(err)
	}
	return p
}

// run has forged frames come for a time, at a rate in all, and a device send
// every 200 ms, heard by one source. It returns how many of its frames are lost.
func (f *flood) run(length time.Duration, rate int, from Source) (lost int) {
	f.Helper()
	d, next := f.devices[len(f.devices)/2], radio.HostTime(0)
	n := int(length.Seconds() * float64(rate))
	for i := range n {
		now := radio.HostTime(int64(i) * int64(length) / int64(n))
		before := f.r.WrongMICs()
		_, err := f.r.Match(f.forge(), Reception{Source: f.sources[i%len(f.sources)]}, now)
		if errors.Is(err, ErrBudget) {
			f.refused++
		} else if !errors.Is(err, ErrMIC) {
			f.Fatal(err)
		}
		if now >= next {
			next = next.Add(200 * time.Millisecond)
			up := uplink(f, d, d.Session.FCntUp+1+uint32(f.rnd.Intn(3)))
			m, err := f.r.Match(up, Reception{Source: from}, now)
			if err != nil {
				lost++
			} else {
				m.Accept(up)
			}
		}
		f.tried[int(time.Duration(now)/time.Second)] += f.r.WrongMICs() - before
	}
	return lost
}

// within looks that no second has cost more than the bound: after the first one,
// which may use up what has come together before.
func (f *flood) within() {
	f.Helper()
	for second, n := range f.tried {
		limit := uint64(f.bound)
		if second == 0 {
			limit *= 2
		}
		if n > limit+limit/50+768 { // those of the frame at hand
			f.Errorf("%d wrong MICs in second %d, at most %d", n, second, limit)
		}
	}
}

// Forged frames do not keep out a device, whoever brings them and whatever
// counters they have, and cost no more than they may.
//
// The bounds are what bridge.WrongMICs measures: a MIC takes 100 µs on a MIPS
// router (24Kc, 400 MHz), and 100 ns on a PC. That of one gateway is half of it:
// its forged frames a second, times the devices for which the counter of each is
// plausible, must stay below that.
func TestFlood(t *testing.T) {
	const router, pc = 1800, 2_000_000
	gw := func(n byte) Source { return Source{Gateway: radio.EUI64{n}} }
	strangers := func(n byte) Source { return Source{Gateway: radio.EUI64{n}, Foreign: true} }
	air := []Source{gw(1)}
	tests := []struct {
		name    string
		bound   int
		devices int
		rate    int // forged frames a second
		sources []Source
		near    bool
		equal   bool // the counters of all devices are close to each other
	}{
		{"100/s", router, 1, 100, air, false, false},
		{"300/s", router, 1, 300, air, false, false},
		{"300/s, the next counter", router, 1, 300, air, true, false},
		{"300/s by each of three gateways", router, 1, 900, []Source{gw(1), gw(2), gw(3)}, true, false},
		{"300/s, 16 devices", router, 16, 300, air, false, false},
		{"300/s, 16 devices, the next counter", router, 16, 300, air, true, false},
		{"300/s, 256 devices", router, 256, 300, air, false, false},
		{"300/s, 256 devices, the next counter", router, 256, 300, air, true, false},
		{"300/s, 256 devices with equal counters, on a PC", pc, 256, 300, air, true, true},
		{"10000/s by a stranger who says he is the gateway", router, 1, 10_000, []Source{strangers(1)}, true, false},
		{"10000/s by another gateway", router, 1, 10_000, []Source{gw(2)}, true, false},
		{
			"10000/s by strangers for all gateways", router, 16, 10_000,
			[]Source{strangers(1), strangers(2), strangers(3)},
			true, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			counters := uint32(60_000)
			if tt.equal {
				counters = 20
			}
			f := newFlood(t, tt.bound, tt.devices, counters)
			f.sources, f.near = tt.sources, tt.near
			if lost := f.run(10*time.Second, tt.rate, gw(1)); lost != 0 {
				t.Errorf("%d of 50 frames are lost", lost)
			}
			f.within()
		})
	}
}

// What is beyond the bound: 256 devices whose counters are as close as those of
// 256 devices that were switched on together, and frames with just these. It is
// kept all the same, and the device is heard again once the flood is over.
func TestFloodBeyondTheBound(t *testing.T) {
	f := newFlood(t, 1800, 256, 20)
	f.sources, f.near = []Source{{Gateway: radio.EUI64{1}}}, true
	lost := f.run(10*time.Second, 300, f.sources[0])
	f.within()
	if f.refused == 0 || lost == 0 {
		t.Errorf("%d forged frames are not looked at, %d of the device lost: that tests nothing", f.refused, lost)
	}
	d := f.devices[128]
	how, after := Reception{Source: f.sources[0]}, radio.HostTime(12*time.Second)
	if m, err := f.r.Match(uplink(t, d, d.Session.FCntUp+1), how, after); err != nil {
		t.Errorf("after the flood: %+v, %v", m, err)
	}
}

// A device that was away is found during a flood, though its counter is far on.
func TestFloodAfterAnAbsence(t *testing.T) {
	f := newFlood(t, 1800, 1, 10)
	f.sources = []Source{{Gateway: radio.EUI64{1}}}
	f.run(5*time.Second, 300, f.sources[0])
	d := f.devices[0]
	how, now := Reception{Source: f.sources[0]}, radio.HostTime(5*time.Second)
	if m, err := f.r.Match(uplink(t, d, d.Session.FCntUp+5000), how, now); err != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

// A flood on one DevAddr leaves the devices of the others alone, those of the
// whole too, and long frames and LoRaWAN 1.1 cost what they take.
func TestFloodOfOthers(t *testing.T) {
	f := newFlood(t, 1000, 1, 10)
	f.sources = []Source{{Gateway: radio.EUI64{1}}}
	other := abp("other", 99, V1_0_3, 5)
	other.Session.DevAddr = radio.DevAddr{7}
	if err := f.r.Add(other); err != nil {
		t.Fatal(err)
	}
	f.run(5*time.Second, 2000, f.sources[0])
	f.within()
	how := Reception{Source: Source{Gateway: radio.EUI64{2}}}
	if _, err := f.r.Match(uplink(t, other, 6), how, radio.HostTime(5*time.Second)); err != nil {
		t.Errorf("another DevAddr by another gateway: %v", err)
	}
	largest := frame.Data{MType: frame.UnconfirmedUp, HasFPort: true, FPort: 1, FRMPayload: make([]byte, 222)}
	long, err := frame.BuildUplink(largest, 1, testKeys(1))
	if err != nil {
		t.Fatal(err)
	}
	p, err := frame.ParseData(long)
	if err != nil {
		t.Fatal(err)
	}
	short, v10, v11 := micCost(uplink(t, other, 6), V1_0_3), micCost(p, V1_0_3), micCost(p, V1_1)
	if short != 1 || v10 != 6 || v11 != 11 {
		t.Errorf("costs %d, %d and %d; want 1, 6 and 11", short, v10, v11)
	}
}

// Sources are bounded in number.
func TestSourcesAreBounded(t *testing.T) {
	r := NewRegistry(100)
	for i := range 3 * maxSources {
		r.pay(Source{Gateway: radio.EUI64{byte(i), byte(i >> 8)}, Foreign: true}, 1)
	}
	if n := len(r.sources); n > maxSources {
		t.Errorf("%d sources", n)
	}
}

// A forged frame for the fullest DevAddr there may be.
func BenchmarkMatchForged(b *testing.B) {
	for _, n := range []int{1, MaxPerDevAddr} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := NewRegistry(1800)
			d := abp("dev", 1, V1_0_3, 5)
			for i := range n {
				if err := r.Add(abp(fmt.Sprintf("dev%03d", i), byte(i), V1_0_3, int64(i*200))); err != nil {
					b.Fatal(err)
				}
			}
			d.Session.Keys = testKeys(255)
			d.Session.Keys.FNwkSIntKey[5] = 1
			up := uplink(b, d, 40_000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := r.Match(up, Reception{}, radio.HostTime(i)*radio.HostTime(time.Second/300)); err == nil {
					b.Fatal("taken")
				}
			}
		})
	}
}
