package mac

import (
	"bytes"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/fuzztest"
)

func ptr[T any](v T) *T { return &v }

// requestCase is a command of the network, and a device that is asked for it and nothing
// else.
type requestCase struct {
	name    string
	plan    string
	first   session.Version // that has the command
	want    func(*session.Device)
	request string // as it is sent
	answer  []byte // as the device accepts
	refusal []byte // nil: the device cannot refuse
	took    func(*session.Session) bool
}

var requestCases = []requestCase{
	{
		"DutyCycle", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
			d.Settings.MAC.MaxDutyCycle = ptr(uint8(10))
		},
		"040a",
		[]byte{4},
		nil, func(s *session.Session) bool { return *s.Parameters.MaxDutyCycle == 10 },
	},
	{
		"RXParamSetup", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
			d.Settings.Desired.RX1DROffset = ptr(uint8(1))
		},
		"0513d2ad84",
		[]byte{5, 7},
		[]byte{5, 3},
		func(s *session.Session) bool { return s.Parameters.RX1DROffset == 1 },
	},
	{"RXParamSetup, frequency", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
		d.Settings.MAC.RX2Frequency = ptr(radio.Frequency(868_500_000))
	}, "0503c88584", []byte{5, 7}, []byte{5, 6}, func(s *session.Session) bool {
		return s.Parameters.RX2Frequency == 868_500_000
	}},
	{
		"DevStatus", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
			d.Settings.MAC.StatusCount = ptr(uint32(1000))
		},
		"06",
		[]byte{6, 200, 0x3f},
		nil, func(s *session.Session) bool { return s.MAC.Status.Battery == 200 && s.MAC.Status.Margin == -1 },
	},
	{
		"NewChannel", "EU_863_870_TTN", session.V1_0_0, lackLastChannel,
		"0707586e8450",
		[]byte{7, 3},
		[]byte{7, 1},
		func(s *session.Session) bool { return s.Parameters.Channels[7].UplinkFrequency == 867_900_000 },
	},
	{
		"RXTimingSetup", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
			d.Settings.Desired.RX1Delay = ptr(uint8(5))
		},
		"0805",
		[]byte{8},
		nil, func(s *session.Session) bool { return s.Parameters.RX1Delay == 5 },
	},
	{
		"TxParamSetup", "AU_915_928_FSB_2", session.V1_0_3, func(d *session.Device) { d.Session.Parameters.MaxEIRP = 0 },
		"091d",
		[]byte{9},
		nil, func(s *session.Session) bool { return *s.Parameters.UplinkDwell && s.Parameters.MaxEIRP == 3000 },
	},
	{
		"TxParamSetup, AS923", "AS_923", session.V1_0_2, func(d *session.Device) { d.Session.Parameters.MaxEIRP = 0 },
		"0935",
		[]byte{9},
		nil, func(s *session.Session) bool { return *s.Parameters.DownlinkDwell && s.Parameters.MaxEIRP == 1600 },
	},
	{"DlChannel", "EU_863_870_TTN", session.V1_0_2, func(d *session.Device) {
		wishChannels(d, func(c []session.Channel) { c[3].DownlinkFrequency = 868_800_000 })
	}, "0a03809184", []byte{10, 3}, []byte{10, 2}, func(s *session.Session) bool {
		return s.Parameters.Channels[3].DownlinkFrequency == 868_800_000
	}},
	{
		"ADRParamSetup", "EU_863_870_TTN", session.V1_1, func(d *session.Device) {
			d.Settings.MAC.ADRAckLimit = ptr(uint8(7))
		},
		"0c75",
		[]byte{12},
		nil, func(s *session.Session) bool {
			return *s.Parameters.ADRAckLimitExp == 7 && *s.Parameters.ADRAckDelayExp == 5
		},
	},
	{"NewChannel, wished", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
		wishChannels(d, func(c []session.Channel) { c[4].UplinkFrequency, c[4].DownlinkFrequency = 867_700_000, 867_700_000 })
	}, "070488668450", []byte{7, 3}, []byte{7, 0}, func(s *session.Session) bool {
		return s.Parameters.Channels[4].UplinkFrequency == 867_700_000
	}},
	{"DutyCycle, wished", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
		d.Settings.MAC.MaxDutyCycle, d.Session.MAC.Wish = ptr(uint8(10)), &macstate.Wish{MaxDutyCycle: ptr(uint8(6))}
	}, "0406", []byte{4}, nil, func(s *session.Session) bool { return *s.Parameters.MaxDutyCycle == 6 }},
	{"RejoinParamSetup", "EU_863_870_TTN", session.V1_1, func(d *session.Device) {
		d.Session.MAC.Wish = &macstate.Wish{RejoinTime: ptr(uint8(5)), RejoinCount: ptr(uint8(6))}
	}, "0f56", []byte{15, 1}, nil, func(s *session.Session) bool {
		return s.MAC.RejoinTold && *s.Parameters.RejoinTimePeriod == 5
	}},
	{"PingSlotChannel", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
		d.ClassB, d.Settings.MAC.PingDataRate = true, ptr(uint8(2))
		d.Settings.MAC.PingFrequency = ptr(radio.Frequency(868_500_000))
	}, "11c8858402", []byte{0x11, 3}, []byte{0x11, 2}, func(s *session.Session) bool {
		return s.MAC.Ping.Frequency == 868_500_000 && *s.MAC.Ping.DataRate == 2
	}},
	{"BeaconFreq", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
		d.ClassB, d.Settings.MAC.Beacon = true, ptr(radio.Frequency(868_300_000))
	}, "13f87d84", []byte{0x13, 1}, []byte{0x13, 0}, func(s *session.Session) bool {
		return s.MAC.Ping.Beacon == 868_300_000
	}},
	{"LinkADR", "EU_863_870_TTN", session.V1_0_0, func(d *session.Device) {
		d.Settings.MAC.ADR = macstate.ADR{Static: &macstate.Static{DataRate: 3, Power: 2, NbTrans: 2}}
	}, "0332ff0002", []byte{3, 7}, []byte{3, 5}, func(s *session.Session) bool {
		return s.Parameters.ADRNbTrans == 2 && s.Parameters.ADRTXPower == 2
	}},
	{
		"LinkADR, masks", "US_902_928_FSB_2", session.V1_0_2, func(d *session.Device) {
			d.Session.MAC = &macstate.State{NoCFList: true}
		},
		"0330020071033000ff01",
		[]byte{3, 7, 3, 7},
		[]byte{3, 6, 3, 6},
		func(s *session.Session) bool { return s.MAC.Masked },
	},
}

// wishChannels wishes for the channels that a device has, with changes.
func wishChannels(d *session.Device, change func([]session.Channel)) {
	p, err := d.FrequencyPlan()
	if err != nil {
		return
	}
	wish := slices.Clone(channels(d, d.Session, p, nil))
	change(wish)
	d.Session.MAC = &macstate.State{Masked: true, Wish: &macstate.Wish{Channels: wish}}
}

func lackLastChannel(d *session.Device) {
	if p, err := d.FrequencyPlan(); err == nil {
		d.Session.Parameters.Channels = channels(d, d.Session, p, nil)[:7]
	}
}

// settledDevice is a device that is asked for nothing but what want says.
func settledDevice(t *testing.T, plan string, version session.Version, want func(*session.Device)) *endDevice {
	t.Helper()
	e := newEndDevice(t, plan, version, link{dataRate: 3, nbTrans: 1})
	p, off, on := e.d.Session.Parameters, false, true
	p.UplinkDwell, p.DownlinkDwell, p.MaxEIRP = &on, &off, 3000
	e.d.Session.MAC = &macstate.State{Masked: true}
	e.d.Settings.MAC.ADR.Disabled = true
	want(e.d)
	e.mute = true
	return e
}

func hexOf(due []macstate.Command) (s string) {
	for _, c := range due {
		s += fmt.Sprintf("%x", c.Append(nil))
	}
	return s
}

// quietFor has the device send more uplinks, after which nothing may be asked.
func (e *endDevice) quietFor(uplinks int) {
	e.Helper()
	for range uplinks {
		if due := e.uplink(); len(due) > 0 {
			e.Errorf("uplink %d: asked %s", e.fCnt, hexOf(due))
		}
	}
}

// accepted has the device answer that it does what it is asked.
func (tt requestCase) accepted(t *testing.T, e *endDevice) {
	if got := hexOf(e.uplink()); got != tt.request {
		t.Fatalf("asked %s, want %s", got, tt.request)
	}
	e.answers = tt.answer
	e.quietFor(30)
	if !tt.took(e.d.Session) {
		t.Errorf("%+v, %+v", e.d.Session.Parameters, e.d.Session.MAC)
	}
}

func (tt requestCase) refused(t *testing.T, e *endDevice) {
	if tt.refusal == nil {
		return
	}
	before := *e.d.Session.Parameters
	e.uplink()
	e.answers = tt.refusal
	e.quietFor(100)
	if after := *e.d.Session.Parameters; !reflect.DeepEqual(before, after) || len(e.d.Session.MAC.Refused) == 0 {
		t.Errorf("%+v, was %+v, refused %v", after, before, e.d.Session.MAC.Refused)
	}
}

func (requestCase) neverAnswered(t *testing.T, e *endDevice) {
	var after []uint32
	for range 100 {
		if len(e.uplink()) > 0 {
			after = append(after, e.fCnt)
		}
	}
	if got := fmt.Sprint(after); got != "[1 2 4 8 16 32]" {
		t.Errorf("asked after uplinks %s", got)
	}
}

func (tt requestCase) answerLost(t *testing.T, e *endDevice) {
	e.uplink()
	e.fCnt++ // the uplink with the answer
	tt.accepted(t, e)
}

func (tt requestCase) notAsked(t *testing.T, e *endDevice) {
	params, state := e.d.Session.Parameters, e.d.Session.MAC
	e.answers = tt.answer
	e.uplink()
	if m := e.d.Session.MAC; e.d.Session.Parameters != params || m != nil && state != nil && m.Status != state.Status {
		t.Errorf("%+v, %+v", e.d.Session.Parameters, m)
	}
}

// Each request, with each version that has it: accepted, refused, never answered, the
// answer lost, and an answer that nobody has asked for.
func TestRequests(t *testing.T) {
	for _, tt := range requestCases {
		for version := tt.first; version <= session.V1_1; version++ {
			tt.run(t, version)
		}
	}
	for version := session.V1_0_0; version <= session.V1_0_1; version++ {
		oneByOne.run(t, version)
	}
}

// oneByOne is the channel mask of a device of before 1.0.2, which obeys each LinkADRReq by
// itself: none may leave it without a channel.
var oneByOne = requestCase{
	name: "LinkADR, masks one by one", plan: "US_902_928_FSB_2",
	want:    func(d *session.Device) { d.Session.MAC = &macstate.State{NoCFList: true} },
	request: "033000ff01" + "0330020041" + "0330000011" + "0330000021" + "0330000031",
	answer:  bytes.Repeat([]byte{3, 7}, 5),
	refusal: bytes.Repeat([]byte{3, 6}, 5),
	took:    func(s *session.Session) bool { return s.MAC.Masked },
}

// run has devices of a version take each course.
func (tt requestCase) run(t *testing.T, version session.Version) {
	for _, course := range []struct {
		name string
		run  func(*testing.T, *endDevice)
	}{
		{"accepted", tt.accepted},
		{"refused", tt.refused},
		{"never answered", tt.neverAnswered},
		{"answer lost", tt.answerLost},
		{"not asked", tt.notAsked},
	} {
		t.Run(fmt.Sprintf("%s, %v, %s", tt.name, version, course.name), func(t *testing.T) {
			course.run(t, settledDevice(t, tt.plan, version, tt.want))
		})
	}
}

// An answer that accepts in part, is cut off or contradicts itself changes nothing.
func TestBadLinkADRAns(t *testing.T) {
	for _, answers := range [][]byte{{3}, {3, 7, 3, 0}, {3, 0, 3, 7}, {0x7f, 3, 7}} {
		e := settledDevice(t, "US_902_928_FSB_2", session.V1_0_3, func(d *session.Device) {
			d.Session.MAC = &macstate.State{NoCFList: true}
		})
		e.uplink()
		e.answers = answers
		e.uplink()
		if m := e.d.Session.MAC; m.Masked || len(m.Asked) != 2 || len(m.Refused) != 0 {
			t.Errorf("% x: %+v", answers, m)
		}
	}
}

// A sticky answer gets a downlink, if only an empty one, until the device stops.
func TestStickyAnswer(t *testing.T) {
	e := settledDevice(t, "EU_863_870_TTN", session.V1_0_3, func(d *session.Device) {
		d.Settings.Desired.RX1Delay = ptr(uint8(5))
	})
	ctx := func() UplinkContext {
		e.fCnt++
		return UplinkContext{
			Device: e.d, Session: e.d.Session, Plan: e.plan, FCnt: e.fCnt,
			Rate: radio.LoRaDataRate(9, 125_000),
		}
	}
	if o := Uplink(dataUp(), []byte{8}, ctx()); !o.Any || len(o.Requests()) > 0 {
		t.Errorf("%+v, want a downlink, so that the device stops and can be asked", o)
	}
	e.uplink()
	for range 3 {
		if o := Uplink(dataUp(), []byte{8}, ctx()); !o.Any {
			t.Error("no downlink for a sticky answer")
		}
	}
	if o := Uplink(dataUp(), nil, ctx()); o.Any || !o.IsZero() {
		t.Errorf("%+v after the device has stopped", o)
	}
	if o := Uplink(dataUp(), []byte{8}, ctx()); o.Any {
		t.Error("a downlink for an answer that nobody has asked for again")
	}
}

// Answers from the air change nothing that was not asked for, and never make the reader
// panic.
func FuzzAnswers(f *testing.F) {
	for _, tt := range requestCases {
		f.Add(tt.answer, int64(1))
	}
	f.Add([]byte{5, 7, 7, 3, 7, 3, 7, 3, 7, 3, 7, 3, 8, 6, 1, 2, 3, 7}, int64(2))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, commands []byte, seed int64) {
		r := rand.New(rand.NewSource(seed))
		tt := requestCases[r.Intn(len(requestCases))]
		e := newEndDevice(t, tt.plan, session.V1_0_0+session.Version(r.Intn(6)), link{dataRate: 3, nbTrans: 1})
		e.mute, e.d.Session.MAC = true, &macstate.State{}
		tt.want(e.d)
		e.d.SupportsJoin = r.Intn(2) == 0
		for range 1 + r.Intn(40) {
			e.answers = commands[:r.Intn(len(commands)+1)]
			e.begun, e.ackReq, e.noADR = r.Intn(20) == 0, r.Intn(5) == 0, r.Intn(5) == 0
			e.dataRate = uint8(r.Intn(4))
			if e.fCnt > 0 && r.Intn(4) == 0 {
				e.fCnt-- // the frame once more
			}
			if n := (Owed{asked: ptr(e.uplink())}).size(); n > 222 {
				t.Fatalf("%d bytes of requests", n)
			}
			if m := e.d.Session.MAC; m != nil && (len(m.Asked) > 48 || len(m.Refused) > 48) {
				t.Fatalf("%d asked, %d refused", len(m.Asked), len(m.Refused))
			}
		}
	}))
}

func dataUp() *frame.Data { return &frame.Data{MType: frame.UnconfirmedUp} }
