package frame

import (
	"fmt"

	"github.com/brocaar/lorawan"
)

// BuildDownlink makes the PHYPayload of a LoRaWAN 1.0.x data downlink.
// d.FRMPayload is plain; d.FCnt and d.MIC are not looked at. It returns
// ErrFrame for what no frame can carry.
func BuildDownlink(d Data, fCnt uint32, keys SessionKeys) ([]byte, error) {
	if d.MType != UnconfirmedDown && d.MType != ConfirmedDown {
		return nil, fmt.Errorf("%w: a %v is no data downlink", ErrFrame, d.MType)
	}
	p, err := macPayload(d, fCnt, keys)
	if err != nil {
		return nil, err
	}
	phy := lorawan.PHYPayload{
		MHDR:       lorawan.MHDR{MType: lorawan.MType(d.MType), Major: lorawan.LoRaWANR1},
		MACPayload: p,
	}
	if err := phy.SetDownlinkDataMIC(lorawan.LoRaWAN1_0, 0, lorawan.AES128Key(keys.SNwkSIntKey)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	out, err := phy.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return out, nil
}

// CheckDownlinkMIC reports whether a LoRaWAN 1.0.x downlink carries the MIC of
// this NwkSKey and this full frame counter.
func (d *Data) CheckDownlinkMIC(nwkSKey Key, fCnt uint32) bool {
	if d.MType != UnconfirmedDown && d.MType != ConfirmedDown {
		return false
	}
	p, ok := d.phy.MACPayload.(*lorawan.MACPayload)
	if !ok {
		return false
	}
	p.FHDR.FCnt = fCnt
	good, err := d.phy.ValidateDownlinkDataMIC(lorawan.LoRaWAN1_0, 0, lorawan.AES128Key(nwkSKey))
	return err == nil && good
}
