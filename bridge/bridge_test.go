package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

type fakeOutbox struct {
	mu   sync.Mutex
	msgs []v3.Message
}

func (f *fakeOutbox) Publish(m v3.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.msgs = append(f.msgs, m)
}

func (f *fakeOutbox) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.msgs)
}

func trusted(time.Time) radio.TimeQuality { return radio.TimeNTP }

// failing is a store that fails.
func failing(err error) *storetest.Commits {
	c := &storetest.Commits{}
	c.Fail(err)
	return c
}

var (
	gwA = radio.EUI64{0xa}
	gwB = radio.EUI64{0xb}
)

// home is the devices and gateways of an owner: dev1 and dev2 are personalised.
type home struct {
	*testing.T
	devices  *session.Registry
	gateways *gateway.Registry
	plan     *region.Plan
}

func newHome(t *testing.T) *home {
	t.Helper()
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	h := &home{T: t, devices: session.NewRegistry(0), gateways: gateway.NewRegistry(), plan: plan}
	for _, eui := range []radio.EUI64{gwA, gwB} {
		if err := h.gateways.Add(&gateway.Gateway{ID: fmt.Sprintf("gw-%x", eui[0]), EUI: eui, Plan: plan}); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"dev1", "dev2"} {
		if err := h.devices.Add(personalised(name, byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func dev(name string) session.ID { return session.ID{Application: "app1", Device: name} }

// asIs are settings of a device of EU868 that is asked for nothing: nothing is stored but
// what a test brings about.
func asIs() session.Settings {
	delay, rx2, count, never := uint8(1), uint8(0), uint32(0), time.Duration(0)
	return session.Settings{
		Frequencies: []radio.Frequency{
			868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
		},
		Desired: session.Desired{RX1Delay: &delay, RX2DataRate: &rx2},
		MAC:     macstate.Settings{ADR: macstate.ADR{Disabled: true}, StatusCount: &count, StatusTime: &never},
	}
}

// personalised is a device with a session of its own.
func personalised(name string, n byte) *session.Device {
	nwk := frame.Key{1, n}
	return &session.Device{
		Settings: asIs(),
		ID:       dev(name), DevEUI: radio.EUI64{n + 1}, Version: session.V1_0_3, Plan: "EU_863_870_TTN",
		Session: &session.Session{
			DevAddr: radio.DevAddr{1, 2, 3, n},
			Keys:    frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2, n}},
		},
	}
}

// uplink is a frame of a device that a gateway has heard.
func (h *home) uplink(g radio.EUI64, device string, fCnt uint32) radio.Uplink {
	h.Helper()
	s := h.devices.Device(dev(device)).Session
	d := frame.Data{
		MType: frame.UnconfirmedUp, DevAddr: s.DevAddr, HasFPort: true, FPort: 15,
		FRMPayload: []byte(fmt.Sprint(fCnt)),
	}
	phy, err := frame.NewCipher(s.Keys, false).BuildUplink(d, fCnt, frame.Context{})
	if err != nil {
		h.Fatal(err)
	}
	return radio.Uplink{
		Gateway: g, PHYPayload: phy, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		CodingRate: radio.CodingRate45, Receptions: []radio.Reception{{}},
	}
}

// running starts a Bridge at a new home.
func running(t *testing.T, st *storetest.Commits, commit time.Duration, log *slog.Logger) (*Bridge, *home, *fakeOutbox,
	func(),
) {
	t.Helper()
	h := newHome(t)
	out := &fakeOutbox{}
	b, err := New(Options{
		Devices: h.devices, Gateways: h.gateways, Store: st, Outbox: out, DefaultPlan: h.plan,
		Commit: commit, Clock: NewClock(trusted), Serves: true, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return b, h, out, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func connected(g radio.EUI64) radio.GatewayEvent {
	return radio.GatewayEvent{Gateway: g, Kind: radio.GatewayConnected}
}

func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &storetest.Commits{}
		b, s, out, stop := running(t, st, 15*time.Second, slog.New(slog.DiscardHandler))
		synctest.Wait()
		b.GatewayEvent(connected(gwA))
		b.GatewayEvent(connected(gwB))
		b.Uplink(s.uplink(gwA, "dev1", 0)) // waits for B
		synctest.Wait()
		if out.count() != 0 {
			t.Fatal("published at once")
		}
		time.Sleep(201 * time.Millisecond)
		synctest.Wait()
		if out.count() != 1 {
			t.Fatalf("%d published after 200 ms", out.count())
		}
		for i := uint32(1); i <= 20; i++ {
			b.Uplink(s.uplink(gwA, "dev1", i))
			b.Uplink(s.uplink(gwA, "dev2", i))
			time.Sleep(500 * time.Millisecond)
		}
		if c, r := st.Count(); c != 1 || r != 2 {
			t.Errorf("%d commits with %d records within the interval, want 1 with 2: what the start reserves", c, r)
		}
		time.Sleep(6 * time.Second)
		if c, r := st.Count(); c != 2 || r != 4 {
			t.Errorf("%d commits with %d records, want 2 with 4: 41 frames of two devices", c, r)
		}
		got, err := b.Stats(context.Background())
		if err != nil || got.Published != 41 || got.InboxDropped != 0 || got.Devices != 2 || got.Gateways != 2 ||
			got.Online != 2 {
			t.Errorf("stats %+v, %v", got, err)
		}
		b.Uplink(s.uplink(gwA, "dev1", 21))
		synctest.Wait()
		stop()
		if c, r := st.Count(); c != 3 || r != 6 {
			t.Errorf("%d commits with %d records after the stop, want 3 with 6", c, r)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if got, err := b.Stats(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a stopped bridge answers %+v, %v", got, err)
		}
	})
}

// With an interval of 0 every frame is committed.
func TestStrictCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &storetest.Commits{}
		b, s, _, stop := running(t, st, 0, slog.New(slog.DiscardHandler))
		synctest.Wait()
		before, _ := st.Count() // what the start reserves
		for i := range uint32(5) {
			b.Uplink(s.uplink(gwA, "dev1", i))
			synctest.Wait()
			if c, _ := st.Count(); c != before+int(i)+1 {
				t.Fatalf("%d commits after %d frames", c-before, i+1)
			}
		}
		stop()
	})
}

// A disk that fails or hangs costs no frame; what it missed is written later.
func TestFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		st := failing(errors.New("disk full"))
		b, s, out, stop := running(t, st, time.Second, slog.New(slog.NewTextHandler(&log, nil)))
		for i := range uint32(10) {
			b.Uplink(s.uplink(gwA, "dev1", i))
			time.Sleep(time.Second)
		}
		if out.count() != 10 {
			t.Errorf("%d published", out.count())
		}
		st.Fail(nil)
		time.Sleep(2 * time.Second)
		if c, r := st.Count(); c != 1 || r != 1 {
			t.Errorf("%d commits with %d records", c, r)
		}
		stop()
		if n := strings.Count(log.String(), "disk full"); n != 1 || !strings.Contains(log.String(), "can be written again") {
			t.Errorf("log:\n%s", log.String())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		st := &storetest.Commits{Block: make(chan struct{})}
		b, s, out, stop := running(t, st, 0, slog.New(slog.DiscardHandler))
		synctest.Wait() // what the start writes hangs now
		for i := range uint32(10) {
			b.Uplink(s.uplink(gwA, "dev1", i))
		}
		time.Sleep(time.Minute)
		if out.count() != 10 {
			t.Errorf("%d published while the disk hangs", out.count())
		}
		close(st.Block)
		synctest.Wait()
		if c, r := st.Count(); c != 2 || r != 3 {
			t.Errorf("%d commits with %d records: not two with three, of the start and of what waited", c, r)
		}
		stop()
	})
}

func TestInbox(t *testing.T) {
	b := newInbox(4)
	for i := range 10 {
		b.frame(core.Heard{Uplink: radio.Uplink{PHYPayload: []byte{byte(i)}}})
	}
	b.add(core.TimerFired{})
	b.add(core.GatewayChanged{})
	var got []string
	for in, h, ok := b.take(); ok; in, h, ok = b.take() {
		if in == nil {
			got = append(got, fmt.Sprint(h.Uplink.PHYPayload[0]))
			continue
		}
		got = append(got, fmt.Sprintf("%T", in))
	}
	if s := strings.Join(got, " "); s != "core.TimerFired core.GatewayChanged 6 7 8 9" || b.drops() != 6 {
		t.Errorf("got %s, %d dropped", s, b.drops())
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quality, asked := radio.TimeNone, 0
		c := NewClock(func(time.Time) radio.TimeQuality { asked++; return quality })
		if n := c.Now(); n.Wall.Known() || !c.Calendar().IsZero() {
			t.Errorf("now %+v", n)
		}
		begin := c.Host()
		quality = radio.TimeNTP
		time.Sleep(20 * time.Second)
		if n := c.Now(); n.Wall.Quality != radio.TimeNTP || n.Host.Sub(begin) != 20*time.Second || c.Calendar().IsZero() {
			t.Errorf("now %+v, began at %v", n, begin)
		}
		for range 1000 {
			c.Now()
		}
		if asked != 2 {
			t.Errorf("the kernel was asked %d times", asked)
		}
	})
	if q := systemQuality(time.Unix(1000, 0)); q != radio.TimeNone {
		t.Errorf("1970 has quality %v", q)
	}
	if q := systemQuality(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)); q != radio.TimeRTC && q != radio.TimeNTP {
		t.Errorf("today has quality %v", q)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a bridge without a store")
	}
	if _, err := New(Options{Store: &storetest.Commits{}, Outbox: &fakeOutbox{}}); err == nil {
		t.Error("a bridge without devices")
	}
}
