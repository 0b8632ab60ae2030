package macstate

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"lorawand/radio"
)

// Settings are what the owner of a device wants of its MAC layer, beyond the receive
// windows. nil leaves it to the network and the frequency plan.
type Settings struct {
	RX2Frequency *radio.Frequency `json:",omitempty"`
	MaxDutyCycle *uint8           `json:",omitempty"` // share of the time on air is 1/2^n, n 0 to 15
	MaxEIRP      *radio.Decibel   `json:",omitempty"` // dBm
	ADRAckLimit  *uint8           `json:",omitempty"` // ADR_ACK_LIMIT is 2^n frames, n 0 to 15
	ADRAckDelay  *uint8           `json:",omitempty"` // ADR_ACK_DELAY is 2^n frames, n 0 to 15

	// How many uplinks, and how long, from one DevStatusReq to the next: default 200 and
	// 24 h. 0 of one is never by that.
	StatusCount *uint32        `json:",omitempty"`
	StatusTime  *time.Duration `json:",omitempty"`

	ClassCTimeout *time.Duration `json:",omitempty"` // to acknowledge a downlink in Class C; default 5 min
	ClassBTimeout *time.Duration `json:",omitempty"` // the same in Class B; default 10 min

	Ping          Ping             `json:",omitzero"`  // of a device that has not told, or was not told, anything else
	PingFrequency *radio.Frequency `json:",omitempty"` // of ping slots; 0: that of the band
	PingDataRate  *uint8           `json:",omitempty"` // index, of ping slots
	Beacon        *radio.Frequency `json:",omitempty"` // 0: that of the band

	ADR ADR `json:",omitzero"`
}

// Pings returns what is known of the ping slots of a device in a State: what it has told, and
// has been told, else what its owner has.
func (s *Settings) Pings(now *State) Ping {
	told := now.Pings()
	if !told.Known {
		told.Periodicity, told.Known = s.Ping.Periodicity, s.Ping.Known
	}
	if told.Frequency == 0 && told.DataRate == nil {
		told.Frequency, told.DataRate = s.Ping.Frequency, s.Ping.DataRate
	}
	if told.Beacon == 0 {
		told.Beacon = s.Ping.Beacon
	}
	return told
}

// ParsePing reads how often there are ping slots, in s: "2", "2s" or "PING_EVERY_2S".
func ParsePing(s string) (periodicity uint8, err error) {
	s = strings.TrimPrefix(strings.ToUpper(s), "PING_EVERY_")
	every, err := strconv.ParseUint(strings.TrimSuffix(s, "S"), 10, 8)
	if err != nil || every > 1<<maxPeriodicity || bits.OnesCount64(every) != 1 {
		return 0, fmt.Errorf("%.20q, must be 1, 2, 4 and so on to 128, in seconds", s)
	}
	return uint8(bits.TrailingZeros64(every)), nil
}

const maxPeriodicity = 7 // 3 bits in PingSlotInfoReq

// ADR says how data rate and power are set. The zero value is The Things Stack's
// default: dynamic with a margin of 15 dB.
type ADR struct {
	Disabled bool           `json:",omitempty"`
	Static   *Static        `json:",omitempty"` // nil: dynamic
	Margin   *radio.Decibel `json:",omitempty"` // above the demodulation floor; default 15 dB

	MinDataRate, MaxDataRate *uint8 `json:",omitempty"` // index
	MinPower, MaxPower       *uint8 `json:",omitempty"` // TXPower index: 0 is the strongest
	MinNbTrans, MaxNbTrans   *uint8 `json:",omitempty"` // 1 to 15; default 1 and 3
}

// Static is what an owner lays down.
type Static struct {
	DataRate, Power, NbTrans uint8
}
