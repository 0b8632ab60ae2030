package gwmp

import (
	"testing"
	"time"

	"lorawand/radio"
)

// A gateway that hands downlinks on tells them from uplinks by their polarity alone.
func TestParseRelayedTx(t *testing.T) {
	const head = `{"txpk":{"imme":true,"freq":868.1,"powe":14,"modu":"LORA","datr":"SF9BW125","codr":"4/5","data":"AQI="`
	const fsk = `{"txpk":{"imme":true,"freq":868.8,"powe":14,"modu":"FSK","datr":50000,"fdev":25000,"data":"AQI="`
	for body, want := range map[string]bool{
		head + `,"ipol":true,"ncrc":true`: false, head + `,"ipol":true`: false, head + `,"ipol":true,"ncrc":false`: false,
		head + `,"ncrc":true`: true, head: true, fsk: false,
	} {
		d, err := ParseRelayedTx([]byte(body + "}}"))
		if err != nil || d.Uplink != want || len(d.PHYPayload) != 2 || !d.Immediate || d.Power != 1400 {
			t.Errorf("%s: %+v, %v", body, d, err)
		}
	}
	if d, err := ParseRelayedTx([]byte(`{"txpk":{}}`)); err == nil {
		t.Errorf("an empty frame: %+v", d)
	}
}

// A status says when and where, if that is known.
func TestAppendStat(t *testing.T) {
	s := &radio.Status{Received: 3, ReceivedOK: 3, Forwarded: 2, Acknowledged: 1000, Downlinks: 1, Transmitted: 1}
	const counts = `"rxnb":3,"rxok":3,"rxfw":2,"ackr":100,"dwnb":1,"txnb":1}}`
	for _, tt := range []struct {
		at    time.Time
		place *radio.Place
		want  string
	}{
		{want: `{"stat":{` + counts},
		{
			at:   time.Date(2026, 11, 29, 15, 4, 5, 6, time.FixedZone("", 3600)),
			want: `{"stat":{"time":"2026-11-29 14:04:05 GMT",` + counts,
		},
		{
			place: &radio.Place{Latitude: -33.5, Longitude: 151.25, Altitude: -2},
			want:  `{"stat":{"lati":-33.50000,"long":151.25000,"alti":-2,` + counts,
		},
	} {
		got := AppendStat(nil, s, tt.at, tt.place)
		if string(got) != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
		if p, err := ParsePush(got); err != nil || p.Stat == nil || *p.Stat != *s || p.Lost+p.Faulty != 0 {
			t.Errorf("%s is read as %+v, %v", got, p, err)
		}
	}
}

// A frame that is sent with less power is accepted, with a warning.
func TestAppendLoweredAck(t *testing.T) {
	for power, want := range map[radio.Decibel]string{
		1400: `{"txpk_ack":{"error":"NONE","warn":"TX_POWER","value":14}}`,
		1150: `{"txpk_ack":{"error":"NONE","warn":"TX_POWER","value":11}}`,
		-50:  `{"txpk_ack":{"error":"NONE","warn":"TX_POWER","value":-1}}`,
	} {
		got := AppendLoweredAck(nil, power)
		a, err := ParseAck(got)
		if string(got) != want || err != nil || a.Result != radio.TxOK || a.Warning != "TX_POWER" {
			t.Errorf("%s, read as %+v, %v; want %s", got, a, err, want)
		}
	}
}
