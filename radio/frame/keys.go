package frame

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"lorawand/radio"
)

// ErrKey is the reason for refusing a join without a root key.
var ErrKey = errors.New("root key not set")

// Key is an AES-128 key. Only MarshalText shows it.
type Key [16]byte

// String hides the key.
func (Key) String() string { return "[key]" }

// GoString hides the key.
func (Key) GoString() string { return "[key]" }

// LogValue implements slog.LogValuer: keys are never logged.
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// IsZero reports whether the key is not set.
func (k Key) IsZero() bool { return k == Key{} }

// MarshalText implements encoding.TextMarshaler: 32 upper-case hexadecimal digits.
func (k Key) MarshalText() ([]byte, error) { return radio.AppendHex(nil, k[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It reads 32 hexadecimal digits
// of either case; its error does not repeat them.
func (k *Key) UnmarshalText(text []byte) error {
	var b Key
	if len(text) != 2*len(b) {
		return fmt.Errorf("a key has %d hexadecimal digits, got %d characters", 2*len(b), len(text))
	}
	if _, err := hex.Decode(b[:], text); err != nil {
		return fmt.Errorf("a key has %d hexadecimal digits and nothing else", 2*len(b))
	}
	*k = b
	return nil
}

// expand returns the key schedule of AES.
func (k *Key) expand() cipher.Block {
	b, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // only for keys of another size than 16, 24 or 32 bytes
	}
	return b
}

// RootKeys are the keys that a device joins with. LoRaWAN 1.0.x has only AppKey.
type RootKeys struct {
	AppKey Key
	NwkKey Key
}

// SessionKeys are the keys of a session. LoRaWAN 1.0.x has one network key,
// NwkSKey; all three network keys here are then equal.
type SessionKeys struct {
	FNwkSIntKey Key
	SNwkSIntKey Key
	NwkSEncKey  Key
	AppSKey     Key
}

// check returns ErrKey if a key that a join needs is not set.
func (k *RootKeys) check(optNeg bool) error {
	switch {
	case k.AppKey.IsZero():
		return fmt.Errorf("%w: AppKey", ErrKey)
	case optNeg && k.NwkKey.IsZero():
		return fmt.Errorf("%w: NwkKey", ErrKey)
	}
	return nil
}

// First bytes of the blocks that keys are derived from.
// Source: LoRaWAN 1.0.3, 6.2.5, which has the first two, and 1.1, 6.1.1.4 and 6.2.3.
const (
	deriveFNwkSIntKey = 0x01 // NwkSKey with LoRaWAN 1.0.x
	deriveAppSKey     = 0x02
	deriveSNwkSIntKey = 0x03
	deriveNwkSEncKey  = 0x04
	deriveJSEncKey    = 0x05
	deriveJSIntKey    = 0x06
)

// DeriveSessionKeys returns the keys of the session that begins with the
// join-accept a in answer to req, which may stand for a rejoin-request. With OptNeg they are the four keys of LoRaWAN
// 1.1, without it the two keys of 1.0.x, both derived from AppKey.
//
// It returns ErrFrame for an impossible join-accept, and ErrKey if a root key is
// missing.
func DeriveSessionKeys(a JoinAccept, root RootKeys, req *JoinRequest) (SessionKeys, error) {
	if err := a.check(); err != nil {
		return SessionKeys{}, err
	}
	if err := root.check(a.OptNeg); err != nil {
		return SessionKeys{}, err
	}
	if err := req.checkAnswer(&a); err != nil {
		return SessionKeys{}, err
	}
	var b [aes.BlockSize]byte
	put24(b[1:], a.JoinNonce)
	if !a.OptNeg {
		copyReversed(b[4:], a.NetID[:])
		binary.LittleEndian.PutUint16(b[7:], req.DevNonce)
		nwk := derive(root.AppKey, deriveFNwkSIntKey, b)
		return SessionKeys{
			FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk,
			AppSKey: derive(root.AppKey, deriveAppSKey, b),
		}, nil
	}
	copyReversed(b[4:], req.JoinEUI[:])
	binary.LittleEndian.PutUint16(b[12:], req.DevNonce)
	return SessionKeys{
		FNwkSIntKey: derive(root.NwkKey, deriveFNwkSIntKey, b),
		SNwkSIntKey: derive(root.NwkKey, deriveSNwkSIntKey, b),
		NwkSEncKey:  derive(root.NwkKey, deriveNwkSEncKey, b),
		AppSKey:     derive(root.AppKey, deriveAppSKey, b),
	}, nil
}

// JSIntKey returns the key for the MIC of a LoRaWAN 1.1 join-accept, and of a
// rejoin-request of type 1.
func JSIntKey(nwkKey Key, devEUI radio.EUI64) Key { return ofDevEUI(nwkKey, deriveJSIntKey, devEUI) }

// jsEncKey returns the key that encrypts the answer to a rejoin-request.
func jsEncKey(nwkKey Key, devEUI radio.EUI64) Key { return ofDevEUI(nwkKey, deriveJSEncKey, devEUI) }

func ofDevEUI(nwkKey Key, first byte, devEUI radio.EUI64) Key {
	var b [aes.BlockSize]byte
	copyReversed(b[1:], devEUI[:])
	return derive(nwkKey, first, b)
}

// derive encrypts a block that begins with first.
func derive(k Key, first byte, b [aes.BlockSize]byte) (out Key) {
	b[0] = first
	k.expand().Encrypt(out[:], b[:])
	return out
}

// copyReversed copies an identifier in the order of the air: lowest byte first.
func copyReversed(dst, src []byte) {
	for i, c := range src {
		dst[len(src)-1-i] = c
	}
}
