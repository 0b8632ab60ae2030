package forward

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

const (
	// keepAlive is the time between two PULL_DATA: a NAT on the way forgets an idle socket after
	// 30 s. Default of Semtech's forwarder.
	keepAlive = 10 * time.Second
	// maxUnanswered is how many PULL_DATA in a row may get no answer. Then the name of the server is
	// resolved again.
	maxUnanswered = 3
	// statusEvery is the time between two statuses. Default of Semtech's forwarder.
	statusEvery  = 30 * time.Second
	writeTimeout = time.Second
	// maxDatagram is more than a PULL_RESP with 255 bytes of PHYPayload needs.
	maxDatagram = 2048
	// refusedPause is the pause after an error of the socket: that nobody listens at the server's
	// port may change.
	refusedPause = 200 * time.Millisecond

	// maxAsked bounds the downlinks of a server that a gateway has not answered: as many as a queue
	// of a gateway holds (JIT_QUEUE_MAX of sx1302_hal 2.1.0 is 32) for both directions of servers.
	maxAsked = 16
	// askedFor is how long a downlink may go without its last Result.
	askedFor = 3 * time.Minute
	// maxBurst and perSecond bound the PULL_RESP that reach the core.
	maxBurst  = 16
	perSecond = 8
	// settling is how long a refusal by the gateway is waited for before the server is told that a
	// downlink was accepted. TX_ACK says that, and not that it was sent: servers measure the way
	// to the gateway by it.
	settling = 100 * time.Millisecond
)

// socket is the conversation of a gateway with a server over one socket. It belongs to the goroutine
// of its link; a second one reads.
type socket struct {
	*link
	conn       net.Conn
	pullToken  uint16
	unanswered int               // PULL_DATA
	pushes     [16]pushed        // the last PUSH_DATA that have no answer yet
	next       int               // in pushes
	asked      map[uint16]*asked // downlinks that have no last Result, by token
	due        *time.Timer       // for the next TX_ACK
	tokens     float64           // PULL_RESP that may reach the core now
	tokensAt   time.Time
	told       links.Counts // at the last status

	one  [1]radio.Uplink // room for what is written
	body []byte
	out  []byte
}

// pushed is a PUSH_DATA with a frame; the zero value is none.
type pushed struct {
	token uint16
	phy   []byte
}

// asked is a downlink of the server.
type asked struct {
	token  uint16
	at     time.Time
	due    time.Time // when TX_ACK is to say that it is accepted; zero: that is not known, or done
	done   bool      // the server has its TX_ACK
	result foreign.Result
}

// reply is a Result for a downlink.
type reply struct {
	to     *asked
	result foreign.Result
}

func newSocket(l *link, conn net.Conn) *socket {
	return &socket{
		link: l, conn: conn, asked: map[uint16]*asked{}, tokens: maxBurst, tokensAt: time.Now(),
		due: time.NewTimer(time.Hour), told: l.State().Counts,
	}
}

// serve works until ctx ends, the server is silent, or the socket is to be opened anew. It closes the
// socket.
func (s *socket) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	packets, over := make(chan gwmp.Packet), make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() { over <- s.read(ctx, packets) })
	defer reading.Wait()
	defer s.conn.Close()
	defer cancel()
	pull, status := time.NewTicker(s.server.KeepAlive), time.NewTicker(statusEvery)
	defer pull.Stop()
	defer status.Stop()
	defer s.due.Stop()
	s.pull()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.Renewed:
			return errRenewed
		case err := <-over:
			return err
		case f := <-s.Frames:
			s.push(f.Uplink)
		case p := <-packets:
			s.packet(p)
		case r := <-s.replies:
			s.reply(r)
		case <-s.due.C:
			s.accept()
		case <-status.C:
			s.status()
		case <-pull.C:
			if s.unanswered >= maxUnanswered {
				return errSilent
			}
			s.pull()
		}
	}
}

// read reads the datagrams of the server until ctx ends, or until the connection is over.
func (s *socket) read(ctx context.Context, packets chan<- gwmp.Packet) error {
	buf := make([]byte, maxDatagram)
	for ctx.Err() == nil {
		n, err := s.conn.Read(buf)
		if errors.Is(err, io.EOF) {
			return err
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(refusedPause):
			}
			continue
		}
		p, err := gwmp.ParsePacket(slices.Clone(buf[:n]))
		if err != nil {
			s.Count(func(c *links.Counts) { c.Malformed++ })
			continue
		}
		select {
		case <-ctx.Done():
		case packets <- p:
		}
	}
	return nil
}

// send writes a datagram. What cannot be written is lost, as on the way.
func (s *socket) send(t gwmp.Type, token uint16, body []byte) error {
	p := gwmp.Packet{Version: gwmp.Version2, Token: token, Type: t, EUI: s.EUI, Body: body}
	s.out = p.Append(s.out[:0])
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.conn.Write(s.out)
	return err
}

// newToken returns a token that is not 0.
func newToken() uint16 { return uint16(1 + rand.IntN(1<<16-1)) }

func (s *socket) pull() {
	s.pullToken = newToken()
	s.unanswered++
	_ = s.send(gwmp.PullData, s.pullToken, nil)
	for token, a := range s.asked {
		if time.Since(a.at) > askedFor {
			delete(s.asked, token)
		}
	}
}

// push hands a frame to the server.
func (s *socket) push(up radio.Uplink) {
	s.one[0] = up
	s.body = gwmp.AppendPush(s.body[:0], s.one[:], nil)
	s.one[0] = radio.Uplink{}
	token := newToken()
	if err := s.send(gwmp.PushData, token, s.body); err != nil {
		s.Count(func(c *links.Counts) { c.Lost++ })
		return
	}
	s.server.Watch.Sent(up.PHYPayload)
	s.pushes[s.next] = pushed{token, up.PHYPayload}
	s.next = (s.next + 1) % len(s.pushes)
	s.Count(func(c *links.Counts) { c.Forwarded++ })
}

// status sends the counts since the last status.
func (s *socket) status() {
	now := s.State().Counts
	n := func(now, then uint64) uint32 { return uint32(now - then) }
	st := radio.Status{
		Received: n(now.Heard, s.told.Heard), Forwarded: n(now.Forwarded, s.told.Forwarded),
		Downlinks: n(now.Downlinks, s.told.Downlinks), Transmitted: n(now.Transmitted, s.told.Transmitted),
	}
	st.ReceivedOK = st.Received // others do not come so far
	if st.Forwarded > 0 {
		st.Acknowledged = min(1000, n(now.Acknowledged, s.told.Acknowledged)*1000/st.Forwarded)
	}
	s.told = now
	var at time.Time
	if w := s.opts.Calendar(); w.Known() {
		at = w.Time
	}
	s.body = gwmp.AppendStat(s.body[:0], &st, at, s.Place)
	_ = s.send(gwmp.PushData, newToken(), s.body)
}

// packet takes a datagram of the server.
func (s *socket) packet(p gwmp.Packet) {
	switch p.Type {
	case gwmp.PushAck:
		i := slices.IndexFunc(s.pushes[:], func(to pushed) bool { return to.token == p.Token })
		if i >= 0 && p.Token != 0 {
			s.server.Watch.Acknowledged(s.pushes[i].phy)
			s.server.Watch.Answered()
			s.pushes[i] = pushed{}
			s.Count(func(c *links.Counts) { c.Acknowledged++ })
		}
	case gwmp.PullAck:
		if p.Token == s.pullToken {
			s.unanswered = 0
			s.server.Watch.Answered()
			s.Answers(nil)
		}
	case gwmp.PullResp:
		s.ask(p)
	default:
		s.Count(func(c *links.Counts) { c.Malformed++ })
	}
}
