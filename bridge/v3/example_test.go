package v3_test

import (
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// A wide subscription becomes one to the own application, named as the client logged in.
func ExampleFilter() {
	for _, filter := range []string{"#", "v3/+/devices/+/up", "v3/app2/#"} {
		own, ok := v3.Filter(filter, "app1", "ttn")
		fmt.Printf("%q %v\n", own, ok)
	}
	// Output:
	// "v3/app1@ttn/#" true
	// "v3/app1@ttn/devices/+/up" true
	// "" false
}

// What a client publishes to down/push.
func ExampleParseDownlinks() {
	items, err := v3.ParseDownlinks([]byte(`{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL","confirmed":true}]}`))
	if err != nil {
		panic(err)
	}
	for _, it := range items {
		fmt.Printf("FPort %d: %X, confirmed %v\n", it.FPort, it.FRMPayload, it.Confirmed)
	}
	_, err = v3.ParseDownlinks([]byte(`{"downlinks":[{"f_port":225,"frm_payload":"vu8="}]}`))
	fmt.Println(err)
	// Output:
	// FPort 15: BEEF, confirmed true
	// invalid `downlinks[0].f_port`: value must be inside range [1, 223] (validation)
}

// The message of an uplink, as it goes to a client that has logged in as app1@ttn.
func ExampleEncoder_AppendUplink() {
	up := v3.Uplink{
		DeviceIDs: v3.IDs(&session.Device{ID: session.ID{Application: "app1", Device: "dev1"}}),
		FPort:     15, FCnt: 7, FRMPayload: []byte{0xbe, 0xef},
		Settings: v3.Settings{DataRateIndex: 5, Uplink: &radio.Uplink{
			DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45, Frequency: 868_100_000,
		}},
	}
	m := v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up}
	var e v3.Encoder
	m.Payload = e.AppendUplink(nil, &up)
	fmt.Printf("%s\n%s\n", m.Topic(v3.UID("app1", "ttn")), m.Payload)
	// Output:
	// v3/app1@ttn/devices/dev1/up
	// {"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}},"uplink_message":{"f_port":15,"f_cnt":7,"frm_payload":"vu8=","rx_metadata":[],"settings":{"data_rate":{"lora":{"bandwidth":125000,"spreading_factor":7,"coding_rate":"4/5"}},"frequency":"868100000"},"network_ids":{"net_id":"000000"}}}
}
