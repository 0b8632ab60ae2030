package session

import (
	"time"

	"lorawand/radio"
)

// Budget bounds what wrong MICs may cost. Anybody can send frames with the
// DevAddr of a device; each costs a computation of its MIC, and with several
// devices on one DevAddr more than one.
//
// It is a token bucket: rate tokens come in each second, up to one second's
// worth, and each wrong MIC takes one. Right MICs are free.
type Budget struct {
	rate int64 // tokens a second; 0 is no bound
	debt int64 // in ns: how long it takes until all that was spent is there again
	at   radio.HostTime
}

// NewBudget returns a Budget of so many wrong MICs a second.
func NewBudget(perSecond int) Budget { return Budget{rate: int64(perSecond)} }

func (b *Budget) allow(now radio.HostTime) bool {
	if b.rate == 0 {
		return true
	}
	b.debt = max(b.debt-int64(max(now.Sub(b.at), 0)), 0)
	b.at = max(b.at, now)
	return b.debt < int64(time.Second)
}

func (b *Budget) spend() {
	if b.rate > 0 {
		b.debt += int64(time.Second) / b.rate
	}
}
