package sheet

import (
	"errors"
	"testing"

	"lorawand/radio"
)

// However people and spreadsheets write an identifier, it is the same; one that has lost digits is
// refused.
func TestHex(t *testing.T) {
	want := radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, 0, 1}
	for _, in := range []string{
		"70B3D57ED0000001", "70-b3-d5-7e-d0-00-00-01", "70:B3:D5:7E:D0:00:00:01", "0x70B3D57ED0000001",
		"0X70B3D57ED0000001", "'70B3D57ED0000001", `="70B3D57ED0000001"`, " 70B3 D57E D000 0001 ", "70b3.d57e.d000.0001",
	} {
		var got radio.EUI64
		if err := Hex(in, &got); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	var got radio.EUI64
	if err := Hex("7.01235E+15", &got); !errors.Is(err, errRounded) {
		t.Errorf("rounded: %v", err)
	}
	if err := Hex("70B3", &got); err == nil {
		t.Error("two bytes are taken")
	}
}
