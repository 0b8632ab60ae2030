package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// Reasons for dropping a data frame.
var (
	ErrDevAddr = errors.New("no device with this DevAddr")
	ErrMIC     = errors.New("wrong MIC")
	ErrReplay  = errors.New("frame counter not above the last one: a replay, or the device has begun anew")
	ErrGap     = errors.New("frame counter too far above the last one")
	ErrBudget  = errors.New("too many wrong MICs, not looked at")
)

// maxFCntGap is MAX_FCNT_GAP (LoRaWAN 1.0.3, 2.1; gone with 1.0.4).
const maxFCntGap = 16384

// Match is the device that a frame is of.
type Match struct {
	Device   *Device
	Session  *Session // of the device: the one in use, or the one that a join has offered
	FCnt     uint32   // full
	Repeated bool     // the counter of the last frame once more
	Reset    bool     // the device has begun its counter anew, as it may

	confFCnt uint16  // that its MIC covers
	mic      [4]byte // of the frame
}

// candidate is a session that a frame could be of, with a full counter.
type candidate struct {
	member
	fCnt     uint32
	distance uint32 // from the last counter; 0 is a repetition
	verdict  verdict
}

// verdict is what a right MIC with this counter would mean.
type verdict uint8

const (
	fresh verdict = iota
	repeated
	restarted
	gap
	replay
)

// Match finds the device of an uplink by DevAddr, then by the distance of its
// frame counter, then by MIC. now pays for wrong MICs: see Budget.
//
// It returns ErrDevAddr, ErrMIC, ErrUnserved or ErrBudget, and ErrReplay or
// ErrGap with the device whose MIC was right. It changes nothing in a session;
// Accept does.
func (r *Registry) Match(d *frame.Data, how Reception, now radio.HostTime) (Match, error) {
	group := r.byAddr[d.DevAddr]
	if group == nil {
		return Match{}, fmt.Errorf("%w: %v", ErrDevAddr, d.DevAddr)
	}
	r.scratch = r.scratch[:0]
	var unserved error
	for _, m := range group.members {
		if err := m.device.Unserved(); err != nil {
			unserved = fmt.Errorf("%v: %w", m.device.ID, err)
			continue
		}
		r.scratch = m.candidates(r.scratch, d)
	}
	slices.SortStableFunc(r.scratch, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.verdict.rank(), b.verdict.rank()), cmp.Compare(a.distance, b.distance))
	})
	for _, c := range r.scratch {
		if !r.budget.allow(now) || !group.budget.allow(now) {
			return Match{}, fmt.Errorf("%w: DevAddr %v", ErrBudget, d.DevAddr)
		}
		ctx := c.context(d, how)
		if !c.session.Cipher(c.device.Version).CheckUplinkMIC(d, c.fCnt, ctx) {
			r.budget.spend()
			group.budget.spend()
			continue
		}
		m, err := c.match()
		m.confFCnt, m.mic = ctx.ConfFCnt, d.MIC
		return m, err
	}
	if unserved != nil {
		return Match{}, unserved
	}
	return Match{}, fmt.Errorf("%w: DevAddr %v, f_cnt %d", ErrMIC, d.DevAddr, d.FCnt)
}

// rank orders what is tried: first what can be accepted, then what only tells
// why not.
func (v verdict) rank() int {
	switch v {
	case fresh, repeated:
		return 0
	case restarted:
		return 1
	}
	return 2
}

func (c candidate) match() (Match, error) {
	m := Match{Device: c.device, Session: c.session, FCnt: c.fCnt, Repeated: c.verdict == repeated, Reset: c.verdict == restarted}
	last := c.session.FCntUp
	switch c.verdict {
	case gap:
		return m, fmt.Errorf("%w: f_cnt %d after %d, at most %d apart", ErrGap, c.fCnt, last, maxFCntGap)
	case replay:
		return m, fmt.Errorf("%w: f_cnt %d after %d", ErrReplay, c.fCnt, last)
	}
	return m, nil
}

// candidates appends the counters that the low bits in a frame may stand for in
// this session, with what each would mean.
func (m member) candidates(dst []candidate, d *frame.Data) []candidate {
	s, low := m.session, d.FCnt
	if !s.Heard {
		return append(dst, candidate{m, uint32(low), uint32(low), fresh})
	}
	if m.device.Settings.Counter16 {
		return m.candidates16(dst, d)
	}
	if low == uint16(s.FCntUp) {
		if !m.beginsAgain(d) {
			dst = append(dst, candidate{m, s.FCntUp, 0, repeated})
		}
	} else if old := int64(s.FCntUp) - int64(uint16(s.FCntUp)-low); old >= 0 {
		dst = append(dst, m.behind(uint32(old)))
	}
	if next, ok := frame.NextFCnt(s.FCntUp+1, low); ok && s.FCntUp < 1<<32-1 {
		c := candidate{m, next, next - s.FCntUp, fresh}
		if c.distance > maxFCntGap && m.device.Version < V1_0_4 {
			c.verdict = gap
		}
		dst = append(dst, c)
	}
	return m.restart(dst, low)
}

// candidates16 is for devices with counters of 16 bits, which go on from 65535
// with 0: everything at most MAX_FCNT_GAP ahead is new.
func (m member) candidates16(dst []candidate, d *frame.Data) []candidate {
	low := d.FCnt
	ahead := low - uint16(m.session.FCntUp)
	switch {
	case ahead == 0 && m.beginsAgain(d):
		return m.restart(dst, low)
	case ahead == 0:
		return append(dst, candidate{m, uint32(low), 0, repeated})
	case ahead <= maxFCntGap:
		return append(dst, candidate{m, uint32(low), uint32(ahead), fresh})
	}
	return m.restart(append(dst, m.behind(uint32(low))), low)
}

func (m member) behind(fCnt uint32) candidate {
	return candidate{m, fCnt, m.session.FCntUp - fCnt, replay}
}

// restart appends the counter of a device that may begin anew. Where the frame
// is not above the last one the counter is that of a replay too: then it is
// taken for a new beginning, which is the price of resets_f_cnt.
func (m member) restart(dst []candidate, low uint16) []candidate {
	if !m.mayRestart(low) {
		return dst
	}
	return append(dst, candidate{m, uint32(low), uint32(low), restarted})
}

func (m member) mayRestart(low uint16) bool {
	d := m.device
	return d.Settings.ResetsFCnt && !d.SupportsJoin && (low <= maxFCntGap || d.Version >= V1_0_4)
}

// beginsAgain reports whether a frame with the counter of the last one is no
// repetition: the device may begin anew, and does so with the same counter.
func (m member) beginsAgain(d *frame.Data) bool {
	return m.session.FCntUp == uint32(d.FCnt) && m.mayRestart(d.FCnt) && m.otherBytes(d)
}

// otherBytes reports whether a frame with the counter of the last one has other
// bytes than that: the MIC tells. With LoRaWAN 1.1 half of it covers the channel
// too, which differs from one repetition to the next; the other half, cmacF,
// does not (LoRaWAN 1.1, 4.4). Of a frame before the start nobody knows.
func (m member) otherBytes(d *frame.Data) bool {
	s, from := m.session, 0
	if m.device.Version >= V1_1 {
		from = 2
	}
	return s.hasMIC && string(s.mic[from:]) != string(d.MIC[from:])
}

// maxRepeats is how often a device may repeat a frame: NbTrans is at most 15,
// and a confirmed frame is repeated 8 times (LoRaWAN 1.0.3, 5.2 and 19.4).
const maxRepeats = 15

// Repeat notes that the last frame came once more. It returns false when that
// was too often: then somebody else repeats it.
func (s *Session) Repeat() bool {
	s.repeats++
	return s.repeats <= maxRepeats
}

// Accept notes that a frame was taken. It reports whether the frame is a new
// one, which is to be published.
func (m Match) Accept() bool {
	s := m.Session
	if m.Repeated {
		s.mic, s.hasMIC = m.mic, true
		return false
	}
	s.Heard, s.FCntUp, s.repeats, s.confFCnt = true, m.FCnt, 0, m.confFCnt
	s.mic, s.hasMIC = m.mic, true
	s.changed(CountersChanged)
	if m.Reset {
		s.SetParameters(nil) // those that it was made with
	}
	return true
}
