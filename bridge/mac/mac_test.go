package mac

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/fuzztest"
	"lorawand/radio/region"
)

func plan(t testing.TB, id string) *region.Plan {
	t.Helper()
	p, err := region.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// An uplink to a network that knows the time, and to one that does not.
var (
	timeKnown   = UplinkContext{Device: otaa(session.V1_0_3), TimeKnown: true}
	timeUnknown = UplinkContext{Device: otaa(session.V1_0_3)}
)

var uplinkCases = []struct {
	name      string
	d         frame.Data
	commands  []byte
	ctx       UplinkContext
	want      Owed
	answers   []byte
	emptyOwed bool
}{
	{"nothing", frame.Data{MType: frame.UnconfirmedUp}, nil, timeKnown, Owed{}, nil, true},
	{"confirmed", frame.Data{MType: frame.ConfirmedUp}, nil, timeKnown, Owed{ACK: true}, nil, false},
	{"ADRACKReq", frame.Data{MType: frame.UnconfirmedUp, ADRACKReq: true}, nil, timeKnown, Owed{Any: true}, nil, false},
	{
		"LinkCheckReq",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x02},
		timeKnown,
		Owed{answer: [numAnswers]bool{linkCheck: true}},
		[]byte{2, 20, 3},
		false,
	},
	{
		"twice is once",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x02, 0x02},
		timeKnown,
		Owed{answer: [numAnswers]bool{linkCheck: true}},
		[]byte{2, 20, 3},
		false,
	},
	{
		"DeviceTimeReq",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x0d},
		timeKnown,
		Owed{answer: [numAnswers]bool{deviceTime: true}},
		[]byte{0x0d, 0x15, 0xcd, 0x5b, 0x07, 0x80},
		false,
	},
	{
		"DeviceTimeReq, and nobody knows the time",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x0d},
		timeUnknown,
		Owed{},
		nil, true,
	},
	{
		"answers of others in between",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x03, 0x07, 0x06, 200, 10, 0x0d, 0x08, 0x02},
		timeKnown,
		Owed{answer: [numAnswers]bool{linkCheck: true, deviceTime: true}},
		[]byte{2, 20, 3, 0x0d, 0x15, 0xcd, 0x5b, 0x07, 0x80},
		false,
	},
	{
		"a command that is not known ends them",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x7f, 0x02},
		timeKnown,
		Owed{},
		nil, true,
	},
	{
		"one that is cut off too",
		frame.Data{MType: frame.UnconfirmedUp},
		[]byte{0x02, 0x06, 1},
		timeKnown,
		Owed{answer: [numAnswers]bool{linkCheck: true}},
		[]byte{2, 20, 3},
		false,
	},
}

func TestUplink(t *testing.T) {
	c := Circumstances{Margin: 20, Gateways: 3, Time: radio.GPSTime(123456789*time.Second + 500*time.Millisecond)}
	for _, tt := range uplinkCases {
		t.Run(tt.name, func(t *testing.T) {
			got := Uplink(&tt.d, tt.commands, tt.ctx)
			if got != tt.want || got.IsZero() != tt.emptyOwed {
				t.Errorf("owed %+v, want %+v", got, tt.want)
			}
			if a := got.appendAnswers(nil, c); !bytes.Equal(a, tt.answers) {
				t.Errorf("answers % x, want % x", a, tt.answers)
			}
		})
	}
}

func FuzzUplink(f *testing.F) {
	f.Add([]byte{0x02, 0x0d})
	f.Add([]byte{0x03, 0x07, 0x06, 200})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, commands []byte) {
		o := Uplink(&frame.Data{MType: frame.UnconfirmedUp}, commands, UplinkContext{
			Device:    otaa(session.V1_0_3),
			TimeKnown: true,
		})
		if n := len(o.appendAnswers(nil, Circumstances{})); n > 15 {
			t.Errorf("%d bytes of answers do not fit FOpts", n)
		}
	}))
}

func TestMargin(t *testing.T) {
	tests := []struct {
		rate radio.DataRate
		snr  radio.Decibel
		want uint8
	}{
		{radio.LoRaDataRate(7, 125_000), 850, 16},
		{radio.LoRaDataRate(12, 125_000), -2000, 0},
		{radio.LoRaDataRate(12, 125_000), -2100, 0},
		{radio.LoRaDataRate(12, 125_000), -1890, 1},
		{radio.LoRaDataRate(8, 500_000), 0, 4},
		{radio.LoRaDataRate(7, 125_000), 99999, 254},
		{radio.FSKDataRate(50_000), 900, 0},
	}
	for _, tt := range tests {
		if got := Margin(tt.rate, tt.snr); got != tt.want {
			t.Errorf("margin of %v at %v dB is %d, want %d", tt.rate, tt.snr, got, tt.want)
		}
	}
}

func TestWindows(t *testing.T) {
	eu := plan(t, "EU_863_870_TTN")
	two, dr, f := uint8(2), uint8(3), radio.Frequency(869_000_000)
	abp := &session.Session{}
	tests := []struct {
		name string
		d    session.Device
		s    *session.Session
		want Receive
	}{
		{"ABP: the band's", session.Device{}, abp, Receive{Delay: time.Second, RX2: region.Window{Frequency: 869_525_000}}},
		{
			"ABP with settings",
			session.Device{Settings: session.Settings{RX1Delay: &two, RX1DROffset: &two, RX2DataRate: &dr, RX2Frequency: &f}},
			abp,
			Receive{Delay: 2 * time.Second, RX1DROffset: 2, RX2: region.Window{Frequency: f, DataRate: 3}},
		},
		{"join", session.Device{}, nil, Receive{Delay: 5 * time.Second, RX2: region.Window{Frequency: 869_525_000}}},
		{
			"join with settings",
			session.Device{Settings: session.Settings{RX1Delay: &two, RX1DROffset: &two, RX2DataRate: &dr}},
			nil,
			Receive{Delay: 5 * time.Second, RX2: region.Window{Frequency: 869_525_000, DataRate: 3}},
		},
		{
			"parameters that the device is known to use beat settings",
			session.Device{Settings: session.Settings{RX1Delay: &two}},
			&session.Session{Parameters: &session.Parameters{RX1Delay: 5, RX2DataRate: 3, RX2Frequency: 869_525_000}},
			Receive{Delay: 5 * time.Second, RX2: region.Window{Frequency: 869_525_000, DataRate: 3}},
		},
		{
			"RX1 delay 0 means 1 s",
			session.Device{},
			&session.Session{Parameters: &session.Parameters{}},
			Receive{Delay: time.Second, RX2: region.Window{Frequency: 869_525_000}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Windows(&tt.d, tt.s, eu); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestDownlink(t *testing.T) {
	it := &session.Item{FPort: 15, FRMPayload: []byte{1, 2, 3, 4}, Confirmed: true, Priority: radio.PriorityHighest}
	owed := Owed{ACK: true, answer: [numAnswers]bool{linkCheck: true}}
	tests := []struct {
		name     string
		d        Downlink
		size     int
		priority radio.Priority
	}{
		{"acknowledgement", Downlink{Owed: Owed{ACK: true}}, 12, radio.PriorityHighest},
		{"item", Downlink{Item: it}, 17, radio.PriorityHigh},
		{
			"low item",
			Downlink{Item: &session.Item{FPort: 1, FRMPayload: []byte{1}, Priority: radio.PriorityLow}},
			14,
			radio.PriorityLow,
		},
		{"both", Downlink{Owed: owed, Item: it, Pending: true}, 20, radio.PriorityHighest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.d.Frame(Circumstances{})
			phy, err := frame.BuildDownlink(f, 1, frame.SessionKeys{})
			if err != nil || len(phy) != tt.size || tt.d.Size() != tt.size || tt.d.MACPayloadSize() != tt.size-5 {
				t.Errorf("frame of %d bytes, %v; Size says %d, want %d", len(phy), err, tt.d.Size(), tt.size)
			}
			if tt.d.Priority() != tt.priority {
				t.Errorf("priority %v, want %v", tt.d.Priority(), tt.priority)
			}
			if f.ACK != tt.d.Owed.ACK || f.FPending != tt.d.Pending || (f.MType == frame.ConfirmedDown) != (tt.d.Item == it) {
				t.Errorf("frame %+v", f)
			}
		})
	}
}

func otaa(v session.Version) *session.Device {
	return &session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, Version: v, SupportsJoin: true, Plan: "EU_863_870_TTN",
		DevEUI: radio.EUI64{1}, JoinEUI: radio.EUI64{2}, HasJoinEUI: true,
		RootKeys: frame.RootKeys{AppKey: frame.Key{1}, NwkKey: frame.Key{2}},
	}
}

func request(t *testing.T, d *session.Device, nonce uint16, key frame.Key) *frame.JoinRequest {
	t.Helper()
	phy, err := frame.BuildJoinRequest(frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: nonce}, key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := frame.ParseJoinRequest(phy)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// nonceTry is a join with a DevNonce, which is taken or not.
type nonceTry struct {
	nonce uint16
	ok    bool
}

var devNonceCases = []struct {
	name    string
	version session.Version
	resets  bool
	tries   []nonceTry
}{
	{"1.0.2", session.V1_0_2, false, []nonceTry{
		{7, true},
		{7, false},
		{3, true},
		{7, false},
		{3, false},
		{0, true},
		{0, false},
	}},
	{"1.0.3", session.V1_0_3, false, []nonceTry{{65535, true}, {1, true}, {65535, false}}},
	{"1.0.4", session.V1_0_4, false, []nonceTry{
		{0, true},
		{0, false},
		{1, true},
		{5, true},
		{5, false},
		{4, false},
		{6, true},
	}},
	{"1.0.4 that resets", session.V1_0_4, true, []nonceTry{{5, true}, {5, true}, {1, true}}},
	{"1.1", session.V1_1, false, []nonceTry{{3, true}, {3, false}, {4, true}}},
}

func TestDevNonce(t *testing.T) {
	for _, tt := range devNonceCases {
		t.Run(tt.name, func(t *testing.T) {
			d := otaa(tt.version)
			d.Settings.ResetsJoinNonce = tt.resets
			key := d.RootKeys.AppKey
			if tt.version == session.V1_1 {
				key = d.RootKeys.NwkKey
			}
			for i, try := range tt.tries {
				r := request(t, d, try.nonce, key)
				err := CheckJoin(d, r)
				if (err == nil) != try.ok || err != nil && !errors.Is(err, ErrDevNonce) {
					t.Fatalf("try %d with %d: %v, want good: %v", i+1, try.nonce, err, try.ok)
				}
				if err != nil {
					continue
				}
				j, err := Join(d, r, plan(t, d.Plan), JoinParameters{RX1Delay: 5})
				if err != nil {
					t.Fatal(err)
				}
				j.Use(d, try.nonce)
			}
		})
	}
}

func TestJoinMIC(t *testing.T) {
	d := otaa(session.V1_0_3)
	if err := CheckJoin(d, request(t, d, 1, frame.Key{9})); !errors.Is(err, ErrJoinMIC) {
		t.Errorf("wrong key: %v", err)
	}
}

func TestDevNoncesAreBounded(t *testing.T) {
	d := otaa(session.V1_0_3)
	for n := range uint16(1000) {
		j := Joined{JoinNonce: uint32(n)}
		j.Use(d, n)
	}
	if len(d.UsedDevNonces) != session.MaxDevNonces || checkDevNonce(d, 999) == nil ||
		checkDevNonce(d, 1000-session.MaxDevNonces) == nil {
		t.Errorf("%d remembered, the last %v", len(d.UsedDevNonces), d.UsedDevNonces[len(d.UsedDevNonces)-1])
	}
}

func TestJoin(t *testing.T) {
	for _, v := range []session.Version{session.V1_0_2, session.V1_0_4, session.V1_1} {
		t.Run(v.String(), func(t *testing.T) {
			d := otaa(v)
			r := request(t, d, 1, d.RootKeys.AppKey)
			p := JoinParameters{NetID: radio.NetID{0, 0, 1}, DevAddr: radio.DevAddr{2, 3, 4, 5}, RX1Delay: 5, KeyID: []byte{1}}
			j, err := Join(d, r, plan(t, d.Plan), p)
			if err != nil {
				t.Fatal(err)
			}
			a, err := frame.ParseJoinAccept(j.JoinAccept, d.RootKeys, r)
			if err != nil {
				t.Fatal(err)
			}
			if a.JoinNonce != 65536 || a.DevAddr != p.DevAddr || a.NetID != p.NetID || a.RXDelay != 5 || a.RX2DataRate != 3 ||
				a.OptNeg != (v == session.V1_1) {
				t.Errorf("join-accept %+v", a)
			}
			if f, _, err := frame.ParseCFList(a.CFList); err != nil || len(f) != 5 || f[0] != 867_100_000 {
				t.Errorf("CFList %v, %v", f, err)
			}
			keys, err := frame.DeriveSessionKeys(*a, d.RootKeys, r)
			if err != nil || keys != j.Session.Keys || j.Session.DevAddr != p.DevAddr {
				t.Errorf("keys differ, %v", err)
			}
			j.Use(d, 1)
			again, err := Join(d, r, plan(t, d.Plan), p)
			if err != nil || again.JoinNonce != 65537 {
				t.Errorf("next JoinNonce %d, %v", again.JoinNonce, err)
			}
			p.NoCFList = true
			if short, err := Join(d, r, plan(t, d.Plan), p); err != nil || len(short.JoinAccept) != 17 {
				t.Errorf("a join-accept of %d bytes without a CFList, %v", len(short.JoinAccept), err)
			}
		})
	}
}

func TestJoinNonces(t *testing.T) {
	d := otaa(session.V1_0_3)
	r := request(t, d, 1, d.RootKeys.AppKey)
	for _, tt := range []struct {
		last, want uint32
		err        error
	}{{0, 65536, nil}, {3, 4, nil}, {1<<24 - 2, 1<<24 - 1, nil}, {1<<24 - 1, 0, ErrJoinNonce}} {
		d.LastJoinNonce = tt.last
		j, err := Join(d, r, plan(t, d.Plan), JoinParameters{RX1Delay: 1})
		if !errors.Is(err, tt.err) || j.JoinNonce != tt.want {
			t.Errorf("after %d comes %d, %v; want %d, %v", tt.last, j.JoinNonce, err, tt.want, tt.err)
		}
	}
}

// The parameters that the owner wants go into the join-accept, and the session knows them.
func TestDesired(t *testing.T) {
	d := otaa(session.V1_0_3)
	delay, offset, dr := uint8(1), uint8(2), uint8(0)
	d.Settings.Desired = session.Desired{RX1Delay: &delay, RX1DROffset: &offset, RX2DataRate: &dr}
	r := request(t, d, 1, d.RootKeys.AppKey)
	j, err := Join(d, r, plan(t, d.Plan), JoinParameters{RX1Delay: 5})
	if err != nil {
		t.Fatal(err)
	}
	a, err := frame.ParseJoinAccept(j.JoinAccept, d.RootKeys, r)
	if err != nil || a.RXDelay != 1 || a.RX1DROffset != 2 || a.RX2DataRate != 0 {
		t.Errorf("join-accept %+v, %v", a, err)
	}
	if w := Windows(d, j.Session, plan(t, d.Plan)); w.Delay != time.Second || w.RX1DROffset != 2 || w.RX2.DataRate != 0 {
		t.Errorf("windows %+v", w)
	}
}

// RekeyInd and ResetInd are commands of LoRaWAN 1.1.
func TestRekeyAndReset(t *testing.T) {
	used := session.Parameters{RX1Delay: 5}
	tests := []struct {
		name     string
		version  session.Version
		otaa     bool
		commands []byte
		answers  []byte
		kept     bool // the session's parameters
	}{
		{"RekeyInd", session.V1_1, true, []byte{0x0b, 1}, []byte{0x0b, 1}, true},
		{"RekeyInd of 1.0.4", session.V1_0_4, true, []byte{0x0b, 1}, nil, true},
		{"RekeyInd of ABP", session.V1_1, false, []byte{0x0b, 1}, nil, true},
		{"ResetInd", session.V1_1, false, []byte{0x01, 1, 0x02}, []byte{0x01, 1, 0x02, 0, 0}, false},
		{"ResetInd of OTAA", session.V1_1, true, []byte{0x01, 1}, nil, true},
		{"ResetInd of 1.0.3", session.V1_0_3, false, []byte{0x01, 1}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, s := otaa(tt.version), &session.Session{Parameters: &used}
			d.SupportsJoin = tt.otaa
			o := Uplink(&frame.Data{MType: frame.UnconfirmedUp}, tt.commands, UplinkContext{Device: d, Session: s})
			if a := o.appendAnswers(nil, Circumstances{}); !bytes.Equal(a, tt.answers) || (s.Parameters != nil) != tt.kept {
				t.Errorf("answers % x, parameters %+v; want % x, kept %v", a, s.Parameters, tt.answers, tt.kept)
			}
		})
	}
	if hasRekeyInd([]byte{0x02, 0x0d}) || !hasRekeyInd([]byte{0x02, 0x0b, 1}) || hasRekeyInd([]byte{0x0b}) {
		t.Error("hasRekeyInd")
	}
}
