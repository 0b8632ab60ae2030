package core

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// keeps is what the store was given, stored or not.
type keeps struct {
	has    map[recordID]store.Record
	whole  map[session.ID]image // the devices of which it was given everything
	steps  int
	seldom bool // look at every 32nd step only: nobody but steps changes devices
}

// lookEvery says at which steps devices are compared: at all, but under emulation,
// where that would take most of the time.
var lookEvery = map[bool]int{false: 1, true: 8}[emulated]

// hand notes what the store was given.
func (s *stand) hand(records []store.Record) {
	for _, r := range records {
		s.keeps.has[recordID{r.Kind, r.Key}] = r
	}
}

// unmarshalled is the record of a device of which none can be made.
const unmarshalled = "no record"

// image is what the store has to have of a device, or has.
type image struct {
	record string // without what the counters have
	heard  bool
	fCntUp uint32
}

func (s *stand) image(d *session.Device) image {
	s.Helper()
	c := d.Clone()
	img := image{}
	if c.Session != nil {
		img.heard, img.fCntUp = c.Session.Heard, c.Session.FCntUp
	}
	for _, in := range c.Sessions() {
		in.Heard, in.FCntUp, in.NFCntDown, in.AFCntDown = false, 0, 0, 0
		in.NStored, in.AStored, in.NUnsent, in.AUnsent = 0, 0, 0, 0
	}
	b, err := session.MarshalDevice(c)
	if err != nil {
		img.record = unmarshalled
	} else {
		img.record = string(b)
	}
	return img
}

// found is what a start finds of a device, with the records at hand.
func (s *stand) found(has map[recordID]store.Record, id session.ID) image {
	s.Helper()
	r, ok := has[recordID{state.KindDevice, id.String()}]
	if !ok || r.Data == nil {
		return image{}
	}
	d, err := stored(r, has[recordID{state.KindCounters, id.String()}])
	if err != nil {
		s.Fatal(err)
	}
	return s.image(d)
}

// before looks, before a step, of which devices the store was given everything:
// tests change devices too.
func (k *keeps) before(s *stand) {
	s.Helper()
	if k.seldom && k.steps > 0 {
		return
	}
	if k.steps%lookEvery != 0 && !k.seldom {
		clear(k.whole)
		return
	}
	whole := map[session.ID]image{}
	for _, d := range s.c.opts.Devices.All() {
		is := s.image(d)
		if before, ok := k.whole[d.ID]; ok && before == is || s.found(k.has, d.ID) == is {
			whole[d.ID] = is
		}
	}
	k.whole = whole
}

// after looks that whatever a step has changed of a device was given to the
// store in that step.
func (k *keeps) after(s *stand, in Input, effects []Effect) {
	s.Helper()
	for _, e := range effects {
		e, ok := e.(Commit)
		if ok && (e.Ticket == 0 || s.fails == nil) {
			s.hand(e.Records)
			continue
		}
		for _, r := range e.Records { // none if it is no Commit
			app, name, _ := strings.Cut(r.Key, "/")
			delete(k.whole, session.ID{Application: app, Device: name})
		}
	}
	if k.steps++; k.seldom && k.steps%32 != 0 {
		return
	}
	for id, was := range k.whole {
		d := s.c.opts.Devices.Device(id)
		if d == nil {
			delete(k.whole, id)
			continue
		}
		is := s.image(d)
		if is == was {
			continue
		}
		// It is stored when it is applied, or cannot be; or the place is not stored yet.
		if s.c.provisions.Holds(d) || is.record == unmarshalled || d.Moved() {
			delete(k.whole, id)
			continue
		}
		if has := s.found(k.has, id); has != is {
			s.Fatalf("%T has changed %v, and the store is not told:\n%+v\nit has\n%+v", in, id, is, has)
		}
		k.whole[id] = is
	}
}

// changing is a stand with the devices of all the kinds whose inputs differ.
func changing(t *testing.T) *stand {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	for i, name := range []string{"abp11", "restarts"} {
		keys := testKeys(byte(20 + i))
		keys.SNwkSIntKey, keys.NwkSEncKey = frame.Key{3, byte(i)}, frame.Key{4, byte(i)}
		d := &session.Device{
			ID: dev(name), DevEUI: radio.EUI64{20, byte(i)}, Version: session.V1_1, Plan: "EU_863_870_TTN",
			Session: &session.Session{
				DevAddr: radio.DevAddr{1, 2, 9, byte(i)}, Keys: keys,
				Parameters: &session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000},
			},
		}
		if name == "restarts" {
			d.Version, d.Session.Keys, d.Settings.ResetsFCnt = session.V1_0_3, testKeys(byte(20+i)), true
			d.Session.Heard, d.Session.FCntUp = true, 500
		}
		s.add(d)
	}
	s.otaa("otaa103", session.V1_0_3)
	s.otaa("otaa104", session.V1_0_4)
	return s
}

// other returns a value that differs from v in everything that is exported.
func other(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Pointer:
		next := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			next.Elem().Set(v.Elem())
		}
		other(t, next.Elem())
		v.Set(next)
	case reflect.Slice:
		next := reflect.New(v.Type().Elem()).Elem()
		other(t, next)
		v.Set(reflect.Append(v, next))
	case reflect.Array:
		for i := range v.Len() {
			other(t, v.Index(i))
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		other(t, key)
		other(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				other(t, v.Field(i))
			}
		}
	default:
		t.Fatalf("no other %v", v.Type())
	}
}

// changeInputs are the inputs that change a device. Each returns its name.
var changeInputs = []struct {
	name string
	do   func(s *stand) string
}{
	{"an uplink", func(s *stand) string {
		s.hear(gwA, s.phy("dev1", 3, payload("x")))
		return "dev1"
	}},
	{"a confirmed downlink", func(s *stand) string {
		s.push("abp11", item("one", confirm))
		s.hear(gwA, s.up(s.devices["abp11"], s.devices["abp11"].Session, 1, confirmed("x")))
		s.wait(10 * time.Second)
		return "abp11"
	}},
	{"ResetInd", func(s *stand) string {
		f := payload("x")
		f.FOpts = []byte{0x01, 1}
		s.hear(gwA, s.up(s.devices["abp11"], s.devices["abp11"].Session, 1, f))
		return "abp11"
	}},
	{"a join-request", func(s *stand) string {
		s.hear(gwA, s.joinRequest(s.devices["otaa103"], 7))
		s.wait(10 * time.Second)
		return "otaa103"
	}},
	{"a join-request, DevNonces counted", func(s *stand) string {
		s.hear(gwA, s.joinRequest(s.devices["otaa104"], 7))
		s.wait(10 * time.Second)
		return "otaa104"
	}},
	{"the first uplink after a join", func(s *stand) string {
		d := s.devices["otaa104"]
		s.hear(gwA, s.up(d, s.joined(d, 7), 2, payload("x")))
		return "otaa104"
	}},
	{"a counter that begins anew", func(s *stand) string {
		s.hear(gwA, s.phy("restarts", 0, payload("x")))
		return "restarts"
	}},
	{"the owner", func(s *stand) string {
		next := s.devices["dev1"].Clone()
		other(s.T, reflect.ValueOf(next).Elem())
		next.ID, next.Multicast = dev("dev1"), false // a group does not join
		s.step(Provisioned{Ticket: 99, Put: []state.DevicePut{{Device: next, Replace: true}}})
		if n := len(s.answers); n == 0 || s.answers[n-1].Err != nil {
			s.Fatalf("answers %+v", s.answers)
		}
		return "dev1"
	}},
	{"the owner, who makes it a group", func(s *stand) string {
		next := s.devices["dev1"].Clone()
		next.Multicast, next.ClassC = true, true
		s.step(Provisioned{Ticket: 99, Put: []state.DevicePut{{Device: next, Replace: true}}})
		if n := len(s.answers); n == 0 || s.answers[n-1].Err != nil {
			s.Fatalf("answers %+v", s.answers)
		}
		return "dev1"
	}},
	{"the owner, of a device that is new", func(s *stand) string {
		d := abp("new", 1)
		d.Session.Parameters = &session.Parameters{RX1Delay: 7}
		s.step(Provisioned{Ticket: 99, Put: []state.DevicePut{{Device: d}}})
		return "new"
	}},
	{"the owner, who forgets counters", func(s *stand) string {
		s.hear(gwA, s.phy("dev1", 3, payload("x")))
		s.step(Provisioned{Ticket: 99, Put: []state.DevicePut{{
			Device: s.devices["dev1"].Clone(), Must: true,
			ForgetFCntUp: true,
		}}})
		return "dev1"
	}},
}

// Whatever an input changes of a device and its sessions, a start after a power
// cut finds it; FCntUp alone may lag, and FCntDown may be further on. Each field
// that is stored is changed by one of the inputs.
func TestChangesAreKept(t *testing.T) {
	changed := map[string]bool{}
	for _, in := range changeInputs {
		t.Run(in.name, func(t *testing.T) {
			s := changing(t)
			before := map[string]*session.Device{}
			for _, d := range s.c.opts.Devices.All() {
				before[d.ID.Device] = d.Clone()
			}
			name := in.do(s)
			is := s.c.opts.Devices.Device(dev(name)).Clone()
			note(changed, before[name], is)
			lagging, firm := s.restarted(s.disk.soft, name), s.restarted(s.disk.firm, name)
			compareKept(t, "Device.", is, firm, lagging)
		})
	}
	for _, of := range []any{session.Device{}, session.Session{}} {
		v := reflect.TypeOf(of)
		for i := range v.NumField() {
			f := v.Field(i)
			if name := v.Name() + "." + f.Name; f.IsExported() && f.Tag.Get("json") != "-" && !changed[name] &&
				name != "Device.ID" {
				t.Errorf("%s is changed by no input: nobody knows whether a crash loses it", name)
			}
		}
	}
}

// restarted returns a device as a start finds it.
func (s *stand) restarted(has map[recordID]store.Record, name string) *session.Device {
	s.Helper()
	r := has[recordID{state.KindDevice, dev(name).String()}]
	if r.Data == nil {
		s.Fatalf("%s is lost", name)
	}
	d, err := stored(r, has[recordID{state.KindCounters, dev(name).String()}])
	if err != nil {
		s.Fatal(err)
	}
	return d
}

// note notes the fields in which a device and its sessions differ.
func note(changed map[string]bool, a, b *session.Device) {
	if a == nil {
		a = &session.Device{}
	}
	differ := func(x, y reflect.Value) {
		for i := range x.NumField() {
			if f := x.Type().Field(i); f.IsExported() && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
				changed[x.Type().Name()+"."+f.Name] = true
			}
		}
	}
	differ(reflect.ValueOf(*a), reflect.ValueOf(*b))
	if b.Session != nil {
		if a.Session == nil {
			a.Session = &session.Session{}
		}
		differ(reflect.ValueOf(*a.Session), reflect.ValueOf(*b.Session))
	}
}

// compareKept compares a device with what a start finds after a power cut, and
// after a crash that has lost nothing.
func compareKept(t *testing.T, path string, is, firm, lagging any) {
	t.Helper()
	v, f, l := reflect.ValueOf(is).Elem(), reflect.ValueOf(firm).Elem(), reflect.ValueOf(lagging).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Tag.Get("json") == "-" {
			continue
		}
		x, y, z := v.Field(i).Interface(), f.Field(i).Interface(), l.Field(i).Interface()
		if in, ok := x.(*session.Session); ok {
			after, late := y.(*session.Session), z.(*session.Session)
			if (in == nil) != (after == nil) || (in == nil) != (late == nil) {
				t.Errorf("%s%s: after a power cut %+v", path, field.Name, after)
			} else if in != nil {
				compareKept(t, path+field.Name+".", in, after, late)
			}
			continue
		}
		ok := reflect.DeepEqual(x, y)
		switch field.Name {
		case "Heard", "FCntUp":
			ok = reflect.DeepEqual(x, z)
		case "NFCntDown", "AFCntDown", "NStored", "AStored", "NUnsent", "AUnsent":
			ok = y.(uint32) >= x.(uint32) && z.(uint32) >= x.(uint32)
		}
		if !ok {
			t.Errorf("%s%s: %+v is %+v after a power cut, %+v after a crash", path, field.Name, x, y, z)
		}
	}
}

// A step with nothing to store hands nothing over, and each device comes once.
func TestChangesComeOnce(t *testing.T) {
	s := changing(t)
	s.commits = nil
	s.hear(gwA, s.phy("dev1", 3, payload("x")))
	s.wait(time.Minute)
	if len(s.commits) != 1 || !s.commits[0].Lag || len(s.commits[0].Records) != 1 {
		t.Errorf("an uplink hands over %+v", s.commits)
	}
	f := payload("x")
	f.FOpts = []byte{0x01, 1}
	s.commits = nil
	d := s.devices["abp11"]
	w := &d.Settings // it was made with what its owner wants: nothing is asked after ResetInd either
	w.RX1Delay, w.RX2DataRate = w.Desired.RX1Delay, w.Desired.RX2DataRate
	w.Frequencies = []radio.Frequency{
		868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000,
	}
	for n := range uint32(2) {
		s.hear(gwA, s.up(d, d.Session, n+1, f))
		s.wait(time.Minute)
	}
	if n := len(slices.DeleteFunc(s.commits, func(k Commit) bool { return k.Lag || k.Ticket != 0 })); n != 1 {
		t.Errorf("ResetInd is stored %d times", n)
	}
}
