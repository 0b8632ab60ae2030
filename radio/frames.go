package radio

import (
	"math"
	"time"
)

// Uplink is a frame that a gateway has heard, with a good CRC or none.
type Uplink struct {
	Gateway    EUI64
	PHYPayload []byte // 1 to 255 bytes; belongs to the receiver of the Uplink
	Frequency  Frequency
	DataRate   DataRate
	CodingRate CodingRate

	Time     ConcentratorTime // end of the frame
	Received HostTime         // arrival at this host, measured as close to the wire as possible
	Ended    HostTime         // end of the frame by the gateway's Clock: Received minus the delay of the network

	// GatewayTime is the end of the frame by the gateway's own calendar, or the
	// zero time if the gateway has none. It is passed on, and no decision depends
	// on it.
	GatewayTime time.Time
	GPS         GPSTime // end of the frame; 0: not known

	Receptions []Reception // one per antenna, at least one
	NoPath     string      // why none of them can be answered, as text; "" if one can
}

// Reception is how one antenna of a gateway heard a frame.
type Reception struct {
	Antenna uint8
	Channel uint8 // IF channel of the concentrator, 0 to 9

	RSSI                  Decibel // dBm, of the channel
	SNR                   Decibel // dB
	SignalRSSI            Decibel // dBm, of the signal alone
	RSSIStandardDeviation Decibel // dB, over the preamble
	HasSignalRSSI         bool

	FrequencyOffset int32 // Hz, of the frame from the channel

	HasFineTimestamp       bool
	FineTimestamp          uint32 // ns since the last pulse per second
	EncryptedFineTimestamp []byte // as the gateway sent it, with the id of the key
	FineTimestampKey       string

	// Unknown has the fields above that the gateway has not told, or that are
	// unreadable. Their value is 0, which must not be shown.
	Unknown Fields

	// NoDownlink says that this reception cannot be answered: by a second antenna,
	// or because the downlink path of the gateway is unknown.
	NoDownlink bool
	Token      UplinkToken
}

// Fields is a set of fields of a Reception.
type Fields uint8

// Fields that a gateway may leave out.
const (
	FieldRSSI Fields = 1 << iota
	FieldSNR
	FieldChannel
	FieldFrequencyOffset
)

// Knows reports whether the gateway has told a field.
func (r *Reception) Knows(f Fields) bool { return r.Unknown&f == 0 }

// noSignal is weaker than anything that can be received.
const noSignal = Decibel(-1_000_00)

// Signal is the quality of a reception in hundredths of a dBm, to compare
// receptions: below the noise the SNR says more than the RSSI. A reception without
// RSSI is worse than any with one.
func (r *Reception) Signal() Decibel {
	if !r.Knows(FieldRSSI) {
		return noSignal + min(r.SNR, 0)
	}
	return r.RSSI + min(r.SNR, 0)
}

// Signal returns the Signal of the antenna with the best reception.
func (u *Uplink) Signal() Decibel {
	best := Decibel(math.MinInt32)
	for i := range u.Receptions {
		best = max(best, u.Receptions[i].Signal())
	}
	return best
}

// Downlink is a frame that a gateway is to send.
type Downlink struct {
	ID         uint64 // returned in the TxAck
	Gateway    EUI64
	Antenna    uint8
	PHYPayload []byte // 1 to 255 bytes
	Frequency  Frequency
	DataRate   DataRate
	CodingRate CodingRate // LoRa; zero is 4/5
	Power      Decibel    // dBm at the antenna connector

	Immediate bool             // send at once, and ignore Time
	Time      ConcentratorTime // start of the frame
	// GPS is the start of the frame by GPS time, in whole ms; 0: it goes by Time. A gateway that
	// cannot send by GPS time goes by Time too, which is then as good as its clock.
	GPS GPSTime

	// Uplink sends as end devices do, with a CRC and plain polarity, so that end
	// devices do not hear it. Downlinks have neither.
	Uplink bool

	// Beacon sends as a beacon of Class B: without header and CRC, with plain polarity and a longer
	// preamble, at the pulse of the gateway's GNSS receiver that comes at Time.
	Beacon bool
}

// beaconPreamble is the preamble of a beacon in symbols (LoRaWAN L2 1.0.4, 13.1).
const beaconPreamble = 10

// Packet returns what the time on air depends on.
func (d *Downlink) Packet() Packet {
	p := Packet{
		DataRate: d.DataRate, CodingRate: d.CodingRate, Size: len(d.PHYPayload),
		NoCRC: d.DataRate.Modulation == LoRa && !d.Uplink,
	}
	if d.Beacon {
		p.NoCRC, p.ImplicitHeader, p.Preamble = true, true, beaconPreamble
	}
	return p
}

// TxResult is the result of a Downlink, in the words of the Semtech protocol.
type TxResult uint8

// Results.
const (
	TxOK              TxResult = iota // accepted for its time
	TxTooLate                         // its time has passed or is too close
	TxTooEarly                        // its time is too far ahead
	TxCollisionPacket                 // another packet has that time
	TxCollisionBeacon                 // a beacon has that time
	TxFreq                            // the radio does not send on that frequency
	TxPower                           // the radio has no such power
	TxGPSUnlocked                     // a GPS time was requested and is not known
	TxChannelBusy                     // LBT found the channel in use; the protocol has no such word
	TxUnknownError                    // refused for an unknown reason
	TxNoAck                           // the gateway has not answered in time, which is no refusal
	TxNoPath                          // the driver could not hand it over
)

var txWords = [...]string{
	TxOK: "NONE", TxTooLate: "TOO_LATE", TxTooEarly: "TOO_EARLY", TxCollisionPacket: "COLLISION_PACKET",
	TxCollisionBeacon: "COLLISION_BEACON", TxFreq: "TX_FREQ", TxPower: "TX_POWER",
	TxGPSUnlocked: "GPS_UNLOCKED", TxChannelBusy: "CHANNEL_BUSY", TxUnknownError: "UNKNOWN_ERROR", TxNoAck: "NO_ACK",
	TxNoPath: "NO_PATH",
}

// String returns the word of the protocol: "NONE", "TOO_LATE" and so on.
func (r TxResult) String() string {
	if int(r) < len(txWords) {
		return txWords[r]
	}
	return txWords[TxUnknownError]
}

// ParseTxResult reads a word of the protocol. The empty word is TxOK, an unknown
// one TxUnknownError.
func ParseTxResult(word string) TxResult {
	if word == "" {
		return TxOK
	}
	for r := TxOK; r < TxUnknownError; r++ {
		if txWords[r] == word {
			return r
		}
	}
	return TxUnknownError
}

// TxAck reports the result of a Downlink.
type TxAck struct {
	ID        uint64
	Gateway   EUI64
	Result    TxResult
	RoundTrip time.Duration // from handing it over to the answer
	Fault     string        // with TxNoPath: the reason as text; "" if it is not known
	At        HostTime
}

// GatewayEventKind is the kind of a GatewayEvent.
type GatewayEventKind uint8

// Kinds of GatewayEvent.
const (
	GatewayConnected    GatewayEventKind = iota + 1 // heard for the first time, or again
	GatewayDisconnected                             // silent for too long, or stopped
	GatewayCounterReset                             // its counter has started again: plans before Since are void
	GatewayStatus                                   // it sent its statistics
	GatewayFailed                                   // it does not work: see Fault; its driver tries again
	GatewayIdentified                               // its EUI has become known; Was is the stand-in until then
	// its frames are dropped or cannot be answered: see Fault; repeated from time to time
	GatewayDropped
	GatewayRefused // it is not accepted: see Fault; repeated from time to time
	GatewayClock   // what its counter shows: see Counter, GPS and Place; repeated each second
)

// String returns the kind as a word.
func (k GatewayEventKind) String() string {
	switch k {
	case GatewayConnected:
		return "connected"
	case GatewayDisconnected:
		return "disconnected"
	case GatewayCounterReset:
		return "counter_reset"
	case GatewayStatus:
		return "status"
	case GatewayFailed:
		return "failed"
	case GatewayIdentified:
		return "identified"
	case GatewayDropped:
		return "dropped"
	case GatewayRefused:
		return "refused"
	case GatewayClock:
		return "clock"
	}
	return "unknown"
}

// GatewayEvent is a change of a gateway.
type GatewayEvent struct {
	Gateway EUI64
	Kind    GatewayEventKind
	At      HostTime
	Address string // its address, for people
	Local   bool   // with GatewayConnected: on this host, so that no network lies in between
	Status  Status // with GatewayStatus
	// with GatewayFailed: the reason as text, with what to check; with GatewayRefused and
	// GatewayDropped: the reason as text
	Fault string
	Cause string // with GatewayDropped: the reason as one word. Gateway is zero if it is not known
	Was   EUI64  // with GatewayIdentified: the stand-in for its EUI
	// Since is, with GatewayCounterReset, the first time of the new counter: plans
	// before it are void. 0: all plans are.
	Since ConcentratorTime
	// with GatewayClock
	Counter ConcentratorTime // at At
	GPS     GPSTime          // at At; 0: not known, or not any more
	Place   *Place           // by GNSS; nil: not known
}

// Status is the status that a gateway reports. A counter that it does not report is
// 0.
type Status struct {
	Received       uint32 // frames heard
	ReceivedOK     uint32 // of these with a good CRC
	Forwarded      uint32
	Acknowledged   uint32 // share of its datagrams that were acknowledged, in tenths of a percent
	Downlinks      uint32 // datagrams with a downlink that it received
	Transmitted    uint32 // frames sent
	Temperature    int32  // tenths of a °C
	HasTemperature bool
}
