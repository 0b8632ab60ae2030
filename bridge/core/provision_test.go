package core

import (
	"errors"
	"fmt"
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

// registry is a stand with a store, whose owner changes its devices.
type registry struct {
	*stand
	records map[recordID]store.Record
	answers map[uint64]error
	sent    []radio.Downlink
	broken  error // why nothing can be stored
	held    []Commit
	hold    bool // the store does not answer yet
	ticket  uint64
}

func newRegistry(t *testing.T) *registry {
	r := &registry{stand: newStand(t), records: map[recordID]store.Record{}, answers: map[uint64]error{}}
	for _, d := range r.c.opts.Devices.All() {
		records, err := state.DeviceRecords(d)
		if err != nil {
			t.Fatal(err)
		}
		r.commit(Commit{Records: records})
	}
	r.step(GatewayChanged{radio.GatewayEvent{Gateway: gwA, Kind: radio.GatewayConnected, At: r.now.Host, Local: true}})
	return r
}

func (r *registry) commit(k Commit) {
	for _, rec := range k.Records {
		if r.broken == nil {
			r.records[recordID{rec.Kind, rec.Key}] = rec
		}
	}
	if k.Ticket != 0 {
		r.step(Stored{k.Ticket, r.broken})
	}
}

func (r *registry) step(in Input) {
	var kept []Commit
	for _, e := range r.c.Step(r.now, in) {
		switch e := e.(type) {
		case Publish:
			r.ups = append(r.ups, e.Message)
		case Commit:
			kept = append(kept, e)
		case Answer:
			r.answers[e.Ticket] = e.Err
		case Transmit:
			r.sent = append(r.sent, e.Downlink)
		case *Arm:
			r.arm = e.At
		}
	}
	if r.hold {
		r.held = append(r.held, kept...)
		return
	}
	for _, k := range kept {
		r.commit(k)
	}
}

// release lets the store answer.
func (r *registry) release() {
	r.hold = false
	for _, k := range r.held {
		r.commit(k)
	}
	r.held = nil
}

func (r *registry) pass(d time.Duration) {
	for end := r.now.Host.Add(d); r.now.Host < end; {
		r.now.Host = min(r.now.Host.Add(10*time.Millisecond), end)
		r.now.Wall.Time = r.now.Wall.Time.Add(10 * time.Millisecond)
		r.step(TimerFired{})
	}
}

// change has something changed and returns the answer.
func (r *registry) change(p Provisioned) error {
	r.Helper()
	r.ticket++
	p.Ticket = r.ticket
	r.step(p)
	err, answered := r.answers[r.ticket]
	if !answered && !r.hold {
		r.Fatalf("no answer to %+v", p)
	}
	return err
}

// stored says what the store has of a device, as a start would find it.
func (r *registry) stored(id session.ID) *session.Device {
	r.Helper()
	rec := r.records[recordID{state.KindDevice, id.String()}]
	if rec.Data == nil {
		return nil
	}
	d, err := stored(rec, r.records[recordID{state.KindCounters, id.String()}])
	if err != nil {
		r.Fatal(err)
	}
	return d
}

func dev(name string) session.ID { return session.ID{Application: "app1", Device: name} }

// abp is a device with a session.
func abp(name string, n byte) *session.Device {
	return &session.Device{
		ID: dev(name), DevEUI: radio.EUI64{9, n}, Version: session.V1_0_3, VersionName: "MAC_V1_0_3", Plan: "EU_863_870_TTN",
		Session: &session.Session{DevAddr: radio.DevAddr{1, 9, 9, n}, Keys: testKeys(100 + n)},
	}
}

func otaa(name string, n byte) *session.Device {
	return &session.Device{
		ID: dev(name), DevEUI: radio.EUI64{8, n}, HasJoinEUI: true, SupportsJoin: true, Version: session.V1_0_3,
		VersionName: "MAC_V1_0_3", Plan: "EU_863_870_TTN",
		RootKeys: frame.RootKeys{AppKey: frame.Key{7, n}},
	}
}

func (r *registry) uplink(d *session.Device, fCnt uint32, confirmed bool) {
	r.Helper()
	f := payload("x")
	f.DevAddr, f.MType = d.Session.DevAddr, frame.UnconfirmedUp
	if confirmed {
		f.MType = frame.ConfirmedUp
	}
	phy, err := frame.BuildUplink(f, fCnt, d.Session.Keys)
	if err != nil {
		r.Fatal(err)
	}
	at := radio.ConcentratorTime(r.now.Host / 1000)
	r.step(Heard{radio.Uplink{
		Gateway: gwA, PHYPayload: phy, Frequency: 868_300_000, DataRate: radio.LoRaDataRate(7,
			125_000), CodingRate: radio.CodingRate45,
		Time: at, Received: r.now.Host, Ended: r.now.Host, Receptions: []radio.Reception{{Channel: 1, RSSI: -6000, SNR: 850}},
	}})
}

func (r *registry) device(name string) *session.Device { return r.c.opts.Devices.Device(dev(name)) }

func TestProvisionAdd(t *testing.T) {
	r := newRegistry(t)
	if err := r.change(Provisioned{Put: []state.DevicePut{
		{Device: abp("new1", 1)},
		{Device: otaa("new2", 2)},
	}}); err != nil {
		t.Fatal(err)
	}
	r.uplink(r.device("new1"), 5, false)
	r.wants(`new1/up f_cnt 5 port 15 "x" gw-a`)
	if d := r.stored(dev("new1")); d == nil || d.Session.FCntUp != 5 || d.Session.Keys != testKeys(101) {
		t.Errorf("stored: %+v", d)
	}
	if d := r.stored(dev("new2")); d == nil || d.RootKeys.AppKey != (frame.Key{7, 2}) || d.Session != nil {
		t.Errorf("stored: %+v", d)
	}
}

// All of it, or nothing, and every fault is told.
func TestProvisionFaults(t *testing.T) {
	r := newRegistry(t)
	bad, sameEUI := abp("new2", 2), otaa("new3", 1)
	bad.Session.Keys.AppSKey = frame.Key{}
	before := len(r.records)
	err := r.change(Provisioned{
		Put: []state.DevicePut{
			{Device: otaa("new1", 1)},
			{Device: bad},
			{Device: sameEUI},
			{Device: abp("dev1", 4)},
			{Device: abp("new1", 5)},
			{Device: abp("none", 6), Must: true},
		},
		Remove: []session.ID{dev("dev2"), dev("nobody")},
	})
	var faults state.ProvisionFaults
	if !errors.As(err, &faults) {
		t.Fatalf("error %v", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d %v", f.Index, f.Err))
	}
	want := []string{
		"1 app1/new2: not a usable device: a session without app_s_key",
		"2 app1/new3: exists already: app1/new1 has the same join_eui and dev_eui",
		"3 app1/dev1: exists already",
		"4 app1/new1: is named twice",
		"5 app1/none: no such device",
		"7 app1/nobody: no such device",
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !errors.Is(err, session.ErrExists) || !errors.Is(err, state.ErrNoDevice) || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("error %v", err)
	}
	if len(r.records) != before || r.c.opts.Devices.Len() != 3 || r.device("dev2") == nil {
		t.Errorf("something was changed: %d records, %d devices", len(r.records), r.c.opts.Devices.Len())
	}
}

// A trial changes nothing, not even counters.
func TestProvisionTrial(t *testing.T) {
	r := newRegistry(t)
	r.uplink(r.devices["dev1"], 3, false)
	again := r.devices["dev1"].Clone()
	again.Name, again.Session.FCntUp, again.Session.NFCntDown = "x", 100, 100
	before := len(r.records)
	put := []state.DevicePut{{Device: again, Replace: true}, {Device: abp("new1", 1)}}
	if err := r.change(Provisioned{Put: put, Remove: []session.ID{dev("dev2")}, Trial: true}); err != nil {
		t.Fatal(err)
	}
	d := r.device("dev1")
	if d != r.devices["dev1"] || d.Name != "" || d.Session.FCntUp != 3 || d.Session.NFCntDown != 0 ||
		r.device("new1") != nil || r.device("dev2") == nil || len(r.records) != before {
		t.Errorf("%+v %+v, %d records", d, d.Session, len(r.records))
	}
	r.uplink(d, 4, false)
	r.uplink(r.devices["dev2"], 4, false)
	r.wants(`dev1/up f_cnt 3 port 15 "x" gw-a`, `dev1/up f_cnt 4 port 15 "x" gw-a`, `dev2/up f_cnt 4 port 15 "x" gw-a`)
}

// The session of a device that is registered anew goes on, and what is under
// way goes its way.
func TestProvisionGoesOn(t *testing.T) {
	r := newRegistry(t)
	d := r.devices["dev1"]
	items := []session.Item{{FPort: 1, FRMPayload: []byte{1}}, {FPort: 2, FRMPayload: []byte{2}}}
	r.step(Pushed{Ticket: 1000, Device: d.ID, Items: items})
	r.uplink(d, 3, true)
	next := d.Clone()
	next.Name, next.Session.FCntUp, next.Session.NFCntDown, next.Session.AFCntDown = "renamed", 2, 9, 9
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: next, Replace: true}}}); err != nil {
		t.Fatal(err)
	}
	if got := r.device("dev1"); got != d || got.Name != "renamed" || got.Session.FCntUp != 3 ||
		got.Session.NFCntDown != 9 || got.Queue.Len() != 2 {
		t.Errorf("%+v %+v, %d in the queue", got, got.Session, got.Queue.Len())
	}
	r.pass(2 * time.Second)
	if len(r.sent) != 1 {
		t.Fatalf("%d frames sent in the window of the uplink", len(r.sent))
	}
	if f, err := frame.ParseData(r.sent[0].PHYPayload); err != nil || f.FCnt != 10 || !f.ACK || f.FPort != 1 {
		t.Errorf("sent %+v, %v", f, err)
	}
	if s := r.stored(d.ID); s.Name != "renamed" || s.Session.FCntUp != 3 || s.Session.NFCntDown < 10 {
		t.Errorf("stored %+v %+v", s, s.Session)
	}
}

// With another session everything of the old one ends, but the queue stays.
func TestProvisionEndsSession(t *testing.T) {
	r := newRegistry(t)
	d := r.devices["dev1"]
	r.step(Pushed{Ticket: 1000, Device: d.ID, Items: []session.Item{
		{FPort: 1, FRMPayload: []byte{1}},
		{FPort: 2, FRMPayload: []byte{2}},
	}})
	r.uplink(d, 3, true)
	old := d.Clone()
	next := d.Clone()
	next.Session = &session.Session{DevAddr: radio.DevAddr{1, 7, 7, 7}, Keys: testKeys(77)}
	settle(next)
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: next, Replace: true}}}); err != nil {
		t.Fatal(err)
	}
	r.pass(2 * time.Second)
	if len(r.sent) != 0 {
		t.Errorf("%d frames sent in a session that has ended", len(r.sent))
	}
	r.ups = nil
	r.uplink(old, 4, false)
	r.wants()
	r.uplink(d, 0, true)
	r.wants(`dev1/up f_cnt 0 port 15 "x" gw-a`)
	r.pass(2 * time.Second)
	if len(r.sent) != 1 {
		t.Fatalf("%d frames sent in the new session", len(r.sent))
	}
	if f, err := frame.ParseData(r.sent[0].PHYPayload); err != nil || f.FCnt != 1 || f.FPort != 1 ||
		f.DevAddr != next.Session.DevAddr {
		t.Errorf("sent %+v, %v", f, err)
	}
	if s := r.stored(d.ID); s.Session.DevAddr != next.Session.DevAddr || s.Session.NFCntDown == 0 {
		t.Errorf("stored %+v", s.Session)
	}
}

func TestProvisionRemove(t *testing.T) {
	r := newRegistry(t)
	d := r.devices["dev1"]
	r.step(Pushed{Ticket: 1000, Device: d.ID, Items: []session.Item{
		{FPort: 1, FRMPayload: []byte{1}},
		{FPort: 2, FRMPayload: []byte{2}},
	}})
	r.uplink(d, 3, true)
	r.pass(900 * time.Millisecond) // one item is on its way
	if len(r.sent) != 1 {
		t.Fatalf("%d frames sent", len(r.sent))
	}
	if err := r.change(Provisioned{Remove: []session.ID{d.ID}}); err != nil {
		t.Fatal(err)
	}
	r.uplink(d, 3, true) // it repeats the frame
	r.step(Acked{radio.TxAck{ID: r.sent[0].ID, Gateway: gwA, Result: radio.TxOK, At: r.now.Host}})
	r.pass(3 * time.Second)
	r.ups = nil
	r.uplink(d, 4, true)
	r.pass(3 * time.Second)
	r.wants()
	if len(r.sent) != 1 {
		t.Errorf("%d frames sent to a device that is gone", len(r.sent))
	}
	for id, rec := range r.records {
		if strings.HasPrefix(id.key, d.ID.String()) && rec.Data != nil {
			t.Errorf("left in the store: %s %s", id.kind, id.key)
		}
	}
	// Its name is free.
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: abp("dev1", 1)}}}); err != nil {
		t.Error(err)
	}
	if got := r.device("dev1"); got.Queue.Len() != 0 || got == d {
		t.Errorf("the new device: %+v", got)
	}
}

// A device that is removed while it joins is not told of a session.
func TestProvisionDuringJoin(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    func(d *session.Device) Provisioned
		sent int
	}{
		{"renamed", func(d *session.Device) Provisioned {
			next := otaa("new1", 1)
			next.Name = "x"
			return Provisioned{Put: []state.DevicePut{{Device: next, Replace: true}}}
		}, 1},
		{"another device", func(d *session.Device) Provisioned {
			next := otaa("new1", 1)
			next.DevEUI = radio.EUI64{8, 8}
			return Provisioned{Put: []state.DevicePut{{Device: next, Replace: true}}}
		}, 0},
		{"removed", func(d *session.Device) Provisioned { return Provisioned{Remove: []session.ID{d.ID}} }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRegistry(t)
			if err := r.change(Provisioned{Put: []state.DevicePut{{Device: otaa("new1", 1)}}}); err != nil {
				t.Fatal(err)
			}
			d := r.device("new1")
			phy, err := frame.BuildJoinRequest(frame.JoinRequest{DevEUI: d.DevEUI, DevNonce: 1}, d.RootKeys.AppKey)
			if err != nil {
				t.Fatal(err)
			}
			r.hold = true
			at := radio.ConcentratorTime(r.now.Host / 1000)
			r.step(Heard{radio.Uplink{
				Gateway: gwA, PHYPayload: phy, Frequency: 868_300_000, DataRate: radio.LoRaDataRate(7,
					125_000), Time: at, Received: r.now.Host, Ended: r.now.Host,
				Receptions: []radio.Reception{{Channel: 1, RSSI: -6000, SNR: 850}},
			}})
			_ = r.change(tt.p(d))
			r.release()
			if err := r.answers[r.ticket]; err != nil {
				t.Fatal(err)
			}
			r.pass(6 * time.Second)
			if len(r.sent) != tt.sent {
				t.Errorf("%d join-accepts, want %d", len(r.sent), tt.sent)
			}
			switch s := r.stored(d.ID); {
			case tt.name == "removed" && s != nil:
				t.Errorf("the store has %+v", s)
			case tt.name == "renamed" && (s == nil || s.Name != "x" || s.Pending == nil || len(s.UsedDevNonces) != 1):
				t.Errorf("the store has %+v", s)
			case tt.name == "another device" && (s == nil || s.Pending != nil || len(s.UsedDevNonces) != 0):
				t.Errorf("the store has %+v", s)
			}
		})
	}
}

// A device that goes over to the session it has joined while a change is stored
// has the counters of that session, also after a start.
func TestProvisionDuringGoingOver(t *testing.T) {
	r := newRegistry(t)
	d := otaa("new1", 1)
	d.Session = &session.Session{
		DevAddr: radio.DevAddr{1, 7, 7, 7}, Keys: testKeys(77),
		NFCntDown: 40_000, AFCntDown: 40_000, NStored: 40_000, AStored: 40_000,
	}
	d.Pending = &session.Session{DevAddr: radio.DevAddr{1, 7, 7, 8}, Keys: testKeys(78)}
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: d}}}); err != nil {
		t.Fatal(err)
	}
	d = r.device("new1")
	next := otaa("new1", 1)
	next.Name = "renamed"
	r.hold = true
	_ = r.change(Provisioned{Put: []state.DevicePut{{Device: next, Replace: true}}})
	joined := *d
	joined.Session = d.Pending
	r.uplink(&joined, 0, true)
	r.release()
	if err := r.answers[r.ticket]; err != nil {
		t.Fatal(err)
	}
	r.pass(3 * time.Second)
	if d = r.device("new1"); d.Name != "renamed" || d.Pending != nil || d.Session.DevAddr != joined.Session.DevAddr {
		t.Fatalf("%+v %+v", d, d.Session)
	}
	if m := d.Session.Marks(); m.N >= 40_000 {
		t.Errorf("the session has the marks of the one before: %+v", m)
	}
	used := d.Session.NFCntDown
	s := r.stored(d.ID).Session
	if s.DevAddr != d.Session.DevAddr || s.NFCntDown < used || s.NFCntDown >= 40_000 {
		t.Errorf("after a start %v has FCntDown %d, %d was used", s.DevAddr, s.NFCntDown, used)
	}
	if len(r.sent) != 1 {
		t.Errorf("%d frames sent", len(r.sent))
	}
}

// A change that cannot be stored changes nothing.
func TestProvisionUnstored(t *testing.T) {
	r := newRegistry(t)
	d1, d2 := r.devices["dev1"], r.devices["dev2"]
	r.step(Pushed{Ticket: 1000, Device: d2.ID, Items: []session.Item{{FPort: 1, FRMPayload: []byte{1}}}})
	next := d1.Clone()
	next.Name, next.Session = "x", &session.Session{DevAddr: radio.DevAddr{1, 7, 7, 7}, Keys: testKeys(77)}
	r.hold = true
	_ = r.change(Provisioned{
		Put:    []state.DevicePut{{Device: next, Replace: true}, {Device: abp("new1", 1)}},
		Remove: []session.ID{d2.ID},
	})
	if r.device("new1") != nil || r.device("dev2") == nil || r.device("dev1").Name != "" {
		t.Error("seen before it is stored")
	}
	r.broken = errors.New("no space")
	r.release()
	if err := r.answers[r.ticket]; err == nil || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("answer %v", err)
	}
	if r.device("dev1").Name != "" || r.device("dev1") != d1 || r.device("dev2") != d2 || r.device("new1") != nil ||
		d2.Queue.Len() != 1 {
		t.Errorf("changed all the same: %+v", r.device("dev1"))
	}
	r.ups = nil
	r.broken = nil
	r.uplink(d1, 7, false)
	r.uplink(d2, 7, false)
	r.wants(`dev1/up f_cnt 7 port 15 "x" gw-a`, `dev2/up f_cnt 7 port 15 "x" gw-a`)
}
