package session

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lorawand/radio"
	"lorawand/radio/frame"
)

func TestLoad(t *testing.T) {
	a, b := &Item{FRMPayload: make([]byte, 10)}, &Item{CorrelationIDs: []string{"abc"}}
	var q Queue
	q.Add(a)
	q.Add(b)
	both := LoadOf([]*Item{a, b})
	if want := (Load{2, a.Size() + b.Size()}); both != want || q.Fill() != want {
		t.Errorf("%+v, of the queue %+v; want %+v", both, q.Fill(), want)
	}
	one, other := LoadOf([]*Item{a}), LoadOf([]*Item{b})
	if one.Plus(other) != both || both.Minus(other) != one || both.Minus(both) != (Load{}) {
		t.Errorf("%+v and %+v do not make %+v", one, other, both)
	}
}

// counting does to the queues of a Registry what can be done to them, as chance has it.
type counting struct {
	*testing.T
	*Registry
	chance *rand.Rand
	gone   []*Device           // that were in it
	taken  map[*Device][]*Item // with a gateway
}

// ids are those of the devices that there can be.
var ids = []ID{{"app1", "one"}, {"app1", "two"}, {"app2", "one"}, {"app2", "two"}, {"app3", "one"}}

// device returns a device with an id, which joins; two of them can have one DevEUI.
func (c *counting) device(id ID) *Device {
	return &Device{
		ID: id, DevEUI: radio.EUI64{1, byte(c.chance.IntN(6))}, SupportsJoin: true, HasJoinEUI: true, Version: V1_0_3,
		Plan: "EU_863_870_TTN", RootKeys: frame.RootKeys{AppKey: frame.Key{1}},
	}
}

func (c *counting) item() *Item {
	return &Item{Seq: c.chance.Uint64N(100), CorrelationIDs: []string{strings.Repeat("x", c.chance.IntN(1000))}}
}

// change does something to the device with an id, or to one that is gone.
func (c *counting) change(id ID) {
	d := c.Device(id)
	switch {
	case d == nil && len(c.gone) > 0 && c.chance.IntN(2) == 0:
		c.queue(c.gone[c.chance.IntN(len(c.gone))])
	case d == nil:
		d = c.device(id)
		sent := c.item()
		sent.Sent = true
		d.Queue.Load([]*Item{c.item(), sent})
		if err := c.Add(d); err != nil && !errors.Is(err, ErrExists) { // another can have its DevEUI
			c.Fatal(err)
		}
	case c.chance.IntN(8) == 0:
		c.Remove(id)
		c.gone = append(c.gone, d)
	case c.chance.IntN(8) == 0:
		next := c.device(id)
		next.Succeed(d)
		if err := c.Replace(d, next); err != nil && !errors.Is(err, ErrExists) {
			c.Fatal(err)
		}
	default:
		c.queue(d)
	}
}

// queue does something to the queue of a device.
func (c *counting) queue(d *Device) {
	q := &d.Queue
	taken := c.taken[d]
	switch c.chance.IntN(6) {
	case 0:
		if q.Len() > 0 {
			c.taken[d] = append(taken, q.Take())
		}
	case 1:
		if len(taken) > 0 {
			q.PutBack(taken[0])
			c.taken[d] = taken[1:]
		}
	case 2:
		if len(taken) > 0 {
			q.Await(taken[0], 1)
			c.taken[d] = taken[1:]
		}
	case 3:
		q.Decided()
	case 4:
		if c.chance.IntN(4) == 0 {
			q.Clear()
		}
	default:
		q.Add(c.item())
	}
}

// check compares what is counted with what is there.
func (c *counting) check(step int) {
	c.Helper()
	there, all := map[string]int{}, 0
	for _, d := range c.All() {
		items := slices.Clone(d.Queue.Items())
		if it := d.Queue.Awaiting(); it != nil {
			items = append(items, it)
		}
		n := LoadOf(items).Bytes
		if there[d.ID.Application] += n; d.Queue.Bytes() != n {
			c.Fatalf("step %d: %v counts %d bytes and has %d", step, d.ID, d.Queue.Bytes(), n)
		}
		all += n
	}
	for _, application := range []string{"app1", "app2", "app3", "app4"} {
		if own, total := c.QueueBytes(application); own != there[application] || total != all {
			c.Fatalf("step %d: %d bytes of %s and %d of all are counted; there are %d and %d", step, own, application, total,
				there[application], all)
		}
	}
	if len(c.shares) > len(c.Registry.devices) {
		c.Fatalf("step %d: %d applications of %d devices", step, len(c.shares), c.Len())
	}
}

// What is counted of an application is what its queues have, whatever happens to them and to its
// devices.
func TestQueueBytes(t *testing.T) {
	for seed := range uint64(4) {
		c := counting{t, NewRegistry(0), rand.New(rand.NewPCG(seed, 1)), nil, map[*Device][]*Item{}}
		for step := range 5000 {
			c.change(ids[c.chance.IntN(len(ids))])
			c.check(step)
		}
		for _, id := range ids {
			c.Remove(id)
		}
		if own, all := c.QueueBytes("app1"); own != 0 || all != 0 || len(c.shares) != 0 {
			t.Errorf("%d and %d bytes, %d applications without a device", own, all, len(c.shares))
		}
	}
}
