// Package frame takes PHYPayloads apart and puts them together: headers, MIC,
// encryption, frame counters. It knows the bytes of LoRaWAN and nothing of
// devices or sessions.
//
// It rests on brocaar/lorawan and keeps that library's surprises inside: what
// is parsed is a copy, so that nothing the library does reaches the caller's
// bytes, and MAC commands are never handed to its decoder, which writes to the
// global log. No input makes it panic.
package frame

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/brocaar/lorawan"

	"lorawand/radio"
)

// Reasons for refusing a frame.
var (
	ErrFrame = errors.New("malformed frame") // bytes that are no frame of LoRaWAN
	ErrMIC   = errors.New("wrong MIC")       // made with another key, or for another device
)

// Sizes of a PHYPayload in bytes.
const (
	MaxSize     = 255 // what the physical layer can carry
	minDataSize = 12  // MHDR, FHDR without FOpts, MIC
	maxFOpts    = 15
)

// MType is the message type: the upper three bits of the first byte.
// Source: LoRaWAN L2 1.0.4, 4.2.1.
type MType uint8

// Message types. What the joins carry has the plain names.
const (
	TypeJoinRequest MType = iota
	TypeJoinAccept
	UnconfirmedUp
	UnconfirmedDown
	ConfirmedUp
	ConfirmedDown
	TypeRejoinRequest
	Proprietary
)

// String returns the name of the specification in snake case.
func (m MType) String() string {
	switch m {
	case TypeJoinRequest:
		return "join_request"
	case TypeJoinAccept:
		return "join_accept"
	case UnconfirmedUp:
		return "unconfirmed_up"
	case UnconfirmedDown:
		return "unconfirmed_down"
	case ConfirmedUp:
		return "confirmed_up"
	case ConfirmedDown:
		return "confirmed_down"
	case TypeRejoinRequest:
		return "rejoin_request"
	}
	return "proprietary"
}

// Uplink reports whether end devices send this type.
func (m MType) Uplink() bool {
	return m == TypeJoinRequest || m == UnconfirmedUp || m == ConfirmedUp || m == TypeRejoinRequest
}

// Data reports whether this is a data frame, in either direction.
func (m MType) Data() bool { return m >= UnconfirmedUp && m <= ConfirmedDown }

// TypeOf returns the type of a PHYPayload, or ErrFrame if its first byte is
// not that of LoRaWAN R1 or its size impossible.
func TypeOf(phy []byte) (MType, error) {
	if len(phy) == 0 || len(phy) > MaxSize {
		return 0, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrFrame, len(phy), MaxSize)
	}
	m := MType(phy[0] >> 5)
	if phy[0]&0x1f != 0 && m != Proprietary {
		return 0, fmt.Errorf("%w: MHDR 0x%02x is not of LoRaWAN R1", ErrFrame, phy[0])
	}
	return m, nil
}

// Data is a data frame. Its slices belong to it.
type Data struct {
	MType      MType
	DevAddr    radio.DevAddr
	ADR        bool
	ADRACKReq  bool // uplink
	ACK        bool
	ClassB     bool   // uplink
	FPending   bool   // downlink; the same bit as ClassB
	FCnt       uint16 // the low bits of the frame counter
	FOpts      []byte // 0 to 15 bytes
	HasFPort   bool
	FPort      uint8
	FRMPayload []byte // encrypted, if it was parsed
	MIC        [4]byte

	phy lorawan.PHYPayload
}

// Confirmed reports whether the frame wants an acknowledgement.
func (d *Data) Confirmed() bool { return d.MType == ConfirmedUp || d.MType == ConfirmedDown }

// ParseData takes a data frame apart, or returns ErrFrame.
func ParseData(phy []byte) (*Data, error) {
	m, err := TypeOf(phy)
	if err != nil {
		return nil, err
	}
	if !m.Data() {
		return nil, fmt.Errorf("%w: a %v is no data frame", ErrFrame, m)
	}
	if len(phy) < minDataSize {
		return nil, fmt.Errorf("%w: a data frame of %d bytes, want at least %d", ErrFrame, len(phy), minDataSize)
	}
	d := &Data{MType: m}
	if err := d.phy.UnmarshalBinary(slices.Clone(phy)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	p, ok := d.phy.MACPayload.(*lorawan.MACPayload)
	if !ok {
		return nil, fmt.Errorf("%w: a %v without MACPayload", ErrFrame, m)
	}
	h := p.FHDR
	d.DevAddr, d.FCnt, d.MIC = radio.DevAddr(h.DevAddr), uint16(h.FCnt), d.phy.MIC
	d.ADR, d.ADRACKReq, d.ACK = h.FCtrl.ADR, h.FCtrl.ADRACKReq, h.FCtrl.ACK
	if m.Uplink() {
		d.ClassB = h.FCtrl.ClassB
	} else {
		d.FPending = h.FCtrl.FPending
	}
	d.FOpts = bytesOf(h.FOpts)
	d.FRMPayload = bytesOf(p.FRMPayload)
	if p.FPort != nil {
		d.HasFPort, d.FPort = true, *p.FPort
	}
	if d.HasFPort && d.FPort == 0 && len(d.FOpts) > 0 {
		return nil, fmt.Errorf("%w: FOpts together with FPort 0", ErrFrame)
	}
	return d, nil
}

// bytesOf returns the bytes that the library keeps as one payload.
func bytesOf(p []lorawan.Payload) []byte {
	if len(p) != 1 {
		return nil
	}
	if b, ok := p[0].(*lorawan.DataPayload); ok {
		return b.Bytes
	}
	return nil
}

// CheckUplinkMIC reports whether a LoRaWAN 1.0.x uplink carries the MIC of
// this NwkSKey and this full frame counter.
func (d *Data) CheckUplinkMIC(nwkSKey Key, fCnt uint32) bool {
	if !d.MType.Uplink() {
		return false
	}
	p, ok := d.phy.MACPayload.(*lorawan.MACPayload)
	if !ok {
		return false
	}
	p.FHDR.FCnt = fCnt
	key := lorawan.AES128Key(nwkSKey)
	good, err := d.phy.ValidateUplinkDataMIC(lorawan.LoRaWAN1_0, 0, 0, 0, key, key)
	return err == nil && good
}

// Decrypt returns the FRMPayload in plain, as a new slice. The key is AppSKey,
// or for FPort 0 NwkSEncKey (NwkSKey).
func (d *Data) Decrypt(key Key, fCnt uint32) []byte {
	if len(d.FRMPayload) == 0 {
		return nil
	}
	return crypt(key, d.MType.Uplink(), d.DevAddr, fCnt, d.FRMPayload)
}

// crypt encrypts or decrypts a copy of data.
func crypt(key Key, uplink bool, addr radio.DevAddr, fCnt uint32, data []byte) []byte {
	// The library grows what it is given to whole blocks, in place.
	buf := make([]byte, len(data), (len(data)+15)&^15)
	copy(buf, data)
	out, err := lorawan.EncryptFRMPayload(lorawan.AES128Key(key), uplink, lorawan.DevAddr(addr), fCnt, buf)
	if err != nil {
		return nil // only for keys that are not of 16 bytes
	}
	return out
}

// BuildUplink makes the PHYPayload of a LoRaWAN 1.0.x uplink, as an end device
// does. d.FRMPayload is plain; d.FCnt and d.MIC are not looked at. It returns
// ErrFrame for what no frame can carry.
func BuildUplink(d Data, fCnt uint32, keys SessionKeys) ([]byte, error) {
	if d.MType != UnconfirmedUp && d.MType != ConfirmedUp {
		return nil, fmt.Errorf("%w: a %v is no data uplink", ErrFrame, d.MType)
	}
	p, err := macPayload(d, fCnt, keys)
	if err != nil {
		return nil, err
	}
	phy := lorawan.PHYPayload{
		MHDR:       lorawan.MHDR{MType: lorawan.MType(d.MType), Major: lorawan.LoRaWANR1},
		MACPayload: p,
	}
	key := lorawan.AES128Key(keys.FNwkSIntKey)
	if err := phy.SetUplinkDataMIC(lorawan.LoRaWAN1_0, 0, 0, 0, key, key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	out, err := phy.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return out, nil
}

// macPayload makes the library's form of a frame, FRMPayload encrypted.
func macPayload(d Data, fCnt uint32, keys SessionKeys) (*lorawan.MACPayload, error) {
	size := minDataSize + len(d.FOpts) + len(d.FRMPayload)
	switch {
	case len(d.FOpts) > maxFOpts:
		return nil, fmt.Errorf("%w: %d bytes of FOpts, at most %d", ErrFrame, len(d.FOpts), maxFOpts)
	case len(d.FRMPayload) > 0 && !d.HasFPort:
		return nil, fmt.Errorf("%w: FRMPayload without FPort", ErrFrame)
	case size+1 > MaxSize && d.HasFPort:
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrFrame, size+1, MaxSize)
	case d.HasFPort && d.FPort == 0 && len(d.FOpts) > 0:
		return nil, fmt.Errorf("%w: FOpts together with FPort 0", ErrFrame)
	}
	p := &lorawan.MACPayload{FHDR: lorawan.FHDR{
		DevAddr: lorawan.DevAddr(d.DevAddr),
		FCtrl: lorawan.FCtrl{
			ADR: d.ADR, ADRACKReq: d.ADRACKReq && d.MType.Uplink(), ACK: d.ACK,
			ClassB: d.ClassB && d.MType.Uplink(), FPending: d.FPending && !d.MType.Uplink(),
		},
		FCnt: fCnt,
	}}
	if len(d.FOpts) > 0 {
		p.FHDR.FOpts = []lorawan.Payload{&lorawan.DataPayload{Bytes: slices.Clone(d.FOpts)}}
	}
	if !d.HasFPort {
		return p, nil
	}
	port := d.FPort
	p.FPort = &port
	if len(d.FRMPayload) > 0 {
		key := keys.AppSKey
		if port == 0 {
			key = keys.NwkSEncKey
		}
		b := crypt(key, d.MType.Uplink(), d.DevAddr, fCnt, d.FRMPayload)
		p.FRMPayload = []lorawan.Payload{&lorawan.DataPayload{Bytes: b}}
	}
	return p, nil
}

// NextFCnt returns the smallest full frame counter of at least least whose low
// 16 bits are low. ok is false beyond 2^32-1, where a session is used up.
func NextFCnt(least uint32, low uint16) (fCnt uint32, ok bool) {
	full := uint64(least&^0xffff) | uint64(low)
	if full < uint64(least) {
		full += 1 << 16
	}
	return uint32(full), full <= math.MaxUint32
}
