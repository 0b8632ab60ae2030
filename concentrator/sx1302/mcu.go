package sx1302

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoAnswer is the reason when a program of the chip does not answer. Most often
// its clock is missing, because the radio that provides it did not start.
var ErrNoAnswer = errors.New("no answer")

// A handshake is polled every pollEvery for at most answerWithin. Semtech publishes
// no figure; the programs answer within microseconds.
const (
	pollEvery    = time.Millisecond
	answerWithin = time.Second
)

// mcu is one of the two processors in the chip.
type mcu struct {
	name                             string
	memory                           uint16
	clear, hostProg, parity, statusF field
}

var (
	agcMCU = mcu{"AGC", agcMemory, agcClear, agcHostProg, agcParity, agcStatus}
	arbMCU = mcu{"ARB", arbMemory, arbClear, arbHostProg, arbParity, arbStatus}
)

// load writes a program, verifies it and starts it.
func (c *Chip) load(m mcu, image []byte) error {
	err := c.setAll([]setting{{m.clear, 1}, {m.hostProg, 1}, {page, 0}})
	if err != nil {
		return err
	}
	if err := c.writeChecked(m, image); err != nil {
		return err
	}
	if err := c.setAll([]setting{{m.hostProg, 0}, {m.clear, 0}}); err != nil {
		return err
	}
	bad, err := c.get(m.parity)
	if err != nil {
		return err
	}
	if bad != 0 {
		return fmt.Errorf("load %s firmware: parity error in its memory; check the power supply", m.name)
	}
	return nil
}

// writeChecked writes a program and reads it back. If they differ it tries again
// with short transfers, and keeps these if they work.
func (c *Chip) writeChecked(m mcu, image []byte) error {
	usual := c.burst
	err := c.writeAndCompare(m, image)
	if err == nil || !c.shorten() {
		return err
	}
	if shortErr := c.writeAndCompare(m, image); shortErr == nil {
		return nil
	}
	c.burst = usual
	return err
}

func (c *Chip) writeAndCompare(m mcu, image []byte) error {
	if err := c.write(m.memory, image); err != nil {
		return err
	}
	back := make([]byte, len(image))
	if err := c.read(m.memory, back); err != nil {
		return err
	}
	if !bytes.Equal(back, image) {
		return fmt.Errorf("load %s firmware: what was read back differs; check the SPI wiring and its speed", m.name)
	}
	return nil
}

// await waits until a program reports a status.
func (c *Chip) await(ctx context.Context, m mcu, want int) error {
	return c.awaitWithin(ctx, m, want, answerWithin)
}

func (c *Chip) awaitWithin(ctx context.Context, m mcu, want int, within time.Duration) error {
	got := 0
	for waited := time.Duration(0); waited <= within; waited += pollEvery {
		var err error
		if got, err = c.get(m.statusF); err != nil {
			return err
		}
		if got == want {
			return nil
		}
		if err := c.sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s firmware: %w: status 0x%02x, want 0x%02x; check that the radio that gives the clock runs",
		m.name, ErrNoAnswer, got, want)
}

// mail writes bytes 0, 1, … of the mailbox; -1 leaves a byte as it is. The program
// notices byte 3, which post writes.
func (c *Chip) mail(values ...int) error {
	for i, v := range values {
		if v < 0 {
			continue
		}
		if err := c.set(mailWrite3.plus(3-i), v); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chip) post(value int) error { return c.set(mailWrite3, value) }

// echo compares the AGC's echo in its mailbox with the bytes written.
func (c *Chip) echo(step int, want ...int) error {
	for i, v := range want {
		got, err := c.get(mailRead3.plus(3 - i))
		if err != nil {
			return err
		}
		if got != v {
			return fmt.Errorf("AGC firmware: step 0x%02x: it understood 0x%02x as 0x%02x", step, v, got)
		}
	}
	return nil
}

// agcParameters are the parameters of the gain controller for a type of radio.
type agcParameters struct {
	anaMin, anaMax, anaLow, anaHigh                      int
	decMin, decMax, decLow, decHigh1, decHigh2           int
	chanMin, chanMax, chanLow, chanHigh                  int
	deviceSel, hpMax, paDutyCycle, paStartDelay100micros int
}

var (
	agcForSX1250 = agcParameters{1, 13, 3, 12, 4, 15, 40, 80, 90, 4, 14, 52, 132, 0, 7, 4, 8}
	agcForSX125x = agcParameters{0, 9, 16, 35, 7, 11, 45, 100, 115, 4, 14, 52, 132, 0, 0, 0, 8}
)

// agcStep is one exchange: wait for a status, compare the echo of the step before,
// write the mailbox, and write its byte 3 last.
type agcStep struct {
	status int
	values []int
	post   int
}

// startAGC sets up the gain controller.
func (c *Chip) startAGC(ctx context.Context) error {
	if err := c.load(agcMCU, c.firmware.AGC); err != nil {
		return err
	}
	if err := c.await(ctx, agcMCU, 0x01); err != nil {
		return err
	}
	want := versionAGCSX1250
	if c.sx125x() {
		want = versionAGCSX125x
	}
	got, err := c.get(mailRead3.plus(3))
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("AGC firmware: version %d, want %d for these radios", got, want)
	}
	var before []int
	for _, s := range c.agcSteps() {
		if err := c.await(ctx, agcMCU, s.status); err != nil {
			return err
		}
		if err := c.echo(s.status, before...); err != nil {
			return err
		}
		if err := c.mail(s.values...); err != nil {
			return err
		}
		if err := c.post(s.post); err != nil {
			return err
		}
		before = s.values
	}
	return nil
}

// agcSteps returns the exchanges of the set-up in their order. The gains of both
// radios are automatic (0xFF).
func (c *Chip) agcSteps() []agcStep {
	p, both := agcForSX1250, []int{0xFF, 0xFF}
	if c.sx125x() {
		duplex := 0
		if c.config.FullDuplex {
			duplex = 1
		}
		p, both = agcForSX125x, []int{0xFF, 0xFF, duplex}
	}
	steps := []agcStep{
		{0x01, both, 0x80},
		{0x02, both, 0x20},
		{0x03, []int{p.anaMin, p.anaMax}, 0x03},
		{0x04, []int{p.anaLow, p.anaHigh}, 0x04},
		{0x05, []int{p.decMin, p.decMax}, 0x05},
		{0x06, []int{p.decLow, p.decHigh1, p.decHigh2}, 0x06},
		{0x07, []int{p.chanMin, p.chanMax}, 0x07},
		{0x08, []int{p.chanLow, p.chanHigh}, 0x08},
	}
	last := 0x09
	if !c.sx125x() {
		steps = append(steps, agcStep{0x09, []int{p.deviceSel, p.hpMax, p.paDutyCycle}, 0x09})
		last = 0x0A
	}
	return append(
		steps,
		agcStep{last, []int{p.paStartDelay100micros}, 0x0A},
		agcStep{0x0B, []int{bit(c.config.LBT.Enabled)}, 0x0B},
		agcStep{0x0F, nil, 0x0F},
	)
}

// startARB sets up the arbiter.
func (c *Chip) startARB(ctx context.Context) error {
	if err := c.load(arbMCU, c.firmware.ARB); err != nil {
		return err
	}
	if err := c.await(ctx, arbMCU, 0x01); err != nil {
		return err
	}
	got, err := c.get(arbVersion)
	if err != nil {
		return err
	}
	if got != versionARB {
		return fmt.Errorf("ARB firmware: version %d, want %d", got, versionARB)
	}
	twice := 0 // the spreading factors to demodulate twice
	switch c.config.FineTimestamps {
	case FineTimestampsAll:
		twice = 0xFF
	case FineTimestampsSF10:
		twice = 0x3F
	}
	err = c.setAll([]setting{
		{arbConfig0, 7}, // the spreading factor of the statistics
		{arbConfig3, twice},
		{arbConfig2, 3}, // filter against double detection
		{arbConfig1, 1}, // continue
	})
	if err != nil {
		return err
	}
	return c.await(ctx, arbMCU, 0x00)
}
