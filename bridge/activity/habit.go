package activity

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Habit is what the remembered uplinks say of a device.
type Habit struct {
	Heard  int            // uplinks that are remembered
	Lost   int            // that their counters say did not come
	Last   radio.HostTime // the last uplink
	Margin *float64       // dB above what the data rate needs: the median of the last 10; nil: not known

	// Interval is the usual one: the median of the last 10. 0: fewer than minIntervals are
	// known.
	Interval time.Duration
}

const (
	habitual     = 10 // uplinks that a habit is taken from
	minIntervals = 3
	// A device is silent when it was not heard for so many of its usual intervals, or for so
	// long where those are not known.
	silentIntervals = 3
	silentAfter     = 24 * time.Hour
	maxLostGap      = 1 << 14 // MAX_FCNT_GAP: a larger one is another beginning
)

// Habit returns what the remembered uplinks of a device say of it. It reads them only if
// there are others than when it was asked last.
func (l *Log) Habit(id session.ID) Habit {
	l.mu.Lock()
	d := l.devices[id]
	if d == nil || len(d.uplinks) == 0 {
		l.mu.Unlock()
		return Habit{}
	}
	of := [2]uint64{d.uplinks[0].seq, d.uplinks[len(d.uplinks)-1].seq}
	if known := d.habit; known != nil && d.habitOf == of {
		l.mu.Unlock()
		return *known
	}
	l.mu.Unlock()
	h := habitOf(l.Messages(id, v3.Up))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.devices[id] == d {
		d.habit, d.habitOf = &h, of // of that is newer than of, it is read once more
	}
	return h
}

// habitOf reads uplinks, oldest first.
func habitOf(messages []Message) (h Habit) {
	if len(messages) == 0 {
		return h
	}
	h.Heard, h.Last = len(messages), messages[len(messages)-1].At
	var intervals []time.Duration
	for i := 1; i < len(messages); i++ {
		before, after := fCntOf(messages[i-1].Payload), fCntOf(messages[i].Payload)
		if after <= before || after-before > maxLostGap {
			continue
		}
		steps := after - before
		h.Lost += int(steps) - 1
		if i >= len(messages)-habitual {
			intervals = append(intervals, messages[i].At.Sub(messages[i-1].At)/time.Duration(steps))
		}
	}
	if len(intervals) >= minIntervals {
		slices.Sort(intervals)
		h.Interval = intervals[len(intervals)/2]
	}
	h.Margin = marginOf(messages[max(0, len(messages)-habitual):])
	return h
}

// fCntOf returns the f_cnt of an "up" without reading the rest: it stands at the begin
// of the uplink_message, and is absent if it is 0.
func fCntOf(payload []byte) uint32 {
	_, rest, _ := bytes.Cut(payload, []byte(`"uplink_message":{`))
	if i := bytes.Index(rest, []byte(`"frm_payload":`)); i >= 0 {
		rest = rest[:i]
	}
	_, rest, found := bytes.Cut(rest[:min(len(rest), 200)], []byte(`"f_cnt":`))
	end := bytes.IndexAny(rest, ",}")
	if !found || end < 0 {
		return 0
	}
	n, _ := strconv.ParseUint(string(rest[:end]), 10, 32)
	return uint32(n)
}

func marginOf(messages []Message) *float64 {
	var all []float64
	for i := range messages {
		u := messages[i].Read(0)
		if u == nil {
			continue
		}
		if sf := u.SpreadingFactor(); sf > 0 && len(u.Gateways) > 0 {
			all = append(all, u.SNR-floor(sf))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return &all[len(all)/2]
}

// floor is the SNR that a spreading factor needs, in dB: −7.5 for SF7, and 2.5 less for
// each further one. Source: Semtech, SX1276 data sheet, table 13.
func floor(sf int) float64 { return -7.5 - 2.5*float64(sf-7) }

// SpreadingFactor returns that of an uplink; 0: it came by FSK.
func (u *Uplink) SpreadingFactor() (sf int) {
	if _, err := fmt.Sscanf(u.DataRate, "SF%dBW", &sf); err != nil {
		return 0
	}
	return sf
}

// State says in a word whether a device is alive.
type State string

// States of a device.
const (
	Alive   State = "alive"
	Silent  State = "silent"
	Refused State = "refused"
	Never   State = "never"
)

// StateOf decides it, by the last join too: refused is a device whose last join was, and
// that was not heard since; silent one that was not heard for longer than usual. Of one
// with a session that was not heard since the start nobody knows before silentAfter.
func (h *Habit) StateOf(s *Summary, hasSession bool, now radio.HostTime) State {
	since := now.Sub(h.Last)
	joined := false
	if s != nil && s.Join != nil {
		last := s.Join
		at := now.Sub(0) - time.Duration(last.Age*float64(time.Second))
		if !last.Accepted && (h.Heard == 0 || at > time.Duration(h.Last)) {
			return Refused
		}
		joined = last.Accepted
	}
	limit := silentAfter
	if h.Interval > 0 {
		limit = silentIntervals * h.Interval
	}
	switch {
	case h.Heard == 0 && !hasSession && !joined:
		return Never
	case h.Heard == 0:
		since = now.Sub(0)
	}
	if since > limit {
		return Silent
	}
	return Alive
}
