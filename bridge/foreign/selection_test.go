package foreign

import (
	"testing"

	"lorawand/radio"
)

// Which frames a server gets.
func TestSelection(t *testing.T) {
	var eui radio.EUIPrefix
	if err := eui.UnmarshalText([]byte("70B3D57ED0000000/36")); err != nil {
		t.Fatal(err)
	}
	addrs := []radio.DevAddrPrefix{prefix(t, "26000000/7"), prefix(t, "01020304")}
	data := func(addr byte) []byte { return append([]byte{0x40, 4, 3, 2, addr}, make([]byte, 7)...) }
	join := func(first byte) []byte {
		phy := make([]byte, 23)
		copy(phy[1:], []byte{1, 0, 0, 0xd0, 0x7e, 0xd5, 0xb3, first})
		return phy
	}
	proprietary := []byte{0xe0, 1, 2}
	for _, tt := range []struct {
		name string
		s    Selection
		phy  []byte
		own  bool
		want bool
	}{
		{"another network's data", Selection{}, data(0x26), false, true},
		{"our data", Selection{}, data(0x26), true, false},
		{"another network's join-request", Selection{}, join(0x70), false, true},
		{"our join-request", Selection{}, join(0x70), true, false},
		{"no frame of LoRaWAN", Selection{}, proprietary, false, false},
		{"all: our data", Selection{Own: true}, data(0x26), true, true},
		{"all: no frame of LoRaWAN", Selection{Own: true}, proprietary, false, true},
		{"in a block", Selection{DevAddrs: addrs}, data(0x27), false, true},
		{"the address that is a block", Selection{DevAddrs: addrs}, data(0x01), false, true},
		{"outside", Selection{DevAddrs: addrs}, data(0x28), false, false},
		{"ours, in a block", Selection{DevAddrs: addrs}, data(0x26), true, false},
		{"all, ours, in a block", Selection{Own: true, DevAddrs: addrs}, data(0x26), true, true},
		{"all, ours, outside", Selection{Own: true, DevAddrs: addrs}, data(0x28), true, false},
		{"all, in blocks: no frame of LoRaWAN", Selection{Own: true, DevAddrs: addrs}, proprietary, false, false},
		{"DevAddrs only: a join-request", Selection{DevAddrs: addrs}, join(0x70), false, false},
		{"its JoinEUI in a block", Selection{JoinEUIs: []radio.EUIPrefix{eui}}, join(0x70), false, true},
		{"its JoinEUI outside", Selection{JoinEUIs: []radio.EUIPrefix{eui}}, join(0x71), false, false},
		{"JoinEUIs only: data", Selection{JoinEUIs: []radio.EUIPrefix{eui}}, data(0x26), false, false},
		{"both: data", Selection{DevAddrs: addrs, JoinEUIs: []radio.EUIPrefix{eui}}, data(0x26), false, true},
		{"every JoinEUI", Selection{JoinEUIs: []radio.EUIPrefix{{}}}, join(0x71), false, true},
		{"every DevAddr", Selection{DevAddrs: []radio.DevAddrPrefix{{}}}, data(0xff), false, true},
	} {
		if got := tt.s.Takes(tt.phy, tt.own); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func prefix(t *testing.T, text string) (p radio.DevAddrPrefix) {
	t.Helper()
	if err := p.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}
