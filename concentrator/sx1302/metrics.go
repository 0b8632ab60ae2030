package sx1302

import (
	"strconv"

	"lorawand/concentrator"
	"lorawand/radio"
)

// Metric returns the noise floor as a metric of a gateway.
func (n *Noise) Metric(gateway radio.EUI64) concentrator.Metric {
	return concentrator.Metric{
		Name: "concentrator_noise_floor_dbm", Help: "Power that half of the last measurements of a channel were not above.",
		Value: float64(n.Floor) / 100, Gauge: true,
		Labels: []string{"gateway", gateway.String(), "frequency", strconv.FormatUint(uint64(n.Frequency), 10)},
	}
}

// Metrics returns the counts as metrics.
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
		counter("frames", "Frames received from the chip.", s.Receive.Packets),
		counter("bad_crc", "Frames with a wrong CRC or none.", s.BadCRC),
		counter("ghosts", "Frames that were received a second time beside their channel.", s.Ghosts),
		counter("bad_records", "Corrupt records of the chip.", s.Receive.BadRecords),
		counter("bad_payloads", "Frames with a wrong CRC that the chip reported as good.", s.Receive.BadPayload),
		counter("torn_readings", "Readings of the counter that had to be done again.", s.Receive.Torn),
		counter("armed", "Downlinks handed to the chip in time.", s.JIT.Armed),
		counter("too_late", "Downlinks that were accepted and then not armed in time.", s.JIT.TooLate),
		counter("refused", "Downlinks that the chip refused.", s.JIT.Failed),
		counter("stuck", "Times that a transmitter had to be freed.", s.JIT.Stuck),
		counter("channel_taken", "Downlinks that were not sent because their channel was in use.", s.ChannelBusy),
		counter("missed", "Downlinks that the chip did not send at their time though they were armed.", s.Missed),
		counter("faults", "Faults of the program in the driver; after each the board was opened anew.", s.Faults),
		gauge("least_lead_seconds", "The shortest time before its start at which a downlink was armed.",
			s.JIT.MinLead.Seconds()),
		gauge("most_lateness_seconds", "The longest time after its due time at which a downlink was armed.",
			s.JIT.Late.Seconds()),
	}
}
