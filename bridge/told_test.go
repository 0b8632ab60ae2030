package bridge

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// slowClients hear of an item what a busy machine tells them only after a while.
type slowClients struct {
	after time.Duration

	mu         sync.Mutex
	heard      map[string]bool // suffixes of topics
	last, over uint64          // numbers of the last message, and of the last that they have heard
}

func (c *slowClients) Publish(m v3.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	time.AfterFunc(c.after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.heard[m.Suffix] = true
		c.over++
	})
}

// Told implements state.Clients.
func (c *slowClients) Told() (next, first uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last + 1, c.over + 1
}

func (c *slowClients) hasHeard(suffix string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[suffix]
}

// noted is a store that looks at each change of an item, when that is on the disk.
type noted struct {
	storetest.Commits
	item func(gone bool)
}

func (n *noted) Commit(records ...store.Record) error {
	for _, r := range records {
		if r.Kind == state.KindDownlink {
			n.item(r.Data == nil)
		}
	}
	return n.Commits.Commit(records...)
}

// answering is a gateway that answers each downlink at once.
type answering struct {
	result radio.TxResult
	to     *Bridge
	sent   chan struct{} // gets one for each; nil: does not
}

func (a *answering) Transmit(d radio.Downlink) error {
	a.to.TxAck(radio.TxAck{ID: d.ID, Gateway: d.Gateway, Result: a.result, At: a.to.clock.Host()})
	select {
	case a.sent <- struct{}{}:
	default:
	}
	return nil
}

// Whenever the power is cut, the store has an item as it was, or clients have heard what became of it: on a
// machine where that takes them 200 ms, too; and 1 s where it is known what they have.
func TestClientsHearFirst(t *testing.T) {
	t.Run("200 ms", func(t *testing.T) { testClientsHearFirst(t, 200*time.Millisecond, unknown) })
	t.Run("1 s", func(t *testing.T) { testClientsHearFirst(t, time.Second, known) })
}

func known(c *slowClients) state.Clients { return c }

func unknown(*slowClients) state.Clients { return nil }

func testClientsHearFirst(t *testing.T, after time.Duration, clients func(*slowClients) state.Clients) {
	for _, tt := range []struct {
		name, item string
		result     radio.TxResult
		tells      string
		stays      bool // in the store, and waits for its acknowledgement
	}{
		{"refused", `{"f_port":1,"frm_payload":"AQ=="}`, radio.TxTooLate, v3.DownFailed, false},
		{"sent", `{"f_port":1,"frm_payload":"AQ=="}`, radio.TxOK, v3.DownSent, false},
		{"sent, confirmed", `{"f_port":1,"frm_payload":"AQ==","confirmed":true}`, radio.TxOK, v3.DownSent, true},
		{"too long for the data rate", `{"f_port":1,"frm_payload":"` + strings.Repeat("AAAA", 34) + `"}`, radio.TxOK, v3.DownFailed, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, out, st := newHome(t), &slowClients{after: after, heard: map[string]bool{}}, &noted{}
				pushed, changed := false, 0
				st.item = func(gone bool) {
					if !pushed {
						return
					}
					if changed++; gone == tt.stays || !out.hasHeard(tt.tells) {
						t.Errorf("gone from the disk: %v; its client has heard %s: %v", gone, tt.tells, out.hasHeard(tt.tells))
					}
				}
				air := &answering{result: tt.result}
				b, err := New(Options{
					Devices: h.devices, Gateways: h.gateways, Store: st, Outbox: out, Transmitter: air, DefaultPlan: h.plan,
					Commit: 15 * time.Second, Clock: NewClock(trusted), Serves: true, Logger: slog.New(slog.DiscardHandler),
					Clients: clients(out),
				})
				if err != nil {
					t.Fatal(err)
				}
				air.to = b
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- b.Run(ctx) }()
				b.GatewayEvent(connected(gwA))
				if err := b.Push(ctx, dev("dev1"), false, []byte(`{"downlinks":[`+tt.item+`]}`)); err != nil {
					t.Fatal(err)
				}
				pushed = true
				up := h.uplink(gwA, "dev1", 0)
				up.DataRate = radio.LoRaDataRate(12, 125_000)
				b.Uplink(up)
				time.Sleep(time.Minute)
				synctest.Wait()
				if changed != 1 {
					t.Errorf("the item was changed %d times in the store, want 1", changed)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What was sent before a down/replace, or before the removal of its device, is out of the store when that is
// acknowledged, although clients are being told of it: else it would be sent again after a crash, before what has taken
// the place of the queue, or by the next device with that id.
func TestNothingComesBack(t *testing.T) {
	const one = `{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`
	for _, tt := range []struct {
		name string
		does func(context.Context, *Bridge) error
		left int // items in the store
	}{
		{"replaced", func(ctx context.Context, b *Bridge) error { return b.Push(ctx, dev("dev1"), true, []byte(one)) }, 1},
		{"replaced by nothing", func(ctx context.Context, b *Bridge) error {
			return b.Push(ctx, dev("dev1"), true, []byte(`{"downlinks":[]}`))
		}, 0},
		{"removed", func(ctx context.Context, b *Bridge) error {
			return b.Provision(ctx, nil, []session.ID{dev("dev1")}, false)
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, out, st := newHome(t), &slowClients{heard: map[string]bool{}}, &storetest.Commits{}
				air := &answering{result: radio.TxOK}
				b, err := New(Options{
					Devices: h.devices, Gateways: h.gateways, Store: st, Outbox: out, Transmitter: air, DefaultPlan: h.plan,
					Commit: 15 * time.Second, Clock: NewClock(trusted), Serves: true, Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				air.to = b
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- b.Run(ctx) }()
				b.GatewayEvent(connected(gwA))
				if err := b.Push(ctx, dev("dev1"), false, []byte(one)); err != nil {
					t.Fatal(err)
				}
				b.Uplink(h.uplink(gwA, "dev1", 0))
				for !out.hasHeard(v3.DownSent) {
					time.Sleep(10 * time.Millisecond)
				}
				if err := tt.does(ctx, b); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if n := strings.Count(st.State(), state.KindDownlink+"/"); n != tt.left {
					t.Errorf("the store has %d items, want %d: %s", n, tt.left, st.State())
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// scripts are formatters of which no result comes, as on a machine that has no time for them.
type scripts struct{ script formatter.Formatter }

func (s scripts) Formatter(*session.Device, formatter.Task) (formatter.Formatter, string) {
	return s.script, ""
}

// A message that waits behind a payload formatter has not been told: the item stays in the store for longer.
func TestClientsHearFirstBehindFormatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, out, st := newHome(t), &slowClients{heard: map[string]bool{}}, &storetest.Commits{}
		script, err := formatter.NewJavaScript("function decodeUplink(i) {}")
		if err != nil {
			t.Fatal(err)
		}
		air := &answering{result: radio.TxOK, sent: make(chan struct{}, 1)}
		b, err := New(Options{
			Devices: h.devices, Gateways: h.gateways, Store: st, Outbox: out, Transmitter: air, DefaultPlan: h.plan,
			Commit: 15 * time.Second, Clock: NewClock(trusted), Serves: true, Logger: slog.New(slog.DiscardHandler),
			Formatters: scripts{script}, Pool: formatter.New(formatter.Options{}), // which nobody runs
		})
		if err != nil {
			t.Fatal(err)
		}
		air.to = b
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		b.GatewayEvent(connected(gwA))
		if err := b.Push(ctx, dev("dev1"), false, []byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`)); err != nil {
			t.Fatal(err)
		}
		b.Uplink(h.uplink(gwA, "dev1", 0))
		<-air.sent
		for _, after := range []time.Duration{1400, 200} {
			time.Sleep(after * time.Millisecond)
			if has, want := strings.Contains(st.State(), state.KindDownlink+"/"), after == 1400; has != want {
				t.Errorf("after %d ms more the store has the item: %v, want %v", after, has, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
