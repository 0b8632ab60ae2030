package mac

import "lorawand/radio"

// linkCheckReq: the device asks how well it is heard (LoRaWAN L2 1.0.4, 5.1).
func linkCheckReq(o *Owed, _ []byte, _ UplinkContext) { o.answer[linkCheck] = true }

// appendLinkCheckAns tells the margin and the number of gateways.
func appendLinkCheckAns(dst []byte, margin, gateways uint8) []byte {
	return append(dst, cidLinkCheck, margin, gateways)
}

// floors are the SNR that demodulation takes at 125 kHz, in hundredths of a
// dB, for SF5 to SF12. Source: Semtech SX1276 datasheet, table 13; SX1261/2
// for SF5 and SF6.
var floors = [...]radio.Decibel{-250, -500, -750, -1000, -1250, -1500, -1750, -2000}

// Margin returns how far an SNR is above what demodulation takes, in whole dB,
// 0 to 254 as LinkCheckAns tells it. FSK has no such floor: there it is 0.
func Margin(rate radio.DataRate, snr radio.Decibel) uint8 {
	floor, ok := Floor(rate)
	if !ok {
		return 0
	}
	return uint8(min(max((snr-floor)/100, 0), 254))
}

// Floor returns the SNR that demodulation takes. ok is false with FSK, which has none.
func Floor(rate radio.DataRate) (floor radio.Decibel, ok bool) {
	if rate.Modulation != radio.LoRa || rate.SpreadingFactor < 5 || rate.SpreadingFactor > 12 {
		return 0, false
	}
	floor = floors[rate.SpreadingFactor-5]
	for bw := uint32(125_000); bw < rate.Bandwidth && bw < 1<<30; bw *= 2 {
		floor += 300 // twice the noise
	}
	return floor, true
}
