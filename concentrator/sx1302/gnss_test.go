package sx1302

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// testGNSS is a receiver that knows GPS time from a time on: this, and the counter of 0.
type testGNSS struct {
	mu       sync.Mutex
	restarts int
	pulses   []radio.ConcentratorTime
	hosts    []radio.HostTime
	zero     radio.GPSTime // at the counter's 0; 0: not known
}

func (g *testGNSS) Restart() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.restarts++
}

func (g *testGNSS) Pulse(counter radio.ConcentratorTime, host radio.HostTime) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pulses, g.hosts = append(g.pulses, counter), append(g.hosts, host)
}

func (g *testGNSS) GPS(t radio.ConcentratorTime) radio.GPSTime {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.zero == 0 {
		return 0
	}
	return g.zero + radio.GPSTime(t.Sub(0))
}

func (g *testGNSS) know(zero radio.GPSTime) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.zero = zero
}

var testPlace = &radio.Place{Latitude: 1}

func (*testGNSS) Place() *radio.Place { return testPlace }

// Each pulse is told once, with the counter at it, which is exact, and the host's time, which is as
// good as the reading of the counter.
func TestPulses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &testGNSS{}
		b := newBench(t, func(o *DriverOptions) { o.GNSS = g })
		time.Sleep(5 * time.Minute) // the counter wraps twice
		b.stop()
		if g.restarts != 1 || len(g.pulses) < 300 {
			t.Fatalf("%d starts of the counter, %d pulses", g.restarts, len(g.pulses))
		}
		for i, p := range g.pulses {
			second := time.Duration(g.hosts[i]).Round(time.Second)
			if i > 0 && p.Sub(g.pulses[i-1]) != time.Second || p.Counter()%1_000_000 != 0 ||
				(time.Duration(g.hosts[i])-second).Abs() > time.Millisecond {
				t.Fatalf("pulse %d: counter %d at %v", i, p, time.Duration(g.hosts[i]))
			}
		}
	})
}

// A pulse that does not come any more is not told again when the counter comes round.
func TestPulsesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &testGNSS{}
		b := makeBench(t, func(o *DriverOptions) { o.GNSS = g })
		b.model = sx1302test.New(sx1302test.Options{
			EUI: testEUI, Pulses: func(now time.Duration) (last, next time.Duration) {
				return min(now, 20*time.Second).Truncate(time.Second), -1
			},
		})
		chip, err := New(b.model, testConfig(), Options{Firmware: testFirmware()})
		if err != nil {
			t.Fatal(err)
		}
		b.driver.chip = chip
		b.started(func() {})
		time.Sleep(10 * time.Minute)
		b.stop()
		if n := len(g.pulses); n < 15 || n > 20 || g.pulses[n-1].Counter() != 20_000_000 {
			t.Errorf("%d pulses: %v", n, g.pulses)
		}
	})
}

// The sink is told each second what the counter shows while GPS time is known, and once that it is
// lost; frames have it too.
func TestGPSTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &testGNSS{}
		var told []radio.GatewayEvent
		b := makeBench(t, func(o *DriverOptions) { o.GNSS = g })
		b.sink.event = func(e radio.GatewayEvent) {
			if e.Kind == radio.GatewayClock {
				told = append(told, e)
			}
		}
		b.started(func() {})
		time.Sleep(10 * time.Second)
		if len(told) > 0 {
			t.Errorf("%d times before anything was known", len(told))
		}
		const zero = radio.GPSTime(1_400_000_000 * time.Second)
		g.know(zero)
		time.Sleep(10 * time.Second)
		b.hear("frame", nil)
		time.Sleep(time.Second)
		g.know(0)
		time.Sleep(10 * time.Second)
		b.stop()
		for i, e := range told[:len(told)-1] {
			off := time.Duration(e.GPS-zero) - e.Counter.Sub(0)
			by := time.Duration(e.At) - time.Duration(e.Counter.Counter())*time.Microsecond
			if off != 0 || by.Abs() > time.Millisecond || e.Place != testPlace || e.Gateway != testEUI {
				t.Errorf("event %d is %v off, %v by the host: %+v", i, off, by, e)
			}
		}
		if n := len(told); n < 11 || n > 13 || told[n-1].GPS != 0 {
			t.Errorf("told %d times, last %+v", n, told[n-1])
		}
		ups, _, _ := b.sink.seen()
		if len(ups) != 1 || ups[0].GPS != zero+radio.GPSTime(ups[0].Time.Sub(0)) ||
			ups[0].Receptions[0].Token.GPS != ups[0].GPS {
			t.Errorf("the frame: %+v", ups)
		}
	})
}

// pulsedBench is a bench that was started, whose pulses end at a time, and the value of the counter at
// its begin.
func pulsedBench(t *testing.T, ends time.Duration) (b *bench, base int64) {
	t.Helper()
	b = makeBench(t, nil)
	b.model = sx1302test.New(sx1302test.Options{
		EUI: testEUI, Pulses: func(now time.Duration) (last, next time.Duration) {
			last = min(now, ends).Truncate(time.Second)
			if next = last + time.Second; next > ends {
				next = -1
			}
			return last, next
		},
	})
	chip, err := New(b.model, testConfig(), Options{Firmware: testFirmware()})
	if err != nil {
		t.Fatal(err)
	}
	b.driver.chip = chip
	b.started(func() {})
	time.Sleep(10*time.Second + 300*time.Millisecond)
	return b, b.model.Counter() - time.Since(b.begin).Microseconds()
}

// send has the driver send 17 bytes with SF9, which take 152.576 ms as a beacon, and 164.864 ms else.
func (b *bench) send(id uint64, at int64, beacon bool) {
	b.t.Helper()
	if err := b.driver.Transmit(radio.Downlink{
		ID: id, Gateway: testEUI, PHYPayload: make([]byte, 17), Frequency: 868_500_000,
		DataRate: radio.LoRaDataRate(9, 125_000), Power: 1400, Beacon: beacon, Time: radio.ConcentratorTime(at),
	}); err != nil {
		b.t.Fatal(err)
	}
}

// A beacon leaves with the pulse of its time, in the form of one. Where the pulse does not come it
// is given up.
func TestBeacon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, base := pulsedBench(t, 30*time.Second)
		b.send(1, base+20_000_000, true)
		b.send(2, base+40_000_000, true)
		time.Sleep(time.Minute)
		b.stop()
		sent := b.model.Emissions()
		if len(sent) != 2 || sent[0].Begin != base+20_000_000 || sent[0].Cut || !sent[1].Cut ||
			sent[0].Trigger != sx1302test.TriggerPPS || sent[0].Air != 152576*time.Microsecond {
			t.Errorf("sent %+v", sent)
		}
		_, acks, _ := b.sink.seen()
		if acks[1][0] != radio.TxOK || acks[2][0] != radio.TxUnknownError {
			t.Errorf("answers %v", acks)
		}
	})
}

// A frame that ends as soon before a beacon, or begins as soon behind one, as is planned leaves at its
// time, and so does the beacon.
func TestAroundBeacon(t *testing.T) {
	const gap = 43_000 // of bridge/schedule, µs
	synctest.Test(t, func(t *testing.T) {
		b, base := pulsedBench(t, time.Hour)
		at := []int64{20_000_000 - gap - 164_864, 20_000_000, 20_000_000 + 1500 + 152_576 + gap}
		for i := range at {
			at[i] += base
			b.send(uint64(i+1), at[i], i == 1)
		}
		time.Sleep(time.Minute)
		b.stop()
		_, acks, _ := b.sink.seen()
		sent := b.model.Emissions()
		if len(sent) != len(at) {
			t.Fatalf("sent %+v, answers %v", sent, acks)
		}
		for i := range sent {
			if off := sent[i].Begin - at[i]; off < -1 || off > 1 || sent[i].Cut || acks[uint64(i+1)][0] != radio.TxOK {
				t.Errorf("frame %d is %d µs off its time, cut: %v, answers %v", i, off, sent[i].Cut, acks)
			}
		}
	})
}
