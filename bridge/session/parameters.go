package session

import (
	"encoding/json"

	"lorawand/bridge/session/macstate"
)

// UnmarshalJSON implements json.Unmarshaler. Stores of earlier versions have
// words of The Things Stack where Parameters have the n of a MAC command.
func (p *Parameters) UnmarshalJSON(b []byte) error {
	type plain Parameters
	stored := struct {
		*plain
		ADRAckLimitExp, ADRAckDelayExp, MaxDutyCycle, RejoinTimePeriod macstate.StoredExponent
	}{plain: (*plain)(p)}
	if err := json.Unmarshal(b, &stored); err != nil {
		return err
	}
	p.ADRAckLimitExp, p.ADRAckDelayExp = stored.ADRAckLimitExp.N, stored.ADRAckDelayExp.N
	p.MaxDutyCycle, p.RejoinTimePeriod = stored.MaxDutyCycle.N, stored.RejoinTimePeriod.N
	return nil
}
