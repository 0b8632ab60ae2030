package mac

import (
	"encoding/binary"
	"time"

	"lorawand/radio"
)

// deviceTimeReq: the device asks for the time at the end of its uplink
// (LoRaWAN L2 1.0.4, 5.9). It gets none rather than a wrong one.
func deviceTimeReq(o *Owed, _ []byte, ctx UplinkContext) {
	if ctx.TimeKnown {
		o.answer[deviceTime] = true
	}
}

// appendDeviceTimeAns tells GPS time in s and in 1/256 s.
func appendDeviceTimeAns(dst []byte, t radio.GPSTime) []byte {
	d := time.Duration(t)
	dst = binary.LittleEndian.AppendUint32(append(dst, cidDeviceTime), uint32(d/time.Second))
	return append(dst, byte(d%time.Second*256/time.Second))
}
