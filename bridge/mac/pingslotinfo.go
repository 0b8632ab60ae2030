package mac

import "lorawand/bridge/session/macstate"

// pingSlotInfoReq: the device says how often it has ping slots, each 2^n s, n in bits 0 to 2,
// and may use them when it is answered (LoRaWAN L2 1.0.4, 14.1). It comes again whenever that
// is to change. A device that its owner has not registered for Class B gets no answer.
func pingSlotInfoReq(o *Owed, payload []byte, ctx UplinkContext) {
	if !ctx.Device.ClassB {
		return
	}
	o.answer[pingSlotInfo] = true
	p := ctx.Session.MAC.Pings()
	if told := payload[0] & 7; !p.Known || p.Periodicity != told {
		p.Periodicity, p.Known = told, true
		ctx.Session.SetMAC(ctx.Session.MAC.WithPing(p))
	}
}

func appendPingSlotInfoAns(dst []byte) []byte { return append(dst, cidPingSlotInfo) }

// classB notes whether the device says that it is in Class B, with a bit in each uplink
// (LoRaWAN L2 1.0.4, 8.1).
func (ctx *UplinkContext) classB(is bool) {
	s := ctx.Session
	if is = is && ctx.Device.ClassB; s == nil || is == (s.MAC != nil && s.MAC.ClassB) {
		return
	}
	s.SetMAC(s.MAC.With(func(m *macstate.State) { m.ClassB = is }))
}
