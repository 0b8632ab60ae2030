package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

func testKeys(n byte) frame.SessionKeys {
	nwk := frame.Key{1, n}
	return frame.SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: frame.Key{2, n}}
}

// abp is an ABP device that has been heard last with counter last, or never if
// last is negative.
func abp(name string, n byte, version Version, last int64) *Device {
	s := &Session{DevAddr: radio.DevAddr{1, 2, 3, 4}, Keys: testKeys(n)}
	if last >= 0 {
		s.Heard, s.FCntUp = true, uint32(last)
	}
	return &Device{ID: ID{"app1", name}, Version: version, Plan: "EU_863_870", Session: s}
}

func uplink(t testing.TB, d *Device, fCnt uint32, text ...string) *frame.Data {
	t.Helper()
	f := frame.Data{
		MType: frame.UnconfirmedUp, DevAddr: d.Session.DevAddr, HasFPort: true, FPort: 1,
		FRMPayload: []byte(strings.Join(append(text, "x"), "")),
	}
	phy, err := frame.BuildUplink(f, fCnt, d.Session.Keys)
	if err != nil {
		t.Fatal(err)
	}
	p, err := frame.ParseData(phy)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func registry(t testing.TB, devices ...*Device) *Registry {
	t.Helper()
	r := NewRegistry(0)
	for _, d := range devices {
		if err := r.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// counterCase is a frame of a device that was heard before, and what Match says of it.
type counterCase struct {
	name     string
	version  Version
	settings Settings
	last     int64
	sent     uint32 // as the device counts: all 32 bits are in its MIC
	err      error
	repeated bool
	reset    bool
}

var (
	wide         = Settings{}
	narrow       = Settings{Counter16: true}
	resets       = Settings{ResetsFCnt: true}
	narrowResets = Settings{ResetsFCnt: true, Counter16: true}
)

var counterCases = []counterCase{
	{"first", V1_0_3, wide, -1, 0, nil, false, false},
	{"first, far on", V1_0_2, wide, -1, 40000, nil, false, false},
	{"next", V1_0_3, wide, 0, 1, nil, false, false},
	{"same, after a restart", V1_0_3, wide, 7, 7, ErrReplay, true, false},
	{"same, zero", V1_0_3, wide, 0, 0, ErrReplay, true, false},
	{"lower", V1_0_3, wide, 7, 6, ErrReplay, false, false},
	{"lower, before the roll-over", V1_0_3, wide, 65541, 65530, ErrReplay, false, false},
	{"much lower, 1.0.4", V1_0_4, wide, 40000, 3, ErrReplay, false, false},
	{"gap, at the limit", V1_0_2, wide, 5, 5 + 16384, nil, false, false},
	{"gap, beyond", V1_0_3, wide, 5, 6 + 16384, ErrGap, false, false},
	{"gap, 1.0.4 has none", V1_0_4, wide, 5, 60000, nil, false, false},
	{"roll-over", V1_0_3, wide, 65535, 65536, nil, false, false},
	{"roll-over with loss", V1_0_3, wide, 65530, 65540, nil, false, false},
	{"roll-over, 1.0.4, far", V1_0_4, wide, 10, 65536 + 9, nil, false, false},
	{"second roll-over", V1_0_3, wide, 131071, 131072, nil, false, false},
	{"lost a whole round", V1_0_4, wide, 10, 65536 + 11, ErrMIC, false, false},
	{"the last there is", V1_0_4, wide, 1<<32 - 2, 1<<32 - 1, nil, false, false},
	{"used up", V1_0_4, wide, 1<<32 - 1, 0, ErrMIC, false, false},
	{"used up, same", V1_0_4, wide, 1<<32 - 1, 1<<32 - 1, ErrReplay, true, false},
	{"16 bits", V1_0_2, narrow, 5, 6, nil, false, false},
	{"16 bits, roll-over", V1_0_2, narrow, 65535, 0, nil, false, false},
	{"16 bits, roll-over with loss", V1_0_2, narrow, 65000, 3, nil, false, false},
	{"16 bits, same", V1_0_2, narrow, 65535, 65535, ErrReplay, true, false},
	{"16 bits, lower", V1_0_2, narrow, 500, 499, ErrReplay, false, false},
	{"16 bits, too far", V1_0_2, narrow, 500, 500 + 16385, ErrReplay, false, false},
	{"began anew, not allowed", V1_0_3, wide, 500, 0, ErrReplay, false, false},
	{"began anew", V1_0_3, resets, 500, 0, nil, false, true},
	{"began anew after a roll-over", V1_0_3, resets, 70000, 2, nil, false, true},
	{"began anew, not said", V1_0_3, wide, 70000, 2, ErrMIC, false, false},
	{"began anew, too far", V1_0_3, resets, 70000, 16385, ErrReplay, false, false},
	{"resets, but same, after a restart", V1_0_3, resets, 500, 500, nil, false, true},
	{"resets, but next", V1_0_3, resets, 500, 501, nil, false, false},
	{"resets with 16 bits", V1_0_2, narrowResets, 500, 0, nil, false, true},
}

func TestMatchCounters(t *testing.T) {
	for _, tt := range counterCases {
		t.Run(tt.name, func(t *testing.T) {
			d := abp("dev1", 1, tt.version, tt.last)
			d.Settings = tt.settings
			r := registry(t, d)
			d.Session.Cipher(d.Version) // made once, whatever comes
			before := *d.Session
			m, err := r.Match(uplink(t, d, tt.sent), Reception{}, 0)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if fmt.Sprint(*d.Session) != fmt.Sprint(before) {
				t.Error("Match has changed the session")
			}
			if errors.Is(err, ErrMIC) {
				return
			}
			if m.Device != d || m.FCnt != tt.sent || m.Repeated != tt.repeated || m.Reset != tt.reset {
				t.Errorf("match %+v, want counter %d, repeated %v, reset %v", m, tt.sent, tt.repeated, tt.reset)
			}
			if err != nil {
				return
			}
			m.Accept(uplink(t, d, tt.sent))
			checkAccepted(t, r, d, tt.sent)
		})
	}
}

// checkAccepted checks a device after its frame with the counter sent was accepted: the same
// frame is a repetition, and another one with this counter is refused or a new beginning.
func checkAccepted(t *testing.T, r *Registry, d *Device, sent uint32) {
	t.Helper()
	if !d.Session.Heard || d.Session.FCntUp != sent {
		t.Errorf("session is at %v %d", d.Session.Heard, d.Session.FCntUp)
	}
	m, err := r.Match(uplink(t, d, sent), Reception{}, 0)
	if err != nil || !m.Repeated {
		t.Errorf("the same frame once more: %+v, %v", m, err)
	}
	var want error = ErrReused
	if d.Settings.ResetsFCnt {
		want = nil // a new beginning
	}
	m, err = r.Match(uplink(t, d, sent, "y"), Reception{}, 0)
	if !errors.Is(err, want) || m.Device != d || m.Reset != (want == nil) {
		t.Errorf("another frame with this counter: %+v, %v; want %v", m, err, want)
	}
}

func TestMatchSharedDevAddr(t *testing.T) {
	var devices []*Device
	for i := range 20 {
		devices = append(devices, abp(fmt.Sprintf("dev%02d", i), byte(i), V1_0_3, int64(i*10)))
	}
	r := registry(t, devices...)
	for i, d := range devices {
		m, err := r.Match(uplink(t, d, uint32(i*10+1)), Reception{}, 0)
		if err != nil || m.Device != d {
			t.Errorf("frame of %v is taken for one of %v, %v", d.ID, m.Device, err)
		}
		m.Accept(uplink(t, d, uint32(i*10+1)))
	}
	stranger := abp("stranger", 99, V1_0_3, -1)
	if m, err := r.Match(uplink(t, stranger, 5), Reception{}, 0); !errors.Is(err, ErrMIC) {
		t.Errorf("a stranger's frame: %+v, %v; want ErrMIC", m, err)
	}
	stranger.Session.DevAddr = radio.DevAddr{9}
	if m, err := r.Match(uplink(t, stranger, 5), Reception{}, 0); !errors.Is(err, ErrDevAddr) {
		t.Errorf("an unknown DevAddr: %+v, %v; want ErrDevAddr", m, err)
	}
}

// A device that may begin anew does so although it counts far, and although
// others share its DevAddr.
func TestMatchRestartOnASharedDevAddr(t *testing.T) {
	var devices []*Device
	for i := range 5 {
		d := abp(fmt.Sprintf("dev%02d", i), byte(i), V1_0_3, 500)
		d.Settings.ResetsFCnt = true
		devices = append(devices, d)
	}
	r := registry(t, devices...)
	for _, d := range devices {
		if m, err := r.Match(uplink(t, d, 40), Reception{}, 0); err != nil || m.Device != d || !m.Reset {
			t.Errorf("%v: %+v, %v", d.ID, m, err)
		}
	}
}

func TestMatchUnserved(t *testing.T) {
	for name, change := range map[string]func(*Device){
		"version": func(d *Device) { d.Version, d.VersionName = VersionUnknown, "MAC_V2_0" },
		"group":   func(d *Device) { d.ClassC, d.Multicast = true, true },
		"class B": func(d *Device) { d.ClassB = true },
		"plan":    func(d *Device) { d.Plan = "ISM_2400_3CH_DRAFT2" },
	} {
		d := abp("dev1", 1, V1_0_3, 5)
		change(d)
		r := registry(t, d, abp("dev2", 2, V1_0_3, 5))
		if m, err := r.Match(uplink(t, d, 6), Reception{}, 0); !errors.Is(err, ErrUnserved) {
			t.Errorf("%s: %+v, %v; want ErrUnserved", name, m, err)
		}
		if m, err := r.Match(uplink(t, r.Device(ID{"app1", "dev2"}), 6), Reception{}, 0); err != nil {
			t.Errorf("%s: the other device's frame: %+v, %v", name, m, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	r := NewRegistry(0)
	d := abp("dev1", 1, V1_0_3, -1)
	if err := r.Add(d); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(abp("dev1", 2, V1_0_3, -1)); !errors.Is(err, ErrExists) {
		t.Errorf("the same id: %v, want ErrExists", err)
	}
	join := &Device{
		ID: ID{"app1", "otaa"}, Version: V1_0_3, SupportsJoin: true, DevEUI: radio.EUI64{1}, HasJoinEUI: true,
		RootKeys: frame.RootKeys{AppKey: frame.Key{1}},
	}
	if err := r.Add(join); err != nil {
		t.Fatal(err)
	}
	twin := *join
	twin.ID.Device = "twin"
	if err := r.Add(&twin); !errors.Is(err, ErrExists) {
		t.Errorf("the same EUIs: %v, want ErrExists", err)
	}
	if byEUI(r, radio.EUI64{}, radio.EUI64{1}) != join || r.Device(d.ID) != d || r.Len() != 2 {
		t.Error("a device is not found")
	}
	for i := range MaxPerDevAddr + 1 {
		err := r.Add(abp(fmt.Sprintf("many%03d", i), byte(i), V1_0_3, -1))
		if want := i >= MaxPerDevAddr-1; errors.Is(err, ErrFull) != want {
			t.Fatalf("number %d on one DevAddr: %v", i, err)
		}
	}
	if !r.Remove(d.ID) || r.Remove(d.ID) || !r.Remove(join.ID) {
		t.Error("Remove")
	}
	if err := r.Add(&twin); err != nil {
		t.Errorf("the EUIs are still taken: %v", err)
	}
	if err := r.Add(abp("again", 1, V1_0_3, -1)); err != nil {
		t.Errorf("the place on the DevAddr is still taken: %v", err)
	}
	all := r.All()
	for i := 1; i < len(all); i++ {
		if all[i-1].ID.String() >= all[i].ID.String() {
			t.Fatalf("%v comes before %v", all[i-1].ID, all[i].ID)
		}
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]func(*Device){
		"id":           func(d *Device) { d.ID.Device = "x" },
		"application":  func(d *Device) { d.ID.Application = "App" },
		"no session":   func(d *Device) { d.Session = nil },
		"no nwk_s_key": func(d *Device) { d.Session.Keys.FNwkSIntKey = frame.Key{} },
		"no app_s_key": func(d *Device) { d.Session.Keys.AppSKey = frame.Key{} },
		"no dev_eui":   func(d *Device) { d.SupportsJoin, d.HasJoinEUI = true, true },
		"no join_eui":  func(d *Device) { d.SupportsJoin, d.DevEUI = true, radio.EUI64{1} },
		"no root keys": func(d *Device) {
			d.SupportsJoin, d.DevEUI, d.HasJoinEUI, d.Session = true, radio.EUI64{1}, true, nil
		},
		"1.1 without nwk_key": func(d *Device) {
			d.SupportsJoin, d.DevEUI, d.HasJoinEUI, d.Session, d.Version = true, radio.EUI64{1}, true, nil, V1_1
			d.RootKeys.AppKey = frame.Key{1}
		},
	}
	for name, change := range tests {
		d := abp("dev1", 1, V1_0_3, -1)
		if err := d.Check(); err != nil {
			t.Fatal(err)
		}
		change(d)
		if err := d.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
		if err := NewRegistry(0).Add(d); err == nil {
			t.Errorf("%s: added", name)
		}
	}
}

func TestCheckID(t *testing.T) {
	for _, good := range []string{"app", "app1", "a-b-c", "123", "a23456789012345678901234567890123456"} {
		if err := CheckID(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "ab", "App1", "app_1", "-app", "app-", "a--b", "äpp", "a b", "a/b", "app1\n", "a234567890123456789012345678901234567"} {
		if err := CheckID(bad); !errors.Is(err, ErrID) {
			t.Errorf("%q: %v, want ErrID", bad, err)
		}
	}
}

func TestKeeping(t *testing.T) {
	d := abp("dev1", 1, V1_0_3, 70000)
	d.DevEUI, d.Settings.Frequencies = radio.EUI64{1}, []radio.Frequency{868_100_000}
	d.Locations = map[string]Location{"user": {Latitude: 52.3731, Longitude: 4.8925, Altitude: -3, Source: "SOURCE_REGISTRY"}}
	d.Session.KeyID = []byte{1, 2}
	b, err := MarshalDevice(d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnmarshalDevice(b)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := MarshalDevice(got)
	if string(again) != string(b) {
		t.Errorf("kept %s, came back as %s", b, again)
	}
	c := AppendCounters(nil, d.Session, d.Session.Marks())
	fresh := abp("dev1", 1, V1_0_3, -1).Session
	if err := fresh.SetCounterBytes(c); err != nil || !fresh.Heard || fresh.FCntUp != 70000 {
		t.Errorf("counters %v %d, %v", fresh.Heard, fresh.FCntUp, err)
	}
	fresh.DevAddr[0]++
	before := *fresh
	for _, b := range [][]byte{nil, c[:5], append(c, 0)} {
		if err := fresh.SetCounterBytes(b); !errors.Is(err, ErrCounters) {
			t.Errorf("%x: %v, want ErrCounters", b, err)
		}
	}
	if err := fresh.SetCounterBytes(c); !errors.Is(err, ErrOtherSession) {
		t.Errorf("%x: %v, want ErrOtherSession", c, err)
	}
	if fmt.Sprint(*fresh) != fmt.Sprint(before) {
		t.Error("refused counters have changed the session")
	}
	// The bytes are the same on every CPU.
	const golden = "0201701101000000000000000000" + "01020304" + "0000000000000000"
	if got := fmt.Sprintf("%x", c); got != golden {
		t.Errorf("counters are %s, want %s", got, golden)
	}
}

func TestHistory(t *testing.T) {
	var h macstate.History
	sf7, sf9 := radio.LoRaDataRate(7, 125_000), radio.LoRaDataRate(9, 125_000)
	a, b := radio.EUI64{1}, radio.EUI64{2}
	hears := func(gateway radio.EUI64) bool { _, ok := h.Path(gateway); return ok }
	lost := func(want, of uint32) {
		t.Helper()
		if l, n := h.Lost(); l != want || n != of {
			t.Errorf("%d of %d lost, want %d of %d", l, n, want, of)
		}
	}
	h.Uplink(0, sf7)
	h.HeardBy(&radio.Uplink{Gateway: a})
	lost(0, 0)
	if !h.New() || !hears(a) || hears(b) {
		t.Error("after the first uplink")
	}
	h.Uplink(1001, sf7)
	lost(1000, 1002)
	h.Uplink(1002, sf7)
	lost(1000, 1003)
	if h.New() {
		t.Error("still new")
	}
	h.Uplink(1003, sf9) // another data rate
	lost(0, 0)
	h.HeardBy(&radio.Uplink{Gateway: b})
	for i := range uint32(19) {
		if !hears(b) {
			t.Fatalf("forgotten after %d uplinks", i)
		}
		h.Uplink(1004+i, sf9)
	}
	lost(0, 20)
	h.Uplink(1030, sf9)
	lost(7, 27)
	if hears(b) || hears(a) {
		t.Error("a gateway that has not heard the last 20 uplinks is waited for")
	}
	h.Uplink(0, sf9) // the device has begun anew
	lost(0, 0)
}

func TestVersions(t *testing.T) {
	for v := V1_0_0; v <= V1_1; v++ {
		if got := ParseVersion(v.String()); got != v {
			t.Errorf("%v comes back as %v", v, got)
		}
	}
	if ParseVersion("1.0.0") != V1_0_0 || ParseVersion("1.1.0") != V1_1 || ParseVersion("1.2") != VersionUnknown ||
		ParseVersion("") != VersionUnknown {
		t.Error("ParseVersion")
	}
}

func BenchmarkMatch(b *testing.B) {
	d := abp("dev1", 1, V1_0_3, 5)
	r := registry(b, d)
	up := uplink(b, d, 6)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Match(up, Reception{}, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func byEUI(r *Registry, join, dev radio.EUI64) *Device {
	d, _ := r.ByEUI(join, dev)
	return d
}
