package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// session is one run of the chip, from a start to the end or a fault. It implements
// concentrator.Transmitter for the queue.
type session struct {
	driver *Driver
	sink   concentrator.Sink
	eui    radio.EUI64
	clock  counterClock

	polled    radio.HostTime // time of the last poll
	heard     radio.HostTime // time of the last frame
	checked   radio.HostTime // time of the last health check
	counted   radio.HostTime // time of the last count of bad records
	busErrors int            // in a row
	bad       uint64         // records at the last count
	received  ReceiveStats
	ups       []radio.Uplink
	recent    []radio.Uplink // the last delivered frames: a ghost may come with the next reading
	armed     [Chains]armed
	stuck     error // error of a transmitter that could not be freed
	survey    survey
	sky       sky
}

// begin takes the first reading of the counter, from which all times are counted.
func (s *session) begin() error {
	d := s.driver
	for {
		asked := d.opts.Now()
		r, err := d.chip.readAgain()
		if err == nil {
			_, now, err := s.follow(r, asked)
			s.polled, s.heard, s.checked, s.counted, s.busErrors = now, now, now, now, 0
			s.bad = d.chip.ReceiveStats().BadRecords
			return err
		}
		if err := s.failed(err); err != nil {
			return err
		}
	}
}

// loop polls until ctx ends or the chip must be restarted.
func (s *session) loop(ctx context.Context) error {
	d := s.driver
	timer, err := d.opts.Timer()
	if err != nil {
		return err
	}
	defer timer.Stop()
	timer.Reset(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case dl := <-d.inbox:
			s.take(dl)
		case <-timer.Expired():
			if err := s.poll(); err != nil {
				return err
			}
			s.answerArmed()
			s.surveyOn()
		}
		if s.clock.doubts == 0 && d.jit.Len() > 0 {
			d.jit.Poll(s.present(), s, s.done)
		}
		if s.stuck != nil {
			return s.stuck
		}
		timer.Reset(s.pause())
	}
}

// present returns the present value of the counter.
func (s *session) present() radio.ConcentratorTime { return s.clock.at(s.driver.opts.Now()) }

// pause returns the time until the next work.
func (s *session) pause() time.Duration {
	now := s.driver.opts.Now()
	present := s.clock.at(now)
	next := max(s.driver.opts.Poll-now.Sub(s.polled), 0)
	if at, ok := s.driver.jit.Next(present); ok {
		next = min(next, at.Sub(present))
	}
	return next
}

// take adds a downlink to the queue, or answers why it is refused.
func (s *session) take(dl radio.Downlink) {
	s.endScan()
	t := s.driver.toSend(&dl)
	if err := s.driver.chip.validate(&t); err != nil {
		s.driver.log.Warn("downlink refused", "gateway", s.eui, "error", err)
		result := radio.TxUnknownError
		switch {
		case errors.Is(err, errNoChannel), errors.Is(err, errRange):
			result = radio.TxFreq
		case errors.Is(err, errPower):
			result = radio.TxPower
		}
		s.done(dl, result)
		return
	}
	if r := s.driver.jit.Add(dl, s.present()); r != radio.TxOK {
		s.done(dl, r)
	}
}

func (s *session) done(dl radio.Downlink, r radio.TxResult) {
	stats := s.driver.jit.Stats()
	s.driver.count(func(d *DriverStats) { d.JIT = stats })
	s.sink.TxAck(radio.TxAck{ID: dl.ID, Gateway: s.eui, Result: r, At: s.driver.opts.Now()})
}

// poll fetches frames, reads the counter and checks the chip.
func (s *session) poll() error {
	d := s.driver
	asked := d.opts.Now()
	s.polled = asked
	if t := d.temperature.Swap(nil); t != nil {
		d.chip.SetTemperature(*t)
	}
	r, err := d.chip.poll()
	if err != nil {
		return s.failed(err)
	}
	packets, now, err := s.follow(r, asked)
	if err != nil {
		return err
	}
	if len(packets) > 0 {
		s.heard = now
		s.deliver(packets)
		s.countReceived()
	}
	if s.clock.doubts > 0 {
		return nil
	}
	if err := s.watchHealth(now); err != nil {
		return s.failed(err)
	}
	s.busErrors = 0
	return nil
}

// failed handles an error of a poll. A few errors of the bus, or impossible fill
// levels of the FIFO, in a row end the session; the frames read before them are
// delivered first. Other errors end it at once.
func (s *session) failed(err error) error {
	if !isBus(err) && !errors.Is(err, ErrFIFO) {
		return err
	}
	if s.busErrors++; s.busErrors < maxBusErrors && !errors.Is(err, ErrGone) {
		return nil
	}
	s.salvage()
	return fmt.Errorf("%d times in a row: %w", s.busErrors, err)
}

// salvage delivers the frames that were fetched but not parsed. Their times come
// from the host's clock.
func (s *session) salvage() {
	s.clock.assume(s.driver.opts.Now())
	s.deliver(s.driver.chip.salvage(s.clock.last.counter))
	s.countReceived()
}

// countReceived copies the chip's counts to the driver's counts if they have
// changed.
func (s *session) countReceived() {
	if stats := s.driver.chip.ReceiveStats(); stats != s.received {
		s.received = stats
		s.driver.count(func(d *DriverStats) { d.Receive = stats })
	}
}

// follow accepts a reading of the counter if it fits the host's clock, and
// otherwise takes a second one; then it returns the frames. While the counter is in
// doubt nothing is armed and frames wait; a few bad readings end the session.
func (s *session) follow(r reading, asked radio.HostTime) (packets []Packet, now radio.HostTime, err error) {
	chip := s.driver.chip
	now = s.driver.opts.Now()
	if !s.clock.fits(r.counter, asked, now) {
		asked = now
		if second, err := chip.readAgain(); err == nil {
			r, now = second, s.driver.opts.Now()
		}
	}
	if !s.clock.fits(r.counter, asked, now) {
		enough, stands := s.clock.doubt(r.counter)
		switch {
		case !enough:
			return nil, now, nil
		case stands:
			err = errHang
		default:
			err = errStepped
		}
		s.salvage()
		return nil, now, err
	}
	packets = chip.accept(r)
	extended, stepped := s.driver.clock.Observe(r.counter, now)
	if stepped {
		return nil, now, errStepped
	}
	s.clock.take(counterReading{counter: r.counter, extended: extended, notBefore: asked, notAfter: now})
	s.watchSky(r)
	return packets, now, nil
}

// watchHealth makes the checks that are due: of the chip every few seconds, since what it has lost with its programs
// is lost in silence; of the records once a minute.
func (s *session) watchHealth(now radio.HostTime) error {
	d := s.driver
	if limit := d.opts.Silence; limit > 0 && now.Sub(s.heard) > limit {
		return errSilent
	}
	if now.Sub(s.counted) >= countEvery {
		s.countReceived()
		bad := s.received.BadRecords
		if bad-s.bad > maxBadRecords {
			return fmt.Errorf("%w: %d in a minute", errBadRecords, bad-s.bad)
		}
		s.counted, s.bad = now, bad
	}
	if now.Sub(s.checked) < healthEvery {
		return nil
	}
	err := d.chip.Health()
	if err != nil && !isBus(err) { // one wrong bit on the wire is not worth a restart
		err = d.chip.Health()
	}
	if err != nil {
		return err
	}
	s.checked = now
	return nil
}

// deliver passes the frames with a good CRC to the sink, without ghosts.
func (s *session) deliver(packets []Packet) {
	s.ups = s.ups[:0]
	badCRC := uint64(0)
	for i := range packets {
		if packets[i].CRC != GoodCRC || len(packets[i].Payload) == 0 {
			badCRC++
			continue
		}
		s.ups = append(s.ups, s.uplink(&packets[i]))
	}
	heard := len(s.ups)
	ups := concentrator.WithoutGhosts(s.ups)
	fresh := ups[:0]
	for i := range ups {
		if !s.ghost(&ups[i]) {
			fresh = append(fresh, ups[i])
		}
	}
	s.driver.count(func(d *DriverStats) {
		d.BadCRC += badCRC
		d.Ghosts += uint64(heard - len(fresh))
		d.Forwarded += uint64(len(fresh))
	})
	if len(fresh) > 0 {
		s.recent = append(s.recent[:0], fresh...)
	}
	for _, up := range fresh {
		s.sink.Uplink(up)
	}
}

// ghost reports whether a frame is a second reception of a delivered frame. A stronger one is passed
// on: the delivered one was heard beside its channel.
func (s *session) ghost(up *radio.Uplink) bool {
	for i := range s.recent {
		if concentrator.IsGhost(&s.recent[i], up) && up.Signal() <= s.recent[i].Signal() {
			return true
		}
	}
	return false
}

func (s *session) uplink(p *Packet) radio.Uplink {
	last := &s.clock.last
	at := last.extended + radio.ConcentratorTime(int32(p.Time-last.counter))
	up := radio.Uplink{
		Gateway: s.eui, PHYPayload: append([]byte(nil), p.Payload...), Frequency: p.Frequency, DataRate: p.DataRate,
		CodingRate: p.CodingRate, Time: at, Received: last.notAfter, Ended: last.notAfter.Add(-last.extended.Sub(at)),
	}
	r := radio.Reception{
		Channel: p.Channel, RSSI: decibel(p.RSSI), SNR: p.SNR, HasSignalRSSI: p.HasSignalRSSI,
		FrequencyOffset: p.FrequencyError, HasFineTimestamp: p.HasFineTimestamp, FineTimestamp: p.FineTimestamp,
		Token: radio.UplinkToken{Gateway: s.eui, Time: at, Host: last.notAfter},
	}
	if g := s.driver.opts.GNSS; g != nil {
		up.GPS = g.GPS(at)
		r.Token.GPS = up.GPS
	}
	if p.HasSignalRSSI {
		r.SignalRSSI = decibel(p.SignalRSSI)
	}
	up.Receptions = []radio.Reception{r}
	return up
}

// decibel rounds thousandths to hundredths.
func decibel(thousandths int32) radio.Decibel {
	if thousandths < 0 {
		return radio.Decibel((thousandths - 5) / 10)
	}
	return radio.Decibel((thousandths + 5) / 10)
}

var _ concentrator.Transmitter = (*session)(nil)

// Busy implements concentrator.Transmitter.
func (s *session) Busy(chain int) (bool, error) {
	if s.driver.chip.listensFor(1 - chain) {
		return false, concentrator.ErrOtherTurn
	}
	state, err := s.driver.chip.TxStatus(chain)
	return state != TxFree, err
}

// Abort implements concentrator.Transmitter.
func (s *session) Abort(chain int) error {
	s.driver.log.Warn("transmitter was stuck", "gateway", s.eui, "chain", chain)
	err := s.free(chain)
	if p := &s.armed[chain]; p.waits {
		s.answer(p, radio.TxUnknownError)
	}
	return err
}

// free aborts the packet of a chain. If the chip does not obey at once, it must be
// restarted.
func (s *session) free(chain int) error {
	err := s.driver.chip.abortWithin(chain, freeWithin)
	for range maxBusErrors - 1 {
		if !isBus(err) {
			break
		}
		err = s.driver.chip.abortWithin(chain, freeWithin)
	}
	if err != nil && s.stuck == nil {
		s.stuck = err
	}
	return err
}

// Arm implements concentrator.Transmitter.
func (s *session) Arm(dl radio.Downlink) error {
	began := s.driver.opts.Now()
	s.answerArmed()
	err := s.arm(dl)
	s.driver.jit.Pace(s.driver.opts.Now().Sub(began))
	if err != nil {
		return err
	}
	p := &s.armed[dl.Antenna]
	if p.waits { // a packet too short to be checked: the chain was free for this one
		s.answer(p, radio.TxOK)
	}
	*p = armed{downlink: dl, waits: true}
	return nil
}

// arm programs a packet. If its trigger has passed, the chip would send it 134 s
// later, so it is aborted. It is also aborted if an error of the bus leaves open
// what was programmed.
func (s *session) arm(dl radio.Downlink) error {
	chip, chain := s.driver.chip, int(dl.Antenna)
	err := chip.Send(s.driver.toSend(&dl))
	if errors.Is(err, ErrNoAnswer) {
		s.stuck = err
	}
	if err != nil && !isBus(err) {
		return err
	}
	counter, left, readErr := s.left(&dl)
	if err == nil {
		err = readErr
	}
	off := time.Duration(int32(counter-s.present().Counter())) * time.Microsecond
	if err == nil && off.Abs() > maxArmSkew {
		err = errStepped
	}
	if err == nil && left > StartDelay {
		return nil
	}
	if err == nil {
		// Too late, unless it is on the air now, or was.
		if state, err := chip.TxStatus(chain); err == nil && (state == TxEmitting || state == TxFree) {
			return nil
		}
		err = concentrator.ErrTooLate
	}
	if freeErr := s.free(chain); freeErr != nil {
		return freeErr
	}
	return err
}

// left returns the counter, and the time from now to the start of a packet.
func (s *session) left(dl *radio.Downlink) (counter uint32, left time.Duration, err error) {
	r, err := s.driver.chip.readAgain()
	if err != nil {
		return 0, 0, err
	}
	return r.counter, time.Duration(int32(dl.Time.Counter()-r.counter)) * time.Microsecond, nil
}
