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
	ErrReused  = errors.New("another frame with the frame counter of the last one")
	ErrGap     = errors.New("frame counter too far above the last one")
	ErrBudget  = errors.New("not checked: too many wrong MICs have come")
)

// maxFCntGap is MAX_FCNT_GAP (LoRaWAN 1.0.3, 2.1; gone with 1.0.4).
const maxFCntGap = 16384

// Match is the device that a frame is of.
type Match struct {
	Device   *Device
	Session  *Session // of the device: the one in use, or the one that a join has offered
	FCnt     uint32   // full
	Repeated bool     // the last frame once more
	Reset    bool     // the device has begun its counter anew, as it may

	confFCnt uint16 // that its MIC covers
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

// plausibleGap is how far above the last one the counter of a frame is
// plausible: a device loses some frames, and seldom more in a row.
const plausibleGap = 32

// Match finds the device of an uplink by DevAddr, then by the distance of its
// frame counter, then by MIC. now pays for wrong MICs.
//
// Plausible counters are tried first, and paid for by the source and the whole
// only: a flood of frames with the DevAddr of a device does not keep out its own.
// The others are paid for by the DevAddr too.
//
// It returns ErrDevAddr, ErrMIC, ErrUnserved or ErrBudget, and ErrReplay,
// ErrReused or ErrGap with the device whose MIC was right. It changes nothing in
// a session; Accept does.
func (r *Registry) Match(d *frame.Data, how Reception, now radio.HostTime) (Match, error) {
	group := r.byAddr[d.DevAddr]
	if group == nil {
		return Match{}, fmt.Errorf("%w: %v", ErrDevAddr, d.DevAddr)
	}
	r.scratch = r.scratch[:0]
	for _, m := range group.members {
		r.scratch = m.candidates(r.scratch, d)
	}
	plausible := r.scratch[:order(r.scratch)]
	others := r.scratch[len(plausible):]
	t := trial{registry: r, data: d, how: how, now: now}
	if t.affordable(true, nil) {
		slices.SortFunc(plausible, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	}
	if m, found, err := t.try(plausible, true, nil); found || err != nil {
		return m, err
	}
	// There may be hundreds of these: they are not sorted, lest that cost more
	// than the MICs that can be afforded.
	if m, found, err := t.try(others, false, &group.budget); found || err != nil {
		return m, err
	}
	if t.unserved != nil {
		return Match{}, t.unserved
	}
	return Match{}, fmt.Errorf("%w: DevAddr %v, f_cnt %d", ErrMIC, d.DevAddr, d.FCnt)
}

// order sorts the candidates, roughly and in linear time: first the plausible
// ones, of which it returns the number, then those that can be accepted all the
// same, then those that only tell why not. Where no counter is close to the last
// one of its device, the closest is plausible: the device may have been away.
func order(all []candidate) (plausible int) {
	acceptable := toFront(all, func(c *candidate) bool { return c.verdict < gap })
	plausible = toFront(all[:acceptable], func(c *candidate) bool { return c.distance <= plausibleGap })
	if plausible > 0 || acceptable == 0 {
		return plausible
	}
	closest := 0
	for i := range all[:acceptable] {
		if all[i].distance < all[closest].distance {
			closest = i
		}
	}
	all[0], all[closest] = all[closest], all[0]
	return 1
}

// toFront moves the candidates for which is holds to the front, and returns how
// many there are.
func toFront(all []candidate, is func(*candidate) bool) (n int) {
	for i := range all {
		if !is(&all[i]) {
			continue
		}
		if n != i {
			all[n], all[i] = all[i], all[n]
		}
		n++
	}
	return n
}

// trial is the search for the session of one frame.
type trial struct {
	registry *Registry
	data     *frame.Data
	how      Reception
	now      radio.HostTime
	unserved error // a device that could have sent it is not served
}

// affordable reports whether one more MIC may be looked at. own is a budget of
// these candidates, or nil.
func (t *trial) affordable(plausible bool, own *Budget) bool {
	return t.registry.affords(t.how.Source, plausible, t.now) && (own == nil || own.allow(t.now))
}

// try looks for the candidate whose MIC is right, as long as that is affordable.
func (t *trial) try(candidates []candidate, plausible bool, own *Budget) (m Match, found bool, err error) {
	for i := range candidates {
		c := &candidates[i]
		if !t.affordable(plausible, own) {
			return Match{}, false, fmt.Errorf("%w: DevAddr %v", ErrBudget, t.data.DevAddr)
		}
		err := c.device.Unserved()
		if c.device.Multicast {
			err = errGroup
		}
		if err != nil {
			t.unserved = fmt.Errorf("%v: %w", c.device.ID, err)
			continue
		}
		ctx := c.context(t.data, t.how)
		if !c.session.Cipher(c.device.Version).CheckUplinkMIC(t.data, c.fCnt, ctx) {
			cost := micCost(t.data, c.device.Version)
			t.registry.pay(t.how.Source, cost)
			if own != nil {
				own.spend(cost)
			}
			continue
		}
		m, err := c.match(t.data)
		m.confFCnt = ctx.ConfFCnt
		return m, true, err
	}
	return Match{}, false, nil
}

func (c *candidate) match(d *frame.Data) (Match, error) {
	m := Match{Device: c.device, Session: c.session, FCnt: c.fCnt}
	m.Repeated, m.Reset = c.verdict == repeated, c.verdict == restarted
	last := c.session.FCntUp
	switch c.verdict {
	case gap:
		return m, fmt.Errorf("%w: f_cnt %d after %d, at most %d apart", ErrGap, c.fCnt, last, maxFCntGap)
	case replay:
		return m, fmt.Errorf("%w: f_cnt %d after %d", ErrReplay, c.fCnt, last)
	case repeated:
		return m, c.session.last.check(d, c)
	}
	return m, nil
}

// lastFrame is what a session knows its last frame by: its MIC, which no other
// frame with this counter has but by chance. It is not kept in the store: after a
// restart a frame with the last counter is a replay, as nobody knows how long ago
// the last one was, and nothing must be spent on a replay.
type lastFrame struct {
	mic   [4]byte
	known bool
}

// check returns nil for the same frame, else ErrReused, or ErrReplay where the
// last frame is not known.
func (l *lastFrame) check(d *frame.Data, c *candidate) error {
	switch {
	case !l.known:
		return fmt.Errorf("%w: f_cnt %d after a restart", ErrReplay, c.fCnt)
	case !l.same(d, c.device.Version):
		return fmt.Errorf("%w: f_cnt %d", ErrReused, c.fCnt)
	}
	return nil
}

// same reports whether d, whose MIC and counter are right, is the last frame.
// With LoRaWAN 1.1 half of the MIC covers the channel, which can be another one
// when a frame is sent again (LoRaWAN 1.1, 4.4).
func (l *lastFrame) same(d *frame.Data, v Version) bool {
	if v >= V1_1 {
		return [2]byte(l.mic[2:]) == [2]byte(d.MIC[2:])
	}
	return l.mic == d.MIC
}

// LastMIC returns the MIC of the last frame, as it was sent last.
func (s *Session) LastMIC() [4]byte { return s.last.mic }

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
// repetition: the device may begin anew, and does so with the same counter. After
// a start the last frame is not known: then it is taken for a new beginning too.
func (m member) beginsAgain(d *frame.Data) bool {
	last := &m.session.last
	return m.session.FCntUp == uint32(d.FCnt) && m.mayRestart(d.FCnt) && (!last.known || !last.same(d, m.device.Version))
}

// maxRepeats is how often a device may repeat a frame: NbTrans is at most 15,
// and a confirmed frame is repeated 8 times (LoRaWAN 1.0.3, 5.2 and 19.4).
const maxRepeats = 15

// Repeat notes that the last frame came once more, with this MIC. It returns
// false when that was too often: then somebody else repeats it.
func (s *Session) Repeat(mic [4]byte) bool {
	if s.repeats >= maxRepeats {
		return false
	}
	s.repeats++
	s.last.mic = mic
	return true
}

// Accept notes that a new frame was taken.
func (m *Match) Accept(d *frame.Data) {
	s := m.Session
	s.Heard, s.FCntUp, s.repeats, s.confFCnt = true, m.FCnt, 0, m.confFCnt
	s.last = lastFrame{d.MIC, true}
	if p := m.Device.Pending; p != nil && p != s && !p.PassedOver {
		p.PassedOver = true
		p.changed(RecordChanged)
	}
	s.changed(CountersChanged)
	if m.Reset {
		s.SetParameters(nil) // those that it was made with
	}
}
