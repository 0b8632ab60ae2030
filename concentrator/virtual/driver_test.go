package virtual

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

var (
	eui  = radio.EUI64{0xa1, 7: 1}
	addr = radio.DevAddr{0x01, 0xAB, 0xCD, 0xEF}
)

// bench is a driver that runs on an air with one device.
type bench struct {
	*testing.T
	a      *air.Air
	dev    *air.Device
	d      *Driver
	sink   concentrator.FakeSink
	begin  time.Time
	heard  []air.Heard
	missed []air.Missed
	stop   func() // ends the driver and the air
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	b := &bench{T: t, a: air.New(1), begin: time.Now()}
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	o.Air, o.Receiver.EUI, o.Receiver.Plan = b.a, eui, plan
	o.Now = func() radio.HostTime { return radio.HostTime(time.Since(b.begin)) }
	if b.d, err = New(o); err != nil {
		t.Fatal(err)
	}
	key := frame.Key{1}
	b.dev, err = b.a.Device(air.DeviceOptions{
		Name: "dev1", DevAddr: addr, Plan: plan, DataRate: 5, RSSI: -5000, SNR: 700,
		Keys:   frame.SessionKeys{FNwkSIntKey: key, SNwkSIntKey: key, NwkSEncKey: key, AppSKey: key},
		Heard:  func(h air.Heard) { b.heard = append(b.heard, h) },
		Missed: func(m air.Missed) { b.missed = append(b.missed, m) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.a.Run(ctx) })
	b.stop = func() { cancel(); wg.Wait() }
	return b
}

// run runs the driver too.
func (b *bench) run() *bench {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.d.Run(ctx, &b.sink); err != nil {
			b.Errorf("Run: %v", err)
		}
	})
	stop := b.stop
	b.stop = func() { cancel(); wg.Wait(); stop() }
	b.Cleanup(b.stop)
	synctest.Wait()
	return b
}

func (b *bench) send() (air.Sent, radio.HostTime) {
	b.Helper()
	s, err := b.dev.Send(frame.Data{})
	if err != nil {
		b.Fatal(err)
	}
	return s, radio.HostTime(s.End.Sub(b.begin))
}

// answer is a downlink for a window of the last uplink.
func (b *bench) answer(id uint64, w air.Window) radio.Downlink {
	b.Helper()
	key := frame.Key{1}
	phy, err := frame.BuildDownlink(frame.Data{MType: frame.UnconfirmedDown, DevAddr: addr}, uint32(id),
		frame.SessionKeys{FNwkSIntKey: key, SNwkSIntKey: key, NwkSEncKey: key, AppSKey: key})
	if err != nil {
		b.Fatal(err)
	}
	ups := b.sink.Uplinks()
	return radio.Downlink{
		ID: id, Gateway: eui, PHYPayload: phy, Time: ups[len(ups)-1].Time.Add(w.Delay), Frequency: w.Frequency,
		DataRate: w.DataRate, Power: 1400,
	}
}

// subject has a counter that wraps between the frames that the air hears.
func subject(t *testing.T, o Options) concentrator.Subject {
	o.Receiver.Counter = 1<<32 - 120_000
	b := newBench(t, o)
	return concentrator.Subject{Driver: b.d, Gateway: eui, Close: b.stop, Hear: func(phy []byte) {
		if _, err := b.dev.Resend(air.Sent{PHYPayload: phy}); err != nil {
			t.Error(err)
		}
	}}
}

func TestConforms(t *testing.T) {
	for name, o := range map[string]Options{
		"good":            {},
		"slow":            {Jitter: 800 * time.Millisecond, AckDelay: 200 * time.Millisecond},
		"without answers": {NoAcks: true},
		"with few":        {AckLoss: 0.7, AckTimeout: time.Second},
		"refuses":         {Refuse: func(d radio.Downlink) radio.TxResult { return radio.TxResult(d.ID % 9) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				concentrator.Conform(t, func() concentrator.Subject { return subject(t, o) })
			})
		})
	}
	t.Run("in real time", func(t *testing.T) {
		concentrator.Conform(t, func() concentrator.Subject { return subject(t, Options{}) })
	})
}

var dayTests = []struct {
	name   string
	o      Options
	late   time.Duration // most that a frame may seem to have ended too late
	resets int
}{
	{"good", Options{}, 0, 0},
	{"fast counter", Options{Receiver: air.ReceiverOptions{Drift: 50}}, time.Millisecond, 0},
	{"slow counter", Options{Receiver: air.ReceiverOptions{Drift: -50}}, time.Millisecond, 0},
	{"bad network", Options{Jitter: 800 * time.Millisecond}, 450 * time.Millisecond, 0},
	{
		"bad network, fast counter",
		Options{Jitter: 800 * time.Millisecond, Receiver: air.ReceiverOptions{Drift: 50}},
		450 * time.Millisecond, 0,
	},
	{
		"bad network, slow counter",
		Options{Jitter: 800 * time.Millisecond, Receiver: air.ReceiverOptions{Drift: -50}},
		450 * time.Millisecond, 0,
	},
	{"restarts", Options{}, 0, 3},
}

// A device is answered through the driver, day and night, whatever the network
// and the clocks do, and each frame is found to have ended when it did.
func TestDay(t *testing.T) {
	const interval, rounds, first = 5 * time.Minute, 288, 20
	for _, tt := range dayTests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.o.Receiver.Counter = 4_294_000_000
				b := newBench(t, tt.o).run()
				for i := range uint64(rounds) {
					if tt.resets > 0 && i%72 == 50 && i > 72 {
						b.d.Restart(uint32(i))
					}
					s, ended := b.send()
					time.Sleep(s.Airtime + 850*time.Millisecond)
					synctest.Wait()
					ups := b.sink.Uplinks()
					if len(ups) != int(i)+1 {
						t.Fatalf("%d uplinks after %d frames", len(ups), i+1)
					}
					up := ups[i]
					if late := up.Ended.Sub(ended); late < -20*time.Millisecond || i > first && late > tt.late ||
						up.Received < up.Ended {
						t.Errorf("frame %d ended at %v, is said to have at %v and was received at %v", i, ended, up.Ended, up.Received)
					}
					if i > 0 && up.Time <= ups[i-1].Time {
						t.Errorf("time %d after %d", up.Time, ups[i-1].Time)
					}
					if err := b.d.Transmit(b.answer(i, s.RX1)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(interval)
				}
				synctest.Wait()
				if len(b.heard) != rounds || len(b.missed) != 0 {
					t.Errorf("the device has heard %d downlinks and missed %+v", len(b.heard), b.missed)
				}
				for _, a := range b.sink.TxAcks() {
					if a.Result != radio.TxOK || a.RoundTrip != 3*time.Millisecond {
						t.Errorf("answer %+v", a)
					}
				}
				resets := 0
				for _, e := range b.sink.GatewayEvents() {
					if e.Kind == radio.GatewayCounterReset {
						resets++
					}
				}
				if resets != tt.resets {
					t.Errorf("%d resets of the counter were found, want %d", resets, tt.resets)
				}
			})
		})
	}
}

func refuse(r radio.TxResult) func(radio.Downlink) radio.TxResult {
	return func(radio.Downlink) radio.TxResult { return r }
}

var answersTests = []struct {
	name   string
	o      Options
	change func(*radio.Downlink)
	want   radio.TxResult
	after  time.Duration
	heard  int
}{
	{"good", Options{}, nil, radio.TxOK, 3 * time.Millisecond, 1},
	{"later", Options{AckDelay: 70 * time.Millisecond}, nil, radio.TxOK, 70 * time.Millisecond, 1},
	{"refused", Options{Refuse: refuse(radio.TxGPSUnlocked)}, nil, radio.TxGPSUnlocked, 3 * time.Millisecond, 0},
	{"not refused", Options{Refuse: refuse(radio.TxOK)}, nil, radio.TxOK, 3 * time.Millisecond, 1},
	{
		"refused by the queue",
		Options{},
		func(d *radio.Downlink) { d.Time -= 1_000_000 }, radio.TxTooLate,
		3 * time.Millisecond, 0,
	},
	{
		"out of band",
		Options{},
		func(d *radio.Downlink) { d.Frequency = 915_000_000 }, radio.TxFreq,
		3 * time.Millisecond, 0,
	},
	{"no answers", Options{NoAcks: true}, nil, radio.TxNoAck, 3 * time.Second, 1},
	{
		"answer lost",
		Options{AckLoss: 1, AckTimeout: 500 * time.Millisecond},
		nil, radio.TxNoAck,
		500 * time.Millisecond, 1,
	},
	{"refusal lost", Options{AckLoss: 1, Refuse: refuse(radio.TxPower)}, nil, radio.TxNoAck, 3 * time.Second, 0},
}

// The driver answers in each of its moods, at its time.
func TestAnswers(t *testing.T) {
	for _, tt := range answersTests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tt.o).run()
				s, ended := b.send()
				time.Sleep(time.Second / 2)
				d := b.answer(9, s.RX1)
				if tt.change != nil {
					tt.change(&d)
				}
				if err := b.d.Transmit(d); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				want := radio.TxAck{
					ID: 9, Gateway: eui, Result: tt.want, RoundTrip: tt.after,
					At: radio.HostTime(time.Second/2 + tt.after),
				}
				if acks := b.sink.TxAcks(); len(acks) != 1 || acks[0] != want {
					t.Errorf("answers %+v, want %+v", acks, want)
				}
				if len(b.heard) != tt.heard || len(b.missed) != 0 {
					t.Errorf("heard %d, missed %+v", len(b.heard), b.missed)
				}
				up := b.sink.Uplinks()[0]
				if up.Received != ended || up.Ended != ended || up.Receptions[0].RSSI != -5000 {
					t.Errorf("uplink %+v, ended at %d", up, ended)
				}
				if e := b.sink.GatewayEvents(); len(e) != 1 || !e[0].Local {
					t.Errorf("events %+v", e)
				}
			})
		})
	}
}

// A share of the uplinks and of the answers gets lost: the same ones each time.
func TestLosses(t *testing.T) {
	run := func(t *testing.T, seed uint64) (log []string) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Options{Seed: seed, Loss: 0.3, AckLoss: 0.2, Jitter: 50 * time.Millisecond}).run()
			n := 0
			for i := range uint64(500) {
				s, _ := b.send()
				time.Sleep(200 * time.Millisecond)
				synctest.Wait()
				if heard := len(b.sink.Uplinks()); heard > n {
					n = heard
					if err := b.d.Transmit(b.answer(i, s.RX1)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Second)
			}
			synctest.Wait()
			for _, up := range b.sink.Uplinks() {
				log = append(log, fmt.Sprint(up.Time, up.Received))
			}
			lost := 0
			for _, a := range b.sink.TxAcks() {
				log = append(log, fmt.Sprintf("%+v", a))
				if a.Result == radio.TxNoAck {
					lost++
				}
			}
			if acks := len(b.sink.TxAcks()); n < 300 || n > 400 || acks != n || lost < n/8 || lost > n/4 || len(b.heard) != n {
				t.Errorf("%d uplinks, %d answers and %d lost, %d downlinks heard", n, acks, lost, len(b.heard))
			}
		})
		return log
	}
	first := run(t, 5)
	if !slices.Equal(first, run(t, 5)) {
		t.Error("a second run with the same seed differs")
	}
	if slices.Equal(first, run(t, 6)) {
		t.Error("a run with another seed does not differ")
	}
}

func TestNewRefuses(t *testing.T) {
	now := func() radio.HostTime { return 0 }
	for name, o := range map[string]Options{
		"no air": {Now: now}, "no clock": {Air: air.New(1)},
		"loss": {Air: air.New(1), Now: now, Loss: 1.1}, "lost answers": {Air: air.New(1), Now: now, AckLoss: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// slowSink takes its time over an uplink.
type slowSink struct {
	concentrator.FakeSink
	done time.Time
}

func (s *slowSink) Uplink(up radio.Uplink) {
	time.Sleep(time.Second)
	s.done = time.Now()
}

// Run does not return while its sink is called.
func TestRunWaitsForSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		defer b.stop()
		sink, ended := &slowSink{}, make(chan time.Time, 1)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			_ = b.d.Run(ctx, sink)
			ended <- time.Now()
		}()
		synctest.Wait()
		s, _ := b.send()
		time.Sleep(s.Airtime + time.Millisecond)
		cancel()
		if at := <-ended; sink.done.IsZero() || at.Before(sink.done) {
			t.Errorf("Run has returned at %v, the sink at %v", at, sink.done)
		}
	})
}
