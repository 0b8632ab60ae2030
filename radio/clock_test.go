package radio

import (
	"errors"
	"fmt"
	"math/rand"
	"strconv"
	"strings"
	"testing"
	"time"
)

// forwarder is a gateway with a counter that runs at its own speed, behind a
// network that delays.
type forwarder struct {
	zero HostTime // when the counter showed 0
	ppm  int64    // how much faster than the host's clock it runs
}

func (f forwarder) counter(at HostTime) uint32 {
	us := int64(at.Sub(f.zero) / time.Microsecond)
	return uint32(us + us/1_000_000*f.ppm)
}

func hostAt(d time.Duration) HostTime { return HostTime(d) }

func TestClockExtendsAcrossWraps(t *testing.T) {
	for _, ppm := range []int64{-50, 0, 50} {
		f := forwarder{zero: -hostAt(71 * time.Minute), ppm: ppm} // wraps soon
		rnd := rand.New(rand.NewSource(1))
		var c Clock
		var first, firstAt int64
		for i := 0; i < 5000; i++ { // 100 wraps are 119 h
			at := hostAt(time.Duration(i) * 86 * time.Second)
			delay := time.Duration(rnd.Int63n(int64(800 * time.Millisecond)))
			ct, stepped := c.Observe(f.counter(at), at.Add(delay))
			if stepped {
				t.Fatalf("%d ppm, sample %d: taken for a step", ppm, i)
			}
			if ct.Counter() != f.counter(at) {
				t.Fatalf("%d ppm, sample %d: low bits %d, counter %d", ppm, i, ct.Counter(), f.counter(at))
			}
			us := int64(at / 1000)
			us += us / 1_000_000 * ppm
			if i == 0 {
				first, firstAt = int64(ct), us
			}
			if d := int64(ct) - first - (us - firstAt); d < -2 || d > 2 {
				t.Fatalf("%d ppm, sample %d: %d µs off after %v", ppm, i, d, time.Duration(at))
			}
		}
	}
}

// After some traffic the host time of a window is never estimated later than
// it is by more than the drift that the network's delay can hide.
func TestClockFindsTheOffset(t *testing.T) {
	for _, ppm := range []int64{-50, 0, 50} {
		f := forwarder{zero: -hostAt(time.Hour), ppm: ppm}
		rnd := rand.New(rand.NewSource(2))
		var c Clock
		worstLate, worstEarly := time.Duration(0), time.Duration(0)
		for i := 0; i < 2000; i++ {
			at := hostAt(time.Duration(i) * 10 * time.Second)
			ct, _ := c.Observe(f.counter(at), at.Add(time.Duration(rnd.Int63n(int64(800*time.Millisecond)))))
			if i < 50 {
				continue
			}
			est, err := c.HostTime(ct, at)
			if err != nil {
				t.Fatal(err)
			}
			worstLate = max(worstLate, est.Sub(at))
			worstEarly = max(worstEarly, at.Sub(est))
		}
		if worstLate > 150*time.Millisecond || worstEarly > 150*time.Millisecond {
			t.Errorf("%d ppm: at most %v late and %v early, want 150 ms", ppm, worstLate, worstEarly)
		}
	}
}

// aRunningClock returns a Clock that has seen ten datagrams, one a second, of a
// forwarder whose counter started an hour before.
func aRunningClock() (*Clock, forwarder) {
	f := forwarder{zero: -hostAt(time.Hour)}
	c := new(Clock)
	for i := range 10 {
		at := hostAt(time.Duration(i) * time.Second)
		c.Observe(f.counter(at), at)
	}
	return c, f
}

func TestClockSteps(t *testing.T) {
	t.Run("restart", testClockRestart)
	t.Run("forward", testClockForward)
	t.Run("late datagram", testClockLateDatagram)
	t.Run("small step back", testClockStepBack)
	t.Run("told", testClockReset)
}

func testClockRestart(t *testing.T) {
	c, _ := aRunningClock()
	before, _ := c.Now(hostAt(20 * time.Second))
	at := hostAt(20 * time.Second)
	ct, stepped := c.Observe(5_000_000, at)
	if !stepped {
		t.Fatal("a counter of 5 s after one of an hour is not taken for a step")
	}
	if ct <= before || ct.Counter() != 5_000_000 {
		t.Errorf("time %d after %d: it must go on, with the counter in its low bits", ct, before)
	}
	if est, _ := c.HostTime(ct, at); est != at {
		t.Errorf("host time %v after the step, want %v", est, at)
	}
}

func testClockForward(t *testing.T) {
	c, f := aRunningClock()
	at := hostAt(20 * time.Second)
	if _, stepped := c.Observe(f.counter(at.Add(6*time.Second)), at); !stepped {
		t.Error("a counter 6 s ahead of any network is not taken for a step")
	}
}

func testClockLateDatagram(t *testing.T) {
	c, f := aRunningClock()
	at := hostAt(20 * time.Second)
	ct, stepped := c.Observe(f.counter(at), at.Add(7*time.Second))
	if stepped {
		t.Fatal("one datagram that comes 7 s late is taken for a step")
	}
	if est, _ := c.HostTime(ct, at.Add(7*time.Second)); ct.Counter() != f.counter(at) || est < at.Add(7*time.Second) {
		t.Errorf("time %d at %v: while it is in doubt it must hold the counter, and count as heard when it came", ct, est)
	}
	next := at.Add(10 * time.Second)
	ct, stepped = c.Observe(f.counter(next), next)
	if est, _ := c.HostTime(ct, next); stepped || est != next {
		t.Errorf("the next one, in time: stepped %v, host time %v, want %v", stepped, est, next)
	}
}

func testClockStepBack(t *testing.T) {
	c, f := aRunningClock()
	f.zero += HostTime(8 * time.Second) // the counter lost 8 s
	steps := 0
	for i := 20; i < 24; i++ {
		at := hostAt(time.Duration(i) * time.Second)
		if _, stepped := c.Observe(f.counter(at), at); stepped {
			steps++
		}
	}
	if steps != 1 {
		t.Errorf("%d steps seen in four datagrams after a step of 8 s, want 1", steps)
	}
}

func testClockReset(t *testing.T) {
	c, _ := aRunningClock()
	before, _ := c.Now(hostAt(9 * time.Second))
	c.Reset()
	if _, err := c.Now(0); !errors.Is(err, ErrNoClock) {
		t.Errorf("Now after Reset: %v, want ErrNoClock", err)
	}
	ct, _ := c.Observe(1, hostAt(30*time.Second))
	if ct <= before {
		t.Errorf("time went back from %d to %d", before, ct)
	}
}

// A counter that begins anew some seconds after it began looks like a slow
// network. What comes then can be answered all the same, and the counter is soon
// known: at once where something else speaks for a restart.
func TestClockRestart(t *testing.T) {
	tests := []struct {
		after   time.Duration // the counter had run for
		suspect bool
		steps   int // at which sample it is known; 0: not
	}{
		{3 * time.Second, true, 1},
		{5 * time.Second, true, 1},
		{20 * time.Second, true, 1},
		{60 * time.Second, true, 1},
		{time.Hour, true, 1},
		{6 * time.Second, false, 3},
		{20 * time.Second, false, 3},
		{59 * time.Second, false, 3},
		{61 * time.Second, false, 1},
		{70 * time.Minute, false, 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("after %v, suspected %v", tt.after, tt.suspect), func(t *testing.T) {
			var c Clock
			old := forwarder{zero: hostAt(time.Minute)}
			last, _ := c.Observe(old.counter(old.zero.Add(time.Second)), old.zero.Add(time.Second))
			anew := forwarder{zero: old.zero.Add(tt.after)}
			planned := last.Add(tt.after + 30*time.Second) // on the old counter
			if tt.suspect {
				c.Suspect()
			}
			var first ConcentratorTime
			for n := 1; n <= 6; n++ {
				at := anew.zero.Add(time.Duration(n) * 3 * time.Second)
				arrival := at.Add(40 * time.Millisecond)
				ct, stepped := c.Observe(anew.counter(at), arrival)
				if stepped != (n == tt.steps) {
					t.Errorf("sample %d: stepped %v", n, stepped)
				}
				if n == 1 {
					first = ct
				}
				if est, _ := c.HostTime(ct, arrival); est < at {
					t.Errorf("sample %d counts as heard %v too early", n, at.Sub(est))
				}
				if ct.Counter() != anew.counter(at) || ct <= planned || ct != first.Add(time.Duration(n-1)*3*time.Second) {
					t.Errorf("sample %d: time %d, the first was %d; planned was %d", n, ct, first, planned)
				}
			}
			if c.Since() != first {
				t.Errorf("since %d, want %d", c.Since(), first)
			}
		})
	}
}

// A counter that wraps has not begun anew, whatever else is suspected.
func TestClockWrapIsNoRestart(t *testing.T) {
	for _, before := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, 60 * time.Second} {
		const wrap = 1 << 32 * time.Microsecond
		f := forwarder{zero: hostAt(time.Hour) - HostTime(wrap)}
		var c Clock
		var last ConcentratorTime
		for at := f.zero.Add(wrap - before); at < f.zero.Add(wrap+2*time.Minute); at = at.Add(before) {
			c.Suspect()
			ct, stepped := c.Observe(f.counter(at), at.Add(300*time.Millisecond))
			if stepped || last != 0 && ct != last.Add(before) {
				t.Fatalf("%v before the wrap: stepped %v, time %d after %d", before, stepped, ct, last)
			}
			last = ct
		}
	}
}

func TestClockAfterSilence(t *testing.T) {
	f := forwarder{zero: 0, ppm: 40}
	var c Clock
	c.Observe(f.counter(hostAt(time.Second)), hostAt(time.Second))
	at := hostAt(36 * time.Hour) // some 30 wraps
	ct, stepped := c.Observe(f.counter(at), at.Add(30*time.Millisecond))
	us := int64(at / 1000)
	us += us / 1_000_000 * 40
	if stepped || int64(ct) != us {
		t.Errorf("after 36 h: %d, stepped %v; want %d", ct, stepped, us)
	}
}

func TestClockUnknown(t *testing.T) {
	var c Clock
	if _, err := c.HostTime(1, 1); !errors.Is(err, ErrNoClock) {
		t.Errorf("HostTime: %v", err)
	}
	if _, err := c.Extend(1, 1); !errors.Is(err, ErrNoClock) {
		t.Errorf("Extend: %v", err)
	}
}

// Extend must not learn: a stranger's datagrams move nothing.
func TestClockExtendLearnsNothing(t *testing.T) {
	var c Clock
	c.Observe(1_000_000, hostAt(time.Second))
	before := c
	for i := range uint32(100) {
		if _, err := c.Extend(i*50_000_000, hostAt(2*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if c != before {
		t.Errorf("the clock has changed from %+v to %+v", before, c)
	}
}

func TestGPSTime(t *testing.T) {
	tests := []struct {
		gps GPSTime
		utc string
	}{
		{GPSTime(time.Second), "1980-01-06T00:00:01Z"},
		{GPSTime(1_167_264_017 * time.Second), "2016-12-31T23:59:59Z"}, // the leap second itself
		{GPSTime(1_167_264_018 * time.Second), "2017-01-01T00:00:00Z"},
		{GPSTime(1_479_370_164_544 * time.Millisecond), "2026-11-22T08:09:06.544Z"},
	}
	for _, tt := range tests {
		if got := tt.gps.UTC().Format(time.RFC3339Nano); got != tt.utc {
			t.Errorf("%d is %s, want %s", tt.gps, got, tt.utc)
		}
		if got := GPSTimeOf(tt.gps.UTC()); got != tt.gps && tt.utc != "2016-12-31T23:59:59Z" {
			t.Errorf("%s is %d, want %d", tt.utc, got, tt.gps)
		}
	}
	if got := GPSTimeOf(time.Unix(0, 0)); got != 0 {
		t.Errorf("1970 is GPS time %d, want none", got)
	}
}

// Seconds have the digits that they were measured with, however long ago.
func TestSeconds(t *testing.T) {
	for _, base := range []time.Duration{0, time.Second, 65 * time.Second, 400 * 24 * time.Hour, -2 * time.Second} {
		for ms := range time.Duration(1000) {
			d := base + ms*time.Millisecond
			text := strconv.FormatFloat(Seconds(d), 'f', -1, 64)
			back, err := time.ParseDuration(text + "s")
			if _, digits, _ := strings.Cut(text, "."); err != nil || back != d || len(digits) > 3 {
				t.Fatalf("%v is written as %s", d, text)
			}
		}
	}
	if got := Seconds(41_216*time.Microsecond + 7); got != 0.041216 {
		t.Errorf("41.216 ms are %v s", got)
	}
}
