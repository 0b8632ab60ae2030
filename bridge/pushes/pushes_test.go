package pushes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// devices registers personalised devices dev1, dev2 … of app1, and as many of app2.
func devices(t *testing.T, count int) *session.Registry {
	t.Helper()
	all := session.NewRegistry(0)
	for n := 2; n <= 2*count+1; n++ {
		key, id := frame.Key{byte(n)}, dev(n/2)
		if n%2 == 1 {
			id.Application = "app2"
		}
		d := &session.Device{
			ID: id, DevEUI: radio.EUI64{byte(n)}, Version: session.V1_0_3, Plan: "EU_863_870_TTN",
			Session: &session.Session{DevAddr: radio.DevAddr{byte(n)}, Keys: frame.SessionKeys{
				FNwkSIntKey: key, SNwkSIntKey: key, NwkSEncKey: key, AppSKey: key,
			}},
		}
		if err := all.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func dev(n int) session.ID { return session.ID{Application: "app1", Device: fmt.Sprintf("dev%d", n)} }

// items are so many; the first is as large as it must be to make them so many bytes.
func items(count, bytes int) []*session.Item {
	var all []*session.Item
	for range count {
		all = append(all, &session.Item{FPort: 1, FRMPayload: []byte{1}})
	}
	if more := bytes - session.LoadOf(all).Bytes; more > 0 {
		all[0].CorrelationIDs = []string{strings.Repeat("x", more)}
	}
	return all
}

// A push has the room that the queue, other pushes on their way and other devices leave.
func TestRoom(t *testing.T) {
	const most, mostBytes = session.MaxQueue, session.MaxQueueBytes
	for _, tt := range []struct {
		name    string
		queued  []*session.Item // of dev1
		pending []*session.Item // of dev1, on their way to the store
		push    []*session.Item
		replace bool
		want    string // "": it is taken
	}{
		{name: "one", push: items(1, 0)},
		{name: "nothing, into a full queue", queued: items(most, 0)},
		{name: "as many as there may be", push: items(most, 0)},
		{name: "one too many", push: items(most+1, 0), want: "downlink_queue_capacity"},
		{name: "the last place", queued: items(most-1, 0), push: items(1, 0)},
		{name: "no place is left", queued: items(most, 0), push: items(1, 0), want: "downlink_queue_capacity"},
		{
			name: "what is on its way has the last place", pending: items(most, 0), push: items(1, 0),
			want: "downlink_queue_capacity",
		},
		{
			name: "both together", queued: items(most/2, 0), pending: items(most/2, 0), push: items(1, 0),
			want: "downlink_queue_capacity",
		},
		{name: "instead of a full queue", queued: items(most, 0), push: items(most, 0), replace: true},
		{
			name: "instead of a queue, beside what is on its way", queued: items(most, 0), pending: items(1, 0),
			push: items(most, 0), replace: true, want: "downlink_queue_capacity",
		},
		{name: "as long as a queue may be", push: items(1, mostBytes)},
		{name: "one byte too long", push: items(1, mostBytes+1), want: "downlink_queue_size"},
		{
			name: "too long with the queue", queued: items(1, mostBytes/2), push: items(1, mostBytes/2+1),
			want: "downlink_queue_size",
		},
		{
			name: "too long with what is on its way", pending: items(1, mostBytes/2), push: items(1, mostBytes/2+1),
			want: "downlink_queue_size",
		},
		{name: "long, instead of a long queue", queued: items(1, mostBytes), push: items(1, mostBytes), replace: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, p := devices(t, 1), NewPending()
			d := all.Device(dev(1))
			for _, it := range tt.queued {
				d.Queue.Add(it)
			}
			w := &Push{Device: d, Items: tt.pending}
			p.Add(w)
			check(t, &p, all, tt.push, tt.replace, tt.want)
			p.Done(w)
			if n := p.Len() + len(p.loads); n != 0 {
				t.Errorf("%d devices wait when nothing is on its way", n)
			}
		})
	}
}

// check finds whether a push to dev1 is refused, and with which name.
func check(t *testing.T, p *Pending, all *session.Registry, push []*session.Item, replace bool, want string) {
	t.Helper()
	switch err := p.Refusal(all, dev(1), push, replace, time.Time{}); {
	case err == nil && want != "":
		t.Errorf("it is taken, not refused with %s", want)
	case err != nil && err.Name != want:
		t.Errorf("%s, want %q", err.Name, want)
	}
}

// fill fills the queues of devices of an application from dev2 on, and returns what is on its way to
// the store: the half of it.
func fill(p *Pending, all *session.Registry, application string, devices int) (under []*Push) {
	for n := 2; n <= devices+1; n++ {
		its := items(1, session.MaxQueueBytes)
		if d := all.Device(session.ID{Application: application, Device: dev(n).Device}); n%2 == 0 {
			d.Queue.Add(its[0])
		} else {
			under = append(under, &Push{Ticket: uint64(p.Len()), Device: d, Items: its})
			p.Add(under[len(under)-1])
		}
	}
	return under
}

// The queues of an application have a limit together, which counts what is on its way for any
// device.
func TestRoomOfApplication(t *testing.T) {
	const full = session.MaxQueuesBytes / session.MaxQueueBytes / 2
	all, p := devices(t, full+2), NewPending()
	under := fill(&p, all, "app1", full)
	check(t, &p, all, items(1, 0), false, "downlink_queues_size")
	check(t, &p, all, items(1, 0), true, "downlink_queues_size") // dev1 has nothing to replace
	p.Done(under[0])
	check(t, &p, all, items(1, session.MaxQueueBytes), false, "")
	check(t, &p, all, items(1, session.MaxQueueBytes+1), false, "downlink_queue_size")
}

// An application finds room whatever another one has filled, and may go on replacing what it has.
func TestRoomBesideOthers(t *testing.T) {
	const full = session.MaxQueuesBytes / session.MaxQueueBytes
	for _, tt := range []struct {
		name       string
		other, own int // full queues of app2 and of app1
		own1       int // bytes in the queue of dev1, besides
		push       int // bytes, to dev1
		replace    bool
		want       string
	}{
		{name: "the other has a half", other: full / 2, push: session.MaxQueueBytes},
		{name: "a quarter beside a half", other: full / 2, own: full/4 - 1, push: session.MaxQueueBytes},
		{name: "more than a quarter beside a half", other: full / 2, own: full / 4, push: 300, want: "downlink_queues_size"},
		{name: "a half alone", own: full/2 - 1, push: session.MaxQueueBytes},
		{name: "more than a half alone", own: full / 2, push: 300, want: "downlink_queues_size"},
		{name: "the other has all", other: full, push: 300, want: "downlink_queues_size"},
		{name: "instead of as much", other: full, own1: 1000, push: 1000, replace: true},
		{name: "instead of less", other: full, own1: 999, push: 1000, replace: true, want: "downlink_queues_size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, p := devices(t, full+1), NewPending()
			fill(&p, r, "app2", tt.other)
			fill(&p, r, "app1", tt.own)
			if tt.own1 > 0 {
				r.Device(dev(1)).Queue.Add(items(1, tt.own1)[0])
			}
			check(t, &p, r, items(1, tt.push), tt.replace, tt.want)
		})
	}
}

// An application that is the only one with devices has all the room.
func TestRoomAlone(t *testing.T) {
	const full = session.MaxQueuesBytes / session.MaxQueueBytes
	all, p := devices(t, full+2), NewPending()
	for n := 1; n <= full+2; n++ {
		all.Remove(session.ID{Application: "app2", Device: dev(n).Device})
	}
	fill(&p, all, "app1", full-1)
	check(t, &p, all, items(1, session.MaxQueueBytes), false, "")
	all.Device(dev(full + 1)).Queue.Add(items(1, session.MaxQueueBytes)[0])
	check(t, &p, all, items(1, 300), false, "downlink_queues_size")
}

// Pushes of one device end in any order, and each gives back its own room.
func TestPending(t *testing.T) {
	all, p := devices(t, 2), NewPending()
	d, other := all.Device(dev(1)), all.Device(dev(2))
	first := &Push{Ticket: 1, Device: d, Items: items(2, 1000)}
	second := &Push{Ticket: 2, Device: d, Items: items(3, 5000)}
	p.Add(first)
	p.Add(second)
	p.Add(&Push{Ticket: 3, Device: other, Items: items(2, 1000)})
	if got, want := p.loads[d], (session.Load{Items: 5, Bytes: 6000}); got != want {
		t.Errorf("%+v waits, want %+v", got, want)
	}
	p.Done(first)
	if got, want := p.loads[d], (session.Load{Items: 3, Bytes: 5000}); got != want {
		t.Errorf("%+v waits after the first is stored, want %+v", got, want)
	}
	p.Done(second)
	if _, waits := p.loads[d]; waits || p.loads[other].Items != 2 || p.Len() != 1 {
		t.Errorf("what waits at last: %+v", p)
	}
}

// Faults of the items or the device are told before the room is checked.
func TestRefusalOfItems(t *testing.T) {
	all := devices(t, 1)
	p := NewPending()
	p.Add(&Push{Device: all.Device(dev(1)), Items: items(session.MaxQueue, 0)})
	long := []*session.Item{{FPort: 1, FRMPayload: make([]byte, 243)}}
	check(t, &p, all, long, false, "application_downlink_too_long")
	all.Device(dev(1)).Session = nil
	check(t, &p, all, items(1, 0), false, "no_device_session")
	all.Remove(dev(1))
	check(t, &p, all, items(1, 0), false, "device_not_found")
	check(t, &p, all, nil, true, "device_not_found") // to clear the queue of nobody
}

// A push is withdrawn once, and is out of the store again with what it had replaced put back.
func TestWithdraw(t *testing.T) {
	all, p := devices(t, 1), NewPending()
	d := all.Device(dev(1))
	w := &Push{Ticket: 7, Device: d, Replace: true, Items: items(2, 10)}
	p.Add(w)
	if p.Withdraw(8) != nil || p.Withdraw(7) != w || p.Withdraw(7) != nil || !w.Withdrawn {
		t.Error("it is not withdrawn once")
	}
	queued := items(3, 10)
	deleted, put := 0, 0
	for _, r := range w.Undo(queued) {
		if r.Data == nil {
			deleted++
		} else {
			put++
		}
	}
	if deleted != 2 || put != 3 {
		t.Errorf("%d items are deleted and %d put back", deleted, put)
	}
	w.Replace = false
	if n := len(w.Undo(queued)); n != 2 {
		t.Errorf("%d records undo a push that has replaced nothing", n)
	}
	if p.Done(w); p.Withdraw(7) != nil {
		t.Error("one that is stored is withdrawn")
	}
}
