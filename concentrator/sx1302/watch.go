package sx1302

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// watch is one run of the chip, from a start to the end or a fault. It is the
// concentrator.Transmitter of the queue.
type watch struct {
	driver *Driver
	sink   concentrator.Sink
	eui    radio.EUI64

	counter   uint32                 // as it was read last, µs
	now       radio.ConcentratorTime // the same, extended
	asked     radio.HostTime         // when that was asked for
	sure      radio.HostTime         // when it was there
	read      radio.HostTime         // likewise: what present goes from
	polled    radio.HostTime         // when the chip was asked last
	doubts    int                    // readings in a row that did not fit
	doubted   uint32                 // the last of them, µs
	heard     radio.HostTime         // when a frame was heard last
	checked   radio.HostTime         // when the health was checked last
	busErrors int
	bad       uint64 // records at the last check
	received  ReceiveStats
	ups       []radio.Uplink
	recent    []radio.Uplink // that were handed on last, against ghosts in two readings
	unsettled [Chains]unsettled
	stuck     error // of a transmitter that could not be freed
}

// begin takes the first reading of the counter, which all times go by.
func (w *watch) begin() error {
	d := w.driver
	for {
		asked := d.opts.Now()
		r, err := d.chip.readAgain()
		if err == nil {
			_, now, err := w.follow(r, asked)
			w.polled, w.heard, w.checked, w.bad, w.busErrors = now, now, now, d.chip.ReceiveStats().BadRecords, 0
			return err
		}
		if err := w.failed(err); err != nil {
			return err
		}
	}
}

// loop polls until ctx ends or the chip has to be started again.
func (w *watch) loop(ctx context.Context) error {
	d := w.driver
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
			w.take(dl)
		case <-timer.Expired():
			if err := w.poll(); err != nil {
				return err
			}
			w.settle()
		}
		if w.doubts == 0 && d.jit.Len() > 0 {
			d.jit.Poll(w.present(), w, w.done)
		}
		if w.stuck != nil {
			return w.stuck
		}
		timer.Reset(w.pause())
	}
}

// present returns what the counter shows now, from the last reading and the
// host's clock: within 10 ms those do not run apart.
func (w *watch) present() radio.ConcentratorTime { return w.presentAt(w.driver.opts.Now()) }

func (w *watch) presentAt(now radio.HostTime) radio.ConcentratorTime {
	return w.now.Add(now.Sub(w.read))
}

// pause returns how long until there is something to do.
func (w *watch) pause() time.Duration {
	now := w.driver.opts.Now()
	present := w.presentAt(now)
	next := max(w.driver.opts.Poll-now.Sub(w.polled), 0)
	if at, ok := w.driver.jit.Next(present); ok {
		next = min(next, at.Sub(present))
	}
	return next
}

// take puts a downlink into the queue, or answers why not.
func (w *watch) take(dl radio.Downlink) {
	t := w.driver.toSend(&dl)
	if err := w.driver.chip.validate(&t); err != nil {
		w.driver.log.Warn("downlink refused", "gateway", w.eui, "error", err)
		result := radio.TxUnknownError
		switch {
		case errors.Is(err, errNoChannel), errors.Is(err, errRange):
			result = radio.TxFreq
		case errors.Is(err, errPower):
			result = radio.TxPower
		}
		w.done(dl, result)
		return
	}
	if r := w.driver.jit.Add(dl, w.present()); r != radio.TxOK {
		w.done(dl, r)
	}
}

func (w *watch) done(dl radio.Downlink, r radio.TxResult) {
	stats := w.driver.jit.Stats()
	w.driver.count(func(s *DriverStats) { s.JIT = stats })
	w.sink.TxAck(radio.TxAck{ID: dl.ID, Gateway: w.eui, Result: r, At: w.driver.opts.Now()})
}

// poll reads what was heard and watches the chip.
func (w *watch) poll() error {
	d := w.driver
	asked := d.opts.Now()
	w.polled = asked
	if t := d.temperature.Swap(nil); t != nil {
		d.chip.SetTemperature(*t)
	}
	r, err := d.chip.poll()
	if err != nil {
		return w.failed(err)
	}
	packets, now, err := w.follow(r, asked)
	if err != nil {
		return err
	}
	if len(packets) > 0 {
		w.heard = now
		w.deliver(packets)
		w.countReceived()
	}
	if w.doubts > 0 {
		return nil
	}
	if err := w.watchHealth(now); err != nil {
		return w.failed(err)
	}
	w.busErrors = 0
	return nil
}

// failed takes an error of the bus, or a number of bytes that cannot be, of which
// a few in a row end the run; what was read before them is handed on. Other errors
// end it at once.
func (w *watch) failed(err error) error {
	if !isBus(err) && !errors.Is(err, ErrFIFO) {
		return err
	}
	if w.busErrors++; w.busErrors < maxBusErrors {
		return nil
	}
	w.salvage()
	return fmt.Errorf("%d times in a row: %w", w.busErrors, err)
}

// salvage hands on the frames that were fetched and not looked at, with times by
// the host's clock.
func (w *watch) salvage() {
	now := w.present()
	w.now, w.read, w.counter = now, w.driver.opts.Now(), now.Counter()
	w.deliver(w.driver.chip.salvage(w.counter))
	w.countReceived()
}

// countReceived tells what the chip has counted, if that has changed.
func (w *watch) countReceived() {
	if s := w.driver.chip.ReceiveStats(); s != w.received {
		w.received = s
		w.driver.count(func(d *DriverStats) { d.Receive = s })
	}
}

// follow takes a reading of the counter, if it fits what the host's clock says,
// or else a second one, and returns the frames. While it is in doubt nothing is
// sent by it and frames wait; a few readings that do not fit end the run.
func (w *watch) follow(r reading, asked radio.HostTime) (packets []Packet, now radio.HostTime, err error) {
	chip := w.driver.chip
	now = w.driver.opts.Now()
	if !w.fits(r.counter, asked, now) {
		asked = now
		if second, err := chip.readAgain(); err == nil {
			r, now = second, w.driver.opts.Now()
		}
	}
	if !w.fits(r.counter, asked, now) {
		stands := w.doubts > 0 && r.counter == w.doubted
		w.doubted = r.counter
		if w.doubts++; w.doubts < maxDoubts {
			return nil, now, nil
		}
		w.salvage()
		if stands {
			return nil, now, errHang
		}
		return nil, now, errStepped
	}
	packets = chip.accept(r)
	extended, stepped := w.driver.clock.Observe(r.counter, now)
	if stepped {
		return nil, now, errStepped
	}
	w.counter, w.now, w.asked, w.read, w.sure, w.doubts = r.counter, extended, asked, now, now, 0
	return packets, now, nil
}

// fits reports whether the counter has moved as much as the host's clock, from
// some time in the last reading that fitted to some time in this one. The first
// one does.
func (w *watch) fits(counter uint32, asked, now radio.HostTime) bool {
	if w.asked == 0 {
		return true
	}
	moved := time.Duration(counter-w.counter) * time.Microsecond
	least, most := asked.Sub(w.sure), now.Sub(w.asked)
	slack := maxSkew + most/1000
	return moved >= least-slack && moved <= most+slack
}

// watchHealth does what is not done at every poll.
func (w *watch) watchHealth(now radio.HostTime) error {
	d := w.driver
	if s := d.opts.Silence; s > 0 && now.Sub(w.heard) > s {
		return errSilent
	}
	if now.Sub(w.checked) < healthEvery {
		return nil
	}
	w.countReceived()
	bad := w.received.BadRecords
	if bad-w.bad > maxBadRecords {
		return fmt.Errorf("%w: %d in a minute", errBadRecords, bad-w.bad)
	}
	if err := d.chip.Health(); err != nil {
		return err
	}
	w.checked, w.bad = now, bad
	return nil
}

// deliver hands on the frames with a good CRC, without ghosts.
func (w *watch) deliver(packets []Packet) {
	w.ups = w.ups[:0]
	badCRC := uint64(0)
	for i := range packets {
		if packets[i].CRC != GoodCRC || len(packets[i].Payload) == 0 {
			badCRC++
			continue
		}
		w.ups = append(w.ups, w.uplink(&packets[i]))
	}
	heard := len(w.ups)
	ups := concentrator.WithoutGhosts(w.ups)
	fresh := ups[:0]
	for i := range ups {
		if !w.ghost(&ups[i]) {
			fresh = append(fresh, ups[i])
		}
	}
	w.driver.count(func(s *DriverStats) {
		s.BadCRC += badCRC
		s.Ghosts += uint64(heard - len(fresh))
		s.Forwarded += uint64(len(fresh))
	})
	if len(fresh) > 0 {
		w.recent = append(w.recent[:0], fresh...)
	}
	for _, up := range fresh {
		w.sink.Uplink(up)
	}
}

// ghost reports whether a frame was among the last ones that were handed on.
func (w *watch) ghost(up *radio.Uplink) bool {
	for i := range w.recent {
		if concentrator.IsGhost(&w.recent[i], up) {
			return true
		}
	}
	return false
}

func (w *watch) uplink(p *Packet) radio.Uplink {
	at := w.now + radio.ConcentratorTime(int32(p.Time-w.now.Counter()))
	up := radio.Uplink{
		Gateway: w.eui, PHYPayload: append([]byte(nil), p.Payload...), Frequency: p.Frequency, DataRate: p.DataRate,
		CodingRate: p.CodingRate, Time: at, Received: w.read, Ended: w.read.Add(-w.now.Sub(at)),
	}
	r := radio.Reception{
		Channel: p.Channel, RSSI: decibel(p.RSSI), SNR: p.SNR, HasSignalRSSI: p.HasSignalRSSI,
		FrequencyOffset: p.FrequencyError, HasFineTimestamp: p.HasFineTimestamp, FineTimestamp: p.FineTimestamp,
		Token: radio.UplinkToken{Gateway: w.eui, Time: at, Host: w.read},
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

var _ concentrator.Transmitter = (*watch)(nil)

// Busy implements concentrator.Transmitter.
func (w *watch) Busy(chain int) (bool, error) {
	s, err := w.driver.chip.TxStatus(chain)
	return s != TxFree, err
}

// Abort implements concentrator.Transmitter.
func (w *watch) Abort(chain int) error {
	w.driver.log.Warn("transmitter was stuck", "gateway", w.eui, "chain", chain)
	err := w.free(chain)
	if u := &w.unsettled[chain]; u.open {
		w.conclude(u, radio.TxUnknownError)
	}
	return err
}

// free aborts what a chain does. The chip does so at once; one that does not has
// to be started again.
func (w *watch) free(chain int) error {
	err := w.driver.chip.abortWithin(chain, freeWithin)
	for range maxBusErrors - 1 {
		if !isBus(err) {
			break
		}
		err = w.driver.chip.abortWithin(chain, freeWithin)
	}
	if err != nil && w.stuck == nil {
		w.stuck = err
	}
	return err
}

// Arm implements concentrator.Transmitter.
func (w *watch) Arm(dl radio.Downlink) error {
	began := w.driver.opts.Now()
	w.settle()
	err := w.arm(dl)
	w.driver.jit.Pace(w.driver.opts.Now().Sub(began))
	if err != nil {
		return err
	}
	u := &w.unsettled[dl.Antenna]
	if u.open { // too short to have been looked at: the chain was free for this one
		w.conclude(u, radio.TxOK)
	}
	*u = unsettled{downlink: dl, open: true}
	return nil
}

// arm programs a packet. The chip would send one whose trigger has passed 134 s
// later, so it is taken back if that is so, or if it is not known what the chip
// was told of it.
func (w *watch) arm(dl radio.Downlink) error {
	chip, chain := w.driver.chip, int(dl.Antenna)
	err := chip.Send(w.driver.toSend(&dl))
	if errors.Is(err, ErrNoAnswer) {
		w.stuck = err
	}
	if err != nil && !isBus(err) {
		return err
	}
	counter, left, readErr := w.left(&dl)
	if err == nil {
		err = readErr
	}
	if off := time.Duration(int32(counter-w.present().Counter())) * time.Microsecond; err == nil && off.Abs() > maxArmSkew {
		err = errStepped
	}
	if err == nil && left > StartDelay {
		return nil
	}
	if err == nil {
		// Too late, but for one that is on the air by now, or was already.
		if state, err := chip.TxStatus(chain); err == nil && (state == TxEmitting || state == TxFree) {
			return nil
		}
		err = concentrator.ErrTooLate
	}
	if freeErr := w.free(chain); freeErr != nil {
		return freeErr
	}
	return err
}

// left returns what the counter shows, and how long it is to the begin of a
// packet by that.
func (w *watch) left(dl *radio.Downlink) (counter uint32, left time.Duration, err error) {
	r, err := w.driver.chip.readAgain()
	if err != nil {
		return 0, 0, err
	}
	return r.counter, time.Duration(int32(dl.Time.Counter()-r.counter)) * time.Microsecond, nil
}
