// Package air has end devices on a shared air: they send as LoRaWAN devices of
// Class A do, and hear only what comes in their receive windows. A Receiver is
// the ear and the transmitter of one gateway, with a counter of its own. It
// serves the demonstration and tests of the whole flow.
//
// A device opens RX1 and RX2 after each uplink. It hears a transmission that
// begins within Tolerance of a window's opening, as the counter of the sending
// gateway has it, on the frequency and data rate of that window, at coding rate
// 4/5, with inverted polarity, without CRC and at a power that is allowed. RX2
// stays closed when RX1 has brought a frame for the device. Then come MIC and
// frame counter. What was meant for a device and was not taken is told with the
// reason in words (Missed); a faulty server is found by reading them.
//
// Time on the air is the time of package time, so that the fake time of
// testing/synctest reaches it. Everything happens in the goroutine of Run, in
// the order of its time; what happens at the same time goes by the order in
// which devices came on the air. Each device draws from a source of its own, so
// equal seeds make equal runs, whatever goroutines the devices are driven from.
// All functions that the air is given are called from that goroutine too, with
// no lock held: they must return at once, and may call anything here.
//
// What the air leaves out: transmissions do not disturb each other, so two
// devices that send at the same time on one channel at one data rate may both be
// heard, and a gateway hears while it sends; a frame for another device does not
// keep a device's receiver busy; devices have no duty cycle; MAC commands other
// than LinkCheckAns and DeviceTimeAns are shown and not obeyed.
package air

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// Air is what devices and receivers share.
type Air struct {
	seed uint64
	wake chan struct{}

	mu        sync.Mutex // guards all below, and the devices and receivers on the air
	receivers []*Receiver
	devices   int
	byAddr    map[radio.DevAddr][]*Device
	joining   []*Device // those with a join-request that is not answered, in the order of devices
	log       func(Transmission)
	events    events
	seq       uint64
}

// New returns an empty air. Equal seeds make equal choices.
func New(seed uint64) *Air {
	return &Air{seed: seed, byAddr: map[radio.DevAddr][]*Device{}, wake: make(chan struct{}, 1)}
}

// Log has f called for each transmission of a gateway, when it has ended and
// after those who heard or missed it were told.
func (a *Air) Log(f func(Transmission)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = f
}

// At has f called at a time, by Run. It spares the devices of a long simulation
// goroutines and timers of their own.
func (a *Air) At(t time.Time, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at(t, 0, f)
}

// at is At with the order among what happens at the same time. The lock is held.
func (a *Air) at(t time.Time, order int, f func()) {
	a.seq++
	heap.Push(&a.events, &event{at: t, order: order, seq: a.seq, run: f})
	if a.events[0].seq == a.seq {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// Run carries out what is due, until ctx ends.
func (a *Air) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(a.step(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// step runs what is due, and returns the time until something is.
func (a *Air) step(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		a.mu.Lock()
		if len(a.events) == 0 {
			a.mu.Unlock()
			break
		}
		if wait := time.Until(a.events[0].at); wait > 0 {
			a.mu.Unlock()
			return wait
		}
		e := heap.Pop(&a.events).(*event)
		a.mu.Unlock()
		e.run()
	}
	return time.Hour
}

// forget takes a device off the list of an address. The lock is held.
func (a *Air) forget(v *Device, addr radio.DevAddr) {
	a.byAddr[addr] = slices.DeleteFunc(a.byAddr[addr], func(o *Device) bool { return o == v })
	if len(a.byAddr[addr]) == 0 {
		delete(a.byAddr, addr)
	}
}

// join notes that a device waits for a join-accept, joined that it does not.
// The lock is held.
func (a *Air) join(v *Device) {
	i, found := slices.BinarySearchFunc(a.joining, v, byOrder)
	if !found {
		a.joining = slices.Insert(a.joining, i, v)
	}
}

func (a *Air) joined(v *Device) {
	if i, found := slices.BinarySearchFunc(a.joining, v, byOrder); found {
		a.joining = slices.Delete(a.joining, i, i+1)
	}
}

func byOrder(v, w *Device) int { return v.order - w.order }

// meant returns the devices that a transmission is for: of those with its
// DevAddr, the one whose MIC it has; of those that wait for a join-accept, the
// one that can read it. If there is no such one, it is for all that might
// mistake it for theirs. The lock is held.
func (a *Air) meant(t *transmission) []*Device {
	m, err := frame.TypeOf(t.PHYPayload)
	switch {
	case err != nil:
		return nil
	case m == frame.TypeJoinAccept:
		return a.meantJoin(t)
	case m != frame.UnconfirmedDown && m != frame.ConfirmedDown || len(t.PHYPayload) < 5:
		return nil
	}
	b := t.PHYPayload[1:5]
	all := a.byAddr[radio.DevAddr{b[3], b[2], b[1], b[0]}]
	if len(all) < 2 {
		return all
	}
	if d, err := frame.ParseData(t.PHYPayload); err == nil {
		for i, v := range all {
			if _, known, _ := v.counter(d); known {
				return all[i : i+1]
			}
		}
	}
	return all
}

// meantJoin tries those first in whose window the transmission begins:
// decrypting for all that wait is dear when a thousand do.
func (a *Air) meantJoin(t *transmission) []*Device {
	var fitting, others []*Device
	for _, v := range a.joining {
		list := &others
		if u := v.at(t.Begin); u != nil {
			if _, margin := u.nearest(t); within(margin) {
				list = &fitting
			}
		}
		*list = append(*list, v)
	}
	for _, list := range [][]*Device{fitting, others} {
		for i, v := range list {
			if _, err := frame.ParseJoinAccept(t.PHYPayload, v.opts.RootKeys, v.request); err == nil {
				return list[i : i+1]
			}
		}
	}
	return slices.DeleteFunc(fitting, func(v *Device) bool {
		_, _, reason := v.judge(t)
		return reason != ""
	})
}

// event is something that happens at a time.
type event struct {
	at    time.Time
	order int
	seq   uint64
	run   func()
}

// events is a heap, by time, order and arrival.
type events []*event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	x, y := e[i], e[j]
	if !x.at.Equal(y.at) {
		return x.at.Before(y.at)
	}
	if x.order != y.order {
		return x.order < y.order
	}
	return x.seq < y.seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(*event)) }

// Pop implements heap.Interface.
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*e = old[:len(old)-1]
	return x
}
