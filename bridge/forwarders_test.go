package bridge

import (
	"testing"
	"time"

	"lorawand/radio"
)

// A gateway that does not tell how well it heard is asked only where no other
// can be: an RSSI that is not known is no RSSI of 0 dBm.
func TestUnknownSignal(t *testing.T) {
	s := newStand(t)
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy, func(up *radio.Uplink) {
		up.Receptions[0] = radio.Reception{Unknown: radio.FieldRSSI | radio.FieldSNR}
	})
	s.hear(gwB, phy, at(-130))
	s.wait(10 * time.Second)
	s.downs("gw-b +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack")
}
