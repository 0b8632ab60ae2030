package sx1302

import "lorawand/concentrator"

// Metrics names the counts.
func (s *DriverStats) Metrics() []concentrator.Metric {
	counter := func(name, help string, v uint64) concentrator.Metric {
		return concentrator.Metric{Name: "concentrator_" + name + "_total", Help: help, Value: float64(v)}
	}
	gauge := func(name, help string, v float64) concentrator.Metric {
		return concentrator.Metric{Name: "concentrator_" + name, Help: help, Value: v, Gauge: true}
	}
	return []concentrator.Metric{
		counter("starts", "Starts of the chip that succeeded.", s.Starts),
		counter("failures", "Starts that failed and runs that ended in a fault.", s.Failures),
		counter("frames", "Frames that the chip has handed over.", s.Receive.Packets),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("ghosts", "Frames that were heard beside their channel as well.", s.Ghosts),
		counter("bad_records", "Records of the chip that were spoilt.", s.Receive.BadRecords),
		counter("bad_payloads", "Frames of which the chip said that the CRC was good when it was not.", s.Receive.BadPayload),
		counter("torn_readings", "Readings of the counter that had to be done again.", s.Receive.Torn),
		counter("armed", "Downlinks that were handed to the chip in time.", s.JIT.Armed),
		counter("too_late", "Downlinks that were taken and then not armed in time.", s.JIT.TooLate),
		counter("refused", "Downlinks that the chip did not take.", s.JIT.Failed),
		counter("stuck", "Times that a transmitter had to be freed.", s.JIT.Stuck),
		counter("channel_taken", "Downlinks that were not sent because their channel was in use.", s.ChannelBusy),
		counter("missed", "Downlinks that were armed and that the chip did not send at their time.", s.Missed),
		gauge("least_lead_seconds", "The shortest time before its begin at which a downlink was armed.",
			s.JIT.MinLead.Seconds()),
		gauge("most_lateness_seconds", "The longest time after its turn at which a downlink was armed.",
			s.JIT.Late.Seconds()),
	}
}
