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

// Each command that devices send by themselves, with each version: answered, not known to
// the version, never heard, cut off, and sent among others.
func TestDeviceCommands(t *testing.T) {
	const timeKnown = true
	for _, tt := range []struct {
		name   string
		abp    bool
		first  session.Version // that has the command
		send   []byte
		answer []byte
	}{
		{"ResetInd", true, session.V1_1, []byte{1, 1}, []byte{1, 1}},
		{"LinkCheckReq", false, session.V1_0_0, []byte{2}, []byte{2, 7, 2}},
		{"RekeyInd", false, session.V1_1, []byte{11, 1}, []byte{11, 1}},
		{"DeviceTimeReq", false, session.V1_0_0, []byte{13}, []byte{13, 1, 0, 0, 0, 0}},
	} {
		for version := session.V1_0_0; version <= session.V1_1; version++ {
			device := func(t *testing.T) *endDevice {
				e := newEndDevice(t, "EU_863_870_TTN", version, link{nbTrans: 1})
				e.d.SupportsJoin = !tt.abp
				return e
			}
			answers := func(e *endDevice, known bool, commands ...byte) []byte {
				e.fCnt++
				o := Uplink(dataUp(), commands, UplinkContext{
					Device: e.d, Session: e.d.Session, Plan: e.plan, FCnt: e.fCnt, TimeKnown: known,
					Rate: radio.LoRaDataRate(9, 125_000),
				})
				o.asked = nil // what the network asks is another matter
				return o.appendAnswers(nil, Circumstances{Margin: 7, Gateways: 2, Time: radio.GPSTime(time.Second)})
			}
			want := tt.answer
			if version < tt.first {
				want = nil
			}
			name := fmt.Sprintf("%s, %v, ", tt.name, version)
			t.Run(name+"answered, or not known", func(t *testing.T) {
				if got := answers(device(t), timeKnown, tt.send...); !bytes.Equal(got, want) {
					t.Errorf("% x, want % x", got, want)
				}
			})
			t.Run(name+"never heard", func(t *testing.T) {
				e := device(t)
				for range 30 { // the device repeats it
					if got := answers(e, timeKnown, tt.send...); !bytes.Equal(got, want) {
						t.Fatalf("% x, want % x", got, want)
					}
				}
				if m := e.d.Session.MAC; m != nil {
					t.Errorf("%+v is left of it", m)
				}
				if got := answers(e, timeKnown); len(got) > 0 {
					t.Errorf("% x after the device has stopped", got)
				}
			})
			t.Run(name+"several times in a frame", func(t *testing.T) {
				if got := answers(device(t), timeKnown, bytes.Repeat(tt.send, 15/len(tt.send))...); !bytes.Equal(got, want) {
					t.Errorf("% x, want % x", got, want)
				}
			})
			t.Run(name+"cut off", func(t *testing.T) {
				if got := answers(device(t), timeKnown, tt.send[:len(tt.send)-1]...); len(got) > 0 {
					t.Errorf("% x", got)
				}
			})
			t.Run(name+"behind what nobody knows", func(t *testing.T) {
				if got := answers(device(t), timeKnown, append([]byte{0x7f}, tt.send...)...); len(got) > 0 {
					t.Errorf("% x", got)
				}
			})
			t.Run(name+"the time is not known", func(t *testing.T) {
				if got := answers(device(t), !timeKnown, tt.send...); tt.send[0] == cidDeviceTime && len(got) > 0 {
					t.Errorf("% x", got)
				}
			})
		}
	}
}

// RejoinParamSetupAns without the bit of the time: the device keeps to the count alone.
func TestRejoinParamSetupInPart(t *testing.T) {
	e := settledDevice(t, "EU_863_870_TTN", session.V1_1, func(d *session.Device) {
		d.Session.MAC = &macstate.State{Masked: true, Wish: &macstate.Wish{RejoinTime: ptr(uint8(5)), RejoinCount: ptr(uint8(6))}}
	})
	e.uplink()
	e.answers = []byte{15, 0}
	e.quietFor(100)
	if p := e.d.Session.Parameters; p.RejoinTimePeriod != nil || !e.d.Session.MAC.RejoinTold {
		t.Errorf("%+v, %+v", p, e.d.Session.MAC)
	}
}
