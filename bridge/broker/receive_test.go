package broker

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A client of MQTT 5 that has more publishes on their way than the broker takes is
// told so (MQTT 5.0, 3.3.4), whatever comes behind them; MQTT 3 knows no such limit.
func TestTooManyPublishesOnTheirWay(t *testing.T) {
	s := start(t, Limits{})
	r := s.loginAs(5, "five", "app1", s.key1)
	for i := range s.limits.ReceiveMaximum {
		r.send(publishPacket(uint16(i+1), 2, "x", "x"))
		r.want(packets.Pubrec)
	}
	for i := range 100 {
		r.send(publishPacket(uint16(1000+i), 2, "x", "x"))
	}
	for i := range 100 { // it has not read the reason yet, and its connection is not reset
		if _, err := r.Write([]byte{packets.Pubrel<<4 | 2, 2, 0, byte(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if pk := r.want(packets.Disconnect); pk.ReasonCode != packets.ErrReceiveMaximum.Code {
		t.Errorf("DISCONNECT 0x%02x", pk.ReasonCode)
	}
	if err := r.closed(patience); err != nil {
		t.Error(err)
	}
	r = s.login("four")
	for i := range 200 {
		r.send(publishPacket(uint16(i+1), 2, "x", fmt.Sprint(i)))
		r.want(packets.Pubrec)
	}
}
