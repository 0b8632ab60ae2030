package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"lorawand/bridge/order"
	"lorawand/bridge/schedule"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// keptHours is how many hours the store keeps of a gateway: a week of one that sends
// in every hour. Each has its place in a ring of records, so that none has to be
// deleted.
const keptHours = 7 * 24

// AirtimeHour is what a gateway has sent in an hour: one of the host's clock, which a
// start begins anew.
type AirtimeHour struct {
	Seq   uint64    // orders the hours of a gateway
	Began time.Time // zero: the calendar was not known
	Bands []schedule.BandHour
}

// AirtimeHours are what the store has of the hours in which gateways have sent.
type AirtimeHours struct {
	gateways map[radio.EUI64]*airtimeRing
	next     radio.HostTime // when there is something to be stored; 0: nothing is
	last     radio.HostTime // the end of the last emission that is planned
}

// airtimeRing are the hours of a gateway.
type airtimeRing struct {
	hours []AirtimeHour // by Seq
	first uint64        // Seq of hour 0 of the host's clock
}

// hoursEvery is how often the hours that have changed are stored: a record for each
// gateway that sends, six times in an hour, which lags and goes with others.
const hoursEvery = 10 * time.Minute

// Expect notes that a gateway is to have sent something at a time.
func (h *AirtimeHours) Expect(end radio.HostTime) {
	h.last = max(h.last, end)
	if h.next == 0 {
		h.next = end.Add(hoursEvery)
	}
}

// Next returns when Due has something to say, or 0.
func (h *AirtimeHours) Next() radio.HostTime { return h.next }

// Due reports whether it is time to store the hours that have changed.
func (h *AirtimeHours) Due(now radio.HostTime) bool {
	if h.next == 0 || h.next > now {
		return false
	}
	h.next = 0
	if h.last.Add(hoursEvery) > now { // it may not be counted yet
		h.next = now.Add(hoursEvery)
	}
	return true
}

// NewAirtimeHours returns the hours of a store.
func NewAirtimeHours(stored map[radio.EUI64][]AirtimeHour) *AirtimeHours {
	h := &AirtimeHours{gateways: map[radio.EUI64]*airtimeRing{}}
	for eui, hours := range stored {
		if len(hours) > 0 {
			h.gateways[eui] = &airtimeRing{slices.Clone(hours), hours[len(hours)-1].Seq + 1}
		}
	}
	return h
}

// Note takes hours that have changed, and returns their records, which may lag. at
// says which time of the calendar one of the host's clock is.
func (h *AirtimeHours) Note(
	eui radio.EUI64, changed []schedule.Hour, at func(radio.HostTime) time.Time,
) (out []store.Record) {
	if len(changed) == 0 {
		return nil
	}
	r := h.gateways[eui]
	if r == nil {
		r = &airtimeRing{}
		h.gateways[eui] = r
	}
	for _, hour := range r.merge(changed, at) {
		out = append(out, hourRecord(eui, &hour))
	}
	return out
}

// With returns the hours of a gateway, oldest first, those that have changed since
// Note included.
func (h *AirtimeHours) With(
	eui radio.EUI64, changed []schedule.Hour, at func(radio.HostTime) time.Time,
) []AirtimeHour {
	r := airtimeRing{}
	if known := h.gateways[eui]; known != nil {
		r = airtimeRing{slices.Clone(known.hours), known.first}
	}
	r.merge(changed, at)
	return r.hours
}

// merge puts hours that have changed in their places, and returns them.
func (r *airtimeRing) merge(changed []schedule.Hour, at func(radio.HostTime) time.Time) (merged []AirtimeHour) {
	for _, c := range changed {
		hour := AirtimeHour{r.first + uint64(c.Number), at(radio.HostTime(c.Number * int64(time.Hour))), c.Bands}
		i, found := slices.BinarySearchFunc(r.hours, hour.Seq, func(o AirtimeHour, seq uint64) int {
			return cmp.Compare(o.Seq, seq)
		})
		if found {
			r.hours[i] = hour
		} else {
			r.hours = slices.Insert(r.hours, i, hour)
		}
		merged = append(merged, hour)
	}
	for len(r.hours) > 1 && r.hours[0].Seq+keptHours <= r.hours[len(r.hours)-1].Seq {
		r.hours = slices.Delete(r.hours, 0, 1)
	}
	return merged
}

// hourRecord returns what the store keeps of an hour, in little-endian: Seq, 8 bytes;
// its begin in s since 1970, 8 bytes, 0 where it is not known; and for each sub-band
// its lower edge in Hz, the number of emissions, their airtime and that of the worst
// rolling hour in µs, and when that ended in µs since the hour began, 4 bytes each.
func hourRecord(eui radio.EUI64, h *AirtimeHour) store.Record {
	b := binary.LittleEndian.AppendUint64(nil, h.Seq)
	var began int64
	if !h.Began.IsZero() {
		began = h.Began.Unix()
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(began))
	for i := range h.Bands {
		s := &h.Bands[i]
		for _, v := range [...]uint32{
			uint32(s.Low), s.Emissions, micros(s.Airtime), micros(s.Worst), micros(time.Duration(s.WorstAt) % time.Hour),
		} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	key := fmt.Sprintf("%v/%d", eui, h.Seq%keptHours)
	return store.Record{Kind: KindAirtime, Key: key, Version: recordVersion, Data: b}
}

// micros returns a duration in µs, at most an hour.
func micros(d time.Duration) uint32 { return uint32(min(max(d, 0), time.Hour).Microseconds()) }

const (
	hourHeader = 16 // bytes of an hour's record before its sub-bands
	hourBand   = 20 // bytes of each
)

func parseHour(r store.Record) (eui radio.EUI64, h AirtimeHour, err error) {
	key, _, _ := bytes.Cut([]byte(r.Key), []byte{'/'})
	if err := eui.UnmarshalText(key); err != nil {
		return eui, h, err
	}
	if b := r.Data; r.Version != recordVersion || len(b) < hourHeader || (len(b)-hourHeader)%hourBand != 0 {
		return eui, h, fmt.Errorf("version %d, %d bytes", r.Version, len(r.Data))
	}
	h.Seq = binary.LittleEndian.Uint64(r.Data)
	if began := int64(binary.LittleEndian.Uint64(r.Data[8:])); began != 0 {
		h.Began = time.Unix(began, 0).UTC()
	}
	for b := r.Data[hourHeader:]; len(b) > 0; b = b[hourBand:] {
		at := func(i int) time.Duration {
			return time.Duration(binary.LittleEndian.Uint32(b[i:])) * time.Microsecond
		}
		h.Bands = append(h.Bands, schedule.BandHour{
			Low: radio.Frequency(binary.LittleEndian.Uint32(b)), Emissions: binary.LittleEndian.Uint32(b[4:]),
			Airtime: at(8), Worst: at(12), WorstAt: radio.HostTime(at(16)),
		})
	}
	return eui, h, nil
}

// loadHours reads the hours of all gateways, oldest first.
func loadHours(s records) (map[radio.EUI64][]AirtimeHour, error) {
	out := map[radio.EUI64][]AirtimeHour{}
	for _, r := range s.Records(KindAirtime) {
		eui, h, err := parseHour(r)
		if err != nil {
			return nil, fmt.Errorf("%w: airtime of gateway %s: %w", ErrState, r.Key, err)
		}
		out[eui] = append(out[eui], h)
	}
	for eui := range maps.Keys(out) {
		order.By(out[eui], func(a, b AirtimeHour) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return out, nil
}
