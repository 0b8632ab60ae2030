package radio

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// ErrID is the reason for refusing text or bytes that are not an identifier of the
// wanted kind.
var ErrID = errors.New("malformed identifier")

// EUI64 is an IEEE extended unique identifier: of a device (DevEUI), a join
// server (JoinEUI) or a gateway. The most significant byte comes first.
type EUI64 [8]byte

// String returns 16 upper-case hexadecimal digits.
func (e EUI64) String() string { return upperHex(e[:]) }

// IsZero reports whether the EUI is not set.
func (e EUI64) IsZero() bool { return e == EUI64{} }

// Uint64 returns the EUI as a number.
func (e EUI64) Uint64() uint64 { return binary.BigEndian.Uint64(e[:]) }

// MarshalText implements encoding.TextMarshaler.
func (e EUI64) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It reads 16 hexadecimal digits
// of either case.
func (e *EUI64) UnmarshalText(text []byte) error { return parseHex(e[:], text, "EUI") }

// DevAddr is a device address. The most significant byte comes first, as in its
// written form; on the air it comes last.
type DevAddr [4]byte

// String returns 8 upper-case hexadecimal digits.
func (a DevAddr) String() string { return upperHex(a[:]) }

// IsZero reports whether the address is all zeros, which is a valid address.
func (a DevAddr) IsZero() bool { return a == DevAddr{} }

// Uint32 returns the address as a number.
func (a DevAddr) Uint32() uint32 { return binary.BigEndian.Uint32(a[:]) }

// MarshalText implements encoding.TextMarshaler.
func (a DevAddr) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It reads 8 hexadecimal digits
// of either case.
func (a *DevAddr) UnmarshalText(text []byte) error { return parseHex(a[:], text, "DevAddr") }

// NetID identifies a network. 000000 and 000001 are for experiments.
type NetID [3]byte

// String returns 6 upper-case hexadecimal digits.
func (n NetID) String() string { return upperHex(n[:]) }

// MarshalText implements encoding.TextMarshaler.
func (n NetID) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It reads 6 hexadecimal digits
// of either case.
func (n *NetID) UnmarshalText(text []byte) error { return parseHex(n[:], text, "NetID") }

// DevAddrPrefix is a block of device addresses: all that begin with the first
// Length bits, 0 to 32, of DevAddr.
type DevAddrPrefix struct {
	DevAddr DevAddr
	Length  int
}

// UnmarshalText implements encoding.TextUnmarshaler. It reads "26000000/7", or an address that is
// a block of its own: "26011234".
func (p *DevAddrPrefix) UnmarshalText(text []byte) (err error) {
	p.Length, err = parsePrefix(p.DevAddr[:], text, "DevAddr")
	return err
}

// Has reports whether an address is in the block.
func (p DevAddrPrefix) Has(a DevAddr) bool {
	return uint64(p.DevAddr.Uint32()^a.Uint32())>>(32-p.Length) == 0
}

// EUIPrefix is a block of EUIs: all that begin with the first Length bits, 0 to 64, of EUI.
type EUIPrefix struct {
	EUI    EUI64
	Length int
}

// UnmarshalText implements encoding.TextUnmarshaler. It reads "70B3D57ED0000000/36", or an EUI that
// is a block of its own.
func (p *EUIPrefix) UnmarshalText(text []byte) (err error) {
	p.Length, err = parsePrefix(p.EUI[:], text, "EUI")
	return err
}

// Has reports whether an EUI is in the block.
func (p EUIPrefix) Has(e EUI64) bool { return (p.EUI.Uint64()^e.Uint64())>>(64-p.Length) == 0 }

// parsePrefix reads an identifier and the length of a block in bits.
func parsePrefix(dst, text []byte, kind string) (length int, err error) {
	id, bits, given := bytes.Cut(text, []byte("/"))
	if err := parseHex(dst, id, kind); err != nil {
		return 0, err
	}
	all := 8 * len(dst)
	if !given {
		return all, nil
	}
	length, err = strconv.Atoi(string(clip(bits)))
	if err != nil || length < 0 || length > all {
		return 0, fmt.Errorf("%w: a block of %ss has 0 to %d bits, got %q", ErrID, kind, all, clip(bits))
	}
	for i := length; i < all; i++ {
		if dst[i/8]&(0x80>>(i%8)) != 0 {
			return 0, fmt.Errorf("%w: %q has digits behind its %d bits", ErrID, clip(text), length)
		}
	}
	return length, nil
}

// Address returns an address of the block: the prefix, followed by random bits.
func (p DevAddrPrefix) Address(random [4]byte) DevAddr {
	var a DevAddr
	for i := range a {
		rest := byte(0xff) >> min(max(p.Length-8*i, 0), 8)
		a[i] = p.DevAddr[i]&^rest | random[i]&rest
	}
	return a
}

// nwkIDBits is the length of NwkID for each type of NetID. The type is its three
// highest bits. Source: LoRaWAN Backend Interfaces 1.1, table 4.
var nwkIDBits = [8]int{6, 6, 9, 11, 12, 13, 15, 17}

// DevAddrPrefix returns the block of addresses of the network: as many bits as the
// type says and one more, all set but the last, followed by NwkID.
func (n NetID) DevAddrPrefix() DevAddrPrefix {
	kind := int(n[0] >> 5)
	bits := nwkIDBits[kind]
	id := uint32(n[0])<<16 | uint32(n[1])<<8 | uint32(n[2])
	id &= 1<<bits - 1
	p := DevAddrPrefix{Length: kind + 1 + bits}
	v := (1<<kind-1)<<1<<(31-kind) | uint64(id)<<(32-p.Length)
	binary.BigEndian.PutUint32(p.DevAddr[:], uint32(v))
	return p
}

func parseHex(dst, text []byte, kind string) error {
	if len(text) != 2*len(dst) {
		return fmt.Errorf("%w: a %s has %d hexadecimal digits, got %q", ErrID, kind, 2*len(dst), clip(text))
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], text); err != nil {
		return fmt.Errorf("%w: a %s has %d hexadecimal digits, got %q", ErrID, kind, 2*len(dst), clip(text))
	}
	copy(dst, b[:])
	return nil
}

// clip keeps the text of an error short, whatever was given.
func clip(text []byte) []byte {
	const limit = 40
	if len(text) > limit {
		return text[:limit]
	}
	return text
}

func upperHex(b []byte) string {
	var dst [16]byte
	return string(AppendHex(dst[:0], b))
}

// AppendHex appends b in upper-case hexadecimal digits.
func AppendHex(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
