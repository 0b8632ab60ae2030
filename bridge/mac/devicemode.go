package mac

import (
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// Classes as DeviceModeInd names them (LoRaWAN 1.1, 17.1).
const (
	modeA = 0x00
	modeC = 0x02
)

// deviceModeInd: a device of LoRaWAN 1.1 says which class it is in from now on, until
// it is answered. What it may be is for its owner to say: it is answered with the class
// in which it is served.
func deviceModeInd(o *Owed, payload []byte, ctx UplinkContext) {
	if ctx.Device.Version < session.V1_1 {
		return
	}
	o.answer[deviceMode], o.mode = true, modeA
	if payload[0] == modeC && ctx.Device.ClassC {
		o.mode = modeC
	}
	if is := o.mode == modeC; is != ctx.Session.InClassC() {
		ctx.Session.SetMAC(ctx.Session.MAC.With(func(m *macstate.State) { m.ClassC = is }))
	}
}

func appendDeviceModeConf(dst []byte, mode byte) []byte { return append(dst, cidDeviceMode, mode) }
