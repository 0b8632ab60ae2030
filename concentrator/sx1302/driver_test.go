package sx1302

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// testSink keeps all that it is told.
type testSink struct {
	mu     sync.Mutex
	ups    []radio.Uplink
	acks   map[uint64][]radio.TxResult
	events []radio.GatewayEventKind
	faults []string // of the failures among them
	uplink func(radio.Uplink)
	event  func(radio.GatewayEvent)
}

func (s *testSink) Uplink(up radio.Uplink) {
	s.mu.Lock()
	s.ups = append(s.ups, up)
	s.mu.Unlock()
	if s.uplink != nil {
		s.uplink(up)
	}
}

func (s *testSink) TxAck(a radio.TxAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks[a.ID] = append(s.acks[a.ID], a.Result)
}

func (s *testSink) GatewayEvent(e radio.GatewayEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e.Kind)
	if e.Kind == radio.GatewayFailed {
		s.faults = append(s.faults, e.Fault)
	}
	if s.event != nil {
		s.event(e)
	}
}

// seen returns what was told so far.
func (s *testSink) seen() (ups []radio.Uplink, acks map[uint64][]radio.TxResult, events []radio.GatewayEventKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ups), maps.Clone(s.acks), slices.Clone(s.events)
}

// fault returns what was told of the first failure.
func (s *testSink) fault() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return ""
	}
	return s.faults[0]
}

var testEUI = radio.EUI64{0x00, 0x16, 0xC0, 0x01, 0xF1, 0x23, 0x45, 0x67}

// bench is a driver that runs on a model in the time of synctest.
type bench struct {
	t      *testing.T
	model  *sx1302test.Chip
	driver *Driver
	sink   *testSink
	begin  time.Time
	done   chan error
	cancel context.CancelFunc
}

// makeBench does not run the driver yet.
func makeBench(t *testing.T, change func(*DriverOptions)) *bench {
	b := &bench{t: t, sink: &testSink{acks: map[uint64][]radio.TxResult{}}, begin: time.Now(), done: make(chan error, 1)}
	b.model = sx1302test.New(sx1302test.Options{EUI: testEUI})
	chip, err := New(b.model, testConfig(),
		Options{Firmware: testFirmware(), Reset: func(context.Context) error { b.model.Reset(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	o := DriverOptions{
		Chip: chip, EUI: testEUI,
		Now: func() radio.HostTime { return radio.HostTime(time.Since(b.begin)) }, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	if b.driver, err = NewDriver(o); err != nil {
		t.Fatal(err)
	}
	return b
}

func newBench(t *testing.T, change func(*DriverOptions)) *bench {
	b := makeBench(t, change)
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	go func() { b.done <- b.driver.Run(ctx, b.sink) }()
	time.Sleep(5 * time.Second)
	return b
}

func (b *bench) stop() {
	b.t.Helper()
	b.cancel()
	if err := <-b.done; err != nil {
		b.t.Errorf("Run: %v", err)
	}
}

// hear lets a frame at SF7 end now; a little later it is in the FIFO.
func (b *bench) hear(payload string, change func(*sx1302test.Frame)) {
	f := sx1302test.Frame{
		Payload: []byte(payload), Channel: 2, Modem: 3, SF: 7, CodingRate: 1, SNR: 22, RSSI: 120,
		SignalRSSI: 117,
	}
	shape := frameShape{7, 125_000, 1, int64(len(payload)), true}
	f.Ticks = uint32((b.model.Counter() - int64(shape.legacyCorrection())) * ticksPerMicrosecond)
	if change != nil {
		change(&f)
	}
	time.Sleep(-time.Duration(shape.legacyCorrection()) * time.Microsecond)
	b.model.Deliver(f.Record())
}

func TestDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		end := b.model.Counter()
		b.hear("a frame", nil)
		ghost := uint32(end*ticksPerMicrosecond) + ticksPerMicrosecond
		b.hear("a frame", func(f *sx1302test.Frame) {
			f.Channel, f.RSSI, f.Ticks = 3, 60, ghost+f.Ticks-uint32(b.model.Counter()*ticksPerMicrosecond)
		})
		b.hear("spoilt", func(f *sx1302test.Frame) { f.CRCError = true })
		b.hear("without CRC", func(f *sx1302test.Frame) { f.NoCRC = true })
		time.Sleep(20 * time.Millisecond)
		ups, _, _ := b.sink.seen()
		if len(ups) != 1 {
			t.Fatalf("%d frames, want 1: %+v", len(ups), ups)
		}
		up := ups[0]
		r := up.Receptions[0]
		if string(up.PHYPayload) != "a frame" || up.Gateway != testEUI || int64(up.Time) != end ||
			up.Frequency != 868_500_000 ||
			up.DataRate != radio.LoRaDataRate(7, 125_000) || up.CodingRate != radio.CodingRate45 || r.SNR != 550 ||
			r.RSSI != -9540+102 || r.SignalRSSI != -9840+102 || // 1.02 dB at 25 °C

			r.Channel != 2 || r.Token.Time != up.Time || up.Received.Sub(up.Ended) > 10*time.Millisecond {
			t.Errorf("%+v, ended at %d", up, end)
		}
		down := radio.Downlink{
			ID: 7, Gateway: testEUI, PHYPayload: []byte("an answer"), Frequency: 868_500_000,
			DataRate: radio.LoRaDataRate(12, 125_000),
			Power:    1600, Time: up.Time.Add(time.Second),
		}
		if err := b.driver.Transmit(down); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if e := b.model.Emissions(); len(e) != 1 || e[0].Begin != int64(down.Time) || e[0].Exact != 0 ||
			string(e[0].Payload) != "an answer" || e[0].Cut {
			t.Errorf("on the air: %+v, want at %d", e, down.Time)
		}
		if _, acks, _ := b.sink.seen(); !slices.Equal(acks[7], []radio.TxResult{radio.TxOK}) {
			t.Errorf("acks: %v", acks)
		}
		s := b.driver.Stats()
		if s.BadCRC != 2 || s.Ghosts != 1 || s.Forwarded != 1 || s.Starts != 1 || s.Failures != 0 || s.JIT.Armed != 1 ||
			s.JIT.LastLead < 30*time.Millisecond || s.JIT.LastLead > 40*time.Millisecond {
			t.Errorf("%+v", s)
		}
		b.stop()
		if !slices.Equal(b.sink.events, []radio.GatewayEventKind{radio.GatewayConnected, radio.GatewayDisconnected}) {
			t.Errorf("events: %v", b.sink.events)
		}
		if err := b.driver.Transmit(down); !errors.Is(err, concentrator.ErrGateway) {
			t.Errorf("Transmit afterwards: %v", err)
		}
	})
}

// Of two receptions in two readings the second is passed on where it is stronger: the first one was
// heard beside the channel of the frame.
func TestGhostsOfTwoReadings(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, then uint8 // RSSI
		want        int   // frames that are passed on
	}{
		{"the weaker first", 60, 120, 2},
		{"the stronger first", 120, 60, 1},
		{"as strong", 60, 60, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				var ticks uint32
				b.hear("a frame", func(f *sx1302test.Frame) { f.Channel, f.RSSI, ticks = 3, tt.first, f.Ticks })
				time.Sleep(20 * time.Millisecond)
				b.hear("a frame", func(f *sx1302test.Frame) { f.RSSI, f.Ticks = tt.then, ticks })
				time.Sleep(20 * time.Millisecond)
				ups, _, _ := b.sink.seen()
				if s := b.driver.Stats(); len(ups) != tt.want || s.Ghosts != uint64(2-tt.want) {
					t.Errorf("%d frames and %d ghosts, want %d frames", len(ups), s.Ghosts, tt.want)
				}
				b.stop()
			})
		})
	}
}

func TestDriverRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		defer b.stop()
		now := radio.ConcentratorTime(b.model.Counter())
		good := radio.Downlink{
			Gateway: testEUI, PHYPayload: []byte("x"), Frequency: 868_500_000,
			DataRate: radio.LoRaDataRate(7, 125_000), Power: 1600, Time: now.Add(time.Second),
		}
		tests := map[uint64]struct {
			spoil func(*radio.Downlink)
			want  radio.TxResult
		}{
			1: {func(*radio.Downlink) {}, radio.TxOK},
			2: {func(d *radio.Downlink) { d.Time = now.Add(-time.Second) }, radio.TxTooLate},
			3: {func(d *radio.Downlink) { d.Time = now.Add(time.Hour) }, radio.TxTooEarly},
			4: {func(d *radio.Downlink) { d.DataRate.Bandwidth = 1 }, radio.TxUnknownError},
			5: {func(d *radio.Downlink) { d.Antenna = 1 }, radio.TxUnknownError},
			6: {func(d *radio.Downlink) { d.PHYPayload = nil }, radio.TxUnknownError},
			7: {func(d *radio.Downlink) { d.Immediate, d.Time = true, 0 }, radio.TxOK},
		}
		for id := range uint64(len(tests)) {
			d := good
			d.ID = id + 1
			tests[id+1].spoil(&d)
			if err := b.driver.Transmit(d); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		_, acks, _ := b.sink.seen()
		for id, tt := range tests {
			if got := acks[id]; !slices.Equal(got, []radio.TxResult{tt.want}) {
				t.Errorf("downlink %d: %v, want %v", id, got, tt.want)
			}
		}
		good.Gateway[0]++
		if err := b.driver.Transmit(good); !errors.Is(err, concentrator.ErrGateway) {
			t.Errorf("Transmit through another gateway: %v", err)
		}
		full := false
		good.Gateway = testEUI
		for range 1000 * inboxSize { // the driver empties it meanwhile
			if full = b.driver.Transmit(good) != nil; full {
				break
			}
		}
		if !full {
			t.Error("the inbox has no end")
		}
	})
}

func TestDriverRecovers(t *testing.T) {
	tests := []struct {
		name   string
		breaks func(*bench)
		within time.Duration
	}{
		{"bus", func(b *bench) { b.model.Break(sx1302test.Fault{Bus: errors.New("bus")}) }, time.Second},
		{"hang", func(b *bench) { b.model.Break(sx1302test.Fault{Frozen: true}) }, 2 * time.Second},
		{"counter steps", func(b *bench) { b.model.Jump(60_000_000) }, 2 * time.Second},
		{"parity", func(b *bench) { b.model.Break(sx1302test.Fault{Parity: true}) }, 5 * time.Second},
		{"reset behind our back", func(b *bench) { b.model.Reset() }, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				waiting := radio.Downlink{
					ID: 1, Gateway: testEUI, PHYPayload: []byte("x"), Frequency: 868_500_000,
					DataRate: radio.LoRaDataRate(7, 125_000), Power: 1600,
					Time: radio.ConcentratorTime(b.model.Counter()).Add(100 * time.Second),
				}
				if err := b.driver.Transmit(waiting); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond)
				before := b.model.Resets()
				tt.breaks(b)
				time.Sleep(tt.within)
				b.model.Break(sx1302test.Fault{})
				time.Sleep(10 * time.Second)
				b.hear("after the fault", nil)
				time.Sleep(20 * time.Millisecond)
				ups, acks, events := b.sink.seen()
				if b.model.Resets() == before || len(ups) != 1 || len(acks[1]) != 1 {
					t.Errorf("%d resets, %d frames, acks %v, %+v", b.model.Resets()-before, len(ups), acks, b.driver.Stats())
				}
				want := []radio.GatewayEventKind{
					radio.GatewayConnected, radio.GatewayDisconnected, radio.GatewayFailed, radio.GatewayConnected,
					radio.GatewayCounterReset,
				}
				if events := slices.Compact(events); !slices.Equal(events, want) {
					t.Errorf("events: %v, want %v", events, want)
				}
				time.Sleep(2 * time.Minute)
				if len(b.model.Emissions()) > 0 {
					t.Errorf("on the air: %+v", b.model.Emissions())
				}
			})
		})
	}
}

// TestDriverLastFrames has frames come with each of the readings that make the
// driver start the chip again.
func TestDriverLastFrames(t *testing.T) {
	tests := map[string]func(*bench){
		"hang":  func(b *bench) { b.model.Break(sx1302test.Fault{Frozen: true}) },
		"steps": func(b *bench) { b.model.Jump(60_000_000) },
	}
	for name, breaks := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				var records [maxDoubts][]byte
				for i := range records {
					f := sx1302test.Frame{Payload: []byte{'x', byte(i)}, Channel: 2, Modem: 3, SF: 7, CodingRate: 1}
					f.Ticks = uint32(b.model.Counter() * ticksPerMicrosecond)
					records[i] = f.Record()
				}
				time.Sleep(receiveEvery / 2)
				breaks(b)
				for _, r := range records {
					b.model.Deliver(r)
					time.Sleep(receiveEvery)
				}
				ups, _, events := b.sink.seen()
				if len(ups) != len(records) || !slices.Contains(events, radio.GatewayDisconnected) {
					t.Errorf("%d of %d frames came, events %v", len(ups), len(records), events)
				}
			})
		})
	}
}

func TestConform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		concentrator.Conform(t, func() concentrator.Subject {
			b := makeBench(t, nil)
			return concentrator.Subject{
				Driver: b.driver, Gateway: testEUI,
				Hear:  func(phy []byte) { b.hear(string(phy), nil) },
				Close: func() {},
			}
		})
	})
}

func TestDriverCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *DriverOptions) { o.Chip.firmware.AGC = nil })
		if err := <-b.done; !errors.Is(err, ErrImage) {
			t.Errorf("Run without firmware: %v", err)
		}
		b.cancel()
	})
}

func TestDriverSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *DriverOptions) {
			o.Silence = 10 * time.Minute
			o.Temperature = func() (int32, error) { return 31*256 + 128, nil }
		})
		defer b.stop()
		for i := range 20 {
			b.hear("frame "+strconv.Itoa(i), nil)
			time.Sleep(time.Minute)
		}
		if n := b.driver.Stats().Starts; n != 1 {
			t.Errorf("%d starts while frames came", n)
		}
		ups, _, _ := b.sink.seen()
		if rssi := ups[19].Receptions[0].RSSI; rssi != -9540+135 { // 0.31 + 1.04 dB
			t.Errorf("RSSI %v", rssi)
		}
		time.Sleep(11 * time.Minute)
		if n := b.driver.Stats().Starts; n != 2 {
			t.Errorf("%d starts, want a second after the silence", n)
		}
	})
}

// TestDriverLong has more than a wrap of the 32-bit counter, frames with
// answers, and faults: no answer at a wrong time, no frame lost that the chip
// had delivered.
func TestDriverLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		id := uint64(0)
		wanted := map[string]int64{} // answers by payload, with their time
		b.sink.uplink = func(up radio.Uplink) {
			id++
			payload := "re " + string(up.PHYPayload)
			down := radio.Downlink{
				ID: id, Gateway: testEUI, PHYPayload: []byte(payload), Frequency: up.Frequency, DataRate: up.DataRate, Power: 1400,
				Time: up.Time.Add(time.Second),
			}
			if b.driver.Transmit(down) == nil {
				wanted[payload] = int64(down.Time)
			}
		}
		const length = 73 * time.Minute
		frames, faults := 0, 0
		for time.Since(b.begin) < length {
			b.hear("frame "+strconv.Itoa(frames), nil)
			frames++
			time.Sleep(7 * time.Second)
			if frames%40 == 0 { // every few minutes, while an answer may wait
				faults++
				b.hear("frame "+strconv.Itoa(frames), nil)
				frames++
				time.Sleep(500 * time.Millisecond)
				b.model.Break(sx1302test.Fault{Bus: errors.New("bus")})
				time.Sleep(time.Second)
				b.model.Break(sx1302test.Fault{})
				time.Sleep(10 * time.Second)
			}
		}
		b.stop()
		if len(b.sink.ups) != frames {
			t.Errorf("%d of %d frames came", len(b.sink.ups), frames)
		}
		sent := sentInTime(t, b.model, wanted)
		results := map[radio.TxResult]int{}
		for id, r := range b.sink.acks {
			if len(r) != 1 {
				t.Errorf("downlink %d has %d acks", id, len(r))
			}
			results[r[0]]++
		}
		s := b.driver.Stats()
		if results[radio.TxOK] != sent || len(b.sink.acks) != len(wanted) || sent < frames-faults-1 ||
			int(s.Starts) != faults+1 {
			t.Errorf("%d frames, %d faults, %d sent, acks %v, %+v", frames, faults, sent, results, s)
		}
	})
}

// sentInTime counts the packets that went out whole, each at the time wanted of its payload.
func sentInTime(t *testing.T, model *sx1302test.Chip, wanted map[string]int64) (sent int) {
	t.Helper()
	for _, e := range model.Emissions() {
		if e.Cut {
			continue
		}
		sent++
		// The counter of the chip is one of 27 bits of µs; the driver counts its
		// wraps from each start anew.
		if want := wanted[string(e.Payload)]; (e.Begin-want)%(1<<counterBits) != 0 || e.Exact != 0 {
			t.Errorf("%q went out at %d, want %d", e.Payload, e.Begin, want)
		}
	}
	return sent
}
