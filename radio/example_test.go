package radio_test

import (
	"fmt"
	"time"

	"lorawand/radio"
)

// How long a frame with 12 bytes of payload (and 13 of LoRaWAN's own) takes.
func ExampleTimeOnAir() {
	for _, sf := range []uint8{7, 12} {
		d, err := radio.TimeOnAir(radio.Packet{DataRate: radio.LoRaDataRate(sf, 125_000), Size: 25})
		if err != nil {
			panic(err)
		}
		fmt.Println(radio.LoRaDataRate(sf, 125_000), d)
	}
	// Output:
	// SF7BW125 61.696ms
	// SF12BW125 1.482752s
}

// The counter of a gateway has 32 bits and wraps every 71.6 minutes. A Clock
// extends it.
func ExampleClock() {
	var c radio.Clock
	ms := radio.HostTime(time.Millisecond)
	before, _ := c.Observe(0xffff_ffff-499_999, 1000*ms) // half a second before it wraps
	after, stepped := c.Observe(500_000, 2000*ms)        // a second later
	fmt.Println(time.Duration(after-before)*time.Microsecond, after.Counter(), stepped)
	// Output: 1s 500000 false
}
