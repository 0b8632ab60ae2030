package sx1302

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

func loraTransmission() Transmission {
	return Transmission{
		Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45, Power: 1400,
		Payload: []byte("hello"), NoCRC: true, InvertPolarity: true, Trigger: TriggerTime,
	}
}

// TestTransmission turns downlinks into what LoRaWAN has sent: no CRC and inverted
// polarity but in an uplink, and a preamble of 12 symbols at SF5 and SF6.
func TestTransmission(t *testing.T) {
	down := radio.Downlink{
		PHYPayload: []byte("x"), Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		Power: 1400, Time: 1<<32 + 5,
	}
	of := func(change func(*radio.Downlink)) radio.Downlink {
		d := down
		change(&d)
		return d
	}
	want := Transmission{
		Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45, Power: 1400,
		Payload: []byte("x"),
		NoCRC:   true, InvertPolarity: true, Deviation: 25_000, Trigger: TriggerTime, Time: 5,
	}
	for name, tt := range map[string]struct {
		down   radio.Downlink
		change func(*Transmission)
	}{
		"downlink": {down, func(*Transmission) {}},
		"coding rate": {
			of(func(d *radio.Downlink) { d.CodingRate = radio.CodingRate48 }),
			func(x *Transmission) { x.CodingRate = radio.CodingRate48 },
		},
		"radio B": {of(func(d *radio.Downlink) { d.Antenna = 1 }), func(x *Transmission) { x.Chain = 1 }},
		"uplink": {
			of(func(d *radio.Downlink) { d.Uplink = true }),
			func(x *Transmission) { x.NoCRC, x.InvertPolarity = false, false },
		},
		"SF5": {
			of(func(d *radio.Downlink) { d.DataRate.SpreadingFactor = 5 }),
			func(x *Transmission) { x.DataRate.SpreadingFactor, x.Preamble = 5, 12 },
		},
		"SF6": {
			of(func(d *radio.Downlink) { d.DataRate.SpreadingFactor = 6 }),
			func(x *Transmission) { x.DataRate.SpreadingFactor, x.Preamble = 6, 12 },
		},
		"FSK": {
			of(func(d *radio.Downlink) { d.DataRate = radio.FSKDataRate(50_000) }),
			func(x *Transmission) { x.DataRate, x.NoCRC = radio.FSKDataRate(50_000), false },
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := want
			tt.change(&want)
			if got := transmission(&tt.down); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestSendRefuses(t *testing.T) {
	tests := map[string]func(*Transmission){
		"chain without transmitter": func(x *Transmission) { x.Chain = 1 },
		"no such chain":             func(x *Transmission) { x.Chain = 2 },
		"frequency":                 func(x *Transmission) { x.Frequency = 2_400_000_000 },
		"empty":                     func(x *Transmission) { x.Payload = nil },
		"too long":                  func(x *Transmission) { x.Payload = make([]byte, 256) },
		"spreading factor":          func(x *Transmission) { x.DataRate.SpreadingFactor = 13 },
		"bandwidth":                 func(x *Transmission) { x.DataRate.Bandwidth = 203_000 },
		"coding rate":               func(x *Transmission) { x.CodingRate = 0 },
		"bit rate":                  func(x *Transmission) { x.DataRate, x.Deviation = radio.FSKDataRate(499), 25_000 },
		"deviation":                 func(x *Transmission) { x.DataRate, x.Deviation = radio.FSKDataRate(50_000), 200_001 },
		"modulation":                func(x *Transmission) { x.DataRate.Modulation = radio.LRFHSS },
		"trigger":                   func(x *Transmission) { x.Trigger = 3 },
		"carrier offset":            func(x *Transmission) { x.Carrier, x.CarrierOffset = true, math32Min },
	}
	model, chip := newTestChip(t, sx1302test.Options{})
	if err := chip.Send(loraTransmission()); !errors.Is(err, ErrNotStarted) {
		t.Errorf("Send before Start: %v", err)
	}
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			tx := loraTransmission()
			spoil(&tx)
			if err := chip.Send(tx); !errors.Is(err, ErrTransmission) || len(model.Emissions()) > 0 {
				t.Errorf("Send: %v", err)
			}
		})
	}
}

// TestSendTime sends at values of the counter, the last one beyond its wrap,
// and compares when the packet began on the air.
func TestSendTime(t *testing.T) {
	const wrap = 1 << 32 / 32
	for _, start := range []uint32{0, 1 << 20, 0xFFFF_0000} {
		t.Run(strconv.FormatUint(uint64(start), 16), func(t *testing.T) {
			now := time.Duration(0)
			model, chip := newTestChip(t, sx1302test.Options{Tick: start, Now: func() time.Duration { return now }})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for n, tx := range []Transmission{loraTransmission(), loraTransmission(), loraTransmission()} {
				tx.DataRate.SpreadingFactor = []uint8{7, 10, 12}[n]
				counter, err := chip.Counter()
				if err != nil {
					t.Fatal(err)
				}
				tx.Time = counter + 40_000
				if err := chip.Send(tx); err != nil {
					t.Fatal(err)
				}
				if err := chip.Send(tx); !errors.Is(err, ErrBusy) {
					t.Errorf("second Send: %v", err)
				}
				e := model.Emissions()[n]
				if uint32(e.Begin)%wrap != tx.Time%wrap || e.Exact != 0 {
					t.Errorf("began at %d and %d/32 µs, want %d", e.Begin, e.Exact, tx.Time)
				}
				now += 40*time.Millisecond + e.Air + time.Millisecond
				if s, err := chip.TxStatus(0); s != TxFree || err != nil {
					t.Errorf("afterwards %s, %v", s, err)
				}
			}
		})
	}
}

func TestAbort(t *testing.T) {
	now := time.Duration(0)
	model, chip := newTestChip(t, sx1302test.Options{Now: func() time.Duration { return now }})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := loraTransmission()
	tx.Carrier, tx.Trigger = true, TriggerNow
	if err := chip.Send(tx); err != nil {
		t.Fatal(err)
	}
	now += time.Minute
	if s, err := chip.TxStatus(0); s != TxEmitting || err != nil {
		t.Errorf("carrier is %s, %v", s, err)
	}
	if err := chip.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(model.Emissions(), func(e sx1302test.Emission) bool { return e.Cut }) {
		t.Error("the carrier goes on")
	}
	stuck := false
	_, chip = newTestChip(t, sx1302test.Options{Read: func(addr uint16) (byte, bool) {
		return 0x30, stuck && addr == txStatus.addr
	}})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stuck = true
	if err := chip.Abort(t.Context(), 0); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("Abort of a stuck transmitter: %v", err)
	}
}

// TestAbortPatience: a transmitter is asked until it is free, but not for ever.
func TestAbortPatience(t *testing.T) {
	for busy, want := range map[int]error{0: nil, 1: nil, 2: nil, 3: ErrNoAnswer} {
		t.Run(strconv.Itoa(busy), func(t *testing.T) {
			left := 0
			_, chip := newTestChip(t, sx1302test.Options{Read: func(addr uint16) (byte, bool) {
				if addr != txStatus.addr || left == 0 {
					return 0, false
				}
				left--
				return 0x30, true
			}})
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			left = busy
			if err := chip.abortWithin(0, 2*pollEvery); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}

// TestLeastPower: a packet with less power than the lowest gain is not sent with
// more, unless that much is allowed.
func TestLeastPower(t *testing.T) {
	tests := []struct {
		name    string
		power   radio.Decibel // the lowest gain of the board is 12 dBm
		reserve radio.Decibel
		want    radio.TxResult
	}{
		{"as much as the lowest", 1200, 0, radio.TxOK},
		{"a little less", 1199, 0, radio.TxPower},
		{"868 MHz with an antenna of 5 dBi", 900, 215, radio.TxPower},
		{"868 MHz with an antenna of 2.5 dBi", 1150, 215, radio.TxOK},
		{"all of the reserve", 985, 215, radio.TxOK},
		{"more than the reserve", 984, 215, radio.TxPower},
		{"far less", -2000, 0, radio.TxPower},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *DriverOptions) { o.PowerReserve = func() radio.Decibel { return tt.reserve } })
				defer b.stop()
				d := b.down(1, 500*time.Millisecond)
				d.Power = tt.power
				b.transmit(d)
				time.Sleep(time.Second)
				e := b.model.Emissions()
				if r := b.result(1); r != tt.want || len(e) != map[radio.TxResult]int{radio.TxOK: 1}[tt.want] {
					t.Errorf("%v, %d packets; want %v", r, len(e), tt.want)
				}
				if len(e) > 0 && e[0].Block[0x0D] != 15 {
					t.Errorf("sent with setting %d, want that of 12 dBm", e[0].Block[0x0D])
				}
			})
		})
	}
	x := loraTransmission()
	x.Power, x.Trigger = 500, TriggerNow
	model, chip := newTestChip(t, sx1302test.Options{})
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := chip.Send(x); !errors.Is(err, ErrTransmission) ||
		!strings.Contains(err.Error(), "5 dBm is less than the 12 dBm of the lowest gain") {
		t.Errorf("Send: %v", err)
	}
	if x.MayExceed = true; chip.Send(x) != nil || len(model.Emissions()) != 1 {
		t.Error("sx1302_hal sends it with the lowest gain")
	}
}

// TestFSKBandwidth: an FSK packet has the bandwidth that it is given, or none as from
// sx1302_hal's packet forwarder.
func TestFSKBandwidth(t *testing.T) {
	for bandwidth, want := range map[uint32]byte{0: 0x80, 125_000: 0x84, 250_000: 0x85} {
		model, chip := newTestChip(t, sx1302test.Options{})
		if err := chip.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		x := transmission(&radio.Downlink{
			PHYPayload: []byte("x"), Frequency: 868_800_000,
			DataRate: radio.FSKDataRate(50_000), Power: 1400,
		})
		x.Trigger, x.DataRate.Bandwidth = TriggerNow, bandwidth
		if err := chip.Send(x); err != nil {
			t.Fatal(err)
		}
		if got := model.Emissions()[0].Block[0x0C]; got != want {
			t.Errorf("with %d Hz AGC_TX_BW is 0x%02x, want 0x%02x", bandwidth, got, want)
		}
	}
}

// A packet outside of the range of a radio is refused, as by sx1302_hal's packet
// forwarder.
func TestTransmitRange(t *testing.T) {
	c := testConfig()
	c.Radios[0].TxLow, c.Radios[0].TxHigh = 863_000_000, 870_000_000
	chip := &Chip{config: c}
	for frequency, ok := range map[radio.Frequency]bool{
		862_999_999: false, 863_000_000: true, 870_000_000: true,
		870_000_001: false,
	} {
		x := loraTransmission()
		x.Frequency = frequency
		err := chip.validate(&x)
		if (err == nil) != ok || err != nil && (!errors.Is(err, errRange) || !errors.Is(err, ErrTransmission)) {
			t.Errorf("%v: %v", frequency, err)
		}
	}
}
