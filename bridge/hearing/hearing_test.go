package hearing

import (
	"testing"
	"time"

	"lorawand/radio"
)

// by is a copy of a frame: by a gateway, that reports it at a time of the host and of its counter.
func by(gateway byte, at time.Duration, counter radio.ConcentratorTime) *radio.Uplink {
	gw := radio.EUI64{gateway}
	when := radio.HostTime(time.Hour).Add(at)
	return &radio.Uplink{
		Gateway: gw, Time: counter, Received: when, Ended: when,
		PHYPayload: make([]byte, 14), DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Receptions: []radio.Reception{{Token: radio.UplinkToken{Gateway: gw, Time: counter}}},
	}
}

// What bytes are that come again, of a frame that gateway 1 has heard with its counter at 1 000 µs
// and whose RX1 opens after 5 s.
func TestKind(t *testing.T) {
	gps := func(up *radio.Uplink, t time.Duration) *radio.Uplink {
		up.GPS = radio.GPSTime(time.Hour + t)
		return up
	}
	foreign := func(up *radio.Uplink) *radio.Uplink {
		up.Receptions[0].NoDownlink = true
		return up
	}
	fast := func(up *radio.Uplink) *radio.Uplink {
		up.DataRate.SpreadingFactor--
		return up
	}
	long := radio.HostTime(time.Minute) // since when the gateway is heard
	for _, tt := range []struct {
		name  string
		up    *radio.Uplink
		since radio.HostTime
		want  Kind
	}{
		{"the same moment", by(1, 0, 1000), long, Ghost},
		{"the same moment as another channel has it", by(1, 0, 980), long, Ghost},
		{"21 µs later: it cannot be sent twice at a time", by(1, 0, 1021), long, Ghost},
		{"less than its time on air later", by(1, 0, 1000+46_335), long, Ghost},
		{"less than its time on air earlier", by(1, 0, 1000-46_335), long, Ghost},
		{"at another data rate, when the device cannot send yet", fast(by(1, 0, 1000+46_335)), long, Late},
		{"at another data rate, later", fast(by(1, 0, 1000+46_336)), long, Again},
		{"its time on air later", by(1, 0, 1000+46_336), long, Again},
		{"its time on air earlier", by(1, 0, 1000-46_336), long, Late},
		{"what was sent before, and comes late", by(1, time.Second, 1000-1_000_000), long, Late},
		{"another gateway", by(2, 100*time.Millisecond, 7), long, Copy},
		{"another gateway while windows are open", by(2, 5500*time.Millisecond, 7), long, Copy},
		{"another gateway behind the windows", by(2, 7*time.Second, 7), long, Again},
		{"the same, by one whose clock is not known yet", by(2, 7*time.Second, 7), radio.HostTime(time.Hour), Copy},
		{"the same, by GPS time at the same moment", gps(by(2, 7*time.Second, 7), 0), long, Copy},
		{"a stranger at any time", foreign(by(3, 9*time.Second, 7)), long, Copy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f Frame
			f.Begin(gps(by(1, 0, 1000), 0), 5*time.Second)
			if got := f.Kind(tt.up, tt.up.Received, tt.since); got != tt.want {
				t.Errorf("kind %d, want %d", got, tt.want)
			}
		})
	}
}

// The word of a stranger does not move the windows; the earliest report of the others does, and so
// does the frame itself.
func TestWhen(t *testing.T) {
	var f Frame
	f.Begin(by(1, time.Second, 1000), time.Second)
	if got := f.Expires().Sub(radio.HostTime(time.Hour)); got != 13*time.Second {
		t.Errorf("expires after %v", got)
	}
	f.Add(by(2, 0, 5))
	if f.Before(by(1, -time.Second, 1)) || !f.Before(by(1, -time.Second-1, 1)) {
		t.Error("the earliest report does not count")
	}
	f.Delay(5 * time.Second)
	if got := f.Expires().Sub(radio.HostTime(time.Hour)); got != 17*time.Second {
		t.Errorf("expires after %v with a later RX1", got)
	}
}

// Of the ghosts of a source the strongest counts, and of all sources too; the word of a stranger
// does not.
func TestLouder(t *testing.T) {
	strong := func(up *radio.Uplink, rssi int) *radio.Uplink {
		up.Receptions[0].RSSI = radio.Decibel(rssi * 100)
		return up
	}
	var f Frame
	f.Begin(strong(by(1, 0, 1000), -100), time.Second)
	if f.Louder(strong(by(1, 0, 1001), -100)) || !f.Louder(strong(by(1, 0, 1002), -90)) {
		t.Error("of two ghosts the weaker counts")
	}
	if f.Kind(by(1, 0, 1002+46_335), 1, 0) != Ghost || f.Louder(strong(by(2, 0, 7), -20)) {
		t.Error("the strongest is not the one that counts")
	}
	other := strong(by(2, 0, 7), -90)
	f.Add(other)
	if f.Loudest(other) || !f.Louder(strong(other, -89)) || !f.Loudest(other) {
		t.Error("of two sources the stronger does not count")
	}
	for name, f := range map[string]func(up *radio.Uplink){
		"another data rate": func(up *radio.Uplink) { up.DataRate.SpreadingFactor-- },
		"a later time":      func(up *radio.Uplink) { up.Ended = up.Ended.Add(47 * time.Millisecond) },
	} {
		sentOn := strong(by(4, 0, 7), -20)
		f(sentOn)
		frame := Frame{}
		frame.Begin(strong(by(1, 0, 1000), -100), time.Second)
		if frame.Add(sentOn); frame.Loudest(sentOn) {
			t.Errorf("%s: what a stranger may have sent on is followed", name)
		}
	}
	stranger := strong(by(3, 0, 7), -20)
	stranger.Receptions[0].NoDownlink = true
	f.Add(stranger)
	if f.Louder(stranger) || f.Loudest(stranger) || !f.Loudest(other) {
		t.Error("a stranger is believed")
	}
}
