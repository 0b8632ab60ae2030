package frame

import "fmt"

// BuildUplink makes the PHYPayload of a data uplink, as an end device does. d.FOpts
// and d.FRMPayload are plain; d.FCnt and d.MIC are ignored. It returns ErrFrame for
// an impossible frame.
func (c *Cipher) BuildUplink(d Data, fCnt uint32, ctx Context) ([]byte, error) {
	if d.MType != UnconfirmedUp && d.MType != ConfirmedUp {
		return nil, fmt.Errorf("%w: a %v is no data uplink", ErrFrame, d.MType)
	}
	return c.build(&d, fCnt, ctx)
}

// BuildDownlink makes the PHYPayload of a data downlink, as the network does. The
// counter is that of CheckDownlinkMIC. d.FOpts and d.FRMPayload are plain; d.FCnt
// and d.MIC are ignored. It returns ErrFrame for an impossible frame.
func (c *Cipher) BuildDownlink(d Data, fCnt uint32, ctx Context) ([]byte, error) {
	if d.MType != UnconfirmedDown && d.MType != ConfirmedDown {
		return nil, fmt.Errorf("%w: a %v is no data downlink", ErrFrame, d.MType)
	}
	return c.build(&d, fCnt, ctx)
}

func (c *Cipher) build(d *Data, fCnt uint32, ctx Context) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	b := d.appendHeader(make([]byte, 0, d.size()), fCnt)
	b = c.AppendFOpts(b, d, fCnt)
	if d.HasFPort {
		b = append(b, d.FPort)
		b = c.AppendFRMPayload(b, d, fCnt)
	}
	mic := c.mic(d, b, fCnt, ctx)
	return append(b, mic[:]...), nil
}

// The functions below work on a single frame of LoRaWAN 1.0.x. They expand the keys
// each time; callers with a session use a Cipher.

// BuildUplink makes the PHYPayload of a LoRaWAN 1.0.x uplink, as
// Cipher.BuildUplink does.
func BuildUplink(d Data, fCnt uint32, keys SessionKeys) ([]byte, error) {
	return NewCipher(keys, false).BuildUplink(d, fCnt, Context{})
}

// BuildDownlink makes the PHYPayload of a LoRaWAN 1.0.x downlink, as
// Cipher.BuildDownlink does.
func BuildDownlink(d Data, fCnt uint32, keys SessionKeys) ([]byte, error) {
	return NewCipher(keys, false).BuildDownlink(d, fCnt, Context{})
}

// CheckUplinkMIC reports whether the MIC of a LoRaWAN 1.0.x uplink fits this
// NwkSKey and this full frame counter.
func (d *Data) CheckUplinkMIC(nwkSKey Key, fCnt uint32) bool {
	return oneKey(nwkSKey).CheckUplinkMIC(d, fCnt, Context{})
}

// CheckDownlinkMIC reports whether the MIC of a LoRaWAN 1.0.x downlink fits this
// NwkSKey and this full frame counter.
func (d *Data) CheckDownlinkMIC(nwkSKey Key, fCnt uint32) bool {
	return oneKey(nwkSKey).CheckDownlinkMIC(d, fCnt, Context{})
}

// Decrypt returns the decrypted FRMPayload as a new slice. The key is AppSKey, or
// NwkSEncKey (NwkSKey) for FPort 0.
func (d *Data) Decrypt(key Key, fCnt uint32) []byte {
	return oneKey(key).AppendFRMPayload(nil, d, fCnt)
}

// oneKey returns a cipher that uses one key for everything.
func oneKey(k Key) *Cipher {
	return NewCipher(SessionKeys{FNwkSIntKey: k, SNwkSIntKey: k, NwkSEncKey: k, AppSKey: k}, false)
}
