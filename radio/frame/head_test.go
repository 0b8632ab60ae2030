package frame

import (
	"testing"

	"lorawand/radio"
)

// What anybody can read of an uplink is what its full parser reads.
func TestHeadOf(t *testing.T) {
	_, req, _ := aJoin()
	join, err := BuildJoinRequest(*req, Key{1})
	if err != nil {
		t.Fatal(err)
	}
	data := []byte{0x40, 4, 3, 2, 1, 0, 7, 0, 1, 2, 3, 4}
	rejoin := func(typ JoinType) []byte {
		phy, err := BuildRejoinRequest(aRejoin(typ), Key{1})
		if err != nil {
			t.Fatal(err)
		}
		return phy
	}
	addr := radio.DevAddr{1, 2, 3, 4}
	joining := func(typ MType, joinEUI radio.EUI64, has bool) Head {
		return Head{Type: typ, DevEUI: req.DevEUI, JoinEUI: joinEUI, HasJoinEUI: has}
	}
	with := func(first byte, phy []byte) []byte { return append([]byte{first}, phy[1:]...) }
	for _, tt := range []struct {
		name string
		phy  []byte
		want Head
		ok   bool
	}{
		{"unconfirmed data", data, Head{Type: UnconfirmedUp, DevAddr: addr}, true},
		{"confirmed data", with(0x80, data), Head{Type: ConfirmedUp, DevAddr: addr}, true},
		{"data, a byte short", data[:11], Head{}, false},
		{"a downlink", with(0x60, data), Head{}, false},
		{"a proprietary frame", with(0xe0, data), Head{}, false},
		{"another major version", with(0x41, data), Head{}, false},
		{"a join-request", join, joining(TypeJoinRequest, req.JoinEUI, true), true},
		{"a join-request, a byte short", join[:22], Head{}, false},
		{"a join-request, a byte long", append(join[:23:23], 0), Head{}, false},
		{"a rejoin-request 0", rejoin(Rejoin0), joining(TypeRejoinRequest, radio.EUI64{}, false), true},
		{"a rejoin-request 1", rejoin(Rejoin1), joining(TypeRejoinRequest, req.JoinEUI, true), true},
		{"a rejoin-request 2", rejoin(Rejoin2), joining(TypeRejoinRequest, radio.EUI64{}, false), true},
		{"a rejoin-request, a byte short", rejoin(Rejoin1)[:23], Head{}, false},
		{"nothing", nil, Head{}, false},
		{"one byte", []byte{0x40}, Head{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := HeadOf(tt.phy)
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("%+v, %v; want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// Data frames are on the path of every uplink.
func TestHeadOfAllocatesNothing(t *testing.T) {
	data := []byte{0x40, 4, 3, 2, 1, 0, 7, 0, 1, 2, 3, 4}
	if n := testing.AllocsPerRun(100, func() { HeadOf(data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
