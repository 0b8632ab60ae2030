package provision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
)

var errDisk = errors.New("disk full")

// owner owns a Queue, and notes what that wants done. Its store answers when the test
// says so.
type owner struct {
	*testing.T
	q       *Queue
	past    Past
	stored  [][]state.Record
	told    []state.Record
	answers []string
	ended   []string
	served  []string
	then    func(error) // of what is being stored
}

func newOwner(t *testing.T, devices ...*session.Device) *owner {
	t.Helper()
	o := &owner{T: t, past: Past{session.NewRegistry(0), tombstone.New()}}
	for _, d := range devices {
		if err := o.past.Devices.Add(d); err != nil {
			t.Fatal(err)
		}
		d.TakeChange()
	}
	o.q = &Queue{Owner: Owner{
		Past: func() Past { return o.past },
		Store: func(then func(error), records ...state.Record) {
			o.stored, o.then = append(o.stored, records), then
		},
		Tell:   func(records ...state.Record) { o.told = append(o.told, records...) },
		Answer: func(ticket uint64, err error) { o.answers = append(o.answers, fmt.Sprintf("%d: %v", ticket, err)) },
		Queued: func(d *session.Device) []state.Record {
			return []state.Record{{Kind: "downlinks", Key: d.ID.Device}}
		},
		Ended:  func(d *session.Device) { o.ended = append(o.ended, d.ID.Device) },
		Served: func(d *session.Device) { o.served = append(o.served, d.ID.Device) },
	}}
	return o
}

// run steps the queue until nothing is to be done at once.
func (o *owner) run() {
	for o.q.Waits() {
		o.q.Continue()
	}
}

// answer has the store answer.
func (o *owner) answer(err error) {
	o.Helper()
	if o.then == nil {
		o.Fatal("nothing is being stored")
	}
	then := o.then
	o.then = nil
	then(err)
	o.run()
}

func (o *owner) answered(want ...string) {
	o.Helper()
	if !slices.Equal(o.answers, want) {
		o.Errorf("answered %q, want %q", o.answers, want)
	}
}

// keys are the kinds and keys of records.
func keys(records []state.Record) (out []string) {
	for _, r := range records {
		out = append(out, r.Kind+" "+r.Key)
	}
	return out
}

// abp is an ABP device whose keys and DevAddr are its own.
func abp(name string, n byte) *session.Device {
	nwk := frame.Key{1, n}
	return &session.Device{
		ID: session.ID{Application: "app1", Device: name}, Version: session.V1_0_3, Plan: "EU_863_870",
		Session: &session.Session{DevAddr: radio.DevAddr{1, 2, 3, n}, Keys: frame.SessionKeys{
			FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2, n},
		}},
	}
}

func put(d *session.Device) state.DevicePut { return state.DevicePut{Device: d, Replace: true} }

func id(name string) session.ID { return session.ID{Application: "app1", Device: name} }

// One fault refuses the whole change, and each fault is told with its device.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		put    []state.DevicePut
		remove []session.ID
		faults []int
		want   error
	}{
		{"a new one", []state.DevicePut{{Device: abp("dev2", 2)}}, nil, nil, nil},
		{"one that is there", []state.DevicePut{{Device: abp("dev1", 1)}}, nil, []int{0}, state.ErrRegistered},
		{"a replacement", []state.DevicePut{put(abp("dev1", 9))}, nil, nil, nil},
		{"a change of none", []state.DevicePut{{Device: abp("dev2", 2), Must: true}}, nil, []int{0}, state.ErrNoDevice},
		{"a change of one that is there", []state.DevicePut{{Device: abp("dev1", 1), Must: true}}, nil, nil, nil},
		{"no valid id", []state.DevicePut{put(abp("X", 2))}, nil, []int{0}, session.ErrID},
		{"the same twice", []state.DevicePut{put(abp("dev2", 2)), put(abp("dev2", 2))}, nil, []int{1}, errTwice},
		{"put and removed", []state.DevicePut{put(abp("dev1", 1))}, []session.ID{id("dev1")}, []int{1}, errTwice},
		{"removed", nil, []session.ID{id("dev1")}, nil, nil},
		{"removed twice", nil, []session.ID{id("dev1"), id("dev1")}, []int{1}, errTwice},
		{"removed, but not there", nil, []session.ID{id("dev1"), id("dev2")}, []int{1}, state.ErrNoDevice},
		{
			"several faults",
			[]state.DevicePut{{Device: abp("dev1", 1)}, put(abp("dev2", 2))},
			[]session.ID{id("dev9")},
			[]int{0, 2},
			state.ErrNoDevice,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOwner(t, abp("dev1", 1))
			c := New(tt.put, tt.remove, o.past)
			for i := range c.Len() {
				c.Check(i)
			}
			var faults []int
			for _, f := range c.Faults {
				faults = append(faults, f.Index)
			}
			if !slices.Equal(faults, tt.faults) || tt.want != nil && !errors.Is(c.Faults, tt.want) {
				t.Errorf("faults %v (%v), want %v (%v)", faults, c.Faults, tt.faults, tt.want)
			}
			if o.past.Devices.Len() != 1 || o.past.Devices.Device(id("dev1")) == nil {
				t.Error("Check changed the registry")
			}
		})
	}
}

// Nothing changes before the store has it; then all of it does.
func TestStoredFirst(t *testing.T) {
	o := newOwner(t, abp("dev1", 1), abp("dev2", 2))
	renamed := abp("dev1", 1)
	renamed.Name = "new"
	o.q.Add(1, []state.DevicePut{put(renamed), put(abp("dev3", 3))}, []session.ID{id("dev2")}, false)
	o.run()
	if !o.q.Storing() || len(o.stored) != 1 {
		t.Fatalf("%d commits, storing %v", len(o.stored), o.q.Storing())
	}
	o.answered()
	if o.past.Devices.Device(id("dev1")).Name != "" || o.past.Devices.Device(id("dev2")) == nil ||
		o.past.Devices.Device(id("dev3")) != nil {
		t.Error("a device has changed before it is stored")
	}
	got := strings.Join(keys(o.stored[0]), ", ")
	for _, want := range []string{"app1/dev1", "app1/dev2", "app1/dev3", "downlinks dev2"} {
		if !strings.Contains(got, want) {
			t.Errorf("no record of %s among %s", want, got)
		}
	}
	o.answer(nil)
	o.answered("1: <nil>")
	if o.past.Devices.Device(id("dev1")).Name != "new" || o.past.Devices.Device(id("dev2")) != nil ||
		o.past.Devices.Device(id("dev3")) == nil {
		t.Error("a device has not changed after it is stored")
	}
	if !slices.Equal(o.ended, []string{"dev2"}) || !slices.Equal(o.served, []string{"dev1", "dev3"}) {
		t.Errorf("ended %v, served %v", o.ended, o.served)
	}
}

// Changes that end without a commit, or with one that fails, leave the devices as they are.
func TestLeavesAllAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name    string
		remove  []session.ID
		trial   bool
		store   error // nil: the store is not asked
		answers string
	}{
		{"a trial", []session.ID{id("dev1")}, true, nil, "1: <nil>"},
		{"a trial with a fault", []session.ID{id("dev9")}, true, nil, "1: app1/dev9: no such device"},
		{"a fault", []session.ID{id("dev1"), id("dev9")}, false, nil, "1: app1/dev9: no such device"},
		{"nothing to do", nil, false, nil, "1: <nil>"},
		{"the store fails", []session.ID{id("dev1")}, false, errDisk, "1: bridge: devices: disk full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOwner(t, abp("dev1", 1))
			o.q.Add(1, nil, tt.remove, tt.trial)
			o.run()
			if tt.store != nil {
				o.answer(tt.store)
			}
			o.answered(tt.answers)
			if (len(o.stored) > 0) != (tt.store != nil) || o.past.Devices.Len() != 1 || len(o.ended)+len(o.told) > 0 {
				t.Errorf("%d commits, %d devices, ended %v, told %v", len(o.stored), o.past.Devices.Len(), o.ended, o.told)
			}
		})
	}
}

// A step deals with Step devices at the most, while they are checked and while they change.
func TestSteps(t *testing.T) {
	o := newOwner(t)
	var devices []state.DevicePut
	for i := range 2*Step + 1 {
		devices = append(devices, put(abp(fmt.Sprintf("dev-%02d", i), byte(i))))
	}
	o.q.Add(1, devices, nil, false)
	steps := 1 // Add has made the first one
	for ; o.q.Waits(); steps++ {
		o.q.Continue()
	}
	if steps != 3 {
		t.Errorf("%d steps of checking, want 3", steps)
	}
	then := o.then
	then(nil)
	for want := Step; o.q.Waits(); want = min(want+Step, len(devices)) {
		if n := o.past.Devices.Len(); n != want {
			t.Errorf("%d devices after a step, want %d", n, want)
		}
		o.q.Continue()
	}
	o.answered("1: <nil>")
}

// Changes are carried out one after the other, each on what the ones before it have left;
// too many at a time are refused.
func TestOneAfterTheOther(t *testing.T) {
	o := newOwner(t)
	o.q.Add(1, []state.DevicePut{{Device: abp("dev1", 1)}}, nil, false)
	o.q.Add(2, []state.DevicePut{{Device: abp("dev1", 1)}}, nil, false)
	o.q.Add(3, nil, []session.ID{id("dev1")}, false)
	o.run()
	o.answer(nil)
	o.answered("1: <nil>", "2: app1/dev1: "+state.ErrRegistered.Error())
	o.answer(nil)
	if o.past.Devices.Len() != 0 || len(o.answers) != 3 || o.answers[2] != "3: <nil>" {
		t.Errorf("%d devices, answered %q", o.past.Devices.Len(), o.answers)
	}

	o.answers = nil
	o.q.Add(4, []state.DevicePut{{Device: abp("dev1", 1)}}, nil, false)
	for range maxWaiting {
		o.q.Add(5, nil, nil, true)
	}
	o.answered("5: bridge: devices: too many changes wait for the store")
	o.answer(nil)
	if len(o.answers) != 1+maxWaiting {
		t.Errorf("%d answers, want %d", len(o.answers), 1+maxWaiting)
	}
}

// A change is checked against the devices as they are when its turn comes.
func TestCheckedInItsTurn(t *testing.T) {
	joins := func(name string) *session.Device {
		d := abp(name, 1)
		d.SupportsJoin, d.HasJoinEUI, d.DevEUI, d.Session = true, true, radio.EUI64{7}, nil
		d.RootKeys = frame.RootKeys{AppKey: frame.Key{3}}
		return d
	}
	o := newOwner(t)
	o.q.Add(1, []state.DevicePut{put(joins("dev1"))}, nil, false)
	o.q.Add(2, []state.DevicePut{put(joins("dev2"))}, nil, false) // the same DevEUI
	o.run()
	o.answer(nil)
	if len(o.answers) != 2 || !strings.Contains(o.answers[1], session.ErrExists.Error()) || o.past.Devices.Len() != 1 {
		t.Errorf("answered %q, %d devices", o.answers, o.past.Devices.Len())
	}
}

// The counters that a device uses while its change is checked are in the records that are
// stored.
func TestOutdate(t *testing.T) {
	d := abp("dev1", 1)
	o := newOwner(t, d)
	fillers := []state.DevicePut{put(abp("dev1", 1))}
	for i := range Step {
		fillers = append(fillers, put(abp(fmt.Sprintf("more-%02d", i), byte(10+i))))
	}
	o.q.Add(1, fillers, nil, false) // its first step checks dev1
	d.Session.Heard, d.Session.FCntUp = true, 41
	o.q.Outdate(d)
	if o.q.Holds(d) {
		t.Error("a change that is being checked holds the device's records")
	}
	o.run()
	if !slices.ContainsFunc(o.stored[0], func(r state.Record) bool {
		s := abp("dev1", 1).Session
		return r.Kind == state.KindCounters && r.Key == "app1/dev1" && s.SetCounterBytes(r.Data) == nil && s.FCntUp == 41
	}) {
		t.Errorf("the uplink's counter is not in %v", keys(o.stored[0]))
	}
	o.answer(nil)
	if s := o.past.Devices.Device(id("dev1")).Session; s.FCntUp != 41 {
		t.Errorf("FCntUp is %d, want 41", s.FCntUp)
	}
}

// The record of counters that a device uses while its change is stored waits for that
// commit, which may succeed or fail.
func TestLate(t *testing.T) {
	for _, err := range []error{nil, errDisk} {
		d := abp("dev1", 1)
		o := newOwner(t, d, abp("dev2", 2))
		o.q.Add(1, []state.DevicePut{put(abp("dev1", 1))}, nil, false)
		o.run()
		if !o.q.Holds(d) || o.q.Holds(o.past.Devices.Device(id("dev2"))) {
			t.Error("the change must hold dev1 while it is stored, and nothing else")
		}
		d.Session.Heard, d.Session.FCntUp = true, 42
		d.Changed()
		o.q.Late(d)
		if o.past.Devices.NextChanged() != nil {
			t.Error("the change of the device does not wait")
		}
		o.answer(err)
		now := o.past.Devices.Device(id("dev1"))
		if o.q.Holds(now) || o.past.Devices.NextChanged() != now || now.Session.FCntUp != 42 {
			t.Errorf("store answers %v: held %v, to be stored %v, FCntUp %d", err, o.q.Holds(now),
				o.past.Devices.NextChanged(), now.Session.FCntUp)
		}
	}
}

// A device with keys that were used before goes on from there, whatever its name.
func TestKeysGoOn(t *testing.T) {
	used := abp("dev1", 1)
	used.Session.Heard, used.Session.FCntUp, used.Session.NFCntDown, used.Session.AFCntDown = true, 10, 20, 20
	o := newOwner(t, used)
	for i, c := range []struct {
		put    []state.DevicePut
		remove []session.ID
	}{
		{nil, []session.ID{id("dev1")}},
		{[]state.DevicePut{put(abp("dev2", 1))}, nil},
	} {
		o.q.Add(uint64(i), c.put, c.remove, false)
		o.run()
		o.answer(nil)
	}
	s := o.past.Devices.Device(id("dev2")).Session
	if !s.Heard || s.FCntUp != 10 || s.NFCntDown < 20 {
		t.Errorf("the new device begins at %d up, %d down; want 10 and 20 or more", s.FCntUp, s.NFCntDown)
	}
	o.q.Add(9, []state.DevicePut{put(abp("dev2", 7))}, nil, false)
	o.run()
	o.answer(nil)
	if s := o.past.Devices.Device(id("dev2")).Session; s.Heard || s.NFCntDown != 0 {
		t.Errorf("with other keys the device begins at %d up, %d down", s.FCntUp, s.NFCntDown)
	}
	if !slices.Equal(o.ended, []string{"dev1", "dev2"}) {
		t.Errorf("ended %v, want dev1 and dev2", o.ended)
	}
}
