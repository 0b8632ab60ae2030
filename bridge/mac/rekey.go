package mac

import "lorawand/bridge/session"

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

// HasRekeyInd reports whether the commands hold RekeyInd, without which the
// session of a join with LoRaWAN 1.1 does not begin.
func HasRekeyInd(commands []byte) bool {
	for c, rest, ok := next(commands); ok; c, rest, ok = next(rest) {
		if c.cid == cidRekey {
			return true
		}
	}
	return false
}
