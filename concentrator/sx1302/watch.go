package sx1302

import (
	"context"
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
	read      radio.HostTime         // what present goes from
	doubts    int                    // readings in a row that did not fit
	heard     radio.HostTime         // when a frame was heard last
	checked   radio.HostTime         // when the health was checked last
	measured  radio.HostTime         // when the temperature was read last
	warm      bool                   // the temperature was read before
	busErrors int
	bad       uint64 // records at the last check
	ups       []radio.Uplink
	recent    []radio.Uplink // that were handed on last, against ghosts in two readings
}

// loop polls until ctx ends or the chip has to be started again.
func (w *watch) loop(ctx context.Context) error {
	d := w.driver
	start := d.opts.Now()
	w.heard, w.checked, w.bad = start, start, d.chip.ReceiveStats().BadRecords
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
		}
		if w.doubts == 0 {
			broken := d.jit.Stats().Broken
			d.jit.Poll(w.present(), w, w.done)
			w.warnBroken(broken)
		}
		timer.Reset(w.pause())
	}
}

// warnBroken tells of downlinks that were answered with TxOK and then not sent.
func (w *watch) warnBroken(before uint64) {
	if n := w.driver.jit.Stats().Broken - before; n > 0 {
		w.driver.log.Error("downlinks that were accepted were not sent", "gateway", w.eui, "count", n)
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
	next := max(w.driver.opts.Poll-now.Sub(w.read), 0)
	if at, ok := w.driver.jit.Next(present); ok {
		next = min(next, at.Sub(present))
	}
	return next
}

// take puts a downlink into the queue, or answers why not.
func (w *watch) take(dl radio.Downlink) {
	t := transmission(&dl)
	if err := w.driver.chip.validate(&t); err != nil {
		w.driver.log.Warn("downlink refused", "gateway", w.eui, "error", err)
		w.done(dl, radio.TxUnknownError)
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
	packets, counter, err := d.chip.receive()
	now := d.opts.Now()
	if err != nil {
		w.now, w.read = w.now.Add(now.Sub(w.read)), now
		if w.busErrors++; w.busErrors >= maxBusErrors {
			if packets := d.chip.salvage(w.now.Counter()); len(packets) > 0 {
				w.deliver(packets)
			}
			return fmt.Errorf("%d times in a row: %w", w.busErrors, err)
		}
		return nil
	}
	w.busErrors = 0
	err = w.follow(counter, asked, now)
	if len(packets) > 0 { // also if that ends the run: the chip has them no more
		w.heard = now
		w.deliver(packets)
	}
	if err != nil {
		return err
	}
	return w.watchHealth(now)
}

// follow takes a reading of the counter, if it fits what the host's clock says.
// Nothing is sent by a counter that is in doubt, and a few readings that do not
// fit end the run.
func (w *watch) follow(counter uint32, asked, now radio.HostTime) error {
	if w.asked != 0 && !w.fits(counter, asked, now) {
		w.now, w.read = w.now.Add(now.Sub(w.read)), now
		switch w.doubts++; {
		case w.doubts < maxDoubts:
			return nil
		case counter == w.counter:
			return errHang
		}
		return errStepped
	}
	extended, stepped := w.driver.clock.Observe(counter, now)
	if stepped {
		return errStepped
	}
	w.counter, w.now, w.asked, w.read, w.sure, w.doubts = counter, extended, asked, now, now, 0
	return nil
}

// fits reports whether the counter has moved as much as the host's clock, from
// some time in the last reading that fitted to some time in this one.
func (w *watch) fits(counter uint32, asked, now radio.HostTime) bool {
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
	if d.opts.Temperature != nil && (!w.warm || now.Sub(w.measured) >= temperatureEvery) {
		w.warm, w.measured = true, now
		if t, err := d.opts.Temperature(); err == nil {
			d.chip.SetTemperature(t)
		} else {
			d.log.Debug("no temperature", "error", err)
		}
	}
	if now.Sub(w.checked) < healthEvery {
		return nil
	}
	w.checked = now
	bad := d.chip.ReceiveStats().BadRecords
	if bad-w.bad > maxBadRecords {
		return fmt.Errorf("%w: %d in a minute", errBadRecords, bad-w.bad)
	}
	w.bad = bad
	return d.chip.Health()
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
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return w.driver.chip.Abort(ctx, chain)
}

// Arm implements concentrator.Transmitter. The chip would send a packet whose
// trigger has passed 134 s later, so it is taken back if that is so.
func (w *watch) Arm(dl radio.Downlink) error {
	chip, chain := w.driver.chip, int(dl.Antenna)
	if err := chip.Send(transmission(&dl)); err != nil {
		return err
	}
	counter, err := chip.Counter()
	if off := time.Duration(int32(counter-w.present().Counter())) * time.Microsecond; err == nil && off.Abs() > maxArmSkew {
		err = errStepped
	}
	if err == nil && int32(dl.Time.Counter()-counter) > int32(StartDelay/time.Microsecond) {
		return nil
	}
	state, stateErr := chip.TxStatus(chain)
	if err == nil && stateErr == nil && state == TxEmitting {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if abortErr := chip.Abort(ctx, chain); abortErr != nil {
		return abortErr
	}
	if err != nil {
		return err
	}
	return concentrator.ErrTooLate
}
