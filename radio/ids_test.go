package radio

import (
	"encoding/binary"
	"errors"
	"testing"
)

// The blocks are those of LoRaWAN Backend Interfaces 1.1, 12, and TTN's own:
// NetID 000013 has 26000000/7, as its users know.
func TestDevAddrPrefix(t *testing.T) {
	tests := []struct {
		netID  NetID
		prefix string
		length int
	}{
		{NetID{0, 0, 0}, "00000000", 7},
		{NetID{0, 0, 1}, "02000000", 7},
		{NetID{0, 0, 0x13}, "26000000", 7},
		{NetID{0x20, 0, 1}, "81000000", 8},
		{NetID{0x40, 0, 3}, "C0300000", 12},
		{NetID{0x60, 0, 5}, "E00A0000", 15},
		{NetID{0x80, 0, 1}, "F0008000", 17},
		{NetID{0xa0, 0, 1}, "F8002000", 19},
		{NetID{0xc0, 0, 0x53}, "FC014C00", 22},
		{NetID{0xe0, 0, 1}, "FE000080", 25},
	}
	for _, tt := range tests {
		p := tt.netID.DevAddrPrefix()
		if p.DevAddr.String() != tt.prefix || p.Length != tt.length {
			t.Errorf("NetID %v has %v/%d, want %s/%d", tt.netID, p.DevAddr, p.Length, tt.prefix, tt.length)
		}
		for _, random := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {0xa5, 0x5a, 0xa5, 0x5a}} {
			a := p.Address(random)
			shift, behind := 32-p.Length, binary.BigEndian.Uint32(random[:])
			if a.Uint32()>>shift != p.DevAddr.Uint32()>>shift || a.Uint32()<<p.Length != behind<<p.Length {
				t.Errorf("%v/%d with %x gives %v", p.DevAddr, p.Length, random, a)
			}
		}
	}
	if a := (DevAddrPrefix{DevAddr: DevAddr{1, 2, 3, 4}, Length: 32}).Address([4]byte{
		255, 255, 255,
		255,
	}); a != (DevAddr{1, 2, 3, 4}) {
		t.Errorf("a block of one address gives %v", a)
	}
}

// How a block is written, and what is in it.
func TestPrefixes(t *testing.T) {
	for _, tt := range []struct {
		text    string
		in, out string // addresses; "": there is none
		ok      bool
	}{
		{"26000000/7", "27FFFFFF", "28000000", true},
		{"26000000/7", "26000000", "25FFFFFF", true},
		{"26012345", "26012345", "26012344", true},
		{"26012345/32", "26012345", "26012344", true},
		{"00000000/0", "FFFFFFFF", "", true},
		{"26000000/33", "", "", false},
		{"26000000/-1", "", "", false},
		{"26000000/", "", "", false},
		{"26000000/x", "", "", false},
		{"27000000/7", "", "", false},
		{"2600000/7", "", "", false},
		{"", "", "", false},
	} {
		var p DevAddrPrefix
		if err := p.UnmarshalText([]byte(tt.text)); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrID) {
			t.Errorf("%q: %v", tt.text, err)
		}
		for address, want := range map[string]bool{tt.in: true, tt.out: false} {
			var a DevAddr
			if a.UnmarshalText([]byte(address)) == nil && tt.ok && p.Has(a) != want {
				t.Errorf("%q has %s: %v", tt.text, address, !want)
			}
		}
	}
	for _, tt := range []struct {
		text    string
		in, out string
		ok      bool
	}{
		{"70B3D57ED0000000/36", "70b3d57edfffffff", "70b3d57ee0000000", true},
		{"70b3d57ed0000001", "70B3D57ED0000001", "70B3D57ED0000000", true},
		{"0000000000000000/0", "FFFFFFFFFFFFFFFF", "", true},
		{"70B3D57ED0000000/65", "", "", false},
		{"70B3D57ED0000000/35", "", "", false},
		{"70B3D57E/32", "", "", false},
	} {
		var p EUIPrefix
		if err := p.UnmarshalText([]byte(tt.text)); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrID) {
			t.Errorf("%q: %v", tt.text, err)
		}
		for eui, want := range map[string]bool{tt.in: true, tt.out: false} {
			var e EUI64
			if e.UnmarshalText([]byte(eui)) == nil && tt.ok && p.Has(e) != want {
				t.Errorf("%q has %s: %v", tt.text, eui, !want)
			}
		}
	}
}
