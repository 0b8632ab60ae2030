package udp

import (
	"fmt"
	"net"
	"net/netip"

	"lorawand/concentrator"
	"lorawand/concentrator/udp/nowait"
	"lorawand/radio"
)

// expire ends downlinks and connections that have waited too long.
func (d *Driver) expire(now radio.HostTime, sink concentrator.Sink) {
	d.mu.Lock()
	var acks []radio.TxAck
	var events []radio.GatewayEvent
	for _, g := range d.gateways {
		late := func(q unanswered) bool { return now.Sub(q.at) >= d.opts.AckTimeout }
		acks = append(acks, g.unanswered(late, now)...)
		if _, there := d.opts.Elsewhere(g.eui); g.accepted && there {
			g.online = false // the other driver tells of it from now on
		}
		if g.online && now.Sub(g.heard) > d.opts.Offline {
			g.online = false
			events = append(events, radio.GatewayEvent{Gateway: g.eui, Kind: radio.GatewayDisconnected, At: now})
		}
	}
	conn, isUDP := d.conn.(*nowait.Socket)
	checkDrops := isUDP && now.Sub(d.drops) >= dropsEvery
	if checkDrops {
		d.drops = now
	}
	d.mu.Unlock()
	for _, a := range acks {
		sink.TxAck(a)
	}
	tell(sink, events)
	if checkDrops {
		d.checkDrops(conn.UDPConn, now, sink)
	}
}

// checkDrops reports the datagrams that the kernel has dropped since the last call.
func (d *Driver) checkDrops(conn *net.UDPConn, now radio.HostTime, sink concentrator.Sink) {
	n, err := kernelDrops(conn)
	if err != nil {
		d.log.Debug("cannot read how many datagrams the kernel dropped", "error", err)
		return
	}
	d.mu.Lock()
	more := n - d.stats.KernelDrops
	d.stats.KernelDrops = n
	d.mu.Unlock()
	if more > 0 {
		d.tellDropped(radio.EUI64{}, netip.AddrPort{}, now, sink, tooMany,
			fmt.Sprintf("the kernel has dropped %d datagrams: more came than could be read", more))
	}
}
