package main

import (
	"strings"
	"testing"
	"time"

	"lorawand/radio"
)

// device get and device list say what a device uses, is asked, and how it is heard, with
// the daemon and without.
func TestDeviceMAC(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	get := func() string { return s.must("", "device", "get", "dev1", "--application", "app1") }
	contains(t, "without the daemon", get(), "\nwanted:      RXParamSetupReq RX1 offset 0, RX2 869.525 MHz DR3\n",
		"\nADR:         nothing asked\n")
	r := s.start()
	ch := r.watch("app1", key, "v3/app1/devices/dev1/up")
	asked := make(chan radio.Downlink, 1)
	f := r.transmitter(testEUI, func(d radio.Downlink) radio.TxResult { asked <- d; return radio.TxOK })
	f.send(0, "x")
	next(t, ch)
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing is asked\n%s", r.logged())
	}
	contains(t, "after an uplink", get(), "\nlink:        SF7BW125, best SNR 5 dB in 1 uplinks, 0 of 1 lost\n",
		"\npower:       index 0, 16 dBm\n",
		"\ncurrent:     RX1 after 1 s, data rate offset 0\n", "\ncurrent:     channels 0: 868.1, 1: 868.3, 2: 868.5 MHz\n",
		"\npending:     NewChannelReq 7: 867.9 MHz DR0 to DR5, sent 1 of 6 times, the last after uplink 0\n")
	list := strings.Split(s.must("", "device", "list"), "\n")
	contains(t, "list", strings.Join(strings.Fields(list[0]), " "), "DATA_RATE POWER LOST")
	contains(t, "list", strings.Join(strings.Fields(list[1]), " "), " SF7BW125 16 dBm 0/1 ")
	contains(t, "events", s.must("", "events"), "device is asked", "NewChannelReq 7: 867.9 MHz DR0 to DR5")
}
