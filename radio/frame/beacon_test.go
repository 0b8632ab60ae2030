package frame

import (
	"encoding/hex"
	"testing"
	"time"

	"lorawand/radio"
)

// The examples of the specification (LoRaWAN L2 1.0.4, 13.4), and what they do not show.
func TestBeacon(t *testing.T) {
	const step = 1.0 / (1 << 23)
	example := &radio.Place{Latitude: 0x002001 * 90 * step, Longitude: 0x038100 * 180 * step}
	const at = radio.GPSTime(0xCC020000 * time.Second)
	for _, tt := range []struct {
		name           string
		b              Beacon
		before, behind int
		want           string
	}{
		{"SF9", Beacon{Time: at, Place: example}, 2, 0, "0000 000002CC A27E 00 012000 008103 DE55"},
		{"SF10", Beacon{Time: at, Place: example}, 3, 1, "000000 000002CC A27E 00 012000 008103 00 50D4"},
		{
			"who sends it",
			Beacon{Time: at, NetID: radio.NetID{0x60, 0x00, 0x13}, Gateway: radio.EUI64{0, 1, 2, 3, 4, 0xA, 0xB, 0xC}},
			2, 0, "0000 000002CC A27E 03 130060 0C0B0A E55D",
		},
		{
			"north pole",
			Beacon{Time: at, Place: &radio.Place{Latitude: 90, Longitude: 180}},
			2, 0, "0000 000002CC A27E 00 FFFF7F FFFF7F 6FDB",
		},
		{
			"south and west",
			Beacon{Time: at, Place: &radio.Place{Latitude: -90, Longitude: -180}},
			2, 0, "0000 000002CC A27E 00 000080 000080 B04C",
		},
	} {
		want := ""
		for _, r := range tt.want {
			if r != ' ' {
				want += string(r)
			}
		}
		got := hex.EncodeToString(tt.b.Append([]byte{0xEE}, tt.before, tt.behind))
		if b, _ := hex.DecodeString("EE" + want); got != hex.EncodeToString(b) {
			t.Errorf("%s: %s, want ee%s", tt.name, got, want)
		}
	}
}
