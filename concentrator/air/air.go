// Package air simulates end devices on a shared air. They send as Class A devices
// of LoRaWAN do, and hear only in their receive windows; those of Class B and C hear beside
// them too. A Receiver receives and transmits for one gateway and has a counter of its own. The
// package serves the demonstration and tests of the whole flow.
//
// A device opens RX1 and RX2 after each uplink. It hears a transmission that begins
// within Tolerance of the opening of a window (measured by the counter of the
// sending gateway), on the frequency and data rate of that window, at coding rate
// 4/5, with inverted polarity, without CRC and with an allowed power. RX2 stays
// closed if RX1 has brought a frame for the device. Then the device checks MIC and
// frame counter. A frame that was meant for a device but was not accepted is
// reported as Missed, with the reason as text; these reasons lead to the fault of a
// server.
//
// The air uses the time of package time, so that it works in the fake time of
// testing/synctest. Everything happens in the goroutine of Run in order of time,
// and at equal times in the order in which devices came on the air. Each device
// draws from a random source of its own, so equal seeds give equal runs, whatever
// goroutines call the devices. The goroutine of Run also calls all functions that
// the air is given, without a lock: they must return at once, and may call any
// method of this package.
//
// The air leaves out some things. Transmissions do not disturb each other: two
// devices that send at the same time on one channel at one data rate may both be
// heard, and a gateway hears while it sends. A frame for another device does not
// keep a device's receiver busy. Devices have no duty cycle. They show MAC commands
// other than LinkCheckAns and DeviceTimeAns, but do not obey them; one of LoRaWAN 1.1
// sends RekeyInd until RekeyConf.
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

// Air connects devices and receivers.
type Air struct {
	seed uint64
	wake chan struct{}

	mu        sync.Mutex // guards the fields below, and the devices and receivers on the air
	receivers []*Receiver
	devices   int
	byAddr    map[radio.DevAddr][]*Device
	joining   []*Device // devices that wait for a join-accept, in the order of devices
	log       func(Transmission)
	events    events
	seq       uint64
}

// New returns an empty air. Equal seeds make equal choices.
func New(seed uint64) *Air {
	return &Air{seed: seed, byAddr: map[radio.DevAddr][]*Device{}, wake: make(chan struct{}, 1)}
}

// Log sets a function that is called for each transmission of a gateway when it has
// ended, after the calls of Heard and Missed.
func (a *Air) Log(f func(Transmission)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = f
}

// At makes Run call f at a time. A long simulation needs no goroutines and timers
// for its devices then.
func (a *Air) At(t time.Time, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at(t, 0, f)
}

// at is At with an order among events of the same time. The caller holds the lock.
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

// Run carries out the events when they are due, until ctx ends.
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

// step carries out the due events, and returns the time until the next one.
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

// forget removes a device from the list of an address. The caller holds the lock.
func (a *Air) forget(v *Device, addr radio.DevAddr) {
	a.byAddr[addr] = slices.DeleteFunc(a.byAddr[addr], func(o *Device) bool { return o == v })
	if len(a.byAddr[addr]) == 0 {
		delete(a.byAddr, addr)
	}
}

// join records that a device waits for a join-accept; joined that it no longer
// does. The caller holds the lock.
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

// meant returns the devices that a transmission is for. That is the one device with
// its DevAddr whose MIC fits, or the waiting device that can decrypt the
// join-accept. If there is none, it is for all devices that might take it for
// theirs. The caller holds the lock.
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

// meantJoin first tries the devices with a window in which the transmission begins,
// because decrypting for all waiting devices is expensive when there are a
// thousand.
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

// event is a function to call at a time.
type event struct {
	at    time.Time
	order int
	seq   uint64
	run   func()
}

// events is a heap, sorted by time, order and arrival.
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
