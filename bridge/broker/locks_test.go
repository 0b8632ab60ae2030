package broker

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sys/unix"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// longestHold is how long a lock that others need may be held for what one client sends,
// on a machine that needs 1 ms for the yardstick; a slower one, such as one that is
// emulated or looks for races, has so much longer.
const longestHold = time.Millisecond

// spent returns the processor time that this process has used: so it does not count how
// long the machine is busy with others.
func spent(t *testing.T) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// yardstick is how long some work takes that is like the broker's: the shortest of some.
func yardstick(t *testing.T) time.Duration {
	best := time.Hour
	for range 10 {
		began, n, found := spent(t), 0, map[string]int{}
		var mu sync.Mutex
		for i := range 2500 {
			mu.Lock()
			found[strings.Repeat("x", 10+i%50)+fmt.Sprint(i%500)]++
			if v3.Matches("v3/app1/devices/+/up/x", "v3/app1/devices/dev1/up") {
				n++
			}
			mu.Unlock()
		}
		best = min(best, spent(t)-began+time.Duration(n))
	}
	return best
}

// taken takes a lock and gives it back.
func taken(l sync.Locker) {
	l.Lock()
	defer l.Unlock()
}

// longestWait takes the locks that others need, as they do, until stop is closed, and
// returns the longest that it took.
func (s *bench) longestWait(stop <-chan struct{}) (worst time.Duration) {
	ways := []func(){
		func() { taken(&s.mu) },   // a session begins
		func() { taken(&s.life) }, // the same
		func() { s.gate.counts() },
		func() { taken(&s.turns) }, // a shared subscription
		func() { s.server.Clients.Get("app2/x") },
		func() { s.server.Topics.Subscribe("app2/x", packets.Subscription{Filter: "v3/app2/#"}) },
		func() { s.server.Topics.Unsubscribe("v3/app2/#", "app2/x") },
		func() { s.opts.Keys.Keys("app2") },
	}
	for {
		for _, way := range ways {
			began := spent(s.T)
			way()
			worst = max(worst, spent(s.T)-began)
		}
		select {
		case <-stop:
			return worst
		case <-time.After(20 * time.Microsecond):
		}
	}
}

// hostile is something that a client can send, and what is there before.
type hostile struct {
	name    string
	prepare func(s *bench) (send func())
}

// answered sends a packet and waits for its answer.
func (r *raw) answered(pk packets.Packet, typ byte) func() {
	return func() {
		r.send(pk)
		r.want(typ)
	}
}

func unsubscribePacket(filters ...string) packets.Packet {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 1}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f})
	}
	return pk
}

// filtersOf are many filters of the longest kind.
func filtersOf(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("v3/app1/devices/%s/+/+/+/+/+/+/+/+/+/+/%d", strings.Repeat("x", 200), i))
	}
	return out
}

func hostiles() []hostile {
	full := make([]string, 1024) // which are as many as may be, and fill a packet
	for i := range full {
		full[i] = strings.Repeat(string(rune('a'+i%26)), 50)
	}
	long := filtersOf(64)
	return []hostile{
		{"a SUBSCRIBE full of filters that are refused", func(s *bench) func() {
			return s.login("dev").answered(subscribePacket(1, 1, full...), packets.Suback)
		}},
		{"the longest filters", func(s *bench) func() {
			return s.login("dev").answered(subscribePacket(1, 1, long...), packets.Suback)
		}},
		{"an UNSUBSCRIBE full of filters", func(s *bench) func() {
			return s.login("dev").answered(unsubscribePacket(full...), packets.Unsuback)
		}},
		{"UNSUBSCRIBE of the longest filters", func(s *bench) func() {
			return s.login("dev").subscribe(1, long...).answered(unsubscribePacket(long...), packets.Unsuback)
		}},
		{"a topic of 30 000 levels", func(s *bench) func() {
			return s.login("dev").answered(publishPacket(1, 1, "v3"+strings.Repeat("/x", 30_000), "x"), packets.Puback)
		}},
		{"a session with a full queue is taken up", func(s *bench) func() {
			r, _ := s.again(4, "dev", s.key1)
			r.subscribe(1, append(filtersOf(63), "#")...)
			s.away(r)
			for i := range 900 {
				s.up(fmt.Sprint(i))
			}
			s.dispatched()
			return func() { r, _ := s.again(4, "dev", s.key1); _ = r.Close() }
		}},
		{"a session with a full queue ends", func(s *bench) func() {
			s.crowd("$share/g/v3/app1/#", 8, 200)
			return func() { _ = s.login("crowd0").Close() }
		}},
		{"all sessions expire", func(s *bench) func() {
			s.crowd("v3/app1/devices/+/up", 8, 10)
			return func() { s.expire(time.Now().Add(48 * time.Hour)) }
		}},
		{"a key with many sessions is revoked", func(s *bench) func() {
			s.crowd("v3/app1/devices/+/up", 8, 10)
			return func() { s.Disconnect(func(l access.Login) bool { return l.Application == "app1" }) }
		}},
	}
}

// crowd leaves so many sessions that have the longest filters and one more behind, and
// messages for them.
func (s *bench) crowd(filter string, n, messages int) {
	s.Helper()
	for i := range n {
		r, _ := s.again(4, fmt.Sprint("crowd", i), s.key1)
		r.subscribe(1, append(filtersOf(63), filter)...)
		s.away(r)
	}
	for i := range messages {
		s.up(fmt.Sprint(i))
	}
	s.dispatched()
}

// Nothing that a client sends holds a lock that others need for more than 1 ms. A
// collection of garbage at the same time looks the same, but not each time: one of many
// tries has to be good.
func TestLocksAreHeldBriefly(t *testing.T) {
	limit := max(longestHold, time.Duration(float64(longestHold)*float64(yardstick(t))/float64(time.Millisecond)))
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			best := time.Hour
			for end := time.Now().Add(20 * time.Second); best > limit && time.Now().Before(end); {
				s := start(t, Limits{Clients: 100})
				send := h.prepare(s)
				stop := make(chan struct{})
				var worst time.Duration
				var wg sync.WaitGroup
				wg.Go(func() { worst = s.longestWait(stop) })
				send()
				close(stop)
				wg.Wait()
				best = min(best, worst)
				s.stopNow()
			}
			if best > limit {
				t.Errorf("others wait %v, limit %v", best, limit)
			}
			t.Logf("others wait %v, limit %v", best, limit)
		})
	}
}

// Members of a shared subscription come and go while messages are given to them in turn.
func TestSharedSubscriptionWhileMembersEnd(t *testing.T) {
	s := start(t, Limits{})
	steady, _ := s.again(4, "steady", s.key1)
	_ = steady.subscribe(1, "$share/g/#").Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				s.dispatch(&message{Message: v3.Message{
					Application: "app1", Device: "dev1", Suffix: v3.Up,
					Payload: []byte(fmt.Sprint(i)),
				}})
			}
		}
	})
	for i := range 50 {
		r, _ := s.again(4, fmt.Sprint("member", i%3), s.key1)
		r.send(subscribePacket(1, 1, "$share/g/#"))
		if _, err := r.until(packets.Suback); err != nil { // a message may come before it
			t.Fatal(err)
		}
		_ = r.Close()
		_ = s.login(fmt.Sprint("member", i%3)).Close() // begins anew: the session ends
	}
	close(stop)
	wg.Wait()
}
