package mac

import (
	"lorawand/bridge/session"
	"lorawand/radio/frame"
)

// minor is the version of LoRaWAN 1.x that is told to devices of 1.1.
const minor = 1

// rekeyInd: a device that has joined with LoRaWAN 1.1 confirms its new keys,
// in each uplink until it is answered (LoRaWAN 1.1, 5.8).
func rekeyInd(o *Owed, _ []byte, ctx UplinkContext) {
	if ctx.Device.Version >= session.V1_1 && ctx.Device.SupportsJoin {
		o.answer[rekey] = true
	}
}

func appendRekeyConf(dst []byte) []byte { return append(dst, cidRekey, minor) }

// hasRekeyInd reports whether the commands hold RekeyInd, without which the
// session of a join with LoRaWAN 1.1 does not begin.
func hasRekeyInd(commands []byte) bool {
	for c, rest, ok := next(commands); ok; c, rest, ok = next(rest) {
		if c.cid == cidRekey {
			return true
		}
	}
	return false
}

// Begins reports whether a frame may be taken in its session: that of a join
// with LoRaWAN 1.1 begins with RekeyInd (LoRaWAN 1.1, 5.8).
func Begins(m *session.Match, d *frame.Data) bool {
	if m.Session == m.Device.Session || m.Device.Version < session.V1_1 {
		return true
	}
	return hasRekeyInd(Commands(d, m.FCnt, m.Session.Cipher(m.Device.Version)))
}
