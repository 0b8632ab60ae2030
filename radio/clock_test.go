package radio

import (
	"errors"
	"math/rand"
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

func TestClockSteps(t *testing.T) {
	run := func() (*Clock, forwarder) {
		f := forwarder{zero: -hostAt(time.Hour)}
		c := new(Clock)
		for i := range 10 {
			at := hostAt(time.Duration(i) * time.Second)
			c.Observe(f.counter(at), at)
		}
		return c, f
	}
	t.Run("restart", func(t *testing.T) {
		c, f := run()
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
		_ = f
	})
	t.Run("forward", func(t *testing.T) {
		c, f := run()
		at := hostAt(20 * time.Second)
		if _, stepped := c.Observe(f.counter(at.Add(6*time.Second)), at); !stepped {
			t.Error("a counter 6 s ahead of any network is not taken for a step")
		}
	})
	t.Run("late datagram", func(t *testing.T) {
		c, f := run()
		at := hostAt(20 * time.Second)
		ct, stepped := c.Observe(f.counter(at), at.Add(7*time.Second))
		if stepped {
			t.Fatal("one datagram that comes 7 s late is taken for a step")
		}
		if est, _ := c.HostTime(ct, at.Add(7*time.Second)); est.Sub(at) > time.Millisecond || est < at {
			t.Errorf("host time %v, want %v", est, at)
		}
	})
	t.Run("small step back", func(t *testing.T) {
		c, f := run()
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
	})
	t.Run("told", func(t *testing.T) {
		c, _ := run()
		before, _ := c.Now(hostAt(9 * time.Second))
		c.Reset()
		if _, err := c.Now(0); !errors.Is(err, ErrNoClock) {
			t.Errorf("Now after Reset: %v, want ErrNoClock", err)
		}
		ct, _ := c.Observe(1, hostAt(30*time.Second))
		if ct <= before {
			t.Errorf("time went back from %d to %d", before, ct)
		}
	})
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
