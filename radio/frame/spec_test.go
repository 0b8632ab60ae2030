package frame

import (
	"crypto/aes"
	"encoding/binary"
	"testing"
)

// This file has the arithmetic of the specifications, written once more in the plainest
// way, as a second opinion on the package and its library.

func specAES(k Key, block []byte) []byte {
	c, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	c.Encrypt(out, block)
	return out
}

// specCMAC is RFC 4493, 2.4.
func specCMAC(k Key, parts ...[]byte) []byte {
	message := join(parts...)
	subkey := specDouble(specAES(k, make([]byte, 16)))
	if len(message) == 0 || len(message)%16 != 0 {
		subkey = specDouble(subkey)
		message = append(message, 0x80)
		for len(message)%16 != 0 {
			message = append(message, 0)
		}
	}
	last := message[len(message)-16:]
	for i := range last {
		last[i] ^= subkey[i]
	}
	x := make([]byte, 16)
	for ; len(message) > 0; message = message[16:] {
		for i := range x {
			x[i] ^= message[i]
		}
		x = specAES(k, x)
	}
	return x
}

// specDouble multiplies by x in GF(2^128).
func specDouble(b []byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = b[i] << 1
		if i < 15 {
			out[i] |= b[i+1] >> 7
		}
	}
	if b[0]&0x80 != 0 {
		out[15] ^= 0x87
	}
	return out
}

// join appends slices to a new one.
func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// The examples of RFC 4493, 4.
func TestSpecCMAC(t *testing.T) {
	k := key(t, "2b7e151628aed2a6abf7158809cf4f3c")
	message := unhex(t, "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710")
	for n, want := range map[int]string{
		0:  "bb1d6929e95937287fa37d129b756746",
		16: "070a16b46b4d4144f79bdd9dd04a287c",
		40: "dfa66747de9ae63030ca32611497c827",
		64: "51f0bebf7e3b9d92fc49741779363cfe",
	} {
		if got := specCMAC(k, message[:n]); string(got) != string(unhex(t, want)) {
			t.Errorf("%d bytes: %x, want %s", n, got, want)
		}
	}
}

// specFrame is a data frame by LoRaWAN 1.0.3, 4.3.3 and 4.4, or by 1.1, 4.3.1.6,
// 4.3.3 and 4.4 with the erratum on FOpts.
func specFrame(d Data, fCnt uint32, k SessionKeys, version11 bool, ctx Context) []byte {
	up := d.MType == UnconfirmedUp || d.MType == ConfirmedUp
	direction := []byte{1}
	bits := map[byte]bool{0x80: d.ADR, 0x20: d.ACK, 0x10: d.FPending}
	if up {
		direction[0] = 0
		bits = map[byte]bool{0x80: d.ADR, 0x40: d.ADRACKReq, 0x20: d.ACK, 0x10: d.ClassB}
	}
	fCtrl := byte(len(d.FOpts))
	for bit, set := range bits {
		if set {
			fCtrl |= bit
		}
	}
	address := []byte{d.DevAddr[3], d.DevAddr[2], d.DevAddr[1], d.DevAddr[0]}
	counter := binary.LittleEndian.AppendUint32(nil, fCnt)
	stream := func(k Key, kind byte, data []byte) (out []byte) {
		for i, c := range data {
			a := join([]byte{1, 0, 0, 0, kind}, direction, address, counter, []byte{0, byte(i/16 + 1)})
			out = append(out, c^specAES(k, a)[i%16])
		}
		return out
	}
	fOpts := d.FOpts
	if version11 && !up && d.HasFPort && d.FPort > 0 {
		fOpts = stream(k.NwkSEncKey, 2, fOpts)
	} else if version11 {
		fOpts = stream(k.NwkSEncKey, 1, fOpts)
	}
	msg := join([]byte{byte(d.MType) << 5}, address, []byte{fCtrl}, counter[:2], fOpts)
	if d.HasFPort && d.FPort == 0 {
		msg = join(msg, []byte{0}, stream(k.NwkSEncKey, 0, d.FRMPayload))
	} else if d.HasFPort {
		msg = join(msg, []byte{d.FPort}, stream(k.AppSKey, 0, d.FRMPayload))
	}

	conf := []byte{0, 0}
	if version11 && d.ACK {
		conf = []byte{byte(ctx.ConfFCnt), byte(ctx.ConfFCnt >> 8)}
	}
	tail := join(direction, address, counter, []byte{0, byte(len(msg))})
	b0 := join([]byte{0x49, 0, 0, 0, 0}, tail)
	switch {
	case !version11 && up:
		return join(msg, specCMAC(k.FNwkSIntKey, b0, msg)[:4])
	case up:
		b1 := join([]byte{0x49}, conf, []byte{ctx.TxDR, ctx.TxCh}, tail)
		return join(msg, specCMAC(k.SNwkSIntKey, b1, msg)[:2], specCMAC(k.FNwkSIntKey, b0, msg)[:2])
	}
	return join(msg, specCMAC(k.SNwkSIntKey, []byte{0x49}, conf, []byte{0, 0}, tail, msg)[:4])
}
