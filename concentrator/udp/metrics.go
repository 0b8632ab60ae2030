package udp

import "lorawand/concentrator"

// Metrics names the counts.
func (s *Stats) Metrics() []concentrator.Metric {
	counter := func(name, help string, v uint64) concentrator.Metric {
		return concentrator.Metric{Name: "gwmp_" + name + "_total", Help: help, Value: float64(v)}
	}
	return []concentrator.Metric{
		counter("datagrams", "Datagrams of packet forwarders.", s.Datagrams),
		counter("malformed", "Datagrams that are not of the protocol.", s.Malformed),
		counter("unknown_gateway", "Datagrams of gateways that are not taken.", s.UnknownGateway),
		counter("foreign_address", "Datagrams of a gateway from another address than its own.", s.ForeignAddress),
		counter("duplicates", "Frames that came twice in the same words.", s.Duplicates),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("faulty", "Frames that were left out for what stands in them.", s.Faulty),
		counter("lost_fields", "Fields that cannot be read, of frames and status that were kept.", s.LostFields),
		counter("stray_acks", "TX_ACK to nothing that was asked, or too late.", s.StrayAcks),
		counter("kernel_drops", "Datagrams that the kernel dropped because its buffer was full.", s.KernelDrops),
		counter("faults", "Faults of the program on a datagram, which was dropped.", s.Panics),
	}
}
