package sx1302

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// Figures of BenchmarkDownlinks.
const (
	downlinkEvery = 50 * time.Millisecond
	decidedAhead  = 150 * time.Millisecond // what the network leaves for a radio on board
	uplinkEvery   = 100 * time.Millisecond
)

// countingSink counts what a driver tells.
type countingSink struct {
	mu    sync.Mutex
	heard int
	acks  int
	sent  int // acks of a packet that went out at its time
}

func (s *countingSink) Uplink(radio.Uplink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard++
}

func (s *countingSink) TxAck(a radio.TxAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acks++; a.Result == radio.TxOK {
		s.sent++
	}
}

func (*countingSink) GatewayEvent(radio.GatewayEvent) {}

// BenchmarkDownlinks has the driver send a downlink every 50 ms while it hears a frame
// every 100 ms, in real time, on a model of the chip with the timer of the daemon. late is
// how many were not sent at their µs, lost how many frames were not delivered. It is to be
// run beside other programs on one CPU: see "make bench".
func BenchmarkDownlinks(b *testing.B) {
	model := sx1302test.New(sx1302test.Options{EUI: testEUI})
	chip, err := New(model, testConfig(), Options{
		Firmware: testFirmware(), Sleep: noWait,
		Reset: func(context.Context) error { model.Reset(); return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	begin, sink := time.Now(), &countingSink{}
	driver, err := NewDriver(DriverOptions{
		Chip: chip, EUI: testEUI, Now: func() radio.HostTime { return radio.HostTime(time.Since(begin)) },
		Timer: NewKernelTimer, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = driver.Run(ctx, sink) })
	for driver.Stats().Starts == 0 {
		time.Sleep(time.Millisecond)
	}
	want := sendEvery(b, model, driver)
	frames := int(time.Duration(b.N) * downlinkEvery / uplinkEvery)
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		sink.mu.Lock()
		complete := sink.acks == b.N && sink.heard == frames
		sink.mu.Unlock()
		if complete {
			break
		}
	}
	cancel()
	wg.Wait()
	inTime := 0
	for _, e := range model.Emissions() {
		if want[e.Begin] && e.Exact == 0 && !e.Cut {
			inTime++
		}
	}
	if inTime < b.N || sink.sent < b.N {
		b.Logf("%d in time, %d acknowledged as sent: %+v", inTime, sink.sent, driver.Stats())
	}
	b.ReportMetric(float64(b.N-min(inTime, sink.sent)), "late")
	b.ReportMetric(float64(frames-sink.heard), "lost")
}

// sendEvery hands the driver b.N downlinks, and the model frames, and returns the times of
// the downlinks on the counter.
func sendEvery(b *testing.B, model *sx1302test.Chip, driver *Driver) (want map[int64]bool) {
	b.Helper()
	want = map[int64]bool{}
	begin, first := time.Now(), model.Counter()+decidedAhead.Microseconds()
	f := sx1302test.Frame{Payload: []byte("heard"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1, SNR: 22, RSSI: 120}
	for i := range b.N {
		after := time.Duration(i) * downlinkEvery
		time.Sleep(time.Until(begin.Add(after)))
		at := first + after.Microseconds()
		want[at] = true
		_ = driver.Transmit(radio.Downlink{ // one that is refused is late
			ID: uint64(i + 1), Gateway: testEUI, PHYPayload: []byte("sent"), Frequency: 868_100_000,
			DataRate: radio.LoRaDataRate(7, 500_000), Power: 1400, Time: radio.ConcentratorTime(at),
		})
		if (after+downlinkEvery)%uplinkEvery == 0 {
			f.Ticks, f.Payload = uint32(model.Counter()*ticksPerMicrosecond), []byte{byte(i), byte(i >> 8)}
			model.Deliver(f.Record())
		}
	}
	return want
}
