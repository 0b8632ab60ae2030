//go:build !small

package main

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator/air"
)

// uplinkLog knows of each uplink of a device what became of it, so that one that is lost without a
// reason is found.
type uplinkLog struct {
	mu    sync.Mutex
	byPHY map[string]*sentUplink
	last  map[string]*sentUplink // by device
	order []*sentUplink
	lives []life // of the process

	sum uplinkSum
}

// uplinkSum counts uplinks by what became of them.
type uplinkSum struct{ sent, published, unheard, down, panicked, unexplained int }

func (s uplinkSum) String() string {
	return fmt.Sprintf("of %d uplinks %d published, %d heard by no gateway, %d while no process lived, %d in a panic",
		s.sent, s.published, s.unheard, s.down, s.panicked)
}

// sentUplink is one uplink.
type sentUplink struct {
	device    string
	fCnt      uint32
	end       time.Time // on the air
	heard     bool      // by a gateway
	panicked  bool      // the core, when it took a copy
	published bool
}

// life is one of the lives of the process. to is zero as long as it lasts.
type life struct{ from, to time.Time }

const (
	// onItsWay is how long an uplink can be under way from the air to the application: the network of
	// the gateway far away, and what the core waits for copies.
	onItsWay = time.Second
	// settledAfter is how long after its end an uplink has been published, or never is.
	settledAfter = time.Minute
)

func newUplinkLog() *uplinkLog {
	return &uplinkLog{byPHY: map[string]*sentUplink{}, last: map[string]*sentUplink{}}
}

// sent takes what a device sends.
func (l *uplinkLog) sent(device string, s air.Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := &sentUplink{device: device, fCnt: s.FCnt, end: s.End}
	l.byPHY[string(s.PHYPayload)], l.last[device] = u, u
	l.order = append(l.order, u)
}

// received notes that a gateway has heard the last uplink of a device.
func (l *uplinkLog) received(device string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.last[device]; u != nil {
		u.heard = true
	}
}

// panicked notes that the core panics at a frame.
func (l *uplinkLog) panicked(phy string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.byPHY[phy]; u != nil && at.Sub(u.end) <= onItsWay {
		u.panicked = true
	}
}

// published notes that an uplink is published.
func (l *uplinkLog) published(device string, fCnt uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range slices.Backward(l.order) {
		if u.device == device && u.fCnt == fCnt {
			u.published = true
			return
		}
	}
}

// begins and ends are told when the process begins and ends.
func (l *uplinkLog) begins(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives = append(l.lives, life{from: at})
}

func (l *uplinkLog) ends(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.lives); n > 0 && l.lives[n-1].to.IsZero() {
		l.lives[n-1].to = at
	}
}

// lived reports whether one process has lived from an uplink's end until it was published. The caller
// holds mu.
func (l *uplinkLog) lived(end time.Time) bool {
	return slices.ContainsFunc(l.lives, func(x life) bool {
		return !end.Before(x.from) && (x.to.IsZero() || x.to.Sub(end) > onItsWay)
	})
}

// check counts the uplinks that are over, and complains of those that are lost without a reason.
func (l *uplinkLog) check(t testing.TB, begin, now time.Time) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for ; n < len(l.order) && now.Sub(l.order[n].end) > settledAfter; n++ {
		u := l.order[n]
		l.sum.sent++
		switch {
		case u.published:
			l.sum.published++
		case !l.lived(u.end):
			l.sum.down++
		case !u.heard:
			l.sum.unheard++
		case u.panicked:
			l.sum.panicked++
		default:
			l.sum.unexplained++
			t.Errorf("%s: FCntUp %d, at %v, was heard and is not published", u.device, u.fCnt, u.end.Sub(begin))
		}
	}
	l.order = slices.Delete(l.order, 0, n)
	for phy, u := range l.byPHY {
		if now.Sub(u.end) > settledAfter {
			delete(l.byPHY, phy)
		}
	}
	l.lives = slices.DeleteFunc(l.lives, func(x life) bool { return !x.to.IsZero() && now.Sub(x.to) > 2*settledAfter })
}

// An uplink that is lost has a reason, or is found.
func TestUplinkLog(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l, found := newUplinkLog(), &complaints{TB: t}
	l.begins(begin)
	send := func(fCnt uint32, after time.Duration, heard bool) string {
		phy := fmt.Sprint("phy ", fCnt)
		l.sent("dev", air.Sent{PHYPayload: []byte(phy), FCnt: fCnt, End: begin.Add(after)})
		if heard {
			l.received("dev")
		}
		return phy
	}
	send(1, time.Second, true)
	l.published("dev", 1)
	send(2, 2*time.Second, false)
	l.panicked(send(3, 3*time.Second, true), begin.Add(3*time.Second))
	l.panicked(send(4, 4*time.Second, true), begin.Add(30*time.Second)) // a replay
	send(5, 5*time.Second, true)
	send(6, 10*time.Second, true)
	l.ends(begin.Add(10*time.Second + onItsWay/2))
	send(7, 15*time.Second, true)
	l.begins(begin.Add(20 * time.Second))
	send(8, 25*time.Second, true)
	send(9, 10*time.Minute, true) // may still be published
	l.check(found, begin, begin.Add(10*time.Minute))
	want := uplinkSum{sent: 8, published: 1, unheard: 1, down: 2, panicked: 1, unexplained: 3}
	if l.sum != want || found.n != 3 || len(l.order) != 1 || len(l.byPHY) != 1 || len(l.lives) != 1 {
		t.Errorf("%+v, %d complaints; %d, %d and %d are kept", l.sum, found.n, len(l.order), len(l.byPHY), len(l.lives))
	}
}
