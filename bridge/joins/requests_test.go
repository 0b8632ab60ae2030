package joins

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// otaa is a device of LoRaWAN 1.0.3 that joins.
func otaa(change func(*session.Device)) *session.Device {
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, Version: session.V1_0_3, Plan: "EU_863_870_TTN",
		SupportsJoin: true, HasJoinEUI: true, DevEUI: devEUI, JoinEUI: radio.EUI64{7},
		RootKeys: frame.RootKeys{AppKey: right},
	}
	if change != nil {
		change(d)
	}
	return d
}

// join parses a join-request of otaa.
func join(t *testing.T, nonce uint16, change func(*frame.JoinRequest), key frame.Key) *Request {
	t.Helper()
	q := frame.JoinRequest{JoinEUI: radio.EUI64{7}, DevEUI: devEUI, DevNonce: nonce}
	if change != nil {
		change(&q)
	}
	phy, err := frame.BuildJoinRequest(q, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(phy, "gw1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// right is the AppKey of otaa, and nwkKey the NwkKey that v11 gives it.
var right, nwkKey = frame.Key{1}, frame.Key{9}

func v11(d *session.Device)  { d.Version, d.RootKeys.NwkKey = session.V1_1, nwkKey }
func v104(d *session.Device) { d.Version, d.LastDevNonce = session.V1_0_4, 5 }
func used(d *session.Device) { d.UsedDevNonces = []uint16{4, 5} }

// refusals are join-requests, and for what they are refused.
var refusals = []struct {
	name   string
	device func(*session.Device)
	q      func(*frame.JoinRequest)
	nonce  uint16
	key    frame.Key
	want   event.JoinRefusal // "": it may be answered
	paid   bool
	hint   string
}{
	{name: "good", key: right},
	{
		name: "another DevEUI", q: func(q *frame.JoinRequest) { q.DevEUI[7]++ }, key: right,
		want: event.JoinUnknownDevEUI, hint: "create it",
	},
	{
		name: "another JoinEUI", q: func(q *frame.JoinRequest) { q.JoinEUI[7]++ }, key: right,
		want: event.JoinUnknownJoinEUI, hint: "another JoinEUI",
	},
	{name: "another key", key: frame.Key{2}, want: event.JoinWrongKey, paid: true, hint: "AppKey"},
	{name: "the NwkKey of LoRaWAN 1.1", device: v11, key: nwkKey},
	{name: "the AppKey where a NwkKey is needed", device: v11, key: right, want: event.JoinWrongKey, paid: true},
	{
		name: "a used DevNonce", device: used, nonce: 5, key: right, want: event.JoinUsedNonce,
		hint: "lorawand device set dev1 --application app1 --reset-join-nonces",
	},
	{name: "another DevNonce", device: used, nonce: 3, key: right},
	{
		name: "a lower DevNonce of LoRaWAN 1.0.4", device: v104, nonce: 3, key: right,
		want: event.JoinUsedNonce, hint: "reset-join-nonces",
	},
	{name: "a lower one that is allowed", device: func(d *session.Device) {
		v104(d)
		d.Settings.ResetsJoinNonce = true
	}, nonce: 3, key: right},
	{
		name: "a used one with another key", device: used, nonce: 5, key: frame.Key{2},
		want: event.JoinWrongKey, paid: true,
	},
	{name: "an unknown LoRaWAN version", device: func(d *session.Device) {
		d.Version, d.VersionName = session.VersionUnknown, "MAC_V2_0"
	}, key: right, want: event.JoinUnserved},
	{
		name: "an unknown frequency plan", device: func(d *session.Device) { d.Plan = "MARS" }, key: right,
		want: event.JoinUnserved,
	},
}

// Each request is refused for its first fault, and only a wrong key is paid for.
func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			all := session.NewRegistry(0)
			if err := all.Add(otaa(tt.device)); err != nil {
				t.Fatal(err)
			}
			r := join(t, tt.nonce, tt.q, tt.key)
			checkRefusal(t, r, r.Check(all, here, 1), tt.want, tt.hint)
			if paid := all.WrongMICs() > 0; paid != tt.paid {
				t.Errorf("paid: %v", paid)
			}
		})
	}
}

// checkRefusal compares a refusal, and what is reported of it.
func checkRefusal(t *testing.T, r *Request, no *Refusal, want event.JoinRefusal, hint string) {
	t.Helper()
	if no == nil {
		if want != "" || r.Device == nil || r.Plan == nil {
			t.Errorf("it may be answered: device %v, plan %v; want %q", r.Device, r.Plan, want)
		}
		return
	}
	if no.Why != want || no.Err == nil || no.Known() != (want == event.JoinUsedNonce) {
		t.Errorf("%+v, want %q", no, want)
	}
	e := r.Refused(no.Why, no.Err)
	if e.Kind != event.JoinRefused || e.Word != string(want) || e.Gateway != "gw1" || !e.HasEUIs || e.DevEUI != r.DevEUI ||
		!strings.Contains(e.Hint, hint) || (e.Device.Device == "dev1") != (r.Device != nil) {
		t.Errorf("reported %+v, want the hint %q", e, hint)
	}
}

// Rejoin-requests are of LoRaWAN 1.1; one of an older device is refused without a look at
// its MIC.
func TestRejoinOfOldDevice(t *testing.T) {
	all := session.NewRegistry(0)
	if err := all.Add(otaa(nil)); err != nil {
		t.Fatal(err)
	}
	r := request(t, frame.Rejoin0, frame.Key{9}, 0)
	no := r.Check(all, here, 1)
	if no == nil || no.Why != event.JoinUnserved || !strings.Contains(no.Err.Error(), "1.0.3") || all.WrongMICs() != 0 {
		t.Errorf("%+v, %d MICs", no, all.WrongMICs())
	}
	if r := request(t, frame.Rejoin0, frame.Key{9}, 0); r.Check(session.NewRegistry(0), here,
		1).Why != event.JoinUnknownDevEUI {
		t.Error("nobody's rejoin-request is refused for something else")
	} else if e := r.Refused(event.JoinUnknownDevEUI, nil); e.HasEUIs || e.Hint != "" {
		t.Errorf("a JoinEUI is told, which did not come: %+v", e)
	}
}

// A request that came again is refused as used, of the device that has sent it.
func TestAgain(t *testing.T) {
	d := otaa(nil)
	for _, tt := range []struct {
		name string
		r    *Request
		why  event.JoinRefusal
		err  error
	}{
		{"join-request", join(t, 1, nil, right), event.JoinUsedNonce, mac.ErrDevNonce},
		{"rejoin-request", request(t, frame.Rejoin1, frame.Key{1}, 3), event.JoinUsedRJCount, mac.ErrRejoinCount},
	} {
		no := tt.r.Again(d)
		if no.Why != tt.why || !errors.Is(no.Err, tt.err) || !no.Known() || tt.r.Device != d {
			t.Errorf("%s: %+v", tt.name, no)
		}
	}
}

// Other bytes are no request.
func TestParse(t *testing.T) {
	good, err := frame.BuildJoinRequest(frame.JoinRequest{DevEUI: devEUI}, frame.Key{})
	if err != nil {
		t.Fatal(err)
	}
	for name, phy := range map[string][]byte{
		"nothing": nil, "a byte": {0}, "cut short": good[:22], "a byte more": append(bytes.Clone(good), 0),
		"of another major version": append([]byte{good[0] | 1}, good[1:]...), "an uplink": append([]byte{0x40}, good[1:]...),
		"a rejoin-request of type 3": append([]byte{0xc0, 3}, good[2:19]...), "a short one": {0xc0, 0, 1, 2},
	} {
		if r, err := Parse(phy, "gw1"); !errors.Is(err, frame.ErrFrame) || r != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// A DevAddr is of one of the prefixes and free; there may be none.
func TestNewDevAddr(t *testing.T) {
	all := session.NewRegistry(0)
	prefix := func(last byte, length int) radio.DevAddrPrefix {
		return radio.DevAddrPrefix{DevAddr: radio.DevAddr{0x26, 1, 0, last}, Length: length}
	}
	take := func(last byte) {
		s := &session.Session{DevAddr: radio.DevAddr{0x26, 1, 0, last}, Keys: keys(last)}
		d := otaa(func(d *session.Device) {
			d.ID.Device, d.DevEUI, d.Session = fmt.Sprintf("dev%d", last), radio.EUI64{last + 1}, s
		})
		if err := all.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	zeros := bytes.NewReader(make([]byte, 5*addressTries))
	if a, ok := NewDevAddr(all, zeros, []radio.DevAddrPrefix{prefix(0, 30)}); !ok || a != (radio.DevAddr{0x26, 1, 0, 0}) {
		t.Errorf("%v, %v", a, ok)
	}
	take(0)
	draws := bytes.NewReader([]byte{9, 9, 9, 0xf0, 0, 9, 9, 9, 0xf0, 0, 9, 9, 9, 0xf2, 0})
	if a, ok := NewDevAddr(all, draws, []radio.DevAddrPrefix{prefix(0, 30)}); !ok || a != (radio.DevAddr{0x26, 1, 0, 2}) {
		t.Errorf("after two that are in use: %v, %v", a, ok)
	}
	second := bytes.NewReader([]byte{0, 0, 0, 0, 3}) // the last byte chooses the prefix
	if a, ok := NewDevAddr(all, second, []radio.DevAddrPrefix{prefix(0, 30), prefix(0x40, 30)}); !ok || a[3] != 0x40 {
		t.Errorf("of the second prefix: %v, %v", a, ok)
	}
	take(1)
	full := bytes.NewReader(make([]byte, 5*addressTries))
	if a, ok := NewDevAddr(all, full, []radio.DevAddrPrefix{prefix(1, 32)}); ok || a != (radio.DevAddr{}) ||
		full.Len() != 0 {
		t.Errorf("of a full block: %v, %v; %d bytes are left", a, ok, full.Len())
	}
}

// A join-accept is made without the plan's channels where its window has no room for them,
// and the owner is told so.
func TestOffer(t *testing.T) {
	for _, tt := range []struct {
		name, plan string
		frequency  radio.Frequency
		sf         uint8
		size       int // of the join-accept, bytes
		kinds      []event.Kind
	}{
		{"EU868", "EU_863_870_TTN", 868_100_000, 12, 33, []event.Kind{event.JoinAccepted}},
		{"US915, which tells channel masks", "US_902_928_FSB_2", 903_900_000, 10, 33, []event.Kind{event.JoinAccepted}},
		{"AS923 with dwell time", "AS_920_923", 923_200_000, 7, 33, []event.Kind{event.JoinAccepted}},
		{
			"AS923 at a low data rate", "AS_920_923", 923_200_000, 10, 17,
			[]event.Kind{event.JoinAccepted, event.JoinWithoutChannels},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := region.Lookup(tt.plan); err != nil {
				t.Fatal(err)
			}
			all := session.NewRegistry(0)
			d := otaa(func(d *session.Device) { d.Plan = tt.plan })
			if err := all.Add(d); err != nil {
				t.Fatal(err)
			}
			r := join(t, 5, nil, right)
			if no := r.Check(all, here, 1); no != nil {
				t.Fatalf("%+v", no)
			}
			windows, no := r.Windows(&radio.Uplink{Frequency: tt.frequency, DataRate: radio.LoRaDataRate(tt.sf, 125_000)})
			if no != nil {
				t.Fatalf("%+v", no)
			}
			o, no := r.Offer(windows, mac.JoinParameters{DevAddr: radio.DevAddr{1, 2, 3, 4}, RX1Delay: 1, KeyID: []byte{8}})
			if no != nil {
				t.Fatalf("%+v", no)
			}
			if len(o.JoinAccept) != tt.size || d.Pending != nil || len(d.UsedDevNonces) != 0 {
				t.Errorf("%d bytes, want %d; the device has %+v and the nonces %v", len(o.JoinAccept), tt.size, d.Pending,
					d.UsedDevNonces)
			}
			o.Use(all)
			if d.Pending != o.Joined.Session || !all.InUse(radio.DevAddr{1, 2, 3, 4}) || len(d.UsedDevNonces) != 1 {
				t.Errorf("used: %+v, nonces %v", d.Pending, d.UsedDevNonces)
			}
			checkAccepted(t, o, tt.kinds)
		})
	}
}

func checkAccepted(t *testing.T, o *Offer, kinds []event.Kind) {
	t.Helper()
	events := o.Accepted("gw2", []string{"id"})
	for i := range events {
		e := &events[i]
		if i >= len(kinds) || e.Kind != kinds[i] || e.Gateway != "gw2" || e.Device != o.Device.ID ||
			len(e.CorrelationIDs) != 1 {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	if len(events) != len(kinds) || events[0].DevAddr != (radio.DevAddr{1, 2, 3, 4}) || !events[0].HasDevAddr {
		t.Errorf("%+v, want %v", events, kinds)
	}
}

// A device whose JoinNonces are used up gets no join-accept.
func TestNoJoinNonce(t *testing.T) {
	all := session.NewRegistry(0)
	if err := all.Add(otaa(func(d *session.Device) { d.LastJoinNonce = 1<<24 - 1 })); err != nil {
		t.Fatal(err)
	}
	r := join(t, 5, nil, right)
	if no := r.Check(all, here, 1); no != nil {
		t.Fatalf("%+v", no)
	}
	windows, no := r.Windows(&radio.Uplink{Frequency: 868_100_000, DataRate: radio.LoRaDataRate(12, 125_000)})
	if no != nil {
		t.Fatalf("%+v", no)
	}
	_, no = r.Offer(windows, mac.JoinParameters{RX1Delay: 1})
	if no == nil || no.Why != event.JoinUnserved || !errors.Is(no.Err, mac.ErrJoinNonce) {
		t.Errorf("%+v", no)
	}
}
