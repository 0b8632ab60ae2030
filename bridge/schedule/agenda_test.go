package schedule

import (
	"math/rand"
	"testing"

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
