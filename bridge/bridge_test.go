package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

// fakeStore keeps what is committed, or fails.
type fakeStore struct {
	mu      sync.Mutex
	commits [][]store.Record
	err     error
	block   chan struct{}
}

func (f *fakeStore) Commit(records ...store.Record) error {
	if f.block != nil {
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.commits = append(f.commits, records)
	return nil
}

func (f *fakeStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeStore) count() (commits, records int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.commits {
		records += len(c)
	}
	return len(f.commits), records
}

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

// running starts a Bridge around the devices and gateways of a stand.
func running(t *testing.T, st *fakeStore, commit time.Duration, log *slog.Logger) (*Bridge, *stand, *fakeOutbox, func()) {
	t.Helper()
	s := newStand(t)
	out := &fakeOutbox{}
	b, err := New(Options{
		Devices: s.c.opts.Devices, Gateways: s.c.opts.Gateways, Store: st, Outbox: out, DefaultPlan: s.c.opts.DefaultPlan,
		Commit: commit, Clock: NewClock(trusted), Serves: true, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	return b, s, out, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func (s *stand) uplink(g radio.EUI64, device string, fCnt uint32) radio.Uplink {
	return radio.Uplink{
		Gateway: g, PHYPayload: s.phy(device, fCnt, payload(fmt.Sprint(fCnt))), Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		CodingRate: radio.CodingRate45, Receptions: []radio.Reception{{}},
	}
}

func connected(g radio.EUI64) radio.GatewayEvent {
	return radio.GatewayEvent{Gateway: g, Kind: radio.GatewayConnected}
}

func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &fakeStore{}
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
		if c, r := st.count(); c != 1 || r != 2 {
			t.Errorf("%d commits with %d records within the interval, want 1 with 2: what the start reserves", c, r)
		}
		time.Sleep(6 * time.Second)
		if c, r := st.count(); c != 2 || r != 4 {
			t.Errorf("%d commits with %d records, want 2 with 4: 41 frames of two devices", c, r)
		}
		got, err := b.Stats(context.Background())
		if err != nil || got.Published != 41 || got.InboxDropped != 0 || got.Devices != 3 || got.Gateways != 3 || got.Online != 2 {
			t.Errorf("stats %+v, %v", got, err)
		}
		b.Uplink(s.uplink(gwA, "dev1", 21))
		synctest.Wait()
		stop()
		if c, r := st.count(); c != 3 || r != 6 {
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
		st := &fakeStore{}
		b, s, _, stop := running(t, st, 0, slog.New(slog.DiscardHandler))
		synctest.Wait()
		before, _ := st.count() // what the start reserves
		for i := range uint32(5) {
			b.Uplink(s.uplink(gwA, "dev1", i))
			synctest.Wait()
			if c, _ := st.count(); c != before+int(i)+1 {
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
		st := &fakeStore{err: errors.New("disk full")}
		b, s, out, stop := running(t, st, time.Second, slog.New(slog.NewTextHandler(&log, nil)))
		for i := range uint32(10) {
			b.Uplink(s.uplink(gwA, "dev1", i))
			time.Sleep(time.Second)
		}
		if out.count() != 10 {
			t.Errorf("%d published", out.count())
		}
		st.fail(nil)
		time.Sleep(2 * time.Second)
		if c, r := st.count(); c != 1 || r != 1 {
			t.Errorf("%d commits with %d records", c, r)
		}
		stop()
		if n := strings.Count(log.String(), "disk full"); n != 1 || !strings.Contains(log.String(), "can be written again") {
			t.Errorf("log:\n%s", log.String())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		st := &fakeStore{block: make(chan struct{})}
		b, s, out, stop := running(t, st, 0, slog.New(slog.DiscardHandler))
		for i := range uint32(10) {
			b.Uplink(s.uplink(gwA, "dev1", i))
		}
		time.Sleep(time.Minute)
		if out.count() != 10 {
			t.Errorf("%d published while the disk hangs", out.count())
		}
		close(st.block)
		stop()
		if c, r := st.count(); c > 3 || r > 5 {
			t.Errorf("%d commits with %d records: what waited is one record, beside what the start and the stop write", c, r)
		}
	})
}

func TestInbox(t *testing.T) {
	b := newInbox(4)
	for i := range 10 {
		b.frame(Heard{radio.Uplink{PHYPayload: []byte{byte(i)}}})
	}
	b.tell(TimerFired{})
	b.tell(GatewayTold{})
	var got []string
	for in, h, ok := b.take(); ok; in, h, ok = b.take() {
		if in == nil {
			got = append(got, fmt.Sprint(h.Uplink.PHYPayload[0]))
			continue
		}
		got = append(got, fmt.Sprintf("%T", in))
	}
	if s := strings.Join(got, " "); s != "bridge.TimerFired bridge.GatewayTold 6 7 8 9" || b.drops() != 6 {
		t.Errorf("got %s, %d dropped", s, b.drops())
	}
}

// The same about the same device is said once a minute.
func TestEventLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newEventLog(slog.New(slog.NewTextHandler(&out, nil)))
		count := func() int { n := strings.Count(out.String(), "\n"); out.Reset(); return n }
		dev := session.ID{Application: "app1", Device: "dev1"}
		replay := Event{Kind: UplinkDropped, Reason: DropReplay, Gateway: "gw", Device: dev, FCnt: 7, Err: errors.New("x")}
		for range 100 {
			l.write(&replay)
		}
		if line := out.String(); !strings.Contains(line, "level=INFO") || !strings.Contains(line, "reason=replay") || !strings.Contains(line, "device_id=dev1") {
			t.Errorf("line %s", line)
		}
		if n := count(); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
		l.write(&Event{Kind: UplinkDropped, Reason: DropGap, Device: dev})
		l.write(&Event{Kind: UplinkDropped, Reason: DropReplay, Device: session.ID{Application: "app1", Device: "dev2"}})
		l.write(&Event{Kind: GatewayDisconnected, Gateway: "gw"})
		l.write(&Event{Kind: UplinkDropped, Reason: DropDevAddr, Gateway: "gw"}) // a neighbour's: debug
		if n := count(); n != 3 {
			t.Errorf("said %d times, want 3", n)
		}
		time.Sleep(61 * time.Second)
		l.write(&replay)
		if n := count(); n != 1 {
			t.Errorf("a minute later: said %d times, want once", n)
		}
		for i := range 5000 {
			l.write(&Event{Kind: UplinkDropped, Reason: DropMIC, Device: session.ID{Application: "app1", Device: fmt.Sprint(i)}})
		}
		if len(l.said) > maxEventKeys {
			t.Errorf("%d keys are kept", len(l.said))
		}
	})
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

func TestState(t *testing.T) {
	dir := t.TempDir()
	open := func() *store.Store {
		t.Helper()
		s, err := store.Open(dir, store.Options{Ephemeral: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	stand := newStand(t)
	dev := stand.devices["dev1"]
	records, err := DeviceRecords(dev)
	if err != nil {
		t.Fatal(err)
	}
	text, key, err := access.New(rand.Reader, "app1")
	if err != nil {
		t.Fatal(err)
	}
	kr, err := KeyRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	dev.Session.Heard, dev.Session.FCntUp = true, 70_000
	if err := s.Commit(append(records, kr, CountersRecord(dev, dev.Session.Marks()))...); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open()
	defer s.Close()
	st, err := Load(s, 0, "ttn")
	if err != nil {
		t.Fatal(err)
	}
	got := st.Devices.Device(dev.ID)
	if got == nil || got.Session.FCntUp != 70_000 || !got.Session.Heard || got.Session.Keys != dev.Session.Keys {
		t.Errorf("device %+v", got)
	}
	if _, err := st.Keys.Login("app1@ttn", text, time.Time{}); err != nil {
		t.Errorf("login: %v", err)
	}
	// Counters of another session do not count.
	other := *dev
	other.Session = &session.Session{DevAddr: radio.DevAddr{9}, Keys: dev.Session.Keys}
	if records, err = DeviceRecords(&other); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(records[0]); err != nil {
		t.Fatal(err)
	}
	if st, err = Load(s, 0, "ttn"); err != nil || st.Devices.Device(dev.ID).Session.Heard {
		t.Errorf("counters of an earlier session are taken: %v", err)
	}
	for name, bad := range map[string]store.Record{
		"version": {Kind: KindDevice, Key: "app1/x", Version: 9, Data: []byte("{}")}, "JSON": {Kind: KindDevice, Key: "app1/x", Version: 1, Data: []byte("{")},
		"name": {Kind: KindDevice, Key: "app1/x", Version: 1, Data: records[0].Data}, "key": {Kind: KindKey, Key: "x", Version: 1, Data: []byte("[]")},
		"key version": {Kind: KindKey, Key: "x", Version: 2, Data: []byte("{}")}, "device": {Kind: KindDevice, Key: "app1/x", Version: 1, Data: []byte(`{"ID":{"Application":"app1","Device":"x"}}`)},
	} {
		if err := s.Commit(bad); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(s, 0, "ttn"); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v, want ErrState", name, err)
		}
		if err := s.Commit(store.Record{Kind: bad.Kind, Key: bad.Key}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a bridge without a store")
	}
	if _, err := New(Options{Store: &fakeStore{}, Outbox: &fakeOutbox{}}); err == nil {
		t.Error("a bridge without devices")
	}
}

func BenchmarkUplink(b *testing.B) {
	plan, err := region.Lookup("EU_863_870")
	if err != nil {
		b.Fatal(err)
	}
	devices, gateways := session.NewRegistry(0), gateway.NewRegistry()
	dev := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{1}, Version: session.V1_0_4, Plan: plan.ID(),
		Session: &session.Session{DevAddr: radio.DevAddr{1, 2, 3, 4}, Keys: testKeys(1)},
	}
	if err := errors.Join(devices.Add(dev), gateways.Add(&gateway.Gateway{ID: "gw", EUI: gwA, Plan: plan})); err != nil {
		b.Fatal(err)
	}
	c, err := NewCore(CoreOptions{Devices: devices, Gateways: gateways, Entropy: rand.Reader, DefaultPlan: plan})
	if err != nil {
		b.Fatal(err)
	}
	now := Now{Host: 1, Wall: radio.WallTime{Time: time.Now(), Quality: radio.TimeNTP}}
	c.Step(now, GatewayTold{connected(gwA)})
	s := &stand{devices: map[string]*session.Device{"dev1": dev}, T: new(testing.T)}
	ups := make([]radio.Uplink, 4096)
	fCnt := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		if fCnt%uint32(len(ups)) == 0 {
			b.StopTimer()
			for i := range ups {
				ups[i] = s.uplink(gwA, "dev1", fCnt+uint32(i))
			}
			b.StartTimer()
		}
		now.Host = now.Host.Add(3 * time.Millisecond)
		now.Wall.Time = now.Wall.Time.Add(3 * time.Millisecond)
		c.Step(now, Heard{ups[fCnt%uint32(len(ups))]})
		fCnt++
	}
	if c.Stats().Published != uint64(fCnt) {
		b.Fatalf("%d of %d published: %+v", c.Stats().Published, fCnt, c.Stats())
	}
}
