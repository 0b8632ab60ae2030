package core

import (
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio/frame"
)

// A device of LoRaWAN 1.1 is sent to at once from DeviceModeInd on, until it says that it is
// in Class A again. DeviceModeConf comes in the windows of the uplink, however often it says so.
func TestDeviceModes(t *testing.T) {
	const rx1 = "gw-a +5000 ms 868.3 MHz SF7BW125 "
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	d := s.otaa("dev3", session.V1_1)
	d.ClassC = true
	in := s.joined(d, 1)
	fCnt := uint32(0)
	for _, tt := range []struct {
		name   string
		fOpts  []byte
		answer string // "": none
		always bool   // what is pushed later goes out at once
	}{
		{"the first frame", []byte{0x0b, 1}, "#1 fopts 0b 01", false},
		{"A to C", []byte{0x20, 2}, "#2 fopts 20 02", true},
		{"the answer was lost", []byte{0x20, 2}, "#3 fopts 20 02", true},
		{"nothing said", nil, "", true},
		{"C to A", []byte{0x20, 0}, "#4 fopts 20 00", false},
		{"once more", []byte{0x20, 0}, "#5 fopts 20 00", false},
		{"nothing said in Class A", nil, "", false},
	} {
		s.read = len(s.sent)
		at := s.now.Host
		s.hear(gwA, s.up(d, in, fCnt, frame.Data{FOpts: tt.fOpts}))
		s.serve(10 * time.Second)
		if tt.answer == "" {
			s.begins(at)
		} else {
			s.begins(at, rx1+tt.answer)
		}
		s.push("dev3", item("x"))
		s.serve(5 * time.Second)
		if got := len(s.sent) > s.read; got != tt.always {
			t.Fatalf("%s: sent at once: %v", tt.name, got)
		}
		s.replace("dev3")
		fCnt++
	}
}
