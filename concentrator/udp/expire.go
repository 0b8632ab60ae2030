package udp

import (
	"fmt"
	"net/netip"

	"lorawand/concentrator"
	"lorawand/radio"
)

// expire ends what has waited too long.
func (d *Driver) expire(now radio.HostTime, sink concentrator.Sink) {
	d.mu.Lock()
	var acks []radio.TxAck
	var events []radio.GatewayEvent
	for _, g := range d.gateways {
		late := func(q unanswered) bool { return now.Sub(q.at) >= d.opts.AckTimeout }
		acks = append(acks, g.unanswered(late, now)...)
		if g.online && now.Sub(g.heard) > d.opts.Offline {
			g.online = false
			events = append(events, radio.GatewayEvent{Gateway: g.eui, Kind: radio.GatewayDisconnected, At: now})
		}
	}
	checkDrops := now.Sub(d.drops) >= dropsEvery
	if checkDrops {
		d.drops = now
	}
	d.mu.Unlock()
	for _, a := range acks {
		sink.TxAck(a)
	}
	tell(sink, events)
	if checkDrops {
		d.checkDrops(now, sink)
	}
}

// checkDrops shows what the kernel has thrown away since the last look.
func (d *Driver) checkDrops(now radio.HostTime, sink concentrator.Sink) {
	n, err := kernelDrops(d.conn)
	if err != nil {
		d.log.Debug("the kernel does not tell its drops", "error", err)
		return
	}
	d.mu.Lock()
	more := n - d.stats.KernelDrops
	d.stats.KernelDrops = n
	d.mu.Unlock()
	if more > 0 {
		d.tellDropped(radio.EUI64{}, netip.AddrPort{}, now, sink, tooMany,
			fmt.Sprintf("the kernel has thrown %d datagrams away: more came than could be read", more))
	}
}
