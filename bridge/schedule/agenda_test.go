package schedule

import (
	"math/rand"
	"testing"
	"time"

	"lorawand/radio"
)

// What is noted for one time is done in the order in which it was noted.
func TestAgendaOrder(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	var a Agenda[int]
	noted := map[radio.HostTime][]int{}
	for i := range 500 {
		at := radio.HostTime(rnd.Intn(50))
		a.Add(at, i)
		noted[at] = append(noted[at], i)
	}
	for now := range radio.HostTime(50) {
		for len(noted[now]) > 0 {
			if at, ok := a.Next(); !ok || at != now {
				t.Fatalf("at %v: next is %v, %v", now, at, ok)
			}
			at, i, ok := a.Due(now)
			if !ok || at != now || i != noted[now][0] {
				t.Fatalf("at %v: %v of %v, %v; want %v", now, i, at, ok, noted[now][0])
			}
			noted[now] = noted[now][1:]
		}
		if _, i, ok := a.Due(now); ok {
			t.Fatalf("at %v: %v is due", now, i)
		}
	}
	if _, ok := a.Next(); ok || a.Len() != 0 {
		t.Errorf("%d are left", a.Len())
	}
}

// Nothing wakes for an idle entry when its time comes, but it is there before what comes later.
func TestAgendaIdle(t *testing.T) {
	var a Agenda[string]
	const second = radio.HostTime(time.Second)
	if _, _, ok := a.Passed(second); ok {
		t.Error("an empty agenda has an idle entry")
	}
	a.AddIdle(10*second, true, "idle")
	at, ok := a.Next()
	if _, _, due := a.Due(10 * second); due || !ok || at != 25*second {
		t.Errorf("next at %v, %v; due: %v", at, ok, due)
	}
	a.AddIdle(20*second, false, "other")
	if at, _ := a.Next(); at != 20*second {
		t.Errorf("next at %v, not that of the other", at)
	}
	if _, _, ok := a.Passed(10 * second); ok {
		t.Error("at its time it has not passed")
	}
	if at, what, ok := a.Passed(10*second + 1); !ok || at != 10*second || what != "idle" {
		t.Errorf("%q for %v, %v", what, at, ok)
	}
	if at, what, ok := a.Due(20 * second); !ok || at != 20*second || what != "other" {
		t.Errorf("%q for %v, %v", what, at, ok)
	}
	if at, ok := a.Next(); ok {
		t.Errorf("something is left for %v", at)
	}
}
