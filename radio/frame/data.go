package frame

import (
	"encoding/binary"
	"fmt"
	"slices"

	"lorawand/radio"
)

// Sizes in bytes.
const (
	headerSize  = 8 // MHDR, FHDR without FOpts
	micSize     = 4
	minDataSize = headerSize + micSize
	maxFOpts    = 15
)

// Bits of FCtrl. Source: LoRaWAN 1.0.3 and 1.1, 4.3.1.
const (
	fCtrlADR       = 0x80
	fCtrlADRACKReq = 0x40 // uplink; reserved in a downlink
	fCtrlACK       = 0x20
	fCtrlClassB    = 0x10 // uplink
	fCtrlFPending  = 0x10 // downlink
	fCtrlFOptsLen  = 0x0f
)

// Data is a data frame.
type Data struct {
	MType      MType
	DevAddr    radio.DevAddr
	ADR        bool
	ADRACKReq  bool // uplink
	ACK        bool
	ClassB     bool   // uplink
	FPending   bool   // downlink
	FCnt       uint16 // the low bits of the frame counter
	FOpts      []byte // 0 to 15 bytes; encrypted in a parsed frame of LoRaWAN 1.1
	HasFPort   bool
	FPort      uint8
	FRMPayload []byte // encrypted in a parsed frame
	MIC        [4]byte

	phy []byte // the parsed bytes
}

// Confirmed reports whether the frame asks for an acknowledgement.
func (d *Data) Confirmed() bool { return d.MType == ConfirmedUp || d.MType == ConfirmedDown }

// ParseData parses a copy of a data frame, or returns ErrFrame.
func ParseData(phy []byte) (*Data, error) {
	d := new(Data)
	if err := d.Parse(slices.Clone(phy)); err != nil {
		return nil, err
	}
	return d, nil
}

// Parse parses a data frame without a copy: the slices of d are parts of phy, which
// must not change while d is in use. For bytes that are not a data frame it returns
// ErrFrame and leaves d unchanged.
func (d *Data) Parse(phy []byte) error {
	m, err := TypeOf(phy)
	if err != nil {
		return err
	}
	if !m.Data() {
		return fmt.Errorf("%w: a %v is no data frame", ErrFrame, m)
	}
	if len(phy) < minDataSize {
		return fmt.Errorf("%w: a data frame of %d bytes, want at least %d", ErrFrame, len(phy), minDataSize)
	}
	fCtrl, end := phy[5], len(phy)-micSize
	port := headerSize + int(fCtrl&fCtrlFOptsLen) // the place of FPort, if there is one
	switch {
	case port > end:
		return fmt.Errorf("%w: %d bytes of FOpts in a data frame of %d", ErrFrame, port-headerSize, len(phy))
	case port > headerSize && port < end && phy[port] == 0:
		return fmt.Errorf("%w: FOpts together with FPort 0", ErrFrame)
	}
	up := m.Uplink()
	*d = Data{
		MType: m, DevAddr: radio.DevAddr{phy[4], phy[3], phy[2], phy[1]},
		ADR: fCtrl&fCtrlADR != 0, ADRACKReq: up && fCtrl&fCtrlADRACKReq != 0, ACK: fCtrl&fCtrlACK != 0,
		ClassB: up && fCtrl&fCtrlClassB != 0, FPending: !up && fCtrl&fCtrlFPending != 0,
		FCnt: binary.LittleEndian.Uint16(phy[6:]), MIC: [4]byte(phy[end:]), phy: phy,
	}
	if port > headerSize {
		d.FOpts = phy[headerSize:port:port]
	}
	if port < end {
		d.HasFPort, d.FPort = true, phy[port]
	}
	if port+1 < end {
		d.FRMPayload = phy[port+1 : end : end]
	}
	return nil
}

// check returns ErrFrame for an impossible frame.
func (d *Data) check() error {
	switch {
	case len(d.FOpts) > maxFOpts:
		return fmt.Errorf("%w: %d bytes of FOpts, at most %d", ErrFrame, len(d.FOpts), maxFOpts)
	case len(d.FRMPayload) > 0 && !d.HasFPort:
		return fmt.Errorf("%w: FRMPayload without FPort", ErrFrame)
	case d.size() > MaxSize:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrFrame, d.size(), MaxSize)
	case d.HasFPort && d.FPort == 0 && len(d.FOpts) > 0:
		return fmt.Errorf("%w: FOpts together with FPort 0", ErrFrame)
	}
	return nil
}

// size returns the size of the PHYPayload.
func (d *Data) size() int {
	n := minDataSize + len(d.FOpts) + len(d.FRMPayload)
	if d.HasFPort {
		n++
	}
	return n
}

// appendHeader appends MHDR, DevAddr, FCtrl and FCnt. It leaves out bits that the
// direction of the frame does not have.
func (d *Data) appendHeader(b []byte, fCnt uint32) []byte {
	up := d.MType.Uplink()
	fCtrl := byte(len(d.FOpts))
	for _, f := range [...]struct {
		set bool
		bit byte
	}{
		{d.ADR, fCtrlADR},
		{d.ADRACKReq && up, fCtrlADRACKReq},
		{d.ACK, fCtrlACK},
		{d.ClassB && up, fCtrlClassB},
		{d.FPending && !up, fCtrlFPending},
	} {
		if f.set {
			fCtrl |= f.bit
		}
	}
	a := d.DevAddr
	return append(b, byte(d.MType)<<5, a[3], a[2], a[1], a[0], fCtrl, byte(fCnt), byte(fCnt>>8))
}
