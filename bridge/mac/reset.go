package mac

import "lorawand/bridge/session"

// resetInd: a personalised device of LoRaWAN 1.1 has gone back to the
// parameters that it was made with; its counters go on (LoRaWAN 1.1, 5.1).
func resetInd(o *Owed, _ []byte, ctx UplinkContext) {
	if ctx.Device.Version >= session.V1_1 && !ctx.Device.SupportsJoin {
		Forget(ctx.Session)
		o.answer[reset], o.begun = true, true
	}
}

func appendResetConf(dst []byte) []byte { return append(dst, cidReset, minor) }
