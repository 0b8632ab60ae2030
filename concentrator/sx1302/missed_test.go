package sx1302

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// TestMissedTrigger: what became of a packet is told after its time, when the chip
// has been seen to send it. One that the chip has missed does not stay armed: it
// would go out when the counter comes round.
func TestMissedTrigger(t *testing.T) {
	fsk := radio.FSKDataRate(50_000)
	lora := radio.LoRaDataRate(9, 125_000)
	tests := []struct {
		name   string
		rate   radio.DataRate
		missed []bool // by packet, 300 ms apart
	}{
		{"none", lora, []bool{false, false}},
		{"LoRa", lora, []bool{true, false}},
		{"FSK", fsk, []bool{true, false}},
		{"the second", lora, []bool{false, true, false}},
		{"all", lora, []bool{true, true, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				count := uint64(0)
				for i, missed := range tt.missed {
					id := uint64(i + 1)
					at := radio.ConcentratorTime(b.model.Counter()).Add(200 * time.Millisecond)
					err := b.driver.Transmit(radio.Downlink{
						ID: id, Gateway: testEUI, PHYPayload: []byte("a packet"),
						Frequency: 868_500_000, DataRate: tt.rate, Power: 1600, Time: at,
					})
					if err != nil {
						t.Fatal(err)
					}
					b.model.Break(sx1302test.Fault{MissTrigger: missed})
					time.Sleep(199 * time.Millisecond)
					if _, acks, _ := b.sink.seen(); len(acks[id]) > 0 {
						t.Errorf("packet %d was answered before its time: %v", id, acks[id])
					}
					time.Sleep(21 * time.Millisecond)
					want := radio.TxOK
					if missed {
						want = radio.TxUnknownError
						count++
					}
					if r := b.result(id); r != want {
						t.Errorf("packet %d: %v, want %v", id, r, want)
					}
					e := b.model.Emissions()
					if len(e) != i+1 || e[i].Cut != missed {
						t.Errorf("packet %d: %+v; want it cut: %v", id, e[len(e)-1], missed)
					}
					time.Sleep(80 * time.Millisecond)
				}
				time.Sleep(150 * time.Second) // the counter comes round
				if s := b.driver.Stats(); s.Missed != count || s.JIT.Stuck > 0 || s.Starts != 1 {
					t.Errorf("%+v, want %d missed", s, count)
				}
			})
		})
	}
}

// TestMissedTriggerUnseen: an error of the bus while the chip is looked at is no
// answer; the next look is.
func TestMissedTriggerUnseen(t *testing.T) {
	for _, missed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil)
			defer b.stop()
			at := radio.ConcentratorTime(b.model.Counter()).Add(200 * time.Millisecond)
			err := b.driver.Transmit(radio.Downlink{
				ID: 1, Gateway: testEUI, PHYPayload: []byte("x"), Frequency: 868_500_000,
				DataRate: radio.LoRaDataRate(9, 125_000), Power: 1600, Time: at,
			})
			if err != nil {
				t.Fatal(err)
			}
			b.model.Break(sx1302test.Fault{MissTrigger: missed})
			time.Sleep(201 * time.Millisecond)
			b.model.Break(sx1302test.Fault{MissTrigger: missed, Bus: errors.New("bus")})
			time.Sleep(15 * time.Millisecond)
			if _, acks, _ := b.sink.seen(); len(acks[1]) > 0 {
				t.Errorf("answered without a look: %v", acks[1])
			}
			b.model.Break(sx1302test.Fault{MissTrigger: missed})
			time.Sleep(20 * time.Millisecond)
			if r := b.result(1); (r == radio.TxOK) == missed || b.driver.Stats().Starts != 1 {
				t.Errorf("missed %v: %v, %+v", missed, r, b.driver.Stats())
			}
		})
	}
}

// TestArmedAtTheEnd: a packet that waits in the chip when the run ends is answered
// with the rest.
func TestArmedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		at := radio.ConcentratorTime(b.model.Counter()).Add(200 * time.Millisecond)
		err := b.driver.Transmit(radio.Downlink{
			ID: 1, Gateway: testEUI, PHYPayload: []byte("x"), Frequency: 868_500_000,
			DataRate: radio.LoRaDataRate(9, 125_000), Power: 1600, Time: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(180 * time.Millisecond)
		b.stop()
		if _, acks, _ := b.sink.seen(); !slices.Equal(acks[1], []radio.TxResult{radio.TxNoPath}) ||
			!b.model.Emissions()[0].Cut {
			t.Errorf("%v", acks[1])
		}
	})
}
