package radio

import (
	"errors"
	"testing"
	"time"
)

// The figures are those of Semtech's LoRa calculator and of the tables that
// the LoRaWAN regional parameters' users publish; the SF5 and SF6 ones were
// worked out by hand from the SX1261/2 datasheet, 6.1.4.
func TestTimeOnAir(t *testing.T) {
	const k125, k250, k500 = 125_000, 250_000, 500_000
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	tests := []struct {
		name string
		p    Packet
		want time.Duration
	}{
		{"SF7 12 B", Packet{DataRate: LoRaDataRate(7, k125), Size: 12}, us(41216)},
		{"SF8 12 B", Packet{DataRate: LoRaDataRate(8, k125), Size: 12}, us(82432)},
		{"SF9 12 B", Packet{DataRate: LoRaDataRate(9, k125), Size: 12}, us(144384)},
		{"SF10 12 B", Packet{DataRate: LoRaDataRate(10, k125), Size: 12}, us(288768)},
		{"SF11 12 B, optimised", Packet{DataRate: LoRaDataRate(11, k125), Size: 12}, us(577536)},
		{"SF12 12 B needs 64 bits", Packet{DataRate: LoRaDataRate(12, k125), Size: 12}, us(1155072)},
		{"SF12 64 B, the longest of EU868", Packet{DataRate: LoRaDataRate(12, k125), Size: 64}, us(2793472)},
		{"SF12 255 B", Packet{DataRate: LoRaDataRate(12, k125), Size: 255}, us(9019392)},
		{"SF7 33 B", Packet{DataRate: LoRaDataRate(7, k125), Size: 33}, us(71936)},
		{"SF7 16 B", Packet{DataRate: LoRaDataRate(7, k125), Size: 16}, us(51456)},
		{"SF7 0 B", Packet{DataRate: LoRaDataRate(7, k125)}, us(25856)},
		{"SF7 250 kHz", Packet{DataRate: LoRaDataRate(7, k250), Size: 12}, us(20608)},
		{"SF8 500 kHz", Packet{DataRate: LoRaDataRate(8, k500), Size: 12}, us(20608)},
		{"SF12 500 kHz, not optimised", Packet{DataRate: LoRaDataRate(12, k500), Size: 33}, us(411648)},
		{"SF12 250 kHz, optimised", Packet{DataRate: LoRaDataRate(12, k250), Size: 12}, us(577536)},
		{"SF9 4/8", Packet{DataRate: LoRaDataRate(9, k125), CodingRate: CodingRate48, Size: 20}, us(246784)},
		{"SF9 4/6", Packet{DataRate: LoRaDataRate(9, k125), CodingRate: CodingRate46, Size: 20}, us(205824)},
		{"SF7 downlink, no CRC", Packet{DataRate: LoRaDataRate(7, k125), Size: 12, NoCRC: true}, us(41216)},
		{"SF7 13 B downlink, no CRC", Packet{DataRate: LoRaDataRate(7, k125), Size: 13, NoCRC: true}, us(41216)},
		{"SF7 13 B uplink", Packet{DataRate: LoRaDataRate(7, k125), Size: 13}, us(46336)},
		{"SF10 implicit header", Packet{DataRate: LoRaDataRate(10, k125), Size: 12, ImplicitHeader: true}, us(247808)},
		{"SF9 preamble 10", Packet{DataRate: LoRaDataRate(9, k125), Size: 12, Preamble: 10}, us(152576)},
		{"SF6", Packet{DataRate: LoRaDataRate(6, k125), Size: 12}, us(26240)},          // (12+6.25 + 8+25) symbols of 512 µs
		{"SF5", Packet{DataRate: LoRaDataRate(5, k125), Size: 12}, us(14400)},          // (12+6.25 + 8+30) symbols of 256 µs
		{"SF5 500 kHz", Packet{DataRate: LoRaDataRate(5, k500), Size: 255}, us(34640)}, // (12+6.25 + 8+515) symbols of 64 µs
		{"FSK 50 kbit/s", Packet{DataRate: FSKDataRate(50_000), Size: 12}, us(3680)},
		{"FSK 50 kbit/s, 255 B", Packet{DataRate: FSKDataRate(50_000), Size: 255}, us(42560)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := TimeOnAir(tt.p)
			if err != nil || got != tt.want {
				t.Errorf("TimeOnAir(%+v) = %v, %v; want %v", tt.p, got, err, tt.want)
			}
		})
	}
}

func TestTimeOnAirRefuses(t *testing.T) {
	tests := map[string]Packet{
		"no modulation": {Size: 12},
		"LR-FHSS":       {DataRate: DataRate{Modulation: LRFHSS}, Size: 12},
		"SF4":           {DataRate: LoRaDataRate(4, 125_000)},
		"SF13":          {DataRate: LoRaDataRate(13, 125_000)},
		"100 kHz":       {DataRate: LoRaDataRate(7, 100_000)},
		"0 Hz":          {DataRate: LoRaDataRate(7, 0)},
		"4/9":           {DataRate: LoRaDataRate(7, 125_000), CodingRate: 5},
		"256 bytes":     {DataRate: LoRaDataRate(7, 125_000), Size: 256},
		"-1 bytes":      {DataRate: LoRaDataRate(7, 125_000), Size: -1},
		"preamble":      {DataRate: LoRaDataRate(7, 125_000), Preamble: 65536},
		"0 bit/s":       {DataRate: FSKDataRate(0)},
	}
	for name, p := range tests {
		t.Run(name, func(t *testing.T) {
			if d, err := TimeOnAir(p); !errors.Is(err, ErrModulation) {
				t.Errorf("TimeOnAir(%+v) = %v, %v; want ErrModulation", p, d, err)
			}
		})
	}
}

// A longer packet never takes less time, at any rate: the sum that overflows
// 32 bits would show here.
func TestTimeOnAirGrows(t *testing.T) {
	for sf := uint8(5); sf <= 12; sf++ {
		for _, bw := range []uint32{125_000, 250_000, 500_000} {
			last := time.Duration(0)
			for n := 0; n <= 255; n++ {
				d, err := TimeOnAir(Packet{DataRate: LoRaDataRate(sf, bw), Size: n})
				if err != nil || d < last || d <= 0 {
					t.Fatalf("SF%d %d Hz %d bytes: %v after %v, %v", sf, bw, n, d, last, err)
				}
				last = d
			}
		}
	}
}
