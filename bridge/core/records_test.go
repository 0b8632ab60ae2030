package core

import (
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// recordID names a record.
type recordID struct{ kind, key string }

// fewRecords are a store that holds but these.
type fewRecords []store.Record

func (f fewRecords) Records(kind string) (out []store.Record) {
	for _, r := range f {
		if r.Kind == kind && r.Data != nil {
			out = append(out, r)
		}
	}
	return out
}

// stored returns a device as a start finds it: from its record, and that of its
// counters.
func stored(device, counters store.Record) (*session.Device, error) {
	st, err := state.Load(fewRecords{device, counters}, 0, "ttn")
	if err != nil {
		return nil, err
	}
	return st.Devices.All()[0], nil
}

// spentIn returns what a record says that a gateway has spent.
func spentIn(r store.Record) (radio.EUI64, state.Spent, error) {
	st, err := state.Load(fewRecords{r}, 0, "ttn")
	for eui, spent := range st.Ledgers {
		return eui, spent, err
	}
	return radio.EUI64{}, nil, err
}
