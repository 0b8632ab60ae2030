package mac

import (
	"fmt"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// goOn has the device send more uplinks, and returns what it was asked with which one.
func (e *endDevice) goOn(uplinks int) (asked string) {
	e.Helper()
	for range uplinks {
		if due := e.uplink(); len(due) > 0 {
			asked += fmt.Sprintf(" %d:%s", e.fCnt, hexOf(due))
		}
	}
	return asked
}

// linkADRCases are devices that hear the network badly or answer it badly.
var linkADRCases = []struct {
	name    string
	plan    string
	version session.Version
	start   link
	adr     macstate.ADR
	run     func(e *endDevice) (asked string)
	want    string // the number of each uplink, and what is asked after it
}{
	{
		"the answer is lost, the data rate is in use: the power is not known, and asked again",
		"EU_863_870_TTN", session.V1_0_3,
		link{0, 0, 1},
		macstate.ADR{},
		func(e *endDevice) string {
			asked := e.goOn(1)
			e.fCnt, e.answers = e.fCnt+1, nil
			return asked + e.goOn(3)
		}, " 1:0352ff0001 3:0352ff0001",
	},
	{
		"not heard six times, then the device asks for a downlink",
		"EU_863_870_TTN", session.V1_0_3,
		link{0, 0, 1},
		macstate.ADR{},
		func(e *endDevice) string {
			e.mute = true
			e.goOn(99)
			e.ackReq = true
			asked := e.goOn(1)
			e.ackReq = false
			return asked + e.goOn(20)
		}, " 100:0353ff0001",
	},
	{
		"the device sets the ADR bit no more",
		"EU_863_870_TTN", session.V1_0_3,
		link{0, 0, 1},
		macstate.ADR{},
		func(e *endDevice) string {
			e.mute = true
			asked := e.goOn(1)
			e.noADR = true
			return asked + e.goOn(20)
		}, " 1:0352ff0001",
	},
	{
		"the device has gone back to the lowest data rate, and uses all channels",
		"US_902_928_FSB_2", session.V1_0_4,
		link{0, 0, 1},
		macstate.ADR{},
		func(e *endDevice) string {
			e.goOn(100)
			e.heard = snrAt(-1000)
			e.link, e.mask = link{0, 0, 1}, e.plan.StartMask()
			asked := e.goOn(30)
			if e.mask != e.plan.PlanMask() {
				e.Errorf("channels %v", e.mask)
			}
			return asked
		}, " 101:0300020071030000ff01",
	},
	{
		"no channel of the plan is known",
		"EU_863_870_TTN", session.V1_0_3,
		link{0, 0, 1},
		macstate.ADR{},
		func(e *endDevice) string {
			e.d.Session.Parameters.Channels = []session.Channel{macstate.ChannelOn(868_950_000, 0, 5)}
			e.refuses = func(macstate.Command) (byte, bool) { return 0, true }
			if e.goOn(1); hexOf(e.asked[len(e.asked)-1:]) != "0352f80001" {
				e.Errorf("asked %s, want those that it is told of in the same frame", hexOf(e.asked))
			}
			e.refuses = func(c macstate.Command) (byte, bool) { return 6, c.CID == cidLinkADR }
			return e.goOn(30) // refused, as all channels are
		}, "",
	},
	{
		"the owner wants no more than DR3",
		"EU_863_870_TTN", session.V1_0_3,
		link{5, 0, 1},
		macstate.ADR{MaxDataRate: ptr(uint8(3)), MaxPower: ptr(uint8(0))},
		func(e *endDevice) string { return e.goOn(30) }, " 1:0330ff0001",
	},
}

// LinkADRReq where the answer was lost, where the device has not heard it, and where it
// must not be sent.
func TestLinkADR(t *testing.T) {
	for _, tt := range linkADRCases {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, tt.plan, tt.version, tt.start)
			e.heard, e.d.Settings.MAC.ADR = snrAt(1500), tt.adr
			if got := tt.run(e); got != tt.want {
				t.Errorf("asked%s, want%s", got, tt.want)
			}
		})
	}
}

// If there is no room for all LinkADRReqs of a block, none of them is sent.
func TestTrimKeepsBlocks(t *testing.T) {
	c := func(cid cid, n int) macstate.Command { return macstate.New(cid, make([]byte, n)...) }
	for _, tt := range []struct {
		room  int // for requests, bytes
		asked []macstate.Command
		left  int
	}{
		{20, []macstate.Command{c(cidDutyCycle, 1), c(cidLinkADR, 4), c(cidLinkADR, 4), c(cidDevStatus, 0)}, 4},
		{12, []macstate.Command{c(cidDutyCycle, 1), c(cidLinkADR, 4), c(cidLinkADR, 4), c(cidDevStatus, 0)}, 3},
		{11, []macstate.Command{c(cidDutyCycle, 1), c(cidLinkADR, 4), c(cidLinkADR, 4), c(cidDevStatus, 0)}, 1},
		{9, []macstate.Command{c(cidLinkADR, 4), c(cidLinkADR, 4)}, 0},
		{5, []macstate.Command{c(cidLinkADR, 4), c(cidNewChannel, 5), c(cidNewChannel, 5)}, 1},
		{0, []macstate.Command{c(cidDevStatus, 0)}, 0},
	} {
		o := Owed{asked: &tt.asked}
		o.Trim([2]Window{{MaxMACPayload: tt.room + 8}, {}})
		if got := len(o.Requests()); got != tt.left || o.IsZero() != (tt.left == 0) {
			t.Errorf("room for %d bytes: %d requests are left, want %d", tt.room, got, tt.left)
		}
	}
}

// The best SNR of several gateways counts.
func TestADRTakesTheBestGateway(t *testing.T) {
	e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{0, 0, 1})
	s := &ourServer{e}
	if _, req := s.heard(1, e.link, []radio.Decibel{-1500, 1000, -500}, false, false); req == nil || req.dataRate != 5 {
		t.Errorf("asked for %+v", req)
	}
}
