package frame_test

import (
	"fmt"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// A device builds an uplink; the network checks it and reads it. The frame has
// the low 16 bits of the frame counter; the network knows the others.
func ExampleParseData() {
	keys := frame.SessionKeys{
		FNwkSIntKey: frame.Key{1}, SNwkSIntKey: frame.Key{1}, NwkSEncKey: frame.Key{1},
		AppSKey: frame.Key{2},
	}
	const fCnt = 0x1_0003
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.ConfirmedUp, DevAddr: radio.DevAddr{0x26, 0x01, 0x02, 0x03}, HasFPort: true, FPort: 15,
		FRMPayload: []byte("21.5"),
	}, fCnt, keys)
	if err != nil {
		panic(err)
	}

	d, err := frame.ParseData(phy)
	if err != nil {
		panic(err)
	}
	full, ok := frame.NextFCnt(0x1_0000, d.FCnt)
	fmt.Println(d.DevAddr, d.FCnt, full, ok)
	fmt.Println(d.CheckUplinkMIC(keys.FNwkSIntKey, full), d.CheckUplinkMIC(frame.Key{9}, full))
	fmt.Printf("%s\n", d.Decrypt(keys.AppSKey, full))
	// Output:
	// 26010203 3 65539 true
	// true false
	// 21.5
}
