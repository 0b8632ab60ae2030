package state

import (
	"encoding/binary"
	"fmt"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// Spent is the airtime in each sub-band, by its lower edge.
type Spent = map[radio.Frequency]time.Duration

// ledgerRecord returns the record of the airtime that a gateway has spent: for each
// sub-band its lower edge in Hz and the airtime in µs, 4 bytes each in
// little-endian.
func ledgerRecord(eui radio.EUI64, spent Spent) store.Record {
	r := store.Record{Kind: KindLedger, Key: eui.String(), Version: recordVersion, Data: []byte{}}
	for _, band := range schedule.Bands(spent) {
		r.Data = binary.LittleEndian.AppendUint32(r.Data, uint32(band))
		r.Data = binary.LittleEndian.AppendUint32(r.Data, uint32(min(spent[band].Microseconds(), time.Hour.Microseconds())))
	}
	return r
}

func parseLedger(r store.Record) (eui radio.EUI64, spent Spent, err error) {
	if err := eui.UnmarshalText([]byte(r.Key)); err != nil {
		return eui, nil, err
	}
	if r.Version != recordVersion || len(r.Data)%8 != 0 {
		return eui, nil, fmt.Errorf("version %d, %d bytes", r.Version, len(r.Data))
	}
	spent = Spent{}
	for b := r.Data; len(b) > 0; b = b[8:] {
		band := radio.Frequency(binary.LittleEndian.Uint32(b))
		spent[band] = time.Duration(binary.LittleEndian.Uint32(b[4:])) * time.Microsecond
	}
	return eui, spent, nil
}

// loadLedgers reads the airtime that the gateways have spent.
func loadLedgers(s records) (map[radio.EUI64]Spent, error) {
	out := map[radio.EUI64]Spent{}
	for _, r := range s.Records(KindLedger) {
		eui, spent, err := parseLedger(r)
		if err != nil {
			return nil, fmt.Errorf("%w: duty cycle of gateway %s: %w", ErrState, r.Key, err)
		}
		out[eui] = spent
	}
	return out, nil
}
