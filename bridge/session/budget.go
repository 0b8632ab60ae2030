package session

import (
	"slices"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// Budget bounds what wrong MICs may cost. Anybody can send frames with the DevAddr of a device;
// each costs a computation of its MIC, and with several devices on one DevAddr more than one.
//
// It is a token bucket: rate tokens come in each second, up to one second's worth, and each wrong
// MIC takes what it cost. Right MICs are free. A token is the MIC of a short frame.
type Budget struct {
	rate int64 // tokens a second; 0 is no bound
	debt int64 // ns until the bucket is full again
	at   radio.HostTime
}

// NewBudget returns a Budget of so many wrong MICs a second.
func NewBudget(perSecond int) Budget { return Budget{rate: int64(perSecond)} }

// allow reports whether the bucket holds a token.
func (b *Budget) allow(now radio.HostTime) bool { return b.within(now, time.Second) }

// within reports whether the bucket is full again within limit, at most 1 s. A
// limit below 1 s leaves the rest of the tokens for other callers.
func (b *Budget) within(now radio.HostTime, limit time.Duration) bool {
	if b.rate == 0 {
		return true
	}
	b.debt = max(b.debt-int64(max(now.Sub(b.at), 0)), 0)
	b.at = max(b.at, now)
	return b.debt < int64(limit)
}

func (b *Budget) spend(tokens int64) {
	if b.rate > 0 {
		b.debt += int64(time.Second) / b.rate * tokens
	}
}

const (
	// shortBlocks is how many blocks of AES the MIC of a short frame takes: one
	// of 20 bytes of FRMPayload, as the whole budget is measured with.
	shortBlocks = 3
	// joinTokens is what the MIC of a join-request costs: its key is expanded
	// for it, and the session keys of data frames are kept.
	joinTokens = 3
)

// micCost is what the MIC of a data frame costs, in tokens.
func micCost(d *frame.Data, v Version) int64 {
	blocks := d.MICBlocks()
	if v >= V1_1 {
		blocks *= 2
	}
	return int64((blocks + shortBlocks - 1) / shortBlocks)
}

// Source is the sender of frames to us: a gateway, or an address that claims to be
// this gateway without proof. Each Source has its own budget, so a flood through
// one does not keep out the frames of another.
type Source struct {
	Gateway radio.EUI64
	Foreign bool // its frames cannot be answered: see radio.Reception.NoDownlink
}

// SourceOf returns where a frame comes from.
func SourceOf(up *radio.Uplink) Source {
	answerable := slices.ContainsFunc(up.Receptions, func(r radio.Reception) bool { return !r.NoDownlink })
	return Source{Gateway: up.Gateway, Foreign: !answerable}
}

// maxSources bounds the budgets of sources. With more than there are gateways,
// all begin anew; the budget of the whole stays as it is.
const maxSources = 1024

// source returns the budget of a source: half of the whole, so that one alone cannot use it up.
func (r *Registry) source(s Source) *Budget {
	b := r.sources[s]
	if b == nil {
		if len(r.sources) >= maxSources {
			clear(r.sources)
		}
		b = &Budget{rate: r.budget.rate - r.budget.rate/2}
		r.sources[s] = b
	}
	return b
}

// lesserShare is the part of each budget that implausible counters and foreign
// sources may use. The rest is kept for the devices.
const lesserShare = time.Second / 2

// affords reports whether the budgets allow to compute a MIC for a frame of this
// source. plausible: the counter is one that the device is likely to use next.
func (r *Registry) affords(s Source, plausible bool, now radio.HostTime) bool {
	limit := lesserShare
	if plausible && !s.Foreign {
		limit = time.Second
	}
	return r.budget.within(now, limit) && r.source(s).within(now, limit)
}

// pay pays for a wrong MIC.
func (r *Registry) pay(s Source, tokens int64) {
	r.wrongMICs++
	r.budget.spend(tokens)
	r.source(s).spend(tokens)
}
