package enddevice

import (
	"slices"
	"strconv"

	"lorawand/bridge/session/macstate"
)

// rangesJSON are data rates that a device has refused for a channel on a frequency.
type rangesJSON struct {
	Ranges []rangeJSON `json:"ranges,omitempty"`
}

type rangeJSON struct {
	Min number `json:"min_data_rate_index,omitzero"`
	Max number `json:"max_data_rate_index,omitzero"`
}

// rejectedJSON is what a device has refused. What it has refused of receive windows, its
// rejoin-requests or a channel mask is not written: The Things Stack has no words for it,
// and asks again with each uplink. Here it is asked and refused once more.
type rejectedJSON struct {
	Rates       []number              `json:"rejected_adr_data_rate_indexes,omitempty"`
	Powers      []number              `json:"rejected_adr_tx_power_indexes,omitempty"`
	Frequencies []bigNumber           `json:"rejected_frequencies,omitempty"`
	Ranges      map[string]rangesJSON `json:"rejected_data_rate_ranges,omitempty"`
}

// read notes in s what a device has refused. A refusal of data rates counts for the
// channel that is wished on its frequency: for the others nobody asks.
func (j *rejectedJSON) read(r *reader, s *macstate.State, wish []channelJSON) {
	const in = "mac_state.rejected_"
	s.NoRates = r.bits(in+"adr_data_rate_indexes", j.Rates)
	s.NoPowers = r.bits(in+"adr_tx_power_indexes", j.Powers)
	for _, f := range j.Frequencies {
		s.RefuseFrequency(r.frequency(in+"frequencies", f))
	}
	for n, c := range wish[:min(len(wish), maxWishedChannels)] {
		for _, x := range j.Ranges[strconv.FormatUint(c.UplinkFrequency.v, 10)].Ranges {
			q := requestJSON{CID: "CID_NEW_CHANNEL", NewChannel: &newChannelJSON{
				Index: some(uint8(n)), Frequency: c.UplinkFrequency, MinDataRate: x.Min, MaxDataRate: x.Max,
			}}
			if refused, ok := q.command(r); ok && len(s.Refused) < macstate.MaxAsked {
				s.Refused = append(s.Refused, refused)
			}
		}
	}
}

// rejectedOf is the way back.
func rejectedOf(s *macstate.State) rejectedJSON {
	j := rejectedJSON{Rates: numbersOf(s.NoRates), Powers: numbersOf(s.NoPowers)}
	for _, f := range slices.Sorted(slices.Values(s.NoFrequencies)) {
		j.Frequencies = append(j.Frequencies, frequency(f))
	}
	for _, c := range s.Refused {
		q, ok := requestOf(c)
		if !ok || q.NewChannel == nil || s.FrequencyRefused(toldFrequency(c.Payload[1:])) {
			continue
		}
		if j.Ranges == nil {
			j.Ranges = map[string]rangesJSON{}
		}
		f := strconv.FormatUint(q.NewChannel.Frequency.v, 10)
		list := append(j.Ranges[f].Ranges, rangeJSON{q.NewChannel.MinDataRate, q.NewChannel.MaxDataRate})
		j.Ranges[f] = rangesJSON{list}
	}
	return j
}
