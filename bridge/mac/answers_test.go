package mac

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// deviceCommand is a command that devices send by themselves, and its answer.
type deviceCommand struct {
	name   string
	abp    bool
	first  session.Version // that has the command
	send   []byte
	answer []byte
}

var deviceCommands = []deviceCommand{
	{"ResetInd", true, session.V1_1, []byte{1, 1}, []byte{1, 1}},
	{"LinkCheckReq", false, session.V1_0_0, []byte{2}, []byte{2, 7, 2}},
	{"RekeyInd", false, session.V1_1, []byte{11, 1}, []byte{11, 1}},
	{"DeviceTimeReq", false, session.V1_0_0, []byte{13}, []byte{13, 1, 0, 0, 0, 0}},
}

// device returns a device that sends the command.
func (c deviceCommand) device(t *testing.T, version session.Version) *endDevice {
	t.Helper()
	e := newEndDevice(t, "EU_863_870_TTN", version, link{nbTrans: 1})
	e.d.SupportsJoin = !c.abp
	return e
}

// answersTo returns what the network answers to the commands of one more uplink.
func (e *endDevice) answersTo(timeKnown bool, commands ...byte) []byte {
	e.fCnt++
	o := Uplink(dataUp(), commands, UplinkContext{
		Device: e.d, Session: e.d.Session, Plan: e.plan, FCnt: e.fCnt, TimeKnown: timeKnown,
		Rate: radio.LoRaDataRate(9, 125_000),
	})
	o.asked = nil // another test covers what the network asks
	return o.appendAnswers(nil, Circumstances{Margin: 7, Gateways: 2, Time: radio.GPSTime(time.Second)})
}

// Each command that devices send by themselves, with each version: answered, not known to
// the version, never heard, cut off, and sent among others.
func TestDeviceCommands(t *testing.T) {
	for _, c := range deviceCommands {
		for version := session.V1_0_0; version <= session.V1_1; version++ {
			want := c.answer
			if version < c.first {
				want = nil
			}
			name := fmt.Sprintf("%s, %v, ", c.name, version)
			for _, tt := range []struct {
				name      string
				timeKnown bool
				send      []byte
				want      []byte
			}{
				{"answered, or not known", true, c.send, want},
				{"several times in a frame", true, bytes.Repeat(c.send, 15/len(c.send)), want},
				{"cut off", true, c.send[:len(c.send)-1], nil},
				{"behind an unknown command", true, append([]byte{0x7f}, c.send...), nil},
				{"the time is not known", false, c.send, timeless(want)},
			} {
				t.Run(name+tt.name, func(t *testing.T) {
					if got := c.device(t, version).answersTo(tt.timeKnown, tt.send...); !bytes.Equal(got, tt.want) {
						t.Errorf("answered % x, want % x", got, tt.want)
					}
				})
			}
			t.Run(name+"never heard", func(t *testing.T) { neverHeard(t, c.device(t, version), c.send, want) })
		}
	}
}

// timeless returns an answer as it is where the network does not know the time: none to
// DeviceTimeReq.
func timeless(answer []byte) []byte {
	if len(answer) > 0 && answer[0] == cidDeviceTime {
		return nil
	}
	return answer
}

// neverHeard has a device repeat a command, as it does not hear the answer. When it stops,
// nothing is left of it.
func neverHeard(t *testing.T, e *endDevice, send, want []byte) {
	t.Helper()
	for range 30 {
		if got := e.answersTo(true, send...); !bytes.Equal(got, want) {
			t.Fatalf("answered % x, want % x", got, want)
		}
	}
	if m := e.d.Session.MAC; m != nil {
		t.Errorf("the session keeps %+v", m)
	}
	if got := e.answersTo(true); len(got) > 0 {
		t.Errorf("answered % x after the device has stopped", got)
	}
}

// RejoinParamSetupAns without the bit of the time: the device keeps to the count alone.
func TestRejoinParamSetupInPart(t *testing.T) {
	e := settledDevice(t, "EU_863_870_TTN", session.V1_1, func(d *session.Device) {
		d.Session.MAC = &macstate.State{Masked: true, Wish: &macstate.Wish{
			RejoinTime:  ptr(uint8(5)),
			RejoinCount: ptr(uint8(6)),
		}}
	})
	e.uplink()
	e.answers = []byte{15, 0}
	e.quietFor(100)
	if p := e.d.Session.Parameters; p.RejoinTimePeriod != nil || !e.d.Session.MAC.RejoinTold {
		t.Errorf("%+v, %+v", p, e.d.Session.MAC)
	}
}
