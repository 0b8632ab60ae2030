package mac

import (
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// headerSize is that of MHDR, FHDR without FOpts, and MIC.
const headerSize = 12

// Downlink is what a downlink holds: what is owed, and an application's item
// or none.
type Downlink struct {
	Owed    Owed
	Item    *session.Item // nil: none
	Pending bool          // more items wait behind this one
}

// answersSize is the size of all answers that are owed, in bytes.
func (d *Downlink) answersSize() int { return d.Owed.size() }

// Size returns the size of the frame's PHYPayload in bytes.
func (d *Downlink) Size() int {
	n := headerSize + d.answersSize()
	if d.Owed.Alone() {
		n++ // FPort 0
	}
	if d.Item != nil {
		n += 1 + len(d.Item.FRMPayload)
	}
	return n
}

// MACPayloadSize returns the size that a data rate limits (M of RP002): the
// PHYPayload without MHDR and MIC.
func (d *Downlink) MACPayloadSize() int { return d.Size() - 5 }

// Priority returns how important the frame is: what the network owes goes
// first, and an application gets at most PriorityHigh.
func (d *Downlink) Priority() radio.Priority {
	if !d.Owed.IsZero() || d.Item == nil {
		return radio.PriorityHighest
	}
	return min(d.Item.Priority, radio.PriorityHigh)
}

// Frame returns the data frame, without address and counter.
func (d *Downlink) Frame(c Circumstances) frame.Data {
	f := frame.Data{
		MType: frame.UnconfirmedDown, ACK: d.Owed.ACK, FPending: d.Pending,
		FOpts: d.Owed.appendAnswers(nil, c),
	}
	if d.Owed.Alone() {
		f.HasFPort, f.FRMPayload, f.FOpts = true, f.FOpts, nil
	}
	if d.Item != nil {
		f.HasFPort, f.FPort, f.FRMPayload = true, d.Item.FPort, d.Item.FRMPayload
		if d.Item.Confirmed {
			f.MType = frame.ConfirmedDown
		}
	}
	return f
}
