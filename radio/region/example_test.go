package region_test

import (
	"fmt"

	"lorawand/radio/region"
)

// These are the windows after an uplink on 868.1 MHz with data rate 5, in the plan of The
// Things Stack for Europe: RX1 on the same channel, RX2 on 869.525 MHz, and the share of
// each hour that the gateway may send there.
func ExampleLookup() {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		panic(err)
	}
	up := plan.Channels()[0].Frequency
	rx1, err := plan.RX1(up, 5, 0)
	if err != nil {
		panic(err)
	}
	for _, w := range []region.Window{rx1, plan.RX2()} {
		rate, err := plan.DataRate(w.DataRate)
		if err != nil {
			panic(err)
		}
		fmt.Println(w.Frequency, rate)
	}
	// Output:
	// 868.1 MHz SF7BW125
	// 869.525 MHz SF9BW125
}
