package bridge

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/state"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// broken is a Bridge whose gateway gwB has no frequency plan, which no configuration can bring
// about: each frame that it hears makes the core panic.
func broken(t *testing.T) (b *Bridge, h *home, out *fakeOutbox, log *bytes.Buffer, stop func()) {
	t.Helper()
	log = &bytes.Buffer{}
	b, h, out, stop = running(t, &storetest.Commits{}, 15*time.Second, slog.New(slog.NewTextHandler(log, nil)))
	synctest.Wait() // the core has started
	h.gateways.Gateway(gwB).Plan = nil
	return b, h, out, log, stop
}

func faultsOf(t *testing.T, b *Bridge) uint64 {
	t.Helper()
	s, err := b.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Faults
}

// A panic costs the frame that brings it out: it is counted, and logged with the frame. A hundred
// of them in a row are counted, and fill no log.
func TestFaultAtFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, out, log, stop := broken(t)
		bad := h.uplink(gwB, "dev1", 1)
		b.Uplink(bad)
		b.Uplink(h.uplink(gwA, "dev2", 1))
		time.Sleep(time.Second)
		if n := faultsOf(t, b); n != 1 || out.count() != 1 {
			t.Errorf("%d faults, %d frames published, want 1 and 1", n, out.count())
		}
		for range 100 {
			b.Uplink(bad)
		}
		b.Uplink(h.uplink(gwA, "dev2", 2))
		time.Sleep(tellFaults)
		b.Uplink(bad)
		time.Sleep(time.Second)
		if n := faultsOf(t, b); n != 102 || out.count() != 2 {
			t.Errorf("%d faults, %d frames published, want 102 and 2", n, out.count())
		}
		stop()
		text := log.String()
		for _, want := range []string{
			"internal fault", "frame=" + hex.EncodeToString(bad.PHYPayload), "gateway_eui=" + gwB.String(),
			"stack=", "not_logged_before=100",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in the log:\n%s", want, text)
			}
		}
		if n := strings.Count(text, "internal fault"); n != 2 {
			t.Errorf("%d lines for 102 faults:\n%s", n, text)
		}
	})
}

// Whoever waits for an answer is told at once, and what comes after works.
func TestFaultAtRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, out, _, stop := broken(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		a, err := b.await(ctx, func(ticket uint64) core.Input {
			return core.Provisioned{Ticket: ticket, Put: []state.DevicePut{{}}} // without a device
		})
		if err != nil || !errors.Is(a.Err, errFault) {
			t.Errorf("a change that fails: %v, %v", a.Err, err)
		}
		if err := b.inspect(ctx, func(*core.Core) { panic("looking") }); !errors.Is(err, errFault) {
			t.Errorf("a question that fails: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the answers took %v", took)
		}
		if err := b.Provision(ctx, []state.DevicePut{{Device: personalised("dev3", 9)}}, nil, false); err != nil {
			t.Errorf("the change behind: %v", err)
		}
		b.Uplink(h.uplink(gwA, "dev3", 1))
		time.Sleep(time.Second)
		if n := faultsOf(t, b); n != 2 || out.count() != 1 {
			t.Errorf("%d faults, %d frames published, want 2 and 1", n, out.count())
		}
		stop()
	})
}

// frail is an Outbox that fails at the messages of a device.
type frail struct {
	*fakeOutbox
	device string
}

func (f frail) Publish(m v3.Message) {
	if m.Device == f.device {
		panic("publishing")
	}
	f.fakeOutbox.Publish(m)
}

// What a step has decided besides the effect that fails is done.
func TestFaultAtEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out, st := newHome(t), &fakeOutbox{}, &storetest.Commits{}
		b, err := New(Options{
			Devices: h.devices, Gateways: h.gateways, Store: st, Outbox: frail{out, "dev1"}, DefaultPlan: h.plan,
			Clock: NewClock(trusted), Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		before, _ := st.Count()
		b.GatewayEvent(radio.GatewayEvent{Gateway: gwA, Kind: radio.GatewayConnected})
		b.Uplink(h.uplink(gwA, "dev1", 1))
		b.Uplink(h.uplink(gwA, "dev2", 1))
		time.Sleep(time.Second)
		if n := faultsOf(t, b); n != 1 || out.count() != 1 {
			t.Errorf("%d faults, %d frames published, want 1 and 1", n, out.count())
		}
		if commits, _ := st.Count(); commits == before {
			t.Error("the counter of dev1 is not stored")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// stumbling is a Recorder that fails at a frame.
type stumbling struct{ after int } // so many frames

func (*stumbling) Begin(*core.Options) error { return nil }

func (s *stumbling) Input(_ core.Now, in core.Input) {
	if _, ok := in.(core.Heard); ok {
		if s.after--; s.after == -1 {
			panic("recording")
		}
	}
}

// A fault of the Recorder costs no input, and has nothing carried out twice.
func TestFaultBeforeStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out := newHome(t), &fakeOutbox{}
		b, err := New(Options{
			Devices: h.devices, Gateways: h.gateways, Store: &storetest.Commits{}, Outbox: out, DefaultPlan: h.plan,
			Clock: NewClock(trusted), Logger: slog.New(slog.DiscardHandler), Recorder: &stumbling{1},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Uplink(h.uplink(gwA, "dev1", 1))
		b.Uplink(h.uplink(gwA, "dev1", 2))
		stop := begin(t, b.Run)
		synctest.Wait()
		if n := faultsOf(t, b); n != 1 || out.count() != 2 {
			t.Errorf("%d faults, %d frames published, want 1 and 2", n, out.count())
		}
		stop()
	})
}
