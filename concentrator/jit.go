package concentrator

import (
	"errors"
	"slices"
	"time"

	"lorawand/radio"
)

// ErrTooLate is the error of a Transmitter for a packet that begins too soon.
var ErrTooLate = errors.New("too late")

// ErrOtherTurn is the error of a Transmitter whose other chain has its turn.
var ErrOtherTurn = errors.New("the other chain has its turn")

// Transmitter arms packets to be sent at their time. It has no queue: each chain
// holds at most one packet.
type Transmitter interface {
	// Busy reports whether a chain waits to send, or sends. After an error, such as
	// ErrOtherTurn, it is asked again.
	Busy(chain int) (bool, error)
	// Arm programs a packet with a time. ErrTooLate says that the packet will not
	// be sent.
	Arm(d radio.Downlink) error
	// Abort frees a chain.
	Abort(chain int) error
}

// JITOptions configures a JIT.
type JITOptions struct {
	Lead     time.Duration // how long before its start a packet is armed; default 40 ms
	MinLead  time.Duration // a packet added less than that before its start is too late; default 15 ms
	MinArm   time.Duration // a packet is not armed less than that before its start; default 3 ms
	MaxAhead time.Duration // a packet added more than that before its start is too early; default 2 min
	Gap      time.Duration // pause between two packets of a chain, in which the second is armed; default 8 ms
	Size     int           // packets of a chain; default 32

	// Turns is the least time between the starts of two packets of different chains, for
	// chains that share what arms them and so take turns: the radio that listens before
	// talk. 0: they share nothing.
	Turns time.Duration
}

// JITStats counts events since NewJIT.
type JITStats struct {
	Armed    uint64        // packets handed to the chip in time
	TooLate  uint64        // packets accepted and then not armed in time
	Failed   uint64        // packets that the chip has refused
	Stuck    uint64        // times that a chain stayed busy after its packet, and was freed
	LastLead time.Duration // how long before its start the last packet was armed
	MinLead  time.Duration // the smallest of these
	Late     time.Duration // the longest time between the due time of a packet and its arming
}

// Plus returns the counts of two queues together. o is the later queue.
func (s JITStats) Plus(o JITStats) JITStats {
	if o.Armed > 0 {
		if s.Armed == 0 || o.MinLead < s.MinLead {
			s.MinLead = o.MinLead
		}
		s.LastLead, s.Late = o.LastLead, max(s.Late, o.Late)
	}
	s.Armed += o.Armed
	s.TooLate += o.TooLate
	s.Failed += o.Failed
	s.Stuck += o.Stuck
	return s
}

// JIT keeps the packets of one concentrator until just before their start, because
// the chip takes one packet per chain, and once armed, a packet can only be
// aborted. A JIT starts no goroutine: its owner calls Poll about every 10 ms, so
// that packets are armed 30 to 40 ms ahead.
//
// A JIT is not safe for use by several goroutines.
type JIT struct {
	opts   JITOptions
	chains [2]jitChain
	stats  JITStats
	pace   time.Duration
}

// jitChain is the queue of one chain, sorted by time.
type jitChain struct {
	queue []jitPacket
	onAir jitPacket // the last armed packet
}

type jitPacket struct {
	downlink radio.Downlink
	end      radio.ConcentratorTime
}

func (p *jitPacket) begin() radio.ConcentratorTime { return p.downlink.Time }

// NewJIT returns an empty queue.
func NewJIT(o JITOptions) *JIT {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Lead, 40*time.Millisecond)
	def(&o.MinLead, 15*time.Millisecond)
	def(&o.MinArm, 3*time.Millisecond)
	def(&o.MaxAhead, 2*time.Minute)
	def(&o.Gap, 8*time.Millisecond)
	if o.Size == 0 {
		o.Size = 32
	}
	return &JIT{opts: o}
}

// Pace takes the time that it took to arm a packet. The queue uses the longest
// recent time p: each packet that is armed faster lowers p by a quarter. On a slow
// bus everything is done earlier, up to maxLead:
//
//	         normal   slow bus            why
//	lead      40 ms   2p + 20 ms          armed so far ahead, a packet is in time even if it has to be polled for
//	                                      twice (10 ms each) and the packet of the other chain is armed first
//	minLead   15 ms   p + 10 ms           less is too late to be taken: it is armed with the next poll
//	minArm     3 ms   p, at most lead/2   less is too late to begin to arm it
//	gap        8 ms   p + 5 ms            from the end of a packet to the begin of the next one of its chain,
//	                                      which is armed in between
//	turns     if set   p + 20 ms          from the start of a packet to that of one of the other chain, which is armed
//	                                      when a poll has shown that the first has started
func (q *JIT) Pace(took time.Duration) { q.pace = max(took, q.pace*3/4) }

// maxLead is the time that is left when downlinks for the gateway's own chip are
// planned.
const maxLead = 120 * time.Millisecond

func (q *JIT) lead() time.Duration {
	return max(q.opts.Lead, min(2*q.pace+20*time.Millisecond, maxLead))
}

func (q *JIT) minLead() time.Duration {
	return max(q.opts.MinLead, min(q.pace+10*time.Millisecond, maxLead))
}

func (q *JIT) minArm() time.Duration { return max(q.opts.MinArm, min(q.pace, q.lead()/2)) }

func (q *JIT) gap() time.Duration {
	return max(q.opts.Gap, min(q.pace+5*time.Millisecond, maxLead))
}

// turns returns the least time between the starts of packets of different chains.
func (q *JIT) turns() time.Duration {
	if q.opts.Turns == 0 {
		return 0
	}
	return max(q.opts.Turns, min(q.pace+20*time.Millisecond, maxLead))
}

// Stats returns the counts so far.
func (q *JIT) Stats() JITStats { return q.stats }

// Add accepts a packet, or returns the reason for refusing it; TxOK says that it
// was accepted. An immediate packet gets the first free time.
func (q *JIT) Add(d radio.Downlink, now radio.ConcentratorTime) radio.TxResult {
	if int(d.Antenna) >= len(q.chains) {
		return radio.TxNoPath
	}
	air, err := radio.TimeOnAir(d.Packet())
	if err != nil {
		return radio.TxUnknownError
	}
	c := &q.chains[d.Antenna]
	if len(c.queue) >= q.opts.Size {
		return radio.TxCollisionPacket
	}
	if d.Immediate {
		d.Time, d.Immediate = q.firstFree(int(d.Antenna), now.Add(q.minLead()), air), false
	}
	switch ahead := d.Time.Sub(now); {
	case ahead < q.minLead():
		return radio.TxTooLate
	case ahead > q.opts.MaxAhead:
		return radio.TxTooEarly
	}
	p := jitPacket{downlink: d, end: d.Time.Add(air + time.Microsecond - 1)}
	if _, taken := q.conflict(int(d.Antenna), p.begin(), p.end); taken {
		return radio.TxCollisionPacket
	}
	i, _ := slices.BinarySearchFunc(c.queue, p.begin(), func(e jitPacket, t radio.ConcentratorTime) int {
		return int(max(-1, min(1, e.begin()-t)))
	})
	c.queue = slices.Insert(c.queue, i, p)
	return radio.TxOK
}

// conflict returns until when a packet of a chain is in the way of one with the given
// times.
func (q *JIT) conflict(chain int, begin, end radio.ConcentratorTime) (radio.ConcentratorTime, bool) {
	if until, taken := q.chains[chain].conflict(begin, end, q.gap()); taken {
		return until.Add(q.gap()), true
	}
	turns := q.turns()
	if turns == 0 {
		return 0, false
	}
	other := &q.chains[1-chain]
	near := func(p *jitPacket) bool { return p.end != 0 && begin.Sub(p.begin()).Abs() < turns }
	if near(&other.onAir) {
		return other.onAir.begin().Add(turns), true
	}
	for i := range other.queue {
		if near(&other.queue[i]) {
			return other.queue[i].begin().Add(turns), true
		}
	}
	return 0, false
}

// conflict returns the end of a packet that is too close to the given times. The
// armed packet cannot be overtaken.
func (c *jitChain) conflict(begin, end radio.ConcentratorTime, gap time.Duration) (radio.ConcentratorTime, bool) {
	overlaps := func(p *jitPacket) bool { return begin < p.end.Add(gap) && p.begin() < end.Add(gap) }
	if c.onAir.end != 0 && begin < c.onAir.end.Add(gap) {
		return c.onAir.end, true
	}
	for i := range c.queue {
		if overlaps(&c.queue[i]) {
			return c.queue[i].end, true
		}
	}
	return 0, false
}

// firstFree returns the first time from t on at which a packet of a chain fits.
func (q *JIT) firstFree(chain int, t radio.ConcentratorTime, air time.Duration) radio.ConcentratorTime {
	for range q.Len() + len(q.chains) {
		until, taken := q.conflict(chain, t, t.Add(air+time.Microsecond-1))
		if !taken {
			break
		}
		t = until
	}
	return t
}

// Poll arms the packets that are due. It calls failed once for each accepted packet
// that could not be armed, with the reason. The result of an armed packet comes
// from the transmitter: only it learns whether the packet was sent.
func (q *JIT) Poll(now radio.ConcentratorTime, t Transmitter, failed func(radio.Downlink, radio.TxResult)) {
	for chain := range q.chains {
		c := &q.chains[chain]
		for len(c.queue) > 0 && c.queue[0].begin().Sub(now) <= q.lead() {
			result, wait := q.arm(chain, now, t)
			if wait {
				break
			}
			p := c.queue[0]
			c.queue = slices.Delete(c.queue, 0, 1)
			if result != radio.TxOK {
				failed(p.downlink, result)
			}
		}
	}
}

// arm hands the first packet of a chain to the chip. wait says that the packet
// before it has not ended.
func (q *JIT) arm(chain int, now radio.ConcentratorTime, t Transmitter) (result radio.TxResult, wait bool) {
	c := &q.chains[chain]
	p := c.queue[0]
	lead := p.begin().Sub(now)
	if lead < q.minArm() {
		q.stats.TooLate++
		return radio.TxTooLate, false
	}
	busy, err := t.Busy(chain)
	if err != nil {
		return 0, true // the next Poll tries it again while there is time
	}
	if busy {
		if c.onAir.end != 0 && now < c.onAir.end.Add(q.opts.Gap/2) {
			return 0, true
		}
		q.stats.Stuck++
		err = t.Abort(chain)
	}
	if err == nil {
		err = t.Arm(p.downlink)
	}
	switch {
	case errors.Is(err, ErrTooLate):
		q.stats.TooLate++
		return radio.TxTooLate, false
	case err != nil:
		q.stats.Failed++
		return radio.TxUnknownError, false
	}
	c.onAir = p
	q.measure(lead)
	return radio.TxOK, false
}

func (q *JIT) measure(lead time.Duration) {
	s := &q.stats
	if s.Armed == 0 || lead < s.MinLead {
		s.MinLead = lead
	}
	s.Armed++
	s.LastLead, s.Late = lead, max(s.Late, q.lead()-lead)
}

// settled is how long after the end of a packet the chip is free at the latest.
const settled = 500 * time.Microsecond

// Next returns when Poll next has something to do, at least a millisecond ahead; ok
// is false if the queue is empty.
func (q *JIT) Next(now radio.ConcentratorTime) (at radio.ConcentratorTime, ok bool) {
	for i := range q.chains {
		c := &q.chains[i]
		if len(c.queue) == 0 {
			continue
		}
		due := c.queue[0].begin().Add(-q.lead())
		if c.onAir.end != 0 {
			due = max(due, c.onAir.end.Add(settled))
		}
		if !ok || due < at {
			at, ok = due, true
		}
	}
	return max(at, now.Add(time.Millisecond)), ok
}

// Len returns how many packets wait.
func (q *JIT) Len() int { return len(q.chains[0].queue) + len(q.chains[1].queue) }

// Drop gives up all waiting packets, because the counter starts again.
func (q *JIT) Drop(failed func(radio.Downlink)) {
	for i := range q.chains {
		dropped := q.chains[i].queue
		q.chains[i] = jitChain{}
		for k := range dropped {
			failed(dropped[k].downlink)
		}
	}
}
