package chirpstack

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"lorawand/radio"
)

// codec is a form of the messages. Its makers of messages do not fail.
type codec interface {
	uplink(u *heard) []byte
	stats(r *report) []byte
	ack(eui radio.EUI64, a *asked) []byte
	state(eui radio.EUI64, online bool) []byte
	// downlink reads command/down.
	downlink(payload []byte) (command, error)
	// channels reads command/config, and returns the name of the version of the channels.
	channels(payload []byte) (version string, err error)
}

// status is the answer to an item of a downlink, with the numbers of the protocol.
type status int32

// Statuses. ChirpStack 4 has DUTY_CYCLE_OVERFLOW as well, which ChirpStack 3 does not know.
const (
	ignored status = iota // an item before it is sent, or it was not tried
	accepted
	tooLate
	tooEarly
	collisionPacket
	collisionBeacon
	txFreq
	txPower
	gpsUnlocked
	queueFull
	internalError
)

var statusWords = [...]string{
	ignored: "IGNORED", accepted: "OK", tooLate: "TOO_LATE", tooEarly: "TOO_EARLY", collisionPacket: "COLLISION_PACKET",
	collisionBeacon: "COLLISION_BEACON", txFreq: "TX_FREQ", txPower: "TX_POWER", gpsUnlocked: "GPS_UNLOCKED",
	queueFull: "QUEUE_FULL", internalError: "INTERNAL_ERROR",
}

// String returns the word of the protocol.
func (s status) String() string { return statusWords[s] }

// statusOf returns the word for what the core or a gateway says. A missing answer is no refusal.
func statusOf(r radio.TxResult) status {
	switch r {
	case radio.TxOK, radio.TxNoAck:
		return accepted
	case radio.TxTooLate:
		return tooLate
	case radio.TxTooEarly:
		return tooEarly
	case radio.TxCollisionPacket, radio.TxChannelBusy:
		return collisionPacket
	case radio.TxCollisionBeacon:
		return collisionBeacon
	case radio.TxFreq:
		return txFreq
	case radio.TxPower:
		return txPower
	case radio.TxGPSUnlocked:
		return gpsUnlocked
	}
	return internalError
}

// command is a downlink.
type command struct {
	gateways []radio.EUI64 // that it names
	token    uint32        // that it is acknowledged with; downlink_id in ChirpStack 4
	id       string        // of ChirpStack 3: 16 bytes
	items    []item
}

// Limits of a command.
const (
	maxCommand = 64 << 10 // bytes
	maxItems   = 16
	maxPHY     = 255
	// maxDelay is how far behind an uplink a downlink may be asked for. It is more than the core plans ahead.
	maxDelay = 10 * time.Minute
)

// errCommand is the reason for not reading a command.
var errCommand = errors.New("no such command")

// decoded runs a parser of a library on bytes of a server.
func decoded(payload []byte, parse func([]byte) error) (err error) {
	if len(payload) > maxCommand {
		return fmt.Errorf("%w: it has %d bytes, at most %d", errCommand, len(payload), maxCommand)
	}
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", errCommand, fault)
		}
	}()
	if err := parse(payload); err != nil {
		return fmt.Errorf("%w: %w", errCommand, err)
	}
	return nil
}

// item is a frame that a server wants sent, in one of several windows.
type item struct {
	frame   radio.Downlink // without its time
	timing  timing
	after   time.Duration // behind the uplink of context, or GPS time
	context []byte
	fault   status // why it cannot be sent; 0: it can
}

// timing says what the time of an item goes by.
type timing uint8

const (
	noTiming timing = iota
	immediately
	delay
	gpsEpoch
)

// wish is an item as it was read, in either form.
type wish struct {
	phy       []byte
	frequency uint32 // Hz
	power     int32  // dBm, EIRP
	antenna   uint32
	lora      *loraWish
	bitRate   uint32 // of FSK, bit/s
	timing    timing
	after     time.Duration
	context   []byte
}

type loraWish struct {
	spreadingFactor uint32
	bandwidth       uint32 // Hz
	codingRate      radio.CodingRate
	inverted        bool
}

// item checks a wish.
func (w *wish) item() item {
	it := item{timing: w.timing, after: w.after, context: w.context}
	it.frame = radio.Downlink{
		PHYPayload: w.phy, Frequency: radio.Frequency(w.frequency), Antenna: uint8(min(w.antenna, math.MaxUint8)),
		Power: radio.Decibel(max(-100, min(w.power, 100)) * 100),
	}
	switch l := w.lora; {
	case l != nil && l.spreadingFactor <= 12:
		it.frame.DataRate = radio.LoRaDataRate(uint8(l.spreadingFactor), l.bandwidth)
		it.frame.CodingRate, it.frame.Uplink = l.codingRate, !l.inverted
	case l == nil && w.bitRate > 0:
		it.frame.DataRate = radio.FSKDataRate(w.bitRate)
	default:
		it.fault = internalError
	}
	if len(w.phy) == 0 || len(w.phy) > maxPHY || w.timing == noTiming || w.after < 0 {
		it.fault = internalError
	}
	return it
}

// codingRates are the coding rates of LoRa in the words of ChirpStack 3, with that of ChirpStack 4.
var codingRates = map[string]radio.CodingRate{
	"": 0, "4/5": radio.CodingRate45, "4/6": radio.CodingRate46, "2/3": radio.CodingRate46, "4/7": radio.CodingRate47,
	"4/8": radio.CodingRate48, "1/2": radio.CodingRate48,
	"CR_UNDEFINED": 0, "CR_4_5": radio.CodingRate45, "CR_4_6": radio.CodingRate46, "CR_4_7": radio.CodingRate47,
	"CR_4_8": radio.CodingRate48,
}

// era tells the contexts of one run of a gateway's counter from those before. It is random, so that those
// of another run of this program are not taken either.
type era uint32

func newEra() era { return era(rand.Uint32()) }

// contextOf returns what a server gives back with a downlink that answers a frame: the era, and the token
// of the reception that the downlink is to go by.
func (h *heard) contextOf(r *radio.Reception) []byte {
	b := []byte{byte(h.era >> 24), byte(h.era >> 16), byte(h.era >> 8), byte(h.era)}
	return r.Token.AppendBinary(b)
}

// reception returns the strongest reception of a frame that can be answered, or the strongest of all.
func (h *heard) reception() *radio.Reception {
	best := &h.Receptions[0]
	for i := range h.Receptions {
		if r := &h.Receptions[i]; best.NoDownlink && !r.NoDownlink || best.NoDownlink == r.NoDownlink && r.RSSI > best.RSSI {
			best = r
		}
	}
	return best
}

// fineTime returns the GPS time of a reception to the ns, where the gateway measures it.
func (h *heard) fineTime(r *radio.Reception) (at radio.GPSTime, ok bool) {
	second := radio.GPSTime(time.Second)
	return h.GPS/second*second + radio.GPSTime(r.FineTimestamp), h.GPS > 0 && r.HasFineTimestamp
}

// tokenOf reads a context.
func tokenOf(context []byte) (e era, t radio.UplinkToken, err error) {
	if len(context) < 4 {
		return 0, t, radio.ErrToken
	}
	e = era(context[0])<<24 | era(context[1])<<16 | era(context[2])<<8 | era(context[3])
	t, err = radio.ParseUplinkToken(base64.StdEncoding.EncodeToString(context[4:]))
	return e, t, err
}

// maxAge is how old the uplink of a downlink may be.
const maxAge = 5 * time.Minute

// downlink returns the frame of an item with its time, or why there is none.
func (l *link) downlink(it *item) (radio.Downlink, status) {
	d := it.frame
	d.Gateway = l.EUI
	if it.fault != ignored {
		return d, it.fault
	}
	switch it.timing {
	case immediately:
		d.Immediate = true
		return d, ignored
	case gpsEpoch:
		d.GPS = radio.GPSTime(it.after.Truncate(time.Millisecond))
		return d, ignored
	}
	e, token, err := tokenOf(it.context)
	switch {
	case err != nil || token.Gateway != l.EUI:
		return d, internalError
	case e != l.era(l.Era()) || l.opts.Now().Sub(token.Host) > maxAge:
		return d, tooLate
	case it.after > maxDelay:
		return d, tooEarly
	}
	d.Antenna, d.Time = token.Antenna, token.Time.Add(it.after)
	return d, ignored
}
