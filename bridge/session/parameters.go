package session

import (
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"
)

// UnmarshalJSON implements json.Unmarshaler. Stores of earlier versions have
// words of The Things Stack where Parameters have the n of a MAC command.
func (p *Parameters) UnmarshalJSON(b []byte) error {
	type plain Parameters
	stored := struct {
		*plain
		ADRAckLimitExp, ADRAckDelayExp, MaxDutyCycle, RejoinTimePeriod storedExponent
	}{plain: (*plain)(p)}
	if err := json.Unmarshal(b, &stored); err != nil {
		return err
	}
	p.ADRAckLimitExp, p.ADRAckDelayExp = stored.ADRAckLimitExp.n, stored.ADRAckDelayExp.n
	p.MaxDutyCycle, p.RejoinTimePeriod = stored.MaxDutyCycle.n, stored.RejoinTimePeriod.n
	return nil
}

// storedExponent is an n from 0 to 15, or nil. A word ends in n (REJOIN_TIME_3) or
// in 2^n (DUTY_CYCLE_8, ADR_ACK_LIMIT_8, ADR_ACK_DELAY_8). A word that says
// neither gives nil: the device must not be lost for it.
type storedExponent struct{ n *uint8 }

// UnmarshalJSON implements json.Unmarshaler.
func (e *storedExponent) UnmarshalJSON(b []byte) error {
	e.n = nil
	if len(b) == 0 || b[0] != '"' {
		return json.Unmarshal(b, &e.n)
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
		e.n = &n
	}
	return nil
}
