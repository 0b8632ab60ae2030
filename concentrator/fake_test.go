package concentrator

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
)

var fakeEUI = radio.EUI64{0xfa, 7: 0xce}

// openFake has a counter that wraps after 10 ms.
func openFake(change func(*Fake)) func() Subject {
	return func() Subject {
		f := NewFake(fakeEUI)
		if change != nil {
			change(f)
		}
		hear := func(phy []byte) {
			t := radio.ConcentratorTime(f.Now()/1000) + 1<<32 - 10_000
			f.Hear(radio.Uplink{PHYPayload: phy, Time: t})
		}
		return Subject{Driver: f, Gateway: fakeEUI, Hear: hear, Close: func() {}}
	}
}

func TestFakeConforms(t *testing.T) {
	t.Run("fake time", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { Conform(t, openFake(nil)) }) })
	t.Run("real time", func(t *testing.T) { Conform(t, openFake(nil)) })
}

func TestFake(t *testing.T) {
	f := NewFake(fakeEUI)
	f.Answer = func(d radio.Downlink) radio.TxResult { return radio.TxResult(d.ID) }
	var sink FakeSink
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx, &sink) })
	f.Hear(radio.Uplink{PHYPayload: []byte{1}, Receptions: []radio.Reception{{Antenna: 1, RSSI: -6000}, {}}})
	for len(sink.Uplinks()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if r := sink.Uplinks()[0].Receptions; len(r) != 2 || r[0].RSSI != -6000 || r[0].Token.Antenna != 1 ||
		r[0].Token.Gateway != fakeEUI {
		t.Errorf("receptions %+v", r)
	}
	if err := f.Transmit(radio.Downlink{ID: 2, Gateway: fakeEUI}); err != nil {
		t.Fatal(err)
	}
	cancel()
	wg.Wait()
	if acks := sink.TxAcks(); len(acks) != 1 || acks[0].Result != radio.TxTooEarly {
		t.Errorf("acks %+v", acks)
	}
	if sent := f.Sent(); len(sent) != 1 || sent[0].ID != 2 {
		t.Errorf("sent %+v", sent)
	}
}

// faulty is a driver with one fault.
type faulty struct {
	*Fake
	fault string
	stale Sink
}

func (f *faulty) Run(ctx context.Context, s Sink) error {
	f.stale = s
	if f.fault == "not the first event" {
		s.GatewayEvent(radio.GatewayEvent{Gateway: fakeEUI, Kind: radio.GatewayStatus})
	}
	err := f.Fake.Run(ctx, faultySink{s, f.fault})
	switch f.fault {
	case "Run returns":
		return context.Canceled
	case "leaves a goroutine":
		go time.Sleep(conformTimeout + time.Second)
	case "told after Run":
		time.AfterFunc(10*time.Millisecond, func() { s.TxAck(radio.TxAck{ID: 5}) })
	}
	return err
}

func (f *faulty) Transmit(d radio.Downlink) error {
	err := f.Fake.Transmit(d)
	switch {
	case f.fault == "want ErrGateway" && err != nil:
		return fmt.Errorf("it failed")
	case f.fault == "was not accepted" && err != nil && f.stale != nil && d.ID == 1<<41:
		f.stale.TxAck(radio.TxAck{ID: d.ID, Gateway: fakeEUI})
	}
	return err
}

type faultySink struct {
	Sink
	fault string
}

func (s faultySink) Uplink(up radio.Uplink) {
	r := &up.Receptions[0]
	switch s.fault {
	case "token":
		r.Token.Time++
	case "no Receptions":
		up.Receptions = nil
	case "after it was received":
		up.Ended = up.Received + 1
	case "by FE":
		up.Gateway[0] = 0xfe
	case "time":
		up.Time = radio.ConcentratorTime(up.Time.Counter())
		r.Token.Time = up.Time
	}
	s.Sink.Uplink(up)
}

func (s faultySink) TxAck(a radio.TxAck) {
	switch {
	case s.fault == "answered 2 times":
		s.Sink.TxAck(a)
	case s.fault == "answered 0 times" && a.ID == 1<<20:
		return
	case s.fault == "a TxAck to each Transmit" && a.ID == 3:
		return
	}
	s.Sink.TxAck(a)
}

// recorder is a Tester that keeps what fails.
type recorder struct {
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// Conform finds each fault.
func TestConformFails(t *testing.T) {
	faults := []string{
		"not the first event", "Run returns", "leaves a goroutine", "told after Run", "want ErrGateway", "was not accepted",
		"token",
		"no Receptions", "after it was received", "by FE", "time", "answered 2 times", "answered 0 times",
		"a TxAck to each Transmit",
	}
	texts := map[string]string{
		"not the first event": "the first event is", "leaves a goroutine": "left no goroutine", "told after Run": "after Run",
	}
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				func() {
					defer func() {
						if p := recover(); p != nil && p != any(r) {
							panic(p)
						}
					}()
					Conform(r, func() Subject {
						s := openFake(nil)()
						s.Driver = &faulty{Fake: s.Driver.(*Fake), fault: fault}
						return s
					})
				}()
				want := fault
				if text, ok := texts[fault]; ok {
					want = text
				}
				if got := strings.Join(r.failures, "\n"); !strings.Contains(got, want) {
					t.Errorf("failures:\n%s\nwant one with %q", got, want)
				}
				time.Sleep(2 * conformTimeout)
			})
		})
	}
}
