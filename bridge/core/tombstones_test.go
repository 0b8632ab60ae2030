package core

import (
	"fmt"
	"math"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// watched is a registry on whose air somebody listens who knows all keys: no
// FCntDown may come twice with a key on a DevAddr, nor one that is so far above
// the last that the device does not hear it; no JoinNonce may come twice with an
// AppKey, and no uplink may be taken twice.
type watched struct {
	*registry
	heard int // of sent
	last  map[string]uint16
	downs map[string]bool // key, DevAddr and FCntDown
	joins map[string]bool // AppKey and JoinNonce
	fCnt  uint32          // of the device
	nonce uint16
}

func newWatched(t *testing.T) *watched {
	return &watched{
		registry: newRegistry(t), last: map[string]uint16{}, downs: map[string]bool{},
		joins: map[string]bool{},
	}
}

// listen looks at what was sent to a device.
func (w *watched) listen(d *session.Device, in *session.Session) {
	w.Helper()
	for ; w.heard < len(w.sent); w.heard++ {
		phy := w.sent[w.heard].PHYPayload
		once := func(seen map[string]bool, format string, args ...any) {
			w.Helper()
			if key := fmt.Sprintf(format, args...); seen[key] {
				w.Fatalf("%s comes twice", key)
			} else {
				seen[key] = true
			}
		}
		if m, _ := frame.TypeOf(phy); m == frame.TypeJoinAccept {
			a, err := frame.ParseJoinAccept(phy, d.RootKeys, &frame.JoinRequest{
				JoinEUI: d.JoinEUI, DevEUI: d.DevEUI,
				DevNonce: w.nonce,
			})
			if err != nil {
				w.Fatal(err)
			}
			once(w.joins, "%x JoinNonce %d", d.RootKeys.AppKey[:], a.JoinNonce)
			continue
		}
		down, err := frame.ParseData(phy)
		if err != nil {
			w.Fatal(err)
		}
		keys := map[frame.Key]bool{in.Keys.FNwkSIntKey: true, in.Keys.NwkSEncKey: true, in.Keys.AppSKey: true}
		for k := range keys {
			on := string(k[:]) + string(down.DevAddr[:])
			if down.FCnt-w.last[on] >= 16384 {
				w.Fatalf("FCntDown %d after %d", down.FCnt, w.last[on])
			}
			w.last[on] = down.FCnt
			once(w.downs, "%v %x FCntDown %d", down.DevAddr, k[:], down.FCnt)
		}
	}
}

// talk has the device of a session send, get an answer, and somebody replay
// what it has sent.
func (w *watched) talk(in *session.Session) {
	w.Helper()
	d := &session.Device{Session: in}
	w.fCnt++
	before := len(w.sent)
	w.uplink(d, w.fCnt, true)
	w.pass(7 * time.Second)
	if len(w.sent) == before {
		w.Fatalf("no answer to FCntUp %d of %v", w.fCnt, in.DevAddr)
	}
	w.listen(d, in)
}

// replay brings every uplink of a session again.
func (w *watched) replay(in *session.Session) {
	w.Helper()
	w.pass(3 * time.Minute)
	before := len(w.ups)
	for n := range w.fCnt {
		w.uplink(&session.Device{Session: in}, n+1, false)
		w.pass(time.Second)
	}
	if len(w.ups) != before {
		w.Fatalf("%d uplinks of %v are taken twice", len(w.ups)-before, in.DevAddr)
	}
}

func (w *watched) join(name string) {
	w.Helper()
	d := w.device(name)
	w.nonce++
	before := len(w.sent)
	at := radio.ConcentratorTime(w.now.Host / 1000)
	w.step(Heard{radio.Uplink{
		Gateway: gwA, PHYPayload: w.joinRequest(d, w.nonce), Frequency: 868_300_000, DataRate: radio.LoRaDataRate(7,
			125_000), CodingRate: radio.CodingRate45,
		Time: at, Received: w.now.Host, Ended: w.now.Host, Receptions: []radio.Reception{{Channel: 1, RSSI: -6000, SNR: 850}},
	}})
	w.pass(7 * time.Second)
	if len(w.sent) == before {
		w.Fatalf("no join-accept with DevNonce %d", w.nonce)
	}
	w.listen(d, nil)
}

func (w *watched) put(d *session.Device, replace bool) {
	w.Helper()
	// As Bridge.Provision does it.
	r, err := state.DeviceRecord(d)
	if err != nil {
		w.Fatal(err)
	}
	if d, err = session.UnmarshalDevice(r.Data); err != nil {
		w.Fatal(err)
	}
	if err := w.change(Provisioned{Put: []state.DevicePut{{Device: d, Replace: replace, Record: r}}}); err != nil {
		w.Fatal(err)
	}
}

func (w *watched) delete(name string) {
	w.Helper()
	if err := w.change(Provisioned{Remove: []session.ID{dev(name)}}); err != nil {
		w.Fatal(err)
	}
}

// names returns the one of two names that a device has, and the other.
func (w *watched) names(a, b string) (is, other string) {
	if w.device(a) != nil {
		return a, b
	}
	return b, a
}

// again begins with what the store has: everything that is in memory is lost.
func (w *watched) again() {
	w.Helper()
	w.stand.restart(w.records)
	w.step(GatewayChanged{radio.GatewayEvent{Gateway: gwA, Kind: radio.GatewayConnected, At: w.now.Host, Local: true}})
}

// typed is a personalised device as its owner types it, or imports it from
// an old file.
func typed(name string, change ...func(*session.Session)) *session.Device {
	d := abp(name, 1)
	for _, f := range change {
		f(d.Session)
	}
	return d
}

// Mistakes in what an owner types.
func allKeys(s *session.Session) { s.Keys = testKeys(77) }

func appSKey(s *session.Session) { s.Keys.AppSKey = frame.Key{77} }

func nwkSKey(s *session.Session) {
	s.Keys.FNwkSIntKey, s.Keys.SNwkSIntKey, s.Keys.NwkSEncKey = frame.Key{77}, frame.Key{77}, frame.Key{77}
}

func devAddr(s *session.Session) { s.DevAddr = radio.DevAddr{1, 9, 9, 77} }

func older(s *session.Session) { s.Heard, s.FCntUp, s.NFCntDown, s.AFCntDown = true, 1, 1, 1 }

// corrects returns a mistake in a device, and its correction.
func corrects(mistake func(*session.Session)) func(*watched) {
	return func(w *watched) { w.put(typed("abp1", mistake), true); w.put(typed("abp1"), true) }
}

// reprovisionings are what an owner may do to a device between its frames.
var reprovisionings = map[string]func(*watched){
	"keys mistyped and corrected":      corrects(allKeys),
	"app_s_key mistyped and corrected": corrects(appSKey),
	"nwk_s_key mistyped and corrected": corrects(nwkSKey),
	"dev_addr mistyped and corrected":  corrects(devAddr),
	"mistyped app_s_key in use": func(w *watched) {
		wrong := typed("abp1", appSKey)
		w.put(wrong, true)
		w.talk(wrong.Session)
		w.put(typed("abp1"), true)
	},
	"deleted and created":  func(w *watched) { w.delete("abp1"); w.put(typed("abp1"), false) },
	"deleted and imported": func(w *watched) { w.delete("abp1"); w.put(typed("abp1", older), false) },
	"deleted and created by another name": func(w *watched) {
		name, other := w.names("abp1", "abp2")
		w.delete(name)
		w.put(typed(other), false)
	},
	"deleted and created twice": func(w *watched) {
		for range 2 {
			w.delete("abp1")
			w.put(typed("abp1"), false)
		}
	},
	"updated from an old file": func(w *watched) { w.put(typed("abp1", older), true) },
	"joins for a while": func(w *watched) {
		d := otaa("abp1", 1)
		d.DevEUI = abp("abp1", 1).DevEUI
		w.put(d, true)
		w.delete("abp1")
		w.put(typed("abp1"), false)
	},
	"a change that was not stored": func(w *watched) {
		w.broken = errDisk
		if w.change(Provisioned{Put: []state.DevicePut{{Device: typed("abp1", allKeys), Replace: true}}}) == nil {
			w.Error("a change is answered that was not stored")
		}
		w.broken = nil
	},
}

// Nothing begins anew under the same keys, whatever the owner does meanwhile,
// and whether the host is started again in between or not.
func TestNothingBeginsAnew(t *testing.T) {
	right := typed("abp1").Session
	for name, between := range reprovisionings {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarts %v", name, restarts), func(t *testing.T) {
				w := newWatched(t)
				w.put(typed("abp1"), false)
				for range 3 {
					for range 3 {
						w.talk(right)
					}
					between(w)
					if restarts {
						w.again()
					}
					w.replay(right)
				}
			})
		}
	}
}

// The same with devices that join: their nonces, and the sessions that they had.
func TestNoJoinBeginsAnew(t *testing.T) {
	file := func() *session.Device { d := otaa("new1", 1); d.Version = session.V1_0_4; return d }
	for name, between := range map[string]func(*watched){
		"deleted and created": func(w *watched) { w.delete("new1"); w.put(file(), false) },
		"deleted and created by another name": func(w *watched) {
			name, other := w.names("new1", "new2")
			w.delete(name)
			d := file()
			d.ID = dev(other)
			w.put(d, false)
		},
		"dev_eui mistyped and corrected": func(w *watched) {
			d := file()
			d.DevEUI = radio.EUI64{77}
			w.put(d, true)
			w.put(file(), true)
		},
		"app_key mistyped and corrected": func(w *watched) {
			d := file()
			d.RootKeys.AppKey = frame.Key{77}
			w.put(d, true)
			w.put(file(), true)
		},
		"updated": func(w *watched) { w.put(file(), true) },
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarts %v", name, restarts), func(t *testing.T) {
				w := newWatched(t)
				w.put(file(), false)
				for range 3 {
					name, _ := w.names("new1", "new2")
					w.join(name)
					w.join(name)
					between(w)
					if restarts {
						w.again()
					}
				}
			})
		}
	}
}

// A session that a join has replaced comes back from an old file, and goes on.
func TestReplacedSessionComesBack(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		w := newWatched(t)
		w.put(otaa("new1", 1), false)
		w.join("new1")
		in := *w.device("new1").Pending
		for range 3 {
			w.talk(&in)
		}
		w.join("new1")
		old := w.fCnt
		w.fCnt = 0
		second := *w.device("new1").Pending
		w.talk(&second)
		w.fCnt = old
		if restarts {
			w.again()
		}
		d := otaa("new1", 1)
		d.Session = &session.Session{DevAddr: in.DevAddr, Keys: in.Keys}
		w.put(d, true)
		w.replay(&in)
		w.talk(&in)
	}
}

// There are not more tombstones than a store can bear, in memory and in it, and
// the last ones are kept.
func TestTombstonesAreBounded(t *testing.T) {
	r := newRegistry(t)
	const n = tombstone.Max + 500
	device := func(i int) *session.Device {
		d := abp(fmt.Sprintf("many%d", i), 1)
		d.DevEUI = radio.EUI64{8, byte(i >> 8), byte(i)}
		d.SupportsJoin, d.HasJoinEUI, d.LastJoinNonce = i%2 == 0, true, 70_000
		d.Session.DevAddr, d.Session.NFCntDown, d.Session.AFCntDown = radio.DevAddr{9, 0, byte(i >> 8), byte(i)}, 100, 100
		d.RootKeys.AppKey = frame.Key{1}
		return d
	}
	for i := range 2 * n {
		if err := r.change(Provisioned{Put: []state.DevicePut{{Device: device(i)}}}); err != nil {
			t.Fatal(err)
		}
		if err := r.change(Provisioned{Remove: []session.ID{device(i).ID}}); err != nil {
			t.Fatal(err)
		}
	}
	stored := 0
	for id, rec := range r.records {
		if id.kind == state.KindTombstone && rec.Data != nil {
			stored++
		}
	}
	if stored != 3*tombstone.Max {
		t.Errorf("the store has %d tombstones, want %d", stored, 3*tombstone.Max)
	}
	for i, want := range map[int]uint32{0: 0, 1: 0, 2*n - 1: 100, 2*n - 2: 100, 1001: 100} {
		d := device(i)
		d.Session.NFCntDown, d.Session.AFCntDown = 0, 0
		if err := r.change(Provisioned{Put: []state.DevicePut{{Device: d}}}); err != nil {
			t.Fatal(err)
		}
		if got := r.device(d.ID.Device).Session.NFCntDown; got != want {
			t.Errorf("device %d goes on behind %d, want %d", i, got, want)
		}
	}
}

// nowhere is a location that JSON cannot have, so that no record of a device with it can
// be made.
var nowhere = map[string]session.Location{"user": {Latitude: math.NaN()}}

// A join that cannot be written as a record is refused: nobody is told that it is stored,
// and no join-accept is sent.
func TestJoinThatCannotBeRecorded(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_4)
	d.Locations = nowhere
	s.hear(gwA, s.joinRequest(d, 1))
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinNotStored) {
		t.Errorf("%+v", e)
	}
	s.wait(10 * time.Second)
	s.downs()
	d.Locations = nil
	s.joined(d, 2)
}

func TestTakeUpThatCannotBeRecorded(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_4)
	in := s.joined(d, 1)
	d.Locations = nowhere
	s.hear(gwA, s.up(d, in, 0, payload("x")))
	s.restart(s.disk.firm)
	if d := s.devices["dev3"]; d.Session == nil || d.Session.DevAddr != in.DevAddr {
		t.Errorf("after a power cut the session is %+v", d.Session)
	}
}

func TestPushThatCannotBeRecorded(t *testing.T) {
	s := newStand(t)
	s.now.Wall.Time = time.Date(10_001, 1, 1, 0, 0, 0, 0, time.UTC) // which JSON does not have
	s.push("dev1", item("one"))
	if s.devices["dev1"].Queue.Len() != 0 || len(s.answers) != 1 || s.answers[0].Err == nil {
		t.Errorf("%d items, answers %+v", s.devices["dev1"].Queue.Len(), s.answers)
	}
	s.tells()
	s.onDisk("dev1")
}

func TestSetThatCannotBeRecorded(t *testing.T) {
	r := newRegistry(t)
	next := r.devices["dev1"].Clone()
	next.Name, next.Locations = "new", nowhere
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: next, Replace: true}}}); err == nil {
		t.Error("a change is answered that cannot be stored")
	}
	if got := r.device("dev1").Name; got != "" {
		t.Errorf("the device is named %q", got)
	}
}

func TestCreateThatCannotBeRecorded(t *testing.T) {
	r := newRegistry(t)
	d := abp("abp1", 1)
	d.Locations = nowhere
	if err := r.change(Provisioned{Put: []state.DevicePut{{Device: d}}}); err == nil || r.device("abp1") != nil {
		t.Errorf("%v, the device is %v", err, r.device("abp1"))
	}
}

func TestCommitOfNothing(t *testing.T) {
	s := newStand(t)
	var got error
	s.c.commit(func(err error) { got = err })
	if got == nil {
		t.Error("the core does not say that nothing is stored")
	}
}
