package frame

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"slices"
)

// Cipher checks, decrypts and makes the data frames of one session. It keeps the
// key schedules, about 1.2 kB for LoRaWAN 1.0.x and 2.2 kB for 1.1, and allocates
// memory only for the frames that it makes. It belongs to one goroutine.
//
// Source: LoRaWAN 1.0.3, 4.3.3 and 4.4; LoRaWAN 1.1, 4.3.1.6, 4.3.3 and 4.4,
// with the erratum "FOpts Encryption, Usage of FCntDwn".
type Cipher struct {
	version11 bool
	fNwkSInt  *integrityKey
	sNwkSInt  *integrityKey
	nwkSEnc   cipher.Block
	app       cipher.Block

	// Blocks for AES. They are fields because AES is called through an interface,
	// which would move local blocks to the heap.
	in, out [aes.BlockSize]byte
}

// Context is what the MIC of a LoRaWAN 1.1 frame covers besides the frame and its
// counter. LoRaWAN 1.0.x ignores it.
type Context struct {
	ConfFCnt uint16 // low bits of the counter of the confirmed frame that an ACK answers; used only with ACK
	TxDR     uint8  // uplink: index of its data rate
	TxCh     uint8  // uplink: index of its channel
}

// NewCipher returns the cipher of a session of LoRaWAN 1.0.x, or of 1.1.
func NewCipher(keys SessionKeys, version11 bool) *Cipher {
	c := &Cipher{version11: version11, fNwkSInt: newIntegrityKey(keys.FNwkSIntKey)}
	c.sNwkSInt, c.nwkSEnc, c.app = c.fNwkSInt, c.fNwkSInt.block, c.fNwkSInt.block
	if keys.SNwkSIntKey != keys.FNwkSIntKey {
		c.sNwkSInt = newIntegrityKey(keys.SNwkSIntKey)
	}
	if keys.NwkSEncKey != keys.FNwkSIntKey {
		c.nwkSEnc = keys.NwkSEncKey.expand()
	}
	if keys.AppSKey != keys.FNwkSIntKey {
		c.app = keys.AppSKey.expand()
	}
	return c
}

// CheckUplinkMIC reports whether a parsed uplink belongs to this session and has
// this full frame counter.
func (c *Cipher) CheckUplinkMIC(d *Data, fCnt uint32, ctx Context) bool {
	return d.MType.Uplink() && c.checkMIC(d, fCnt, ctx)
}

// CheckDownlinkMIC reports whether a parsed downlink belongs to this session and
// has this full frame counter. The counter is FCntDown; for LoRaWAN 1.1 it is
// AFCntDown if FPort is above 0, else NFCntDown.
func (c *Cipher) CheckDownlinkMIC(d *Data, fCnt uint32, ctx Context) bool {
	return !d.MType.Uplink() && c.checkMIC(d, fCnt, ctx)
}

func (c *Cipher) checkMIC(d *Data, fCnt uint32, ctx Context) bool {
	return len(d.phy) >= minDataSize && c.mic(d, d.phy[:len(d.phy)-micSize], fCnt, ctx) == d.MIC
}

// MICBlocks returns how many AES blocks the check of a parsed frame's MIC takes.
// LoRaWAN 1.1 takes twice as many.
func (d *Data) MICBlocks() int {
	return 1 + (len(d.phy)-micSize+aes.BlockSize-1)/aes.BlockSize
}

// mic returns the MIC of d. msg is its PHYPayload without the MIC.
func (c *Cipher) mic(d *Data, msg []byte, fCnt uint32, ctx Context) [micSize]byte {
	if !c.version11 {
		ctx = Context{}
	}
	if !d.ACK {
		ctx.ConfFCnt = 0
	}
	if !d.MType.Uplink() {
		return c.cmac(c.sNwkSInt, d, msg, fCnt, Context{ConfFCnt: ctx.ConfFCnt})
	}
	f := c.cmac(c.fNwkSInt, d, msg, fCnt, Context{})
	if !c.version11 {
		return f
	}
	s := c.cmac(c.sNwkSInt, d, msg, fCnt, ctx)
	return [micSize]byte{s[0], s[1], f[0], f[1]}
}

// cmac returns the first bytes of the CMAC (RFC 4493) over block B0 or B1 and msg,
// which is not empty.
func (c *Cipher) cmac(k *integrityKey, d *Data, msg []byte, fCnt uint32, ctx Context) [micSize]byte {
	c.setBlock(0x49, d, fCnt)
	binary.LittleEndian.PutUint16(c.in[1:], ctx.ConfFCnt)
	c.in[3], c.in[4], c.in[15] = ctx.TxDR, ctx.TxCh, byte(len(msg))
	x := c.out[:]
	k.block.Encrypt(x, c.in[:])
	for ; len(msg) > aes.BlockSize; msg = msg[aes.BlockSize:] {
		subtle.XORBytes(x, x, msg[:aes.BlockSize])
		k.block.Encrypt(x, x)
	}
	last := &k.whole
	if len(msg) < aes.BlockSize {
		last = &k.padded
		x[len(msg)] ^= 0x80
	}
	subtle.XORBytes(x, x, msg)
	subtle.XORBytes(x, x, last[:])
	k.block.Encrypt(x, x)
	return [micSize]byte(x)
}

// setBlock sets the bytes of c.in that the blocks for MIC and encryption have in
// common.
func (c *Cipher) setBlock(first byte, d *Data, fCnt uint32) {
	c.in = [aes.BlockSize]byte{first, 6: d.DevAddr[3], 7: d.DevAddr[2], 8: d.DevAddr[1], 9: d.DevAddr[0]}
	if !d.MType.Uplink() {
		c.in[5] = 1
	}
	binary.LittleEndian.PutUint32(c.in[10:], fCnt)
}

// AppendFRMPayload appends the decrypted FRMPayload of a parsed frame. dst must not
// overlap the frame.
func (c *Cipher) AppendFRMPayload(dst []byte, d *Data, fCnt uint32) []byte {
	block := c.app
	if d.FPort == 0 {
		block = c.nwkSEnc
	}
	c.setBlock(0x01, d, fCnt)
	return c.crypt(dst, d.FRMPayload, block)
}

// AppendFOpts appends the plain FOpts of a parsed frame; those of LoRaWAN 1.0.x are
// not encrypted. dst must not overlap the frame.
func (c *Cipher) AppendFOpts(dst []byte, d *Data, fCnt uint32) []byte {
	if !c.version11 {
		return append(dst, d.FOpts...)
	}
	c.setBlock(0x01, d, fCnt)
	c.in[4] = 1 // FCntUp or NFCntDown
	if !d.MType.Uplink() && d.HasFPort && d.FPort > 0 {
		c.in[4] = 2 // AFCntDown
	}
	return c.crypt(dst, d.FOpts, c.nwkSEnc)
}

// crypt appends src, decrypted or encrypted. The key stream comes from c.in with
// the number of the block, from 1, in its last byte.
func (c *Cipher) crypt(dst, src []byte, key cipher.Block) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(src))[:n+len(src)]
	for out := dst[n:]; len(src) > 0; {
		c.in[15]++
		key.Encrypt(c.out[:], c.in[:])
		k := subtle.XORBytes(out, src, c.out[:])
		out, src = out[k:], src[k:]
	}
	return dst
}

// integrityKey is a key with the keys that CMAC derives from it.
type integrityKey struct {
	block  cipher.Block
	whole  [aes.BlockSize]byte // for a last block of 16 bytes: K1 of RFC 4493
	padded [aes.BlockSize]byte // for a shorter one: K2
}

func newIntegrityKey(k Key) *integrityKey {
	i := &integrityKey{block: k.expand()}
	i.block.Encrypt(i.whole[:], i.whole[:])
	double(&i.whole)
	i.padded = i.whole
	double(&i.padded)
	return i
}

// double multiplies by x in GF(2^128). The first bit is the highest.
func double(b *[aes.BlockSize]byte) {
	high, low := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	carry := high >> 63
	binary.BigEndian.PutUint64(b[:8], high<<1|low>>63)
	binary.BigEndian.PutUint64(b[8:], low<<1^carry*0x87)
}
