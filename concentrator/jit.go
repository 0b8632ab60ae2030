package concentrator

import (
	"errors"
	"slices"
	"time"

	"lorawand/radio"
)

// ErrTooLate is the reason of a Transmitter for a packet whose time has come
// too close.
var ErrTooLate = errors.New("too late")

// Transmitter arms packets for their time. It queues nothing: a chain has one
// packet at most.
type Transmitter interface {
	// Busy reports whether a chain waits to send or sends.
	Busy(chain int) (bool, error)
	// Arm programs a packet of which Immediate is not set. ErrTooLate says that
	// it will not be sent.
	Arm(d radio.Downlink) error
	// Abort frees a chain.
	Abort(chain int) error
}

// JITOptions configures a JIT.
type JITOptions struct {
	Lead     time.Duration // how far ahead of its time a packet is armed; default 40 ms
	MinLead  time.Duration // a packet that comes less than that ahead is too late; default 15 ms
	MinArm   time.Duration // less than that ahead it is too late to arm a packet; default 3 ms
	MaxAhead time.Duration // more than that is too early; default 2 min
	Gap      time.Duration // between packets of a chain, in which the second is armed; default 8 ms
	Size     int           // packets of a chain; default 32
}

// JITStats counts since NewJIT.
type JITStats struct {
	Armed    uint64        // packets that were handed to the chip in time
	TooLate  uint64        // that were taken and then not armed in time
	Failed   uint64        // that the chip did not take
	Stuck    uint64        // times that a chain stayed busy after its packet and was freed
	LastLead time.Duration // how far ahead of its time the last packet was armed
	MinLead  time.Duration // the least of them
	Late     time.Duration // the longest time between a packet's turn and its arming
}

// Plus returns the counts of two queues, of which o is the later one.
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

// JIT keeps the packets of one concentrator until it is time to arm them, just
// in time: the chip takes one per chain, and once armed, a packet can only be
// aborted. It starts nothing: Poll is to be called every 10 ms or so, with which
// packets are armed 30 to 40 ms ahead.
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
	onAir jitPacket // the last that was armed
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

// Pace tells how long it took to arm a packet. The queue goes by the longest of late: p
// falls by a quarter with each packet that is armed faster. On a slow bus everything is
// done earlier, up to maxLead:
//
//	         normal   slow bus            why
//	lead      40 ms   2p + 20 ms          armed so far ahead, a packet is in time even if it has to be polled for
//	                                      twice (10 ms each) and the packet of the other chain is armed first
//	minLead   15 ms   p + 10 ms           less is too late to be taken: it is armed with the next poll
//	minArm     3 ms   p, at most lead/2   less is too late to begin to arm it
//	gap        8 ms   p + 5 ms            from the end of a packet to the begin of the next one of its chain,
//	                                      which is armed in between
func (q *JIT) Pace(took time.Duration) { q.pace = max(took, q.pace*3/4) }

// maxLead is as much as those who plan transmissions on board leave.
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

// Stats returns the counts so far.
func (q *JIT) Stats() JITStats { return q.stats }

// Add takes a packet, if the result is TxOK, or says why not. A packet that is
// to be sent at once gets the first time that is free.
func (q *JIT) Add(d radio.Downlink, now radio.ConcentratorTime) radio.TxResult {
	if int(d.Antenna) >= len(q.chains) {
		return radio.TxNoPath
	}
	air, err := radio.TimeOnAir(radio.Packet{
		DataRate: d.DataRate, CodingRate: d.CodingRate, Size: len(d.PHYPayload),
		NoCRC: d.DataRate.Modulation == radio.LoRa && !d.Uplink,
	})
	if err != nil {
		return radio.TxUnknownError
	}
	c := &q.chains[d.Antenna]
	if len(c.queue) >= q.opts.Size {
		return radio.TxCollisionPacket
	}
	if d.Immediate {
		d.Time, d.Immediate = c.firstFree(now.Add(q.minLead()), air, q.gap()), false
	}
	switch ahead := d.Time.Sub(now); {
	case ahead < q.minLead():
		return radio.TxTooLate
	case ahead > q.opts.MaxAhead:
		return radio.TxTooEarly
	}
	p := jitPacket{downlink: d, end: d.Time.Add(air + time.Microsecond - 1)}
	if _, taken := c.conflict(p.begin(), p.end, q.gap()); taken {
		return radio.TxCollisionPacket
	}
	i, _ := slices.BinarySearchFunc(c.queue, p.begin(), func(e jitPacket, t radio.ConcentratorTime) int {
		return int(max(-1, min(1, e.begin()-t)))
	})
	c.queue = slices.Insert(c.queue, i, p)
	return radio.TxOK
}

// conflict returns the end of a packet that is too close to a time. The armed
// packet cannot be overtaken.
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

// firstFree returns the first time from t on with room for a packet.
func (c *jitChain) firstFree(t radio.ConcentratorTime, air, gap time.Duration) radio.ConcentratorTime {
	for range len(c.queue) + 1 {
		end, taken := c.conflict(t, t.Add(air+time.Microsecond-1), gap)
		if !taken {
			break
		}
		t = end.Add(gap)
	}
	return t
}

// Poll arms what is due. failed is told, once, of each packet that Add has taken
// and that could not be armed, and why. What was armed is the transmitter's to
// answer for: only it learns whether the packet was sent.
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
// before it is not over yet.
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
		return 0, true // it is asked again while there is time
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

// settled is the time after the end of a packet after which the chip is surely free.
const settled = 500 * time.Microsecond

// Next returns the time of the next Poll that has something to do, at least a millisecond
// ahead; ok is false if the queue is empty.
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

// Drop gives up on all packets that wait, because the counter begins anew.
func (q *JIT) Drop(failed func(radio.Downlink)) {
	for i := range q.chains {
		dropped := q.chains[i].queue
		q.chains[i] = jitChain{}
		for k := range dropped {
			failed(dropped[k].downlink)
		}
	}
}
