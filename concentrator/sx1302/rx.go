package sx1302

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"lorawand/radio"
)

// ErrFIFO is the reason when the chip reports more bytes than its FIFO can hold.
var ErrFIFO = errors.New("sx1302: more bytes than the FIFO holds")

// fifoSize is the size of the FIFO in bytes.
const fifoSize = 4096

// rssiUnit is one step of a measured RSSI in thousandths of a dB.
const rssiUnit = 1000

// ReceiveStats counts since New.
type ReceiveStats struct {
	Packets    uint64 // packets returned
	BadRecords uint64 // wrong checksum, truncated, or impossible
	LostBytes  uint64 // bytes dropped because no record was found in them
	BadPayload uint64 // records that reported a good CRC though it was wrong
	Torn       uint64 // readings of the counters that had to be repeated
}

// receiver is the state of reception.
type receiver struct {
	channels [FSKChannel + 1]rxChannel
	config   *Config
	fifo     []byte
	fetched  int // bytes in it that were read from the FIFO and not parsed yet
	packets  []Packet
	running  wrapCounter // the running counter
	pulses   pulseHistory
	tcomp    [Chains]int32 // thousandths of a dB
	stats    ReceiveStats
}

// rxChannel has values computed once from the configuration of a channel.
type rxChannel struct {
	chain     uint8
	frequency radio.Frequency
	ifError   int32  // Hz
	bandwidth uint32 // Hz
	notch     int64  // delay of the DC notch filter, 2^-20 ticks
}

func (r *receiver) configure(c *Config) {
	r.config = c
	r.fifo = make([]byte, 2*fifoSize)
	r.packets = make([]Packet, 0, fifoSize/recordMin)
	set := func(i int, ch Channel, bandwidth uint32) {
		centre := int64(c.Radios[ch.Chain%Chains].Frequency)
		r.channels[i] = rxChannel{
			chain: ch.Chain, frequency: radio.Frequency(centre + int64(ch.Offset)), ifError: ifError(ch.Offset),
			bandwidth: bandwidth, notch: notchDelay(ch.Offset),
		}
	}
	for i, ch := range c.Channels {
		set(i, ch, 125_000)
	}
	set(ServiceChannel, c.Service.Channel, c.Service.Bandwidth)
	set(FSKChannel, c.FSK.Channel, 0)
	r.setTemperature(roomTemperature)
}

// roomTemperature is the temperature of a board until a sensor tells it, 1/256 °C.
// Semtech's boards need a correction of 1 dB there.
const roomTemperature = 25 * 256

// begin takes over the counters of the chip at a start.
func (r *receiver) begin() {
	r.running, r.pulses, r.fetched = wrapCounter{}, pulseHistory{}, 0
}

// setTemperature computes the correction of the RSSI once, so that the frame path
// needs only an addition. t is in 1/256 °C.
func (r *receiver) setTemperature(t int32) {
	for chain := range r.tcomp {
		const point = 12 // binary digits behind the point
		var sum int64
		for _, k := range r.config.Radios[chain].RSSITemperature {
			sum = sum*int64(t)/256 + int64(k)<<point
		}
		r.tcomp[chain] = int32(max(math.MinInt32, min(math.MaxInt32, (sum>>point+1<<15)>>16)))
	}
}

// SetTemperature sets the temperature of the board, in 1/256 °C, which the RSSI
// depends on. It is 25 °C until then: without a sensor the RSSI of a board in the
// sun or in the cold is off by up to 2 dB.
func (c *Chip) SetTemperature(t int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiver.setTemperature(t)
}

// RSSICorrection returns the correction of a radio's RSSI, thousandths of a dB.
func (c *Chip) RSSICorrection(chain uint8) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int32(c.config.Radios[chain].RSSIOffset)*10 + c.receiver.tcomp[chain]
}

// ReceiveStats returns the counts so far.
func (c *Chip) ReceiveStats() ReceiveStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.receiver.stats
}

// Receive returns the frames received since the last call, and reads the counters.
// It must be called about every 10 ms, and at least once a minute. The slice and
// the payloads are valid until the next call. An empty poll takes one call of the
// system where the port can do that, otherwise three transfers, at most four. It
// allocates nothing.
//
// Good records before a faulty one are returned. An error comes from the bus, or is
// ErrFIFO; frames that were read before it are returned by the next call.
func (c *Chip) Receive() ([]Packet, error) {
	now, err := c.poll()
	if err != nil {
		return nil, err
	}
	return c.accept(now), nil
}

// reading is a reading of both counters.
type reading struct {
	running, pulse uint32 // ticks
	counter        uint32 // the running counter, extended, µs
}

// poll fetches frames and reads the counters. Nothing counts until accept is
// called, so that a wrong reading does no harm.
func (c *Chip) poll() (reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return reading{}, ErrNotStarted
	}
	if c.batches {
		return c.pollTogether()
	}
	if err := c.fetch(0); err != nil {
		return reading{}, err
	}
	return c.readCounters()
}

// readAgain reads only the counters.
func (c *Chip) readAgain() (reading, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return reading{}, ErrNotStarted
	}
	return c.readCounters()
}

// accept accepts a reading, and returns the fetched frames.
func (c *Chip) accept(now reading) []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(now)
	return c.parse(c.receiver.takeFetched())
}

// takeCounters reads both counters of a started chip, and accepts the reading.
func (c *Chip) takeCounters() (reading, error) {
	if !c.started {
		return reading{}, ErrNotStarted
	}
	now, err := c.readCounters()
	if err != nil {
		return reading{}, err
	}
	c.take(now)
	return now, nil
}

// take counts wraps and pulses from a reading.
func (c *Chip) take(now reading) {
	r := &c.receiver
	r.running = r.running.next(now.running)
	r.pulses.see(now.pulse, now.running)
}

// PulseCounter returns the running counter at the last pulse per second, µs.
func (c *Chip) PulseCounter() (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.takeCounters()
	if err != nil {
		return 0, err
	}
	return c.receiver.running.past(now.pulse), nil
}

// fetch reads all bytes of the FIFO, of which that number was read before, or 0. Reading
// removes them from it, so the bytes that were read before an error are kept.
func (c *Chip) fetch(before int) error {
	n, err := c.waiting(before)
	if err != nil {
		return err
	}
	r := &c.receiver
	for n = min(n, len(r.fifo)-r.fetched); n > 0; {
		part := min(n, c.burst)
		if err := c.read(rxFIFO, r.fifo[r.fetched:r.fetched+part]); err != nil {
			return err
		}
		r.fetched += part
		n -= part
	}
	return nil
}

// takeFetched returns the fetched bytes; they are valid until the next fetch.
func (r *receiver) takeFetched() []byte {
	b := r.fifo[:r.fetched]
	r.fetched = 0
	return b
}

// salvage returns the frames that were read before an error that restarts the chip.
// counter is the estimated present counter, µs.
func (c *Chip) salvage(counter uint32) []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.receiver.fetched == 0 {
		return nil
	}
	c.receiver.running = c.receiver.running.next(counter * ticksPerMicrosecond)
	return c.parse(c.receiver.takeFetched())
}

// waiting returns how many bytes are in the FIFO. The number has two bytes and may
// change while it is read, so it is read twice and the larger one used; the next
// poll reads a 0 again. before is a first reading, or 0.
func (c *Chip) waiting(before int) (int, error) {
	most, readings := before, 2
	if before > 0 {
		readings = 1
	}
	for range readings {
		var b [2]byte
		if err := c.read(rxBytes.addr, b[:]); err != nil {
			return 0, err
		}
		most = max(most, int(binary.BigEndian.Uint16(b[:])))
		if most == 0 {
			break
		}
	}
	if most > fifoSize {
		return 0, fmt.Errorf("%w: %d of %d", ErrFIFO, most, fifoSize)
	}
	return most, nil
}

// readCounters reads both counters twice. If their top bytes differ, one reading
// may have been taken during a change, and a third one is made.
func (c *Chip) readCounters() (reading, error) {
	if c.batches {
		if err := c.readTogether(&c.message, counterSpans); err != nil {
			return reading{}, err
		}
		return c.readingOf(c.message.answer(0), c.message.answer(1))
	}
	var first, second [countersSize]byte
	if err := c.read(counters.addr, first[:]); err != nil {
		return reading{}, err
	}
	if err := c.read(counters.addr, second[:]); err != nil {
		return reading{}, err
	}
	return c.readingOf(first[:], second[:])
}

// readingOf returns what two readings in a row say.
func (c *Chip) readingOf(first, second []byte) (reading, error) {
	if first[0] != second[0] || first[4] != second[4] {
		c.receiver.stats.Torn++
		var third [countersSize]byte
		if err := c.read(counters.addr, third[:]); err != nil {
			return reading{}, err
		}
		first = third[:]
	}
	r := reading{pulse: binary.BigEndian.Uint32(first), running: binary.BigEndian.Uint32(first[4:])}
	r.counter = c.receiver.running.next(r.running).value()
	return r, nil
}

// Counter returns the running counter, µs, which wraps every 71.6 minutes.
func (c *Chip) Counter() (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.takeCounters(); err != nil {
		return 0, err
	}
	return c.receiver.running.value(), nil
}

// parse converts the fetched bytes to packets.
func (c *Chip) parse(b []byte) []Packet {
	r := &c.receiver
	r.packets = r.packets[:0]
	b = r.skipToRecord(b)
	for len(b) > 0 {
		raw, err := parseRecord(b)
		if err != nil {
			r.stats.BadRecords++
			r.stats.LostBytes += uint64(len(b))
			break
		}
		b = b[raw.totalLength:]
		if !raw.possible() {
			r.stats.BadRecords++
			continue
		}
		p, ok := r.packet(&raw)
		if !ok {
			r.stats.BadPayload++
			continue
		}
		c.fineTimestamp(&raw, &p)
		r.packets = append(r.packets, p)
	}
	if r.config.FineTimestamps != NoFineTimestamps {
		r.packets = mergeTwins(r.packets)
	}
	r.stats.Packets += uint64(len(r.packets))
	return r.packets
}

// skipToRecord drops the bytes before the first record.
func (r *receiver) skipToRecord(b []byte) []byte {
	for i := 0; i+1 < len(b); i++ {
		if b[i] == recordMagic0 && b[i+1] == recordMagic1 {
			r.stats.LostBytes += uint64(i)
			return b[i:]
		}
	}
	r.stats.LostBytes += uint64(len(b))
	return nil
}

// packet converts a record to a packet, unless the record reports a good CRC that
// is wrong.
func (r *receiver) packet(raw *rawRecord) (Packet, bool) {
	ch := &r.channels[raw.channel]
	p := Packet{
		Payload: raw.payload, Channel: raw.channel, Chain: ch.chain, Modem: raw.modem,
		Frequency: ch.frequency, PayloadCRC: raw.payloadCRC,
	}
	base := int32(r.config.Radios[ch.chain].RSSIOffset)*10 + r.tcomp[ch.chain]
	hasCRC := raw.hasCRC
	if raw.channel == FSKChannel {
		p.DataRate = radio.FSKDataRate(r.config.FSK.BitRate)
		p.RSSI = fskRSSI(raw.rssi) + base
		p.Time = r.running.past(raw.ticks) + uint32(fskCorrection(r.config.FSK.BitRate))
	} else {
		coding := raw.codingRate
		if service := &r.config.Service; raw.modem == serviceModem && service.Implicit {
			coding, hasCRC = byte(service.ImplicitCodingRate), hasCRC || service.ImplicitCRC
		}
		p.DataRate = radio.LoRaDataRate(raw.sf, ch.bandwidth)
		p.CodingRate = loraCodingRate(coding)
		p.SNR = radio.Decibel(raw.snr) * 25
		p.RSSI, p.SignalRSSI, p.HasSignalRSSI = int32(raw.rssi)*rssiUnit+base, int32(raw.signalRSSI)*rssiUnit+base, true
		p.FrequencyError = frequencyError(raw.freqError, ch.bandwidth) + ch.ifError
		shape := frameShape{raw.sf, ch.bandwidth, int64(coding), int64(len(raw.payload)), hasCRC}
		p.Time = r.running.past(raw.ticks) + uint32(r.correction(&shape))
	}
	switch {
	case hasCRC && raw.crcError:
		p.CRC = BadCRC
	case hasCRC:
		p.CRC = GoodCRC
	}
	bad := p.CRC == GoodCRC && raw.channel != FSKChannel && len(raw.payload) > 0 && loraCRC(raw.payload) != raw.payloadCRC
	return p, !bad
}

// correction returns no correction for a coding rate that does not exist, because
// such a frame cannot be trusted.
func (r *receiver) correction(f *frameShape) int32 {
	if f.codingRate < 1 || f.codingRate > 4 {
		return 0
	}
	if r.config.FineTimestamps == NoFineTimestamps {
		return f.legacyCorrection()
	}
	return f.precisionCorrection()
}

// fskRSSI makes the RSSI of the FSK modem linear, thousandths of a dB.
func fskRSSI(raw byte) int32 {
	v := int64(raw)
	return int32((90_636_423 + 420_835*v + 7_129*v*v - 26*v*v*v + 500) / 1000)
}

// frequencyError converts the measurement of a modem to Hz: bandwidth / 2^20 per
// step, rounded toward zero. The reference multiplies in single precision, so the
// product is first rounded to 24 bits.
func frequencyError(raw int32, bandwidth uint32) int32 {
	shift := 17 - (bits.Len32(bandwidth/125_000) - 1)
	abs := uint64(max(raw, -raw)) * 15625
	if extra := bits.Len64(abs) - 24; extra > 0 {
		half := uint64(1) << (extra - 1)
		odd := abs >> extra & 1
		abs = (abs + half - 1 + odd) >> extra << extra
	}
	hz := int32(abs >> shift)
	if raw < 0 {
		return -hz
	}
	return hz
}

// twinWindow is the greatest distance between the two demodulations of a frame, µs.
const twinWindow = 24

// mergeTwins keeps one of the two demodulations of each frame: the one with a good
// CRC, or else the one with a fine timestamp. It sorts by time.
func mergeTwins(packets []Packet) []Packet {
	out := packets[:0]
next:
	for _, p := range packets {
		for i := range out {
			if q := &out[i]; twins(q, &p) {
				if better(&p, q) {
					*q = p
				}
				continue next
			}
		}
		out = append(out, p)
	}
	for i := range out { // nearly sorted, and no more than the FIFO holds
		for j := i; j > 0 && int32(out[j].Time-out[j-1].Time) < 0; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

func twins(a, b *Packet) bool {
	d := int32(a.Time - b.Time)
	return max(d, -d) <= twinWindow && a.Channel == b.Channel && a.DataRate == b.DataRate &&
		string(a.Payload) == string(b.Payload)
}

func better(a, b *Packet) bool {
	if good := a.CRC == GoodCRC; good != (b.CRC == GoodCRC) {
		return good
	}
	return a.HasFineTimestamp && !b.HasFineTimestamp
}
