// Package hearing tells the copies of a frame, by other gateways, from the frame sent once more.
package hearing

import (
	"slices"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

const (
	// repeatWithin is how long after RX1 of a frame a device may send it again.
	// Source: The Things Stack v3.32.1, pkg/networkserver: maximum
	// retransmission delay.
	repeatWithin = 11 * time.Second
	// betweenWindows is the time from RX1 to RX2, in all regions.
	betweenWindows = time.Second
	// windowMargin is how long after its begin RX2 counts as open: the host only
	// estimates the clock of a gateway.
	windowMargin = 500 * time.Millisecond
	// ghostWindow is how far apart one concentrator reports one frame twice, at least.
	ghostWindow = 20 * time.Microsecond
	// clockSettles is how long the estimate of a gateway's clock may be wrong after its
	// first frame: a network may have delayed that frame, by at most this time
	// (radio.Clock).
	clockSettles = 10 * time.Second
)

// Frame is when and by whom a frame was heard, as it was sent once.
type Frame struct {
	hearings []hearing // by source

	rate    radio.DataRate
	airtime time.Duration  // of the frame; 0 of a data rate that is in no table
	rx1     time.Duration  // delay of RX1
	ended   radio.HostTime // the earliest that any gateway reports: the delay of the others is not known in full
	gps     radio.GPSTime  // the same; 0 where it is not known
	closed  radio.HostTime // when the last window is over
	expires radio.HostTime

	one [1]hearing // room for hearings: nearly always there is one
}

// hearing is when a source heard a frame.
type hearing struct {
	source session.Source
	at     radio.ConcentratorTime
	signal radio.Decibel // of the best copy
}

// Begin notes the first copy of a frame, whose RX1 has a delay.
func (f *Frame) Begin(up *radio.Uplink, rx1 time.Duration) {
	f.rx1, f.ended, f.expires = rx1, up.Received, up.Received.Add(rx1+repeatWithin)
	f.closed = f.ended.Add(rx1 + betweenWindows + windowMargin)
	f.rate = up.DataRate
	f.airtime, _ = radio.TimeOnAir(radio.Packet{
		DataRate: up.DataRate, CodingRate: up.CodingRate, Size: len(up.PHYPayload),
	})
	f.Add(up)
}

// Expires returns when the device cannot send the frame again any more.
func (f *Frame) Expires() radio.HostTime { return f.expires }

// Add notes that a source has heard the frame. The time of a foreign source is not believed.
func (f *Frame) Add(up *radio.Uplink) {
	if f.hearings == nil {
		f.hearings = f.one[:0]
	}
	from := session.SourceOf(up)
	f.hearings = append(f.hearings, hearing{from, up.Time, up.Signal()})
	if from.Foreign {
		return
	}
	f.ended = min(f.ended, up.Ended)
	f.closed = f.ended.Add(f.rx1 + betweenWindows + windowMargin)
	if f.gps == 0 {
		f.gps = up.GPS
	}
}

// Delay notes that RX1 opens with another delay, which the frame itself has told.
func (f *Frame) Delay(rx1 time.Duration) {
	f.closed, f.expires, f.rx1 = f.closed.Add(rx1-f.rx1), f.expires.Add(rx1-f.rx1), rx1
}

// Kind says what the bytes of a frame are that come again.
type Kind uint8

// Kinds.
const (
	Ghost Kind = iota // of a concentrator that has reported the frame, on its channel or beside it
	Copy              // by another source
	Late              // of what was sent before, or the word of a stranger
	Again             // sent again
)

// Kind returns what the bytes of the frame are that come again. since is from when on their
// gateway is heard.
func (f *Frame) Kind(up *radio.Uplink, now, since radio.HostTime) Kind {
	from := session.SourceOf(up)
	i := slices.IndexFunc(f.hearings, func(h hearing) bool { return h.source == from })
	if i < 0 {
		if from.Foreign || f.isCopy(up, now, since) {
			return Copy
		}
		return Again
	}
	switch d := time.Duration(up.Time-f.hearings[i].at) * time.Microsecond; {
	case up.DataRate != f.rate && d.Abs() < f.airtime:
		return Late // a stranger has sent the bytes on
	case d.Abs() <= ghostWindow || d.Abs() < f.airtime:
		return Ghost // one device cannot send two frames at a time
	case d < 0 || from.Foreign:
		return Late
	}
	return Again
}

// Louder notes a ghost, and reports whether its source has heard the frame worse before. The
// word of a stranger is not taken.
func (f *Frame) Louder(up *radio.Uplink) bool {
	from := session.SourceOf(up)
	i := slices.IndexFunc(f.hearings, func(h hearing) bool { return h.source == from })
	if i < 0 || from.Foreign || up.Signal() <= f.hearings[i].signal {
		return false
	}
	f.hearings[i].at, f.hearings[i].signal = up.Time, up.Signal()
	return true
}

// Loudest reports whether a copy, which was noted, is better than those of all other sources. So
// it is on the channel of the frame, where they may be ghosts beside it. What ends later than the
// device can send, or at another data rate, a stranger may have sent on.
func (f *Frame) Loudest(up *radio.Uplink) bool {
	from := session.SourceOf(up)
	if up.DataRate != f.rate || up.Ended.Sub(f.ended).Abs() >= f.airtime {
		return false
	}
	return !from.Foreign && !slices.ContainsFunc(f.hearings, func(h hearing) bool {
		return h.source != from && !h.source.Foreign && h.signal >= up.Signal()
	})
}

// isCopy reports whether bytes from a new source are a copy, and were not sent again since: a
// device waits for RX1 before it sends a frame again.
//
// Two gateways are compared by their GPS times, or by what the host knows of their
// clocks. In doubt it is a copy: one answer too few costs less than two gateways that
// send different answers.
func (f *Frame) isCopy(up *radio.Uplink, now, since radio.HostTime) bool {
	if d := time.Duration(up.GPS - f.gps); up.GPS != 0 && f.gps != 0 && d.Abs() < f.rx1 {
		return true
	}
	return up.Ended < f.ended.Add(f.rx1) || now < f.closed || now < since.Add(clockSettles)
}

// Before reports whether bytes are of a frame that was sent before this one.
func (f *Frame) Before(up *radio.Uplink) bool { return up.Ended.Add(f.rx1) < f.ended }
