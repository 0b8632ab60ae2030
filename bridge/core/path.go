package core

import (
	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// path is a gateway through which a device can be reached.
type path struct {
	gateway *gateway.Gateway
	start   gateway.Moment // from which the delays of the windows count
	signal  radio.Decibel
	snr     radio.Decibel
	antenna uint8
	lost    bool // the gateway's counter has begun anew since, or the gateway was taken out
}

// snrOf is the SNR that a margin may be promised by: without one there is none.
func snrOf(r *radio.Reception) radio.Decibel {
	const none = radio.Decibel(-1_000_00)
	if !r.Knows(radio.FieldSNR) {
		return none
	}
	return r.SNR
}
