package broker

import (
	"math"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/v3"
)

// A client has been told when it has acknowledged a message, and one that is away is not waited for.
func TestTold(t *testing.T) {
	s := start(t, Limits{})
	r := s.login("app").subscribe(1, "#")
	waits := func(what string, want bool) (next uint64) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			next, first := s.Told()
			if next > 0 && (first < next) == want {
				return next
			}
			if time.Now().After(end) {
				t.Fatalf("%s: next %d, first %d", what, next, first)
			}
		}
	}
	before := waits("nothing was published", false)
	for range 2 {
		s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.DownSent, Payload: []byte("{}")})
	}
	one, two := r.want(packets.Publish), r.want(packets.Publish)
	if next := waits("two are on their way", true); next != before+2 {
		t.Errorf("next %d, want %d", next, before+2)
	}
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: two.PacketID})
	waits("one is on its way", true)
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: one.PacketID})
	waits("all were acknowledged", false)
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.DownSent, Payload: []byte("{}")})
	waits("one more", true)
	_ = r.Close()
	waits("the client is away", false)
	if _, first := s.Told(); first != math.MaxUint64 {
		t.Errorf("first %d", first)
	}
}
