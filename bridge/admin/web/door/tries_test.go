package door

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// A guesser waits, others do not, and the wait has an end.
func TestTries(t *testing.T) {
	var all Tries
	guesser, other := netip.MustParseAddr("192.168.1.66"), netip.MustParseAddr("192.168.1.10")
	now := time.Unix(1000, 0)
	var waits []int
	for range 10 {
		if wait := all.Begin(guesser, now); wait != 0 {
			t.Fatalf("after its wait it must wait for %v", wait)
		}
		if all.Begin(guesser, now) == 0 {
			t.Error("two tries at once")
		}
		wait := all.End(guesser, false, true, now)
		waits = append(waits, int(wait/time.Second))
		if wait > 0 && all.Begin(guesser, now.Add(wait-1)) == 0 {
			t.Error("a try before its time")
		}
		if all.Begin(other, now) != 0 || all.End(other, true, true, now) != 0 {
			t.Error("another address must wait")
		}
		now = now.Add(wait)
	}
	if !slices.Equal(waits, []int{0, 0, 1, 2, 4, 8, 16, 32, 60, 60}) {
		t.Errorf("it waited for %v s", waits)
	}
	if now = now.Add(forgetTries + 1); all.Begin(guesser, now) != 0 || all.End(guesser, false, true, now) != 0 {
		t.Error("it is never forgotten")
	}
	if all.Begin(guesser, now) != 0 || all.End(guesser, true, true, now) != 0 || all.Len() != 0 {
		t.Error("who knows the password is remembered")
	}
}

// Addresses of one IPv6 network are one; what is remembered is bounded.
func TestTriesPlaces(t *testing.T) {
	var all Tries
	now := time.Unix(1000, 0)
	fail := func(a string) time.Duration {
		addr := netip.MustParseAddr(a)
		if wait := all.Begin(addr, now); wait > 0 {
			return wait
		}
		return all.End(addr, false, true, now)
	}
	for i := range 4 {
		wait := fail(fmt.Sprintf("2001:db8::%x", i+1))
		if (wait > 0) != (i >= freeTries) {
			t.Errorf("try %d of a /64: %v", i, wait)
		}
	}
	if fail("2001:db8:0:1::1") != 0 {
		t.Error("another /64 must wait")
	}
	for i := range 3 * mostAddresses {
		now = now.Add(time.Second)
		fail(fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	if all.Len() > mostAddresses {
		t.Errorf("%d addresses are remembered", all.Len())
	}
}

// A password that is not looked at is no wrong one.
func TestTriesNotLooked(t *testing.T) {
	var all Tries
	a, now := netip.MustParseAddr("10.0.0.1"), time.Unix(1000, 0)
	for range 10 {
		if all.Begin(a, now) != 0 || all.End(a, false, false, now) != 0 {
			t.Fatal("it must wait")
		}
	}
}
