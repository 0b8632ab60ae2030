package radio

import "time"

// Uplink is a frame that a gateway has heard, with a good CRC or none.
type Uplink struct {
	Gateway    EUI64
	PHYPayload []byte // 1 to 255 bytes; belongs to whoever gets the Uplink
	Frequency  Frequency
	DataRate   DataRate
	CodingRate CodingRate

	Time     ConcentratorTime // end of the frame
	Received HostTime         // arrival at this host, as close to the wire as can be
	Ended    HostTime         // end of the frame as the gateway's Clock has it: Received less the delay of the network

	// GatewayTime is the end of the frame by the gateway's own calendar, the
	// zero time if it told none. It is passed on and decides nothing.
	GatewayTime time.Time
	GPS         GPSTime // end of the frame; 0: not known

	Receptions []Reception // one per antenna, at least one
	NoPath     string      // why none of them can be answered, in words; "" where one can
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
	EncryptedFineTimestamp []byte // as the gateway gave it, with the key's id
	FineTimestampKey       string

	// Unknown are those of the fields above that the gateway has not told, or not
	// in a way that can be read. They are 0, which would be a lie to show.
	Unknown Fields

	// NoDownlink says that this reception cannot be answered: a second
	// antenna, or a gateway of which the downlink path is not known.
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

// Signal is how well the antenna heard the frame, in hundredths of a dBm, to
// compare receptions by: below the noise the SNR says more than the RSSI.
// Without an RSSI it is less than any that has one.
func (r *Reception) Signal() Decibel {
	if !r.Knows(FieldRSSI) {
		return noSignal + min(r.SNR, 0)
	}
	return r.RSSI + min(r.SNR, 0)
}

// Downlink is a frame that a gateway is to send.
type Downlink struct {
	ID         uint64 // comes back in the TxAck
	Gateway    EUI64
	Antenna    uint8
	PHYPayload []byte // 1 to 255 bytes
	Frequency  Frequency
	DataRate   DataRate
	CodingRate CodingRate // LoRa; zero is 4/5
	Power      Decibel    // dBm at the antenna connector

	Immediate bool             // send at once, whatever Time says
	Time      ConcentratorTime // begin of the frame

	// Uplink sends as end devices do, so that they do not hear it: a CRC and
	// plain polarity. Downlinks have neither.
	Uplink bool
}

// TxResult is what became of a Downlink, in the words of the Semtech protocol.
type TxResult uint8

// Results.
const (
	TxOK              TxResult = iota // accepted for its time
	TxTooLate                         // its time is past or too close
	TxTooEarly                        // its time is too far ahead
	TxCollisionPacket                 // another packet has that time
	TxCollisionBeacon                 // a beacon has that time
	TxFreq                            // the radio does not send on that frequency
	TxPower                           // the radio has no such power
	TxGPSUnlocked                     // a GPS time was asked for and is not known
	TxChannelBusy                     // LBT found the channel in use; not a word of the protocol
	TxUnknownError                    // refused for a reason we do not know
	TxNoAck                           // the gateway has not answered in time, which is not a refusal
	TxNoPath                          // the driver had no way to hand it over
)

var txWords = [...]string{
	TxOK: "NONE", TxTooLate: "TOO_LATE", TxTooEarly: "TOO_EARLY", TxCollisionPacket: "COLLISION_PACKET",
	TxCollisionBeacon: "COLLISION_BEACON", TxFreq: "TX_FREQ", TxPower: "TX_POWER",
	TxGPSUnlocked: "GPS_UNLOCKED", TxChannelBusy: "CHANNEL_BUSY", TxUnknownError: "UNKNOWN_ERROR", TxNoAck: "NO_ACK", TxNoPath: "NO_PATH",
}

// String returns the word of the protocol: "NONE", "TOO_LATE" and so on.
func (r TxResult) String() string {
	if int(r) < len(txWords) {
		return txWords[r]
	}
	return txWords[TxUnknownError]
}

// ParseTxResult reads a word of the protocol. The empty word is TxOK, one that
// is not known TxUnknownError.
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

// TxAck says what became of a Downlink.
type TxAck struct {
	ID        uint64
	Gateway   EUI64
	Result    TxResult
	RoundTrip time.Duration // from the hand-over to the answer
	Fault     string        // with TxNoPath: why, in words; "" where that is not known
	At        HostTime
}

// GatewayEventKind is what happened to a gateway.
type GatewayEventKind uint8

// Kinds of GatewayEvent.
const (
	GatewayConnected    GatewayEventKind = iota + 1 // heard for the first time, or again
	GatewayDisconnected                             // silent for too long, or stopped
	GatewayCounterReset                             // its counter has begun anew: what was planned before Since is void
	GatewayStatus                                   // it sent its statistics
	GatewayFailed                                   // it does not work: see Fault; its driver tries again
	GatewayIdentified                               // its EUI has become known; before, Was stood for it
	GatewayDropped                                  // its frames are dropped or cannot be answered: see Fault; repeated from time to time
	GatewayRefused                                  // it is not accepted: see Fault; repeated from time to time
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
	}
	return "unknown"
}

// GatewayEvent is a change in what is known of a gateway.
type GatewayEvent struct {
	Gateway EUI64
	Kind    GatewayEventKind
	At      HostTime
	Address string // where it is, for people
	Local   bool   // with GatewayConnected: on this host, so that no network lies in between
	Status  Status // with GatewayStatus
	Fault   string // with GatewayFailed: in words, with what to check; with GatewayRefused and GatewayDropped: in words
	Cause   string // with GatewayDropped: the same as one word. Gateway is zero where it is not known
	Was     EUI64  // with GatewayIdentified: the stand-in for its EUI
	// Since is, with GatewayCounterReset, the first time of the new counter: what
	// is planned before it is void. 0: all is.
	Since ConcentratorTime
}

// Status is what a gateway tells of itself. A counter that it does not tell is 0.
type Status struct {
	Received       uint32 // frames heard
	ReceivedOK     uint32 // of these with a good CRC
	Forwarded      uint32
	Acknowledged   uint32 // share of its datagrams that were acknowledged, in tenths of a percent
	Downlinks      uint32 // datagrams with a downlink that it got
	Transmitted    uint32 // frames sent
	Temperature    int32  // tenths of a °C
	HasTemperature bool
}
