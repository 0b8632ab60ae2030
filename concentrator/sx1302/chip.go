package sx1302

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"periph.io/x/conn/v3/spi"

	"lorawand/radio"
)

// ErrNoChip is the reason when the version register does not hold the chip's
// version.
var ErrNoChip = errors.New("no SX1302")

// ErrNotStarted is the reason when a method needs a started chip.
var ErrNotStarted = errors.New("sx1302: not started")

// chipVersion is the value of COMMON_VERSION.
const chipVersion = 0x10

// Model is the kind of the chip, as it is programmed into the chip.
type Model uint8

// String returns the name of the model.
func (m Model) String() string {
	switch {
	case m.SX1303():
		return "SX1303"
	case m == 0x00 || m == 0x02:
		return "SX1302"
	}
	return fmt.Sprintf("model 0x%02x", uint8(m))
}

// SX1303 reports whether the chip makes fine timestamps.
func (m Model) SX1303() bool { return m == 0x03 }

// Identity has what a chip says about itself, and whether transfers to it are
// limited.
type Identity struct {
	Version uint8
	Model   Model
	EUI     radio.EUI64
	Short   bool // the port corrupts long transfers, so they are split
}

// Options has the parts of a Chip that are not in its Config.
type Options struct {
	Firmware Firmware

	// Reset brings the chip into its state after power-up, see board.Pins. If it is
	// nil, the caller must reset the chip before each Start.
	Reset func(context.Context) error

	// MaxTransfer is the longest transfer of the port in bytes, for ports that do
	// not report it: the bufsiz of the spidev module. 0 is no limit.
	MaxTransfer int

	// AnyVersion accepts chips that report another version than 0x10.
	AnyVersion bool

	// SX1261 is the connection to the radio that scans: mode 0, 8 bits, 2 MHz. Only
	// Config.LBT and Config.Spectrum need it.
	SX1261 spi.Conn

	// Sleep waits for d, or until ctx ends, and then returns the error of ctx. The
	// default uses the clock of package time.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Chip is an SX1302 or SX1303 with its radios. Any goroutine may call its methods;
// a lock lets one at a time talk to the chip.
type Chip struct {
	mu sync.Mutex
	registers
	config   Config
	firmware Firmware
	options  Options
	started  bool
	identity Identity
	batches  bool // the port makes several reads in one message, see tryTogether
	message  message

	receiver receiver
	offsets  [Chains][]dcOffset // of the transmitter, for each gain; SX1255 and SX1257

	sx1261        port // of the radio that scans
	lbt           lbt
	spectrum      *spectrumScan // nil: none was begun
	spectrumFault error         // why there can be none
}

// New prepares a chip behind an SPI connection: mode 0, 8 bits, 2 MHz. It does
// not talk to it yet.
func New(c spi.Conn, config Config, o Options) (*Chip, error) {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.LBT.Enabled && o.SX1261 == nil {
		return nil, fmt.Errorf("%w: LBT needs the SX1261 of the board", ErrConfig)
	}
	b, err := newBus(c, o.MaxTransfer)
	if err != nil {
		return nil, err
	}
	if o.Sleep == nil {
		o.Sleep = Sleep
	}
	chip := &Chip{
		registers: registers{bus: b}, config: config, firmware: o.Firmware, options: o,
		sx1261: newPort(o.SX1261, maxSX1261Frame),
	}
	chip.receiver.configure(&chip.config)
	return chip, nil
}

// Sleep waits for d. It returns early, with the error of ctx, when ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *Chip) sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.options.Sleep(ctx, d)
}

// sx125x reports whether the radios are SX1255 or SX1257.
func (c *Chip) sx125x() bool { return c.config.sx125x() }

// Probe resets the chip and reads its identity. Errors say what to check.
func (c *Chip) Probe(ctx context.Context) (Identity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = false
	if err := c.reset(ctx); err != nil {
		return Identity{}, err
	}
	version, err := c.firstReading()
	if err == nil {
		err = c.checkVersion(version)
	}
	if err != nil {
		return Identity{Version: uint8(version)}, err
	}
	id, err := c.identify(version)
	if err == nil {
		c.identity = id
	}
	return id, err
}

func (c *Chip) reset(ctx context.Context) error {
	c.forget()
	if c.options.Reset == nil {
		return nil
	}
	if err := c.options.Reset(ctx); err != nil {
		return fmt.Errorf("sx1302: reset: %w", err)
	}
	return nil
}

// checkVersion returns an error that says what to check, if the version is not the
// chip's.
func (c *Chip) checkVersion(v int) error {
	switch {
	case v == chipVersion || c.options.AnyVersion && v != 0x00 && v != 0xFF:
		return nil
	case v == 0x00 || v == 0xFF:
		return fmt.Errorf("sx1302: %w: version 0x%02x on %s; check the power and the reset line of the board, the "+
			"device node, and whether another program holds the bus", ErrNoChip, v, c.conn)
	}
	return fmt.Errorf("sx1302: %w: version 0x%02x on %s instead of 0x%02x; check the reset GPIO: a chip that was "+
		"never reset answers so", ErrNoChip, v, c.conn, chipVersion)
}

// firstReading reads the version. If the transfer fails, the port may be unable to
// send and receive at once; then it sends each frame first, and receives the answer
// after it.
func (c *Chip) firstReading() (int, error) {
	v, err := c.get(version)
	if err == nil || c.half {
		return v, err
	}
	c.half, c.sx1261.half = true, true
	if v, halfErr := c.get(version); halfErr == nil {
		return v, nil
	}
	c.half, c.sx1261.half = false, false
	return 0, err
}

// otpModel is where the model is kept; the EUI is in bytes 0 to 7.
const otpModel = 0xD0

func (c *Chip) identify(version int) (Identity, error) {
	id := Identity{Version: uint8(version)}
	m, err := c.otp(otpModel)
	if err != nil {
		return id, err
	}
	id.Model = Model(m)
	for i := len(id.EUI) - 1; i >= 0; i-- { // the address ends at 0, its value after a reset
		if id.EUI[i], err = c.otp(i); err != nil {
			return id, err
		}
	}
	return id, nil
}

// otp reads a byte of the one-time programmable memory.
func (c *Chip) otp(addr int) (byte, error) {
	if err := c.set(otpAddress, addr); err != nil {
		return 0, err
	}
	v, err := c.get(otpData)
	return byte(v), err
}

// Identity returns the result of the last Start or Probe.
func (c *Chip) Identity() Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identity
}

// Health looks for faults with no other symptom: a parity error in a program, a
// version that cannot be read, and modems that do not run after another program has
// reset the chip or its supply has dropped. Call it about once a minute; after an
// error the chip must be started again.
//
// Source: hibbes/sx1302-arb-fix, sx1302_hal issues 14 and 154: receivers that
// fell silent had both parity bits set while counters and SPI went on.
func (c *Chip) Health() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started {
		return ErrNotStarted
	}
	v, err := c.get(version)
	if err == nil {
		err = c.checkVersion(v)
	}
	if err != nil {
		return err
	}
	runs, err := c.get(globalEnable)
	if err != nil {
		return err
	}
	if runs == 0 {
		return errors.New("sx1302: the chip was reset, or lost its supply")
	}
	for _, m := range []mcu{agcMCU, arbMCU} {
		bad, err := c.get(m.parity)
		if err != nil {
			return err
		}
		if bad != 0 {
			return fmt.Errorf("sx1302: parity error in the memory of the %s", m.name)
		}
	}
	return nil
}
