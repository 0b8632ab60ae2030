package frame

import (
	"crypto/aes"
	"fmt"
	"slices"

	"github.com/brocaar/lorawan"

	"lorawand/radio"
)

// Sizes of a join in bytes.
const (
	joinRequestSize = 23 // MHDR, JoinEUI, DevEUI, DevNonce, MIC
	joinAcceptSize  = 17 // MHDR, the fields without CFList, MIC
)

// Limits of the fields of a join-accept.
const (
	maxJoinNonce   = 1<<24 - 1
	maxRX1DROffset = 7
	maxRX2DataRate = 15
	maxRXDelay     = 15 // s
)

// JoinRequest is the request of a device to join. JoinEUI is called AppEUI in
// LoRaWAN 1.0.x.
//
// Source: LoRaWAN 1.0.3, 6.2.4, and 1.1, 6.2.2.
type JoinRequest struct {
	Type     JoinType // Join, or that of the rejoin-request that it stands for: see RejoinRequest.Request
	JoinEUI  radio.EUI64
	DevEUI   radio.EUI64
	DevNonce uint16
	MIC      [4]byte
}

// ParseJoinRequest parses a join-request. It returns ErrFrame for bytes that are
// not a join-request of 23 bytes.
func ParseJoinRequest(phy []byte) (*JoinRequest, error) {
	m, err := TypeOf(phy)
	if err != nil {
		return nil, err
	}
	if m != TypeJoinRequest {
		return nil, fmt.Errorf("%w: a %v is no join-request", ErrFrame, m)
	}
	if len(phy) != joinRequestSize {
		return nil, fmt.Errorf("%w: a join-request of %d bytes, want %d", ErrFrame, len(phy), joinRequestSize)
	}
	var p lorawan.PHYPayload
	if err := p.UnmarshalBinary(slices.Clone(phy)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	j, ok := p.MACPayload.(*lorawan.JoinRequestPayload)
	if !ok {
		return nil, fmt.Errorf("%w: a join-request without its fields", ErrFrame)
	}
	return &JoinRequest{
		JoinEUI: radio.EUI64(j.JoinEUI), DevEUI: radio.EUI64(j.DevEUI), DevNonce: uint16(j.DevNonce), MIC: p.MIC,
	}, nil
}

// phy returns the library's form of the request.
func (r *JoinRequest) phy() lorawan.PHYPayload {
	return lorawan.PHYPayload{
		MHDR: lorawan.MHDR{MType: lorawan.JoinRequest, Major: lorawan.LoRaWANR1},
		MACPayload: &lorawan.JoinRequestPayload{
			JoinEUI: lorawan.EUI64(r.JoinEUI), DevEUI: lorawan.EUI64(r.DevEUI), DevNonce: lorawan.DevNonce(r.DevNonce),
		},
		MIC: r.MIC,
	}
}

// CheckMIC reports whether the request was made with this key: AppKey for LoRaWAN
// 1.0.x, NwkKey for 1.1.
func (r *JoinRequest) CheckMIC(key Key) bool {
	good, err := r.phy().ValidateUplinkJoinMIC(lorawan.AES128Key(key))
	return err == nil && good
}

// BuildJoinRequest makes the PHYPayload of a join-request, as an end device does.
// The key is that of CheckMIC; r.MIC is ignored.
func BuildJoinRequest(r JoinRequest, key Key) ([]byte, error) {
	p := r.phy()
	if err := p.SetUplinkJoinMIC(lorawan.AES128Key(key)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	out, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return out, nil
}

// JoinAccept is the answer to a device that may join.
type JoinAccept struct {
	JoinNonce   uint32 // 24 bits; AppNonce with LoRaWAN 1.0.x
	NetID       radio.NetID
	DevAddr     radio.DevAddr
	OptNeg      bool   // LoRaWAN 1.1 is in use
	RX1DROffset uint8  // 0 to 7
	RX2DataRate uint8  // 0 to 15
	RXDelay     uint8  // s, 0 to 15; 0 means 1
	CFList      []byte // nil or 16 bytes
}

// check returns ErrFrame for an impossible join-accept.
func (a *JoinAccept) check() error {
	switch {
	case a.JoinNonce > maxJoinNonce:
		return fmt.Errorf("%w: JoinNonce %d, at most %d", ErrFrame, a.JoinNonce, maxJoinNonce)
	case a.RX1DROffset > maxRX1DROffset:
		return fmt.Errorf("%w: RX1DROffset %d, at most %d", ErrFrame, a.RX1DROffset, maxRX1DROffset)
	case a.RX2DataRate > maxRX2DataRate:
		return fmt.Errorf("%w: RX2 data rate %d, at most %d", ErrFrame, a.RX2DataRate, maxRX2DataRate)
	case a.RXDelay > maxRXDelay:
		return fmt.Errorf("%w: RXDelay of %d s, at most %d", ErrFrame, a.RXDelay, maxRXDelay)
	case a.CFList != nil && len(a.CFList) != cfListSize:
		return fmt.Errorf("%w: CFList of %d bytes, want %d", ErrFrame, len(a.CFList), cfListSize)
	}
	return nil
}

// BuildJoinAccept makes the PHYPayload that answers req, as the join server does.
// With OptNeg the MIC is made with JSIntKey and covers the request, and NwkKey
// encrypts, or JSEncKey where req is a rejoin-request; without it AppKey does both. A
// device of LoRaWAN 1.1 that is to fall back to 1.0.x uses its NwkKey as AppKey: the caller
// sets it so.
//
// It returns ErrFrame for an impossible join-accept, and ErrKey if a root key is
// missing.
//
// Source: LoRaWAN 1.0.3, 6.2.5, and 1.1, 6.2.3.
func BuildJoinAccept(a JoinAccept, root RootKeys, req *JoinRequest) ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	if err := root.check(a.OptNeg); err != nil {
		return nil, err
	}
	if err := req.checkAnswer(&a); err != nil {
		return nil, err
	}
	p := lorawan.PHYPayload{
		MHDR:       lorawan.MHDR{MType: lorawan.JoinAccept, Major: lorawan.LoRaWANR1},
		MACPayload: a.payload(),
	}
	micKey, encKey := root.AppKey, root.AppKey
	if a.OptNeg {
		micKey, encKey = JSIntKey(root.NwkKey, req.DevEUI), req.encryptedWith(root.NwkKey)
	}
	err := p.SetDownlinkJoinMIC(lorawan.JoinType(req.Type.number()), lorawan.EUI64(req.JoinEUI),
		lorawan.DevNonce(req.DevNonce), lorawan.AES128Key(micKey))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if err := p.EncryptJoinAcceptPayload(lorawan.AES128Key(encKey)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	out, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return out, nil
}

// encryptedWith returns the key that encrypts the answer to the request, in LoRaWAN 1.1.
func (r *JoinRequest) encryptedWith(nwkKey Key) Key {
	if r.Type == Join {
		return nwkKey
	}
	return jsEncKey(nwkKey, r.DevEUI)
}

// checkAnswer returns ErrFrame for a join-accept of LoRaWAN 1.0.x that answers a
// rejoin-request: these came with 1.1.
func (r *JoinRequest) checkAnswer(a *JoinAccept) error {
	if r.Type != Join && !a.OptNeg {
		return fmt.Errorf("%w: a join-accept of LoRaWAN 1.0.x for a %v", ErrFrame, r.Type)
	}
	return nil
}

// payload returns the library's form of the fields. The CFList stays as bytes,
// because the library loses a part of some CFLists that it decodes.
func (a *JoinAccept) payload() *lorawan.JoinAcceptPayload {
	p := &lorawan.JoinAcceptPayload{
		JoinNonce: lorawan.JoinNonce(a.JoinNonce),
		HomeNetID: lorawan.NetID(a.NetID),
		DevAddr:   lorawan.DevAddr(a.DevAddr),
		DLSettings: lorawan.DLSettings{
			OptNeg: a.OptNeg, RX1DROffset: a.RX1DROffset, RX2DataRate: a.RX2DataRate,
		},
		RXDelay: a.RXDelay,
	}
	if a.CFList != nil {
		list, kind := a.CFList[:cfListSize-1], a.CFList[cfListSize-1]
		p.CFList = &lorawan.CFList{Payload: &lorawan.DataPayload{Bytes: list}, CFListType: lorawan.CFListType(kind)}
	}
	return p
}

// ParseJoinAccept decrypts the answer to req and checks its MIC, as an end device
// does. The answer is of LoRaWAN 1.1 if the NwkKey of root fits, and of 1.0.x if
// the AppKey fits.
//
// It returns ErrFrame for bytes that are not a join-accept. It returns ErrMIC if
// the join-accept was made with other keys, answers another request or uses
// reserved bits.
func ParseJoinAccept(phy []byte, root RootKeys, req *JoinRequest) (*JoinAccept, error) {
	m, err := TypeOf(phy)
	if err != nil {
		return nil, err
	}
	if m != TypeJoinAccept {
		return nil, fmt.Errorf("%w: a %v is no join-accept", ErrFrame, m)
	}
	if len(phy) != joinAcceptSize && len(phy) != joinAcceptSize+cfListSize {
		return nil, fmt.Errorf("%w: a join-accept of %d bytes, want %d or %d", ErrFrame, len(phy), joinAcceptSize,
			joinAcceptSize+cfListSize)
	}
	for _, v := range []struct {
		key    Key
		optNeg bool
	}{{req.encryptedWith(root.NwkKey), true}, {root.AppKey, false}} {
		a := decryptJoinAccept(phy[1:], v.key)
		if a.OptNeg != v.optNeg {
			continue
		}
		// A join-accept has nothing random: the right one is the one that the
		// server would make.
		if again, err := BuildJoinAccept(a, root, req); err == nil && slices.Equal(again, phy) {
			return &a, nil
		}
	}
	return nil, fmt.Errorf("%w: join-accept for DevEUI %v", ErrMIC, req.DevEUI)
}

// decryptJoinAccept reads the fields from the 16 or 32 bytes after the MHDR. The
// server encrypts with AES decryption, so that devices need no decryption.
func decryptJoinAccept(data []byte, key Key) JoinAccept {
	block, b := key.expand(), make([]byte, len(data))
	for i := 0; i < len(b); i += aes.BlockSize {
		block.Encrypt(b[i:], data[i:])
	}
	a := JoinAccept{
		JoinNonce:   get24(b),
		NetID:       radio.NetID{b[5], b[4], b[3]},
		DevAddr:     radio.DevAddr{b[9], b[8], b[7], b[6]},
		OptNeg:      b[10]&0x80 != 0, // DLSettings
		RX1DROffset: b[10] >> 4 & maxRX1DROffset,
		RX2DataRate: b[10] & maxRX2DataRate,
		RXDelay:     b[11],
	}
	if len(b) > aes.BlockSize {
		a.CFList = b[12 : 12+cfListSize : 12+cfListSize]
	}
	return a
}
