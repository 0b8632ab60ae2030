package udp

import "lorawand/concentrator"

// Metrics returns the counts as metrics.
func (s *Stats) Metrics() []concentrator.Metric {
	counter := func(name, help string, v uint64) concentrator.Metric {
		return concentrator.Metric{Name: "gwmp_" + name + "_total", Help: help, Value: float64(v)}
	}
	return []concentrator.Metric{
		counter("datagrams", "Datagrams of packet forwarders.", s.Datagrams),
		counter("malformed", "Datagrams that do not follow the protocol.", s.Malformed),
		counter("unknown_gateway", "Datagrams of gateways that are not served.", s.UnknownGateway),
		counter("foreign_address", "Datagrams of a gateway from another address than its own.", s.ForeignAddress),
		counter("duplicates", "Frames that came twice.", s.Duplicates),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("faulty", "Frames dropped because of faulty content.", s.Faulty),
		counter("lost_fields", "Unreadable fields in frames and statuses that were accepted.", s.LostFields),
		counter("stray_acks", "TX_ACK that answer no downlink, or come too late.", s.StrayAcks),
		counter("kernel_drops", "Datagrams that the kernel dropped because its buffer was full.", s.KernelDrops),
		counter("faults", "Faults of the program while it read a datagram, which was dropped.", s.Panics),
	}
}
