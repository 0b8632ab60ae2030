package radio

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrToken is the reason for refusing bytes that are not an uplink token.
var ErrToken = errors.New("no uplink token")

// UplinkToken says where and when a frame was heard, with everything needed to
// answer it: through the same antenna, at a time of the same counter. Applications
// see it as base64 and need not decode it.
type UplinkToken struct {
	Gateway EUI64
	Antenna uint8
	Time    ConcentratorTime // end of the frame
	Host    HostTime         // arrival of the frame at this host
	GPS     GPSTime          // end of the frame; 0: not known
}

// tokenVersion is the first byte. The fields follow in their order, with fixed
// sizes, numbers in big-endian.
const (
	tokenVersion = 1
	tokenSize    = 1 + 8 + 1 + 8 + 8 + 8
)

// AppendBinary appends the token's bytes.
func (t UplinkToken) AppendBinary(dst []byte) []byte {
	dst = append(append(dst, tokenVersion), t.Gateway[:]...)
	dst = append(dst, t.Antenna)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Time))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.Host))
	return binary.BigEndian.AppendUint64(dst, uint64(t.GPS))
}

// AppendText appends the token in standard base64.
func (t UplinkToken) AppendText(dst []byte) []byte {
	var b [tokenSize]byte
	return base64.StdEncoding.AppendEncode(dst, t.AppendBinary(b[:0]))
}

// String returns the token in standard base64.
func (t UplinkToken) String() string { return string(t.AppendText(nil)) }

// ParseUplinkToken reads what String wrote, or returns ErrToken.
func ParseUplinkToken(text string) (UplinkToken, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return UplinkToken{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if len(b) == 0 || b[0] != tokenVersion {
		return UplinkToken{}, fmt.Errorf("%w: not of version %d", ErrToken, tokenVersion)
	}
	if len(b) != tokenSize {
		return UplinkToken{}, fmt.Errorf("%w: %d bytes, want %d", ErrToken, len(b), tokenSize)
	}
	t := UplinkToken{Antenna: b[9]}
	copy(t.Gateway[:], b[1:9])
	t.Time = ConcentratorTime(binary.BigEndian.Uint64(b[10:]))
	t.Host = HostTime(binary.BigEndian.Uint64(b[18:]))
	t.GPS = GPSTime(binary.BigEndian.Uint64(b[26:]))
	return t, nil
}
