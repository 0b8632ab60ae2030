package forward

import (
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// ask takes a PULL_RESP: a frame that the server wants sent. One that no gateway could send gets no
// answer, as from Semtech's forwarder.
func (s *socket) ask(p gwmp.Packet) {
	s.Count(func(c *links.Counts) { c.Downlinks++ })
	d, err := gwmp.ParseRelayedTx(p.Body)
	if err != nil {
		s.Count(func(c *links.Counts) { c.Malformed++ })
		return
	}
	if s.asked[p.Token] != nil {
		return // the same datagram once more
	}
	a := &asked{token: p.Token, at: time.Now()}
	if len(s.asked) >= maxAsked || !s.spend() {
		s.finish(a, foreign.Result{Answer: radio.TxCollisionPacket, Reason: "queue_full"})
		return
	}
	s.asked[p.Token] = a
	d.Gateway = s.EUI
	replies := s.replies
	s.opts.Ask(foreign.Request{Network: s.server.Address, Downlink: d}, func(r foreign.Result) {
		select {
		case replies <- reply{a, r}:
		default: // the socket of the downlink is closed, and so are those of many after it
		}
	})
}

// spend reports whether one more PULL_RESP may reach the core.
func (s *socket) spend() bool {
	if s.server.Trusted {
		return true
	}
	now := time.Now()
	s.tokens = min(maxBurst, s.tokens+now.Sub(s.tokensAt).Seconds()*perSecond)
	s.tokensAt = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// reply takes what becomes of a downlink.
func (s *socket) reply(r reply) {
	a := r.to
	if s.asked[a.token] != a {
		return // of a socket before
	}
	a.result = r.result
	if r.result.Planned {
		a.due = time.Now().Add(settling)
		s.arm()
		return
	}
	delete(s.asked, a.token)
	s.finish(a, r.result)
}

// finish ends a downlink, with a TX_ACK unless the server has it.
func (s *socket) finish(a *asked, r foreign.Result) {
	switch r.Answer {
	case radio.TxOK, radio.TxNoAck: // a missing answer is not a refusal
		s.Count(func(c *links.Counts) { c.Transmitted++ })
	default:
		s.Count(func(c *links.Counts) { c.Refused++ })
	}
	if !a.done && r.Answer != radio.TxNoAck {
		s.acknowledge(a, r)
	}
}

// accept tells the server of the downlinks that no gateway has refused.
func (s *socket) accept() {
	now := time.Now()
	for _, a := range s.asked {
		if !a.done && !a.due.IsZero() && !now.Before(a.due) {
			s.acknowledge(a, a.result)
		}
	}
	s.arm()
}

// arm sets the timer for the next downlink that is accepted.
func (s *socket) arm() {
	var next time.Time
	for _, a := range s.asked {
		if !a.done && !a.due.IsZero() && (next.IsZero() || a.due.Before(next)) {
			next = a.due
		}
	}
	if !next.IsZero() {
		s.due.Reset(time.Until(next))
	}
}

// acknowledge sends the TX_ACK.
func (s *socket) acknowledge(a *asked, r foreign.Result) {
	a.done = true
	if r.Answer == radio.TxOK && r.Lowered {
		s.body = gwmp.AppendLoweredAck(s.body[:0], r.Power)
	} else {
		s.body = gwmp.AppendAck(s.body[:0], word(r.Answer))
	}
	_ = s.send(gwmp.TxAck, a.token, s.body)
}

// word returns the word of the protocol for an answer: it has none for some.
func word(r radio.TxResult) radio.TxResult {
	switch r {
	case radio.TxChannelBusy:
		return radio.TxCollisionPacket
	case radio.TxNoPath:
		return radio.TxTooLate
	}
	return r
}
