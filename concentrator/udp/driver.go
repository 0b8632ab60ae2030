// Package udp serves packet forwarders that speak the Semtech UDP protocol. It has
// the server's end (Driver), and a packet forwarder of our own (Forwarder).
//
// The protocol has no authentication: anybody who can send a datagram can claim to
// be any gateway. So the driver listens on the loopback unless it is configured
// otherwise, serves only configured gateways, and pins the downlink path of a
// gateway to one IP address: see gateway.pull.
package udp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Options configures a Driver.
type Options struct {
	Listen        string                // UDP address; default "127.0.0.1:1700"
	Gateways      []radio.EUI64         // the gateways that are served
	AcceptUnknown bool                  // serve other gateways too, up to MaxUnknown
	Allow         []netip.Prefix        // networks whose datagrams are read, beside this host's; empty: all
	Now           func() radio.HostTime // the host's clock; required
	Logger        *slog.Logger          // default slog.Default()

	// Elsewhere says whether a gateway that is not in Gateways belongs to another driver, and
	// whether it is on line there. It must not call this Driver. Nil: none does.
	Elsewhere func(radio.EUI64) (other, online bool)

	// Socket is where datagrams come from and go to; nil: a UDP socket at Listen. Its gateways
	// are elsewhere, whatever their addresses say. Run closes it.
	Socket Socket

	Offline    time.Duration // silence after which a gateway is off line; default 90 s
	PinTimeout time.Duration // silence after which the gateway may move to another IP; default 30 s
	AckTimeout time.Duration // how long to wait for a TX_ACK; default 3 s
}

// Limits.
const (
	MaxUnknown    = 64          // gateways served because of AcceptUnknown
	maxUnanswered = 64          // downlinks of one gateway without a TX_ACK
	receiveBuffer = 1 << 20     // bytes requested from the kernel
	tick          = time.Second // a driver at rest wakes the process so often
	dropsEvery    = 10 * time.Second
	alarmEvery    = time.Minute
)

// Driver serves any number of packet forwarders. It implements concentrator.Driver.
type Driver struct {
	opts Options
	log  *slog.Logger
	conn Socket

	mu       sync.Mutex // guards the fields below
	gateways map[radio.EUI64]*gateway
	refusals refusals
	told     told // of what no gateway can be blamed for
	accepted int  // number of gateways served because of AcceptUnknown
	stats    Stats
	alarms   map[string]radio.HostTime // when each kind of trouble was last logged
	drops    radio.HostTime            // when the kernel was last asked for its drops
	stopped  bool

	// Buffers for one datagram, used by Run.
	push   gwmp.Push
	answer []byte
}

var _ concentrator.Driver = (*Driver)(nil)

// Listen opens the socket. Run does the work.
func Listen(o Options) (*Driver, error) {
	if o.Now == nil {
		return nil, errors.New("udp: no clock")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:1700"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Elsewhere == nil {
		o.Elsewhere = func(radio.EUI64) (other, online bool) { return false, false }
	}
	setDefault(&o.Offline, 90*time.Second)
	setDefault(&o.PinTimeout, 30*time.Second)
	setDefault(&o.AckTimeout, 3*time.Second)
	conn, granted, err := o.open()
	if err != nil {
		return nil, err
	}
	d := &Driver{
		opts: o, log: o.Logger, conn: conn,
		gateways: map[radio.EUI64]*gateway{}, alarms: map[string]radio.HostTime{},
	}
	for _, eui := range o.Gateways {
		d.gateways[eui] = d.newGateway(eui)
	}
	d.stats.ReceiveBuffer = granted
	return d, nil
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// Addr returns the address that the driver listens on.
func (d *Driver) Addr() netip.AddrPort {
	a, _ := netip.ParseAddrPort(d.conn.LocalAddr().String())
	return a
}

// Close closes the socket of a driver that has never run.
func (d *Driver) Close() error { return d.conn.Close() }

// Stats returns the counts so far.
func (d *Driver) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Run implements concentrator.Driver. It closes the socket at its end.
func (d *Driver) Run(ctx context.Context, sink concentrator.Sink) error {
	d.tellListening()
	stop := context.AfterFunc(ctx, func() { _ = d.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	defer d.close(sink)
	buf := make([]byte, gwmp.MaxSize)
	for ctx.Err() == nil {
		if err := d.conn.SetReadDeadline(time.Now().Add(tick)); err != nil {
			return fmt.Errorf("udp: %w", err)
		}
		if ctx.Err() != nil {
			break // ctx ended between the two: its deadline was overwritten
		}
		if err := d.read(buf, sink); err != nil {
			return err
		}
		d.expire(d.opts.Now(), sink)
	}
	return nil
}

// read reads and handles datagrams until the read deadline.
func (d *Driver) read(buf []byte, sink concentrator.Sink) error {
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(buf)
		now := d.opts.Now()
		switch {
		case err == nil:
			d.datagram(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), now, sink)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("udp: %w", err)
		default:
			d.alarm(now, "read", "cannot read datagrams", "error", err)
			time.Sleep(10 * time.Millisecond) // after an error such as "port unreachable", which passes
		}
	}
}

// close ends the open downlinks, so that each Transmit is answered.
func (d *Driver) close(sink concentrator.Sink) {
	d.mu.Lock()
	d.stopped = true
	var acks []radio.TxAck
	now := d.opts.Now()
	for _, g := range d.gateways {
		acks = append(acks, g.unanswered(func(unanswered) bool { return true }, now)...)
	}
	d.mu.Unlock()
	for _, a := range acks {
		sink.TxAck(a)
	}
	_ = d.conn.Close()
}

// datagram handles one datagram. A fault of this program drops only that datagram.
func (d *Driver) datagram(b []byte, from netip.AddrPort, now radio.HostTime, sink concentrator.Sink) {
	defer func() {
		if r := recover(); r != nil {
			d.count(func(s *Stats) { s.Panics++ })
			d.alarm(now, "panic", "fault while reading a datagram, which is dropped", "fault", r, "from", from.String())
		}
	}()
	d.count(func(s *Stats) { s.Datagrams++ })
	if !d.allows(from.Addr()) {
		d.notAllowed(from, now, sink)
		return
	}
	p, err := gwmp.ParsePacket(b)
	if err != nil {
		d.malformed(radio.EUI64{}, from, now, sink, err)
		return
	}
	switch p.Type {
	case gwmp.PushData:
		d.pushData(p, from, now, sink)
	case gwmp.PullData:
		d.pullData(p, from, now, sink)
	case gwmp.TxAck:
		d.txAck(p, from, now, sink)
	default: // types that only servers send
		d.malformed(radio.EUI64{}, from, now, sink, fmt.Errorf("servers do not accept a %v", p.Type))
	}
}

func (d *Driver) count(f func(*Stats)) {
	d.mu.Lock()
	f(&d.stats)
	d.mu.Unlock()
}

// alarm logs each kind of trouble at most once a minute.
func (d *Driver) alarm(now radio.HostTime, kind, msg string, args ...any) {
	d.mu.Lock()
	last, seen := d.alarms[kind]
	due := !seen || now.Sub(last) >= alarmEvery
	if due {
		d.alarms[kind] = now
	}
	d.mu.Unlock()
	if due {
		d.log.Warn(msg, args...)
	}
}

func tell(sink concentrator.Sink, events []radio.GatewayEvent) {
	for _, e := range events {
		sink.GatewayEvent(e)
	}
}

func (d *Driver) pushData(p gwmp.Packet, from netip.AddrPort, now radio.HostTime, sink concentrator.Sink) {
	d.mu.Lock()
	g, events := d.lookup(p.EUI, from, now)
	if g == nil {
		d.mu.Unlock()
		tell(sink, events)
		return
	}
	foreign := g.foreign(from, now, d.opts.PinTimeout)
	if foreign {
		d.stats.ForeignAddress++
		events = d.dropped(p.EUI, from, now, secondAddress, g.elsewhere(from))
	}
	d.mu.Unlock()
	d.acknowledge(gwmp.Packet{Version: p.Version, Token: p.Token, Type: gwmp.PushAck}, from)
	tell(sink, events)
	push := &d.push
	if err := push.Parse(p.Body); err != nil {
		d.malformed(p.EUI, from, now, sink, err)
		return
	}
	d.pushed(g, push, from, now, foreign, sink)
	clear(push.Uplinks)
}

// pushed handles the frames and the status of a PUSH_DATA.
func (d *Driver) pushed(g *gateway, push *gwmp.Push, from netip.AddrPort, now radio.HostTime, foreign bool,
	sink concentrator.Sink,
) {
	d.mu.Lock()
	d.stats.BadCRC += uint64(push.BadCRC)
	d.stats.Faulty += uint64(push.Faulty)
	d.stats.LostFields += uint64(push.Lost)
	odd := push.Lost > 0 && !g.odd
	g.odd = g.odd || odd
	events := g.seen(from, now, foreign)
	if push.Fault != nil {
		events = append(events, d.dropped(g.eui, from, now, faulty, push.Fault.Error())...)
	}
	if why := g.noPath(now, d.opts.Offline); why != "" && !foreign && len(push.Uplinks) > 0 &&
		now.Sub(g.since) > pullGrace {
		c := noPullData
		if why == g.speed.wrong() {
			c = wrongCounter
		}
		events = append(events, d.dropped(g.eui, from, now, c, why)...)
	}
	ups, reset := g.uplinks(push.Uplinks, from, now, foreign, &d.stats)
	since := g.clock.Since()
	d.mu.Unlock()
	if odd {
		d.log.Info("a gateway sends frames with an unreadable field; the frames are accepted without it", "gateway_eui",
			g.eui,
			"field", push.LostField)
	}
	if reset {
		events = append(events, radio.GatewayEvent{Gateway: g.eui, Kind: radio.GatewayCounterReset, At: now, Since: since})
	}
	if push.Stat != nil && !foreign {
		events = append(events, radio.GatewayEvent{
			Gateway: g.eui, Kind: radio.GatewayStatus, At: now,
			Address: from.String(), Status: *push.Stat,
		})
	}
	tell(sink, events)
	for _, up := range ups {
		sink.Uplink(up)
	}
}

func (d *Driver) pullData(p gwmp.Packet, from netip.AddrPort, now radio.HostTime, sink concentrator.Sink) {
	d.mu.Lock()
	g, events := d.lookup(p.EUI, from, now)
	taken, moved := false, ""
	if g != nil {
		moved = g.movesTo(from, now)
		taken = g.pull(from, p.Version, now, d.opts.PinTimeout)
	}
	switch {
	case taken:
		events = g.seen(from, now, false)
		if moved != "" {
			d.stats.Moved++
			events = append(events, d.dropped(p.EUI, from, now, pathMoved, moved)...)
		}
	case g != nil:
		d.stats.ForeignAddress++
		events = d.dropped(p.EUI, from, now, secondAddress, g.elsewhere(from))
	}
	d.mu.Unlock()
	if taken {
		d.acknowledge(gwmp.Packet{Version: p.Version, Token: p.Token, Type: gwmp.PullAck}, from)
	}
	tell(sink, events)
}

func (d *Driver) txAck(p gwmp.Packet, from netip.AddrPort, now radio.HostTime, sink concentrator.Sink) {
	ack, err := gwmp.ParseAck(p.Body)
	if err != nil {
		d.malformed(p.EUI, from, now, sink, err)
		return
	}
	q, ok := d.takeAck(&p, from, now, sink)
	if !ok {
		return
	}
	if ack.Result == radio.TxUnknownError || ack.Warning != "" {
		d.alarm(now, "ack "+p.EUI.String(), "a gateway answers a downlink in an unusual way",
			"gateway_eui", p.EUI, "error_word", ack.Word, "warning", ack.Warning)
	}
	sink.TxAck(radio.TxAck{ID: q.id, Gateway: p.EUI, Result: ack.Result, RoundTrip: now.Sub(q.at), At: now})
}

// takeAck returns the downlink that a TX_ACK answers. ok is false if there is none.
func (d *Driver) takeAck(p *gwmp.Packet, from netip.AddrPort, now radio.HostTime,
	sink concentrator.Sink,
) (q unanswered, ok bool) {
	var events []radio.GatewayEvent
	d.mu.Lock()
	switch g := d.gateways[p.EUI]; {
	case g == nil, g.accepted && d.isElsewhere(g.eui):
	case g.foreign(from, now, d.opts.PinTimeout):
		events = d.dropped(p.EUI, from, now, secondAddress, g.elsewhere(from))
	default:
		events = g.seen(from, now, false)
		q, ok = g.answered(p)
	}
	if !ok {
		d.stats.StrayAcks++
	}
	d.mu.Unlock()
	tell(sink, events)
	return q, ok
}

// Transmit implements concentrator.Driver.
func (d *Driver) Transmit(dl radio.Downlink) error {
	now := d.opts.Now()
	d.mu.Lock()
	g := d.gateways[dl.Gateway]
	if g == nil || d.stopped {
		d.mu.Unlock()
		return pathError("its driver has stopped or does not serve it")
	}
	if why := g.noPath(now, d.opts.Offline); why != "" {
		d.mu.Unlock()
		return pathError(why)
	}
	if len(g.pending) >= maxUnanswered {
		d.mu.Unlock()
		return pathError(fmt.Sprintf("it has left %d downlinks unanswered", maxUnanswered))
	}
	token := uint16(rand.Uint32())
	for _, taken := g.pending[token]; taken; _, taken = g.pending[token] {
		token++
	}
	g.pending[token] = unanswered{id: dl.ID, at: now}
	path, version := g.path, g.version
	d.mu.Unlock()
	p := gwmp.Packet{Version: version, Token: token, Type: gwmp.PullResp, Body: gwmp.AppendTx(nil, &dl)}
	if err := d.write(p.Append(nil), path); err != nil && d.withdraw(g, token, dl.ID) {
		return fmt.Errorf("udp: send to %v: %w", path, err)
	}
	return nil
}

// withdraw cancels a downlink that could not be sent. It returns false if the
// downlink was answered in the meantime, as when the driver stops.
func (d *Driver) withdraw(g *gateway, token uint16, id uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	q, ok := g.pending[token]
	if !ok || q.id != id {
		return false
	}
	delete(g.pending, token)
	return true
}

// acknowledge answers a datagram. An answer that cannot be sent is treated as lost
// in the network.
func (d *Driver) acknowledge(p gwmp.Packet, to netip.AddrPort) {
	d.answer = p.Append(d.answer[:0])
	_ = d.write(d.answer, to)
}

func (d *Driver) write(datagram []byte, to netip.AddrPort) error {
	_, err := d.conn.WriteToUDPAddrPort(datagram, to)
	return err
}
