package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// A server of ours has connections that can end: then the next one is opened, soon, and what was on
// its way comes nowhere. It may have more sent in a second than others.
func TestConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *stand
		var of []radio.EUI64
		s = newStand(t, Server{
			Address: "central:1700", Selection: foreign.Selection{Own: true}, KeepAlive: 5 * time.Second, Trusted: true,
			Dial: func(ctx context.Context, g radio.EUI64) (net.Conn, error) {
				conn, err := s.dial(ctx, "central:1700")
				s.mu.Lock()
				defer s.mu.Unlock()
				of = append(of, g)
				if err != nil {
					return nil, errors.Join(io.EOF, err) // over before it was open
				}
				return conn, nil
			},
		})
		defer s.end()
		s.Gateway(gwA, true, nil)
		first := s.opened(0)
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if n := len(first.take(gwmp.PullData)); n != 5 {
			t.Errorf("%d PULL_DATA in 21 s, want one each 5 s", n)
		}
		for n := range uint16(maxAsked) {
			s.want(first, n+1)
			s.mu.Lock()
			reply := s.reply[0]
			s.asked, s.reply = nil, nil
			s.mu.Unlock()
			reply(foreign.Result{Answer: radio.TxTooLate})
		}
		s.want(first, 100)
		_, late := s.one() // of more than maxBurst
		s.loses(first)
		second := s.opened(1)
		late(foreign.Result{Answer: radio.TxTooLate})
		if acks := second.acks(); len(acks) != 0 || s.state(0).Answered != 1 {
			t.Errorf("%+v; what was asked over the connection before is answered with %q", s.state(0), acks)
		}
		s.hear(gwA, 1, true)
		if n := len(second.take(gwmp.PushData)); n == 0 {
			t.Error("no frame over the new connection")
		}
		if slices.ContainsFunc(of, func(g radio.EUI64) bool { return g != gwA }) {
			t.Errorf("connections of %v", of)
		}
		if n := len(s.changes); n < 3 || s.changes[0] != "central:1700 answers" || s.changes[n-1] != "central:1700 answers" {
			t.Errorf("people are told %q", s.changes)
		}
	})
}

// loses ends the connection of a server, which then is away for two minutes.
func (s *stand) loses(first *far) {
	s.Helper()
	_ = first.Close()
	time.Sleep(lostWait - time.Millisecond)
	synctest.Wait()
	if s.dialled != 1 || s.state(0).Answered != 0 {
		s.Errorf("within a second %d connections, %+v", s.dialled, s.state(0))
	}
	s.mu.Lock()
	s.noName = true
	s.mu.Unlock()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	if n := s.dialled; n < 5 || n > 7 {
		s.Errorf("a server that is not there is dialled %d times in two minutes", n)
	}
	s.mu.Lock()
	s.noName = false
	s.mu.Unlock()
	time.Sleep(time.Minute)
}
