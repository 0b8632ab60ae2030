package air

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(1)
		var mu sync.Mutex
		var got []radio.Uplink
		var when []time.Time
		hear := func(up radio.Uplink) {
			mu.Lock()
			defer mu.Unlock()
			got, when = append(got, up), append(when, time.Now())
		}
		r := a.Listen(ReceiverOptions{EUI: radio.EUI64{1}, Counter: 4_294_000_000, Hear: hear})
		a.Listen(ReceiverOptions{
			EUI: radio.EUI64{2}, Counter: 7, Drift: 40, Hear: hear,
			Loss: func(dev string) bool { return dev == "slow" },
		})
		keys := frame.SessionKeys{FNwkSIntKey: frame.Key{1}, NwkSEncKey: frame.Key{1}, AppSKey: frame.Key{2}}
		fast, err := a.Device(DeviceOptions{
			Name: "fast", DevAddr: radio.DevAddr{1}, Keys: keys, Plan: plan(t), DataRate: 5,
			RSSI: -6000, SNR: 850,
		})
		if err != nil {
			t.Fatal(err)
		}
		slow, err := a.Device(DeviceOptions{Name: "slow", DevAddr: radio.DevAddr{2}, Keys: keys, Plan: plan(t), DataRate: 0})
		if err != nil {
			t.Fatal(err)
		}
		stop := runAir(t, a)
		data := frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte("abc")}
		begin := time.Now()
		s1, err1 := slow.Send(data)
		s2, err2 := fast.Send(data)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(got) != 3 || got[0].Gateway != (radio.EUI64{1}) || got[2].DataRate.SpreadingFactor != 12 {
			t.Fatalf("heard %+v", got)
		}
		if s2.Airtime != 51456*time.Microsecond || !when[0].Equal(begin.Add(s2.Airtime)) ||
			!when[2].Equal(begin.Add(s1.Airtime)) || s1.Airtime != 1318912*time.Microsecond {
			t.Errorf("air times %v and %v, heard after %v and %v", s1.Airtime, s2.Airtime, when[2].Sub(begin),
				when[0].Sub(begin))
		}
		if got[0].Time != 4_294_051_456 || got[1].Time != 7+51456+2 || got[2].Time != (4_294_000_000+1_318_912)&0xffffffff {
			t.Errorf("counters %d, %d, %d", got[0].Time, got[1].Time, got[2].Time)
		}
		if c := r.Counter(begin.Add(time.Hour)); c != 4_294_000_000+3600_000_000 {
			t.Errorf("counter after an hour %d", c)
		}
		checkFast(t, got[0], s2.Frequency)
		if s, err := fast.Send(frame.Data{MType: frame.ConfirmedUp}); err != nil || s.FCnt != 1 {
			t.Errorf("second frame %+v, %v", s, err)
		}
		stop()
	})
}

// runAir runs the air until stop is called.
func runAir(t *testing.T, a *Air) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// checkFast checks the uplink of TestSend's device "fast".
func checkFast(t *testing.T, up radio.Uplink, on radio.Frequency) {
	t.Helper()
	if up.Frequency != on || up.Receptions[0].RSSI != -6000 || up.Receptions[0].SNR != 850 ||
		up.CodingRate != radio.CodingRate45 {
		t.Errorf("uplink %+v", up)
	}
	p, err := frame.ParseData(up.PHYPayload)
	if err != nil || !p.CheckUplinkMIC(frame.Key{1}, 0) || string(p.Decrypt(frame.Key{2}, 0)) != "abc" {
		t.Errorf("frame %+v, %v", p, err)
	}
}

// Equal seeds make equal runs, even with devices in goroutines of their own
// that send at the same times.
func TestEqualSeeds(t *testing.T) {
	run := func(t *testing.T, seed uint64) (heard []string) {
		synctest.Test(t, func(t *testing.T) {
			a := New(seed)
			for i := range byte(2) {
				a.Listen(ReceiverOptions{EUI: radio.EUI64{i}, Hear: func(up radio.Uplink) {
					heard = append(heard, fmt.Sprintf("%v %d %v %x", up.Gateway, up.Time, up.Frequency, up.PHYPayload))
				}})
			}
			var wg sync.WaitGroup
			defer wg.Wait()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			wg.Go(func() { _ = a.Run(ctx) })
			for i := range byte(50) {
				v, err := a.Device(DeviceOptions{DevAddr: radio.DevAddr{i}, Plan: plan(t), DataRate: 3 + i%3})
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					for range 20 {
						if _, err := v.Send(frame.Data{}); err != nil {
							t.Error(err)
						}
						time.Sleep(10 * time.Second)
					}
				})
			}
			time.Sleep(300 * time.Second)
			synctest.Wait()
		})
		return heard
	}
	first := run(t, 7)
	if len(first) != 2*50*20 {
		t.Errorf("%d frames heard", len(first))
	}
	for range 3 {
		if !slices.Equal(run(t, 7), first) {
			t.Error("a second run with the same seed differs")
		}
	}
	if slices.Equal(run(t, 8), first) {
		t.Error("a run with another seed does not differ")
	}
}

func TestAt(t *testing.T) {
	onAir(t, func(b *bench) {
		var got []int
		begin := time.Now()
		for i, after := range []time.Duration{3, 1, 2, 1, 0} {
			b.a.At(begin.Add(after*time.Hour), func() {
				got = append(got, i)
				if since := time.Since(begin); since != after*time.Hour {
					t.Errorf("called after %v, want %v", since, after*time.Hour)
				}
			})
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if !slices.Equal(got, []int{4, 1, 3, 2, 0}) {
			t.Errorf("called in the order %v", got)
		}
	})
}
