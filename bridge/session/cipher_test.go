package session

import (
	"errors"
	"testing"

	"lorawand/radio"
	"lorawand/radio/frame"
)

var (
	sf7        = radio.LoRaDataRate(7, 125_000)
	onChannel1 = Reception{DataRate: sf7, Frequency: 868_300_000} // data rate 5, channel 1
	imported   = &Parameters{Channels: []Channel{
		{UplinkFrequency: 867_100_000, MaxDataRate: 5},
		{UplinkFrequency: 868_300_000, MaxDataRate: 5},
	}}
	madeWith = []radio.Frequency{867_100_000}

	// Longer than the band's own three, which stand last and backwards.
	anotherOrder = []radio.Frequency{
		867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000, 869_100_000, 868_500_000, 868_300_000, 868_100_000,
	}
)

// tooMany are 20 channels from 867.5 MHz on, each 100 kHz, of which three are the band's own.
func tooMany() (list []radio.Frequency) {
	for n := range radio.Frequency(20) {
		list = append(list, 867_500_000+n*100_000)
	}
	return list
}

var match11Cases = []struct {
	name   string
	ctx    frame.Context
	ack    bool
	change func(*Device)
	how    Reception
	err    error
}{
	{"right", frame.Context{TxDR: 5, TxCh: 1}, false, nil, onChannel1, nil},
	{
		"another channel",
		frame.Context{TxDR: 5, TxCh: 1},
		false, nil,
		Reception{DataRate: sf7, Frequency: 868_100_000},
		ErrMIC,
	},
	{"another data rate", frame.Context{TxDR: 5, TxCh: 1}, false, nil, Reception{
		DataRate:  radio.LoRaDataRate(8, 125_000),
		Frequency: 868_300_000,
	}, ErrMIC},
	{"a channel that an import has told", frame.Context{TxDR: 5}, false, func(d *Device) {
		d.Session.Parameters = imported
	}, Reception{DataRate: sf7, Frequency: 867_100_000}, nil},
	{"a channel that it was made with, behind the band's own", frame.Context{TxDR: 5, TxCh: 3}, false, func(d *Device) {
		d.Settings.Frequencies = madeWith
	}, Reception{DataRate: sf7, Frequency: 867_100_000}, nil},
	{"not by its place in the list", frame.Context{TxDR: 5, TxCh: 0}, false, func(d *Device) {
		d.Settings.Frequencies = madeWith
	}, Reception{DataRate: sf7, Frequency: 867_100_000}, ErrMIC},
	{"not one that it was made with", frame.Context{TxDR: 5, TxCh: 1}, false, func(d *Device) {
		d.Settings.Frequencies = madeWith
	}, onChannel1, nil},
	{"made with the band's own in another order", frame.Context{TxDR: 5, TxCh: 1}, false, func(d *Device) {
		d.Settings.Frequencies = anotherOrder
	}, onChannel1, nil},
	{"the last of those that it was made with in another order", frame.Context{TxDR: 5, TxCh: 8}, false, func(d *Device) {
		d.Settings.Frequencies = anotherOrder
	}, Reception{DataRate: sf7, Frequency: 869_100_000}, nil},
	{"made with more than a device can have", frame.Context{TxDR: 5, TxCh: 15}, false, func(d *Device) {
		d.Settings.Frequencies = tooMany()
	}, Reception{DataRate: sf7, Frequency: 867_500_000 + 15*100_000}, nil},
	{"one that it was told of since", frame.Context{TxDR: 5, TxCh: 1}, false, func(d *Device) {
		d.Settings.Frequencies, d.Session.Parameters = []radio.Frequency{868_300_000}, imported
	}, onChannel1, nil},
	{"the last confirmed downlink", frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: 7}, true, func(d *Device) {
		d.Session.ConfFCntDown = 7
	}, onChannel1, nil},
	{"the one that is waited for", frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: 9}, true, func(d *Device) {
		d.Queue.Await(&Item{}, 65536+9)
	}, onChannel1, nil},
	{"another confirmed downlink", frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: 8}, true, func(d *Device) {
		d.Session.ConfFCntDown = 7
	}, onChannel1, ErrMIC},
	{"no acknowledgement", frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: 8}, false, func(d *Device) {
		d.Session.ConfFCntDown = 7
	}, onChannel1, nil},
}

// With LoRaWAN 1.1 a MIC covers data rate, channel, and the confirmed frame
// that is acknowledged: a frame that says otherwise is not the device's.
func TestMatch11(t *testing.T) {
	keys := frame.SessionKeys{
		FNwkSIntKey: frame.Key{1}, SNwkSIntKey: frame.Key{2}, NwkSEncKey: frame.Key{3},
		AppSKey: frame.Key{4},
	}
	for _, tt := range match11Cases {
		t.Run(tt.name, func(t *testing.T) {
			d := abp("dev1", 1, V1_1, 5)
			d.Session.Keys = keys
			if tt.change != nil {
				tt.change(d)
			}
			phy, err := frame.NewCipher(keys, true).BuildUplink(frame.Data{
				MType:   frame.UnconfirmedUp,
				DevAddr: d.Session.DevAddr, ACK: tt.ack,
			}, 6, tt.ctx)
			if err != nil {
				t.Fatal(err)
			}
			up, err := frame.ParseData(phy)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := registry(t, d).Match(up, tt.how, 0); !errors.Is(err, tt.err) {
				t.Errorf("%+v, %v; want %v", m, err, tt.err)
			}
		})
	}
}
