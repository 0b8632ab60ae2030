package broker

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/sys/unix"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/intake"
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

// meter measures for how long locks are held: no longer than it takes from once that it has had a lock
// to the next time, so no hold escapes it.
type meter struct {
	*testing.T
	ways    []func()      // each takes a lock and gives it back
	stop    chan struct{} // closed: each lock is taken once more
	longest chan time.Duration
}

// moment is a point in time: by the clock, and by the processor time that others of this process have
// used, since the machine may be busy with something else.
type moment struct {
	clock time.Time
	used  time.Duration
}

// now is called by a goroutine that has its thread for itself.
func (m *meter) now() moment {
	var own unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &own); err != nil {
		m.Error(err)
	}
	return moment{time.Now(), spent(m.T) - time.Duration(own.Nano())}
}

// measure begins to measure. It returns when each lock was taken once.
func measure(t *testing.T, ways ...func()) *meter {
	m := &meter{T: t, ways: ways, stop: make(chan struct{}), longest: make(chan time.Duration)}
	begun := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		last := make([]moment, len(ways))
		m.round(last)
		close(begun)
		var longest time.Duration
		for over := false; !over; {
			select {
			case <-m.stop:
				over = true
			default:
			}
			longest = max(longest, m.round(last))
			runtime.Gosched()
		}
		m.longest <- longest
	}()
	<-begun
	return m
}

// round takes each lock once, and returns the longest time since one was taken before.
func (m *meter) round(last []moment) (longest time.Duration) {
	for i, way := range m.ways {
		way()
		now := m.now()
		longest = max(longest, min(now.clock.Sub(last[i].clock), now.used-last[i].used))
		last[i] = now
	}
	return longest
}

// end returns the longest time for which a lock may have been held.
func (m *meter) end() time.Duration {
	close(m.stop)
	return <-m.longest
}

// locks are ways to take the locks that others need, as they do.
func (s *bench) locks() []func() {
	return []func(){
		func() { taken(&s.mu) },   // a session begins
		func() { taken(&s.life) }, // the same
		func() { s.gate.counts() },
		func() { s.server.Clients.Get("app2/x") },
		func() { s.server.Topics.Subscribe("app2/x", packets.Subscription{Filter: "v3/app2/#"}) },
		func() { s.server.Topics.Unsubscribe("v3/app2/#", "app2/x") },
		func() { s.opts.Keys.Keys("app2") },
		func() { // a long packet
			var p intake.Place
			p.Enter(&s.intake, "app2", intake.Long+1, nil, nil)
			p.Leave()
		},
	}
}

// The meter sees a lock that is held for too long, each time; and one that is not held it finds free.
func TestMeter(t *testing.T) {
	const held = 20 * time.Millisecond
	try := func(hold func(mu *sync.Mutex)) time.Duration {
		var mu, other sync.Mutex
		m := measure(t, func() { taken(&other) }, func() { taken(&mu) })
		hold(&mu)
		return m.end()
	}
	for range 5 {
		got := try(func(mu *sync.Mutex) {
			mu.Lock()
			defer mu.Unlock()
			for began := spent(t); spent(t)-began < 2*held; { // of which the meter uses some itself
			}
		})
		if got < held {
			t.Errorf("a lock that is held for %v is seen for %v", 2*held, got)
		}
	}
	best := time.Hour
	for end := time.Now().Add(patience); best >= held && time.Now().Before(end); {
		best = min(best, try(func(*sync.Mutex) {}))
	}
	if best >= held {
		t.Errorf("nobody holds a lock, and it is seen for %v", best)
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
// collection of garbage at the same time looks the same, and so does a meter that gets no
// processor, but not each time: one of many tries has to be good.
func TestLocksAreHeldBriefly(t *testing.T) {
	limit := max(longestHold, time.Duration(float64(longestHold)*float64(yardstick(t))/float64(time.Millisecond)))
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			best, tries := time.Hour, 0
			for end := time.Now().Add(20 * time.Second); best > limit && time.Now().Before(end); tries++ {
				s := start(t, Limits{Clients: 100})
				send := h.prepare(s)
				m := measure(t, s.locks()...)
				send()
				best = min(best, m.end())
				s.stopNow()
			}
			if best > limit {
				t.Errorf("a lock may be held for %v, limit %v", best, limit)
			}
			t.Logf("a lock is held for %v at most, limit %v; %d tries", best, limit, tries)
		})
	}
}

// A message that no filter lets through, of an application with as many sessions and filters
// as it may have, costs little more than it takes to match each filter once: others wait
// behind it.
func TestCostOfDispatch(t *testing.T) {
	const sessions, many = 100, 50
	s := start(t, Limits{})
	filters := filtersOf(64)
	for i := range sessions {
		r, _ := s.again(4, fmt.Sprint("crowd", i), s.key1)
		r.subscribe(1, filters...)
		s.away(r)
	}
	m := v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up}
	cost := func(work func()) time.Duration {
		best := time.Hour
		for range 5 {
			began := spent(t)
			for range many {
				work()
			}
			best = min(best, (spent(t)-began)/many)
		}
		return best
	}
	bare := cost(func() {
		topic := m.Topic(m.Application)
		for range sessions {
			for _, f := range filters {
				if v3.Matches(f, topic) {
					t.Error("it matches")
				}
			}
		}
	})
	dispatch := cost(func() { s.dispatch(&message{Message: m}) })
	t.Logf("%v for %d filters, to match them %v", dispatch, len(filters)*sessions, bare)
	if dispatch > bare*3/2 {
		t.Errorf("a message costs %v, to match its filters %v", dispatch, bare)
	}
}

// While a message waits for the lock of one session, other sessions begin and end.
func TestDispatchLeavesOthersAlone(t *testing.T) {
	s := start(t, Limits{})
	s.login("busy").subscribe(0, "#")
	busy := s.session("app1/busy")
	busy.mu.Lock()
	s.up("x")
	stacks := make([]byte, 1<<20)
	s.eventually("it waits for the lock", func() bool {
		return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "broker.(*session).match(")
	})
	free := make(chan struct{})
	go func() {
		defer close(free)
		taken(&s.mu)
	}()
	select {
	case <-free:
	case <-time.After(patience / 4):
		t.Error("no session can begin")
	}
	busy.mu.Unlock()
}

// Members of a shared subscription come and go while messages are given to them in turn: each
// message is with one of them at the end, or counted as dropped.
func TestSharedSubscriptionWhileMembersEnd(t *testing.T) {
	s := start(t, Limits{})
	steady, _ := s.again(4, "steady", s.key1)
	_ = steady.subscribe(1, "$share/g/#").Close()
	stop, given := make(chan struct{}), 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ; given++ {
			select {
			case <-stop:
				return
			default:
				s.dispatch(&message{Message: v3.Message{
					Application: "app1", Device: "dev1", Suffix: v3.Up,
					Payload: []byte(fmt.Sprint(given)),
				}})
			}
		}
	})
	for i := range 150 {
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
	kept, dropped := 0, 0
	for end := time.Now().Add(patience / 2); kept+dropped != given && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		queued, sent := s.waiting("app1/steady") // nothing is acknowledged
		kept, dropped = queued+sent, int(s.Stats().ClientDropped)
	}
	if kept+dropped != given {
		t.Errorf("%d messages are given: %d are kept, %d dropped", given, kept, dropped)
	}
}
