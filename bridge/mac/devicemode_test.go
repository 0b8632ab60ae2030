package mac

import (
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio/frame"
)

// DeviceModeInd tells the class of a device, and is answered.
func TestDeviceModeInd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		version  session.Version
		may      bool // its owner says that it is of Class C
		was      bool // it has said so
		commands []byte
		answers  []byte
		is       bool
	}{
		{"A to C", session.V1_1, true, false, []byte{0x20, 2}, []byte{0x20, 2}, true},
		{"C to A", session.V1_1, true, true, []byte{0x20, 0}, []byte{0x20, 0}, false},
		{"C, repeated", session.V1_1, true, true, []byte{0x20, 2}, []byte{0x20, 2}, true},
		{"A, repeated", session.V1_1, true, false, []byte{0x20, 0}, []byte{0x20, 0}, false},
		{"C to A to C in one frame", session.V1_1, true, true, []byte{0x20, 0, 0x20, 2}, []byte{0x20, 2}, true},
		{"A to C to A in one frame", session.V1_1, true, false, []byte{0x20, 2, 0x20, 0}, []byte{0x20, 0}, false},
		{"its owner knows nothing of it", session.V1_1, false, false, []byte{0x20, 2}, []byte{0x20, 0}, false},
		{"a class that does not exist", session.V1_1, true, true, []byte{0x20, 1}, []byte{0x20, 0}, false},
		{"said nothing", session.V1_1, true, true, nil, nil, true},
		{"cut off", session.V1_1, true, false, []byte{0x20}, nil, false},
		{"with RekeyInd", session.V1_1, true, false, []byte{0x0b, 1, 0x20, 2}, []byte{0x0b, 1, 0x20, 2}, true},
		{"before 1.1", session.V1_0_4, true, false, []byte{0x20, 2}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &session.Device{
				Version: tt.version, ClassC: tt.may, SupportsJoin: true,
				Session: &session.Session{MAC: &macstate.State{ClassC: tt.was}},
			}
			o := Uplink(&frame.Data{}, tt.commands, UplinkContext{Device: d, Session: d.Session})
			if got := o.appendAnswers(nil, Circumstances{}); string(got) != string(tt.answers) {
				t.Errorf("answered % x, want % x", got, tt.answers)
			}
			if got := d.Session.InClassC(); got != tt.is {
				t.Errorf("in Class C: %v", got)
			}
		})
	}
}
