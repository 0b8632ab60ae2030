package frame

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"

	"lorawand/radio"
)

// JoinType says which frame of the device a join-accept answers.
type JoinType uint8

// Types of requests. Devices of LoRaWAN 1.1 send rejoin-requests without being told to stop
// what they do: type 0 resets the session and all radio parameters, type 1 is a join-request
// that leaves the session alone until it is answered, type 2 changes keys and DevAddr only.
const (
	Join JoinType = iota
	Rejoin0
	Rejoin1
	Rejoin2
)

// String returns the name of the specification in snake case.
func (t JoinType) String() string {
	if t == Join {
		return "join_request"
	}
	return fmt.Sprintf("rejoin_request_%d", t.number())
}

// number is the RejoinType of a rejoin-request, or the JoinReqType of a join-request
// (LoRaWAN 1.1, 6.2.4 and 6.2.3).
func (t JoinType) number() byte { return byte(t) - 1 }

// Sizes of rejoin-requests in bytes: MHDR, RejoinType, NetID or JoinEUI, DevEUI, RJcount, MIC.
const (
	rejoin02Size = 1 + 1 + 3 + 8 + 2 + micSize
	rejoin1Size  = 1 + 1 + 8 + 8 + 2 + micSize
)

// RejoinRequest is a rejoin-request of a device.
//
// Source: LoRaWAN 1.1, 6.2.4.
type RejoinRequest struct {
	Type    JoinType    // Rejoin0, Rejoin1 or Rejoin2
	NetID   radio.NetID // of the network that the device is in; types 0 and 2
	JoinEUI radio.EUI64 // type 1
	DevEUI  radio.EUI64
	Count   uint16 // RJcount0 of types 0 and 2, RJcount1 of type 1
	MIC     [4]byte
}

// ParseRejoinRequest parses a rejoin-request. It returns ErrFrame for other bytes.
func ParseRejoinRequest(phy []byte) (*RejoinRequest, error) {
	m, err := TypeOf(phy)
	switch {
	case err != nil:
		return nil, err
	case m != TypeRejoinRequest:
		return nil, fmt.Errorf("%w: a %v is no rejoin-request", ErrFrame, m)
	case len(phy) < 2 || phy[1] > Rejoin2.number():
		return nil, fmt.Errorf("%w: a rejoin-request without a type from 0 to 2", ErrFrame)
	}
	r := &RejoinRequest{Type: Rejoin0 + JoinType(phy[1])}
	if want := r.size(); len(phy) != want {
		return nil, fmt.Errorf("%w: a %v of %d bytes, want %d", ErrFrame, r.Type, len(phy), want)
	}
	b := phy[2:]
	if r.Type == Rejoin1 {
		copyReversed(r.JoinEUI[:], b[:len(r.JoinEUI)])
		b = b[len(r.JoinEUI):]
	} else {
		copyReversed(r.NetID[:], b[:len(r.NetID)])
		b = b[len(r.NetID):]
	}
	copyReversed(r.DevEUI[:], b[:len(r.DevEUI)])
	b = b[len(r.DevEUI):]
	r.Count = binary.LittleEndian.Uint16(b)
	r.MIC = [4]byte(b[2:])
	return r, nil
}

func (r *RejoinRequest) size() int {
	if r.Type == Rejoin1 {
		return rejoin1Size
	}
	return rejoin02Size
}

// append appends the request without its MIC.
func (r *RejoinRequest) append(dst []byte) []byte {
	dst = append(dst, byte(TypeRejoinRequest)<<5, r.Type.number())
	if r.Type == Rejoin1 {
		dst = appendReversed(dst, r.JoinEUI[:])
	} else {
		dst = appendReversed(dst, r.NetID[:])
	}
	dst = appendReversed(dst, r.DevEUI[:])
	return binary.LittleEndian.AppendUint16(dst, r.Count)
}

func appendReversed(dst, src []byte) []byte {
	n := len(dst)
	dst = append(dst, src...)
	slices.Reverse(dst[n:])
	return dst
}

// CheckMIC reports whether the request was made with this key: SNwkSIntKey for types 0 and
// 2, JSIntKey for type 1.
func (r *RejoinRequest) CheckMIC(key Key) bool { return r.mic(key) == r.MIC }

func (r *RejoinRequest) mic(key Key) [micSize]byte {
	var room [rejoin1Size]byte
	return plainCMAC(newIntegrityKey(key), r.append(room[:0]))
}

// BuildRejoinRequest makes the PHYPayload of a rejoin-request, as an end device does. The key
// is that of CheckMIC; r.MIC is ignored. It returns ErrFrame for another type.
func BuildRejoinRequest(r RejoinRequest, key Key) ([]byte, error) {
	if r.Type < Rejoin0 || r.Type > Rejoin2 {
		return nil, fmt.Errorf("%w: a %v is no rejoin-request", ErrFrame, r.Type)
	}
	mic := r.mic(key)
	return append(r.append(make([]byte, 0, r.size())), mic[:]...), nil
}

// Request returns what a join-accept for the request is made of: RJcount stands where a
// join-request has its DevNonce (LoRaWAN 1.1, 6.2.3). joinEUI is that of the device, which
// only type 1 tells.
func (r *RejoinRequest) Request(joinEUI radio.EUI64) JoinRequest {
	return JoinRequest{Type: r.Type, JoinEUI: joinEUI, DevEUI: r.DevEUI, DevNonce: r.Count, MIC: r.MIC}
}

// plainCMAC returns the first bytes of the CMAC (RFC 4493) over msg, which is not empty.
func plainCMAC(k *integrityKey, msg []byte) [micSize]byte {
	var x [aes.BlockSize]byte
	for ; len(msg) > aes.BlockSize; msg = msg[aes.BlockSize:] {
		subtle.XORBytes(x[:], x[:], msg[:aes.BlockSize])
		k.block.Encrypt(x[:], x[:])
	}
	last := &k.whole
	if len(msg) < aes.BlockSize {
		last = &k.padded
		x[len(msg)] ^= 0x80
	}
	subtle.XORBytes(x[:], x[:], msg)
	subtle.XORBytes(x[:], x[:], last[:])
	k.block.Encrypt(x[:], x[:])
	return [micSize]byte(x[:micSize])
}
