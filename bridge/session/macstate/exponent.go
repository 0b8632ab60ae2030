package macstate

import (
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"
)

// StoredExponent is an n from 0 to 15, or nil. A word ends in n (REJOIN_TIME_3) or
// in 2^n (DUTY_CYCLE_8, ADR_ACK_LIMIT_8, ADR_ACK_DELAY_8). A word that says
// neither gives nil: the device must not be lost for it.
type StoredExponent struct{ N *uint8 }

// UnmarshalJSON implements json.Unmarshaler.
func (e *StoredExponent) UnmarshalJSON(b []byte) error {
	e.N = nil
	if len(b) == 0 || b[0] != '"' {
		return json.Unmarshal(b, &e.N)
	}
	var word string
	if err := json.Unmarshal(b, &word); err != nil {
		return err
	}
	v, err := strconv.ParseUint(word[strings.LastIndexByte(word, '_')+1:], 10, 16)
	if err != nil {
		return nil
	}
	if !strings.HasPrefix(word, "REJOIN_TIME_") {
		if bits.OnesCount64(v) != 1 {
			return nil
		}
		v = uint64(bits.TrailingZeros64(v))
	}
	if n := uint8(v); v <= 15 {
		e.N = &n
	}
	return nil
}
