package udp

import "lorawand/concentrator"

// Stats counts datagrams since the start.
type Stats struct {
	Datagrams      uint64 // all received datagrams
	NotAllowed     uint64 // from networks that are not allowed
	Malformed      uint64 // not of the protocol
	UnknownGateway uint64 // from gateways that are not served
	ForeignAddress uint64 // from another IP than the one that the gateway is pinned to
	Moved          uint64 // times that another IP has taken the downlink path of a gateway
	Duplicates     uint64 // frames received twice
	BadCRC         uint64 // frames dropped because their CRC is wrong or missing
	Faulty         uint64 // frames dropped because of their content
	LostFields     uint64 // unreadable fields in frames and statuses that were accepted
	StrayAcks      uint64 // TX_ACK that answer no downlink, or come too late
	KernelDrops    uint64 // datagrams that the kernel dropped because its buffer was full
	Panics         uint64 // faults of this program; each has dropped a datagram
	ReceiveBuffer  int    // bytes that the kernel granted
}

// Plus returns the counts of two drivers together.
func (s Stats) Plus(o Stats) Stats {
	s.Datagrams += o.Datagrams
	s.NotAllowed += o.NotAllowed
	s.Malformed += o.Malformed
	s.UnknownGateway += o.UnknownGateway
	s.ForeignAddress += o.ForeignAddress
	s.Moved += o.Moved
	s.Duplicates += o.Duplicates
	s.BadCRC += o.BadCRC
	s.Faulty += o.Faulty
	s.LostFields += o.LostFields
	s.StrayAcks += o.StrayAcks
	s.KernelDrops += o.KernelDrops
	s.Panics += o.Panics
	s.ReceiveBuffer += o.ReceiveBuffer
	return s
}

// Metrics returns the counts as metrics.
func (s *Stats) Metrics() []concentrator.Metric {
	counter := func(name, help string, v uint64) concentrator.Metric {
		return concentrator.Metric{Name: "gwmp_" + name + "_total", Help: help, Value: float64(v)}
	}
	return []concentrator.Metric{
		counter("datagrams", "Datagrams of packet forwarders.", s.Datagrams),
		counter("not_allowed", "Datagrams from networks that are not allowed.", s.NotAllowed),
		counter("malformed", "Datagrams that do not follow the protocol.", s.Malformed),
		counter("unknown_gateway", "Datagrams of gateways that are not served.", s.UnknownGateway),
		counter("foreign_address", "Datagrams of a gateway from another address than its own.", s.ForeignAddress),
		counter("moved", "Times that another address has taken the downlink path of a gateway.", s.Moved),
		counter("duplicates", "Frames that came twice.", s.Duplicates),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("faulty", "Frames dropped because of faulty content.", s.Faulty),
		counter("lost_fields", "Unreadable fields in frames and statuses that were accepted.", s.LostFields),
		counter("stray_acks", "TX_ACK that answer no downlink, or come too late.", s.StrayAcks),
		counter("kernel_drops", "Datagrams that the kernel dropped because its buffer was full.", s.KernelDrops),
		counter("faults", "Faults of the program while it read a datagram, which was dropped.", s.Panics),
	}
}
