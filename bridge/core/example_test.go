package core

// The rig of the core, and how a test is written with it.
//
//   - stand (stand_test.go) is a core with three devices of EU868 (dev1, dev2 and
//     one that cannot be served), a store and a clock. A test moves the clock: only
//     wait lets time pass. online connects gateways, answering makes them send
//     TX_ACKs; hear, push, replace and ack are the inputs.
//   - downs, tells, answered and onDisk compare, each with a line of text an item,
//     what has come since their last call: frames handed to gateways, messages to
//     clients, answers to clients, the queue in the store.
//   - frames_test.go makes frames (phy, payload, confirmed) and items of a queue.
//   - watch_test.go holds what is true in every test: each frame has a good MIC, a
//     fresh FCntDown and one plaintext, is on time, and fits its window. No test
//     asks for it.
//   - weather (weather_test.go) is a stand on which all that can happen does, at
//     random: random_test.go. Its oracle follows each item of a queue from effect
//     to effect, and fails the test when an item is lost, doubled or out of order.
//
// A new test of one rule takes a stand and reads like TestWorkedExample. A rule of
// all runs becomes a line of watch, or of the oracle.

import (
	"testing"
	"time"
)

// The worked example: a client pushes a downlink, and it goes out with the
// acknowledgement of the next uplink.
func TestWorkedExample(t *testing.T) {
	s := newStand(t)
	s.answering(gwA) // it sends TX_ACKs: a frame goes to it 150 ms ahead
	s.online(gwA)

	s.push("dev1", item("hello"))
	s.answered("") // the PUBACK: the item is stored
	s.onDisk("dev1", "hello")
	s.downs() // Class A: nothing goes out before the device has sent

	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.tells("dev1 queued hello", "dev1 up 0")
	s.wait(time.Second)
	s.downs("gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack 15:hello")
	s.ack(0)
	s.tells("dev1 sent hello #1")
	s.onDisk("dev1")
}
