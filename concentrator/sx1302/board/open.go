package board

import (
	"context"
	"errors"
	"io"
	"strings"

	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/sx1302"
)

// Port is an open SPI port.
type Port interface {
	spi.Conn
	io.Closer
}

// Host opens the devices of a board: Linux and the fakes of tests implement it.
type Host interface {
	// SPI opens a port in the mode of the chip: mode 0, 8 bits, 2 MHz.
	SPI(device string) (Port, error)
	// MaxTransfer returns the longest transfer of a port in bytes; 0 is no limit.
	MaxTransfer() int
	// Lock locks a device for this process, or returns who uses it.
	Lock(device string) (io.Closer, error)
	// Line opens a GPIO line as an output, at once with this level.
	Line(name string, high bool) (Output, error)
	// I2C opens a bus.
	I2C(name string) (I2CBus, error)
	// USB opens the USB bridge behind a tty, or with AnyUSB the only one, and takes it for
	// this process.
	USB(device string) (USB, error)
	// Run runs a program and waits for its end.
	Run(ctx context.Context, program string, args ...string) error
}

// Output is an open GPIO line.
type Output interface {
	Pin
	io.Closer
}

// Hardware is an open board.
type Hardware struct {
	Conn        spi.Conn
	MaxTransfer int                         // bytes; 0 is no limit
	SX1261      spi.Conn                    // nil: no LBT
	Reset       func(context.Context) error // switches the board on and resets it; nil: this program does not
	Temperature func() (int32, error)       // 1/256 °C, when the board has power; nil: it has no sensor
	Firmware    func() (sx1302.Firmware, error)
	Timer       func() (sx1302.Timer, error) // nil: a timer of package time, for tests in fake time
	Close       func() error
}

// Open opens the devices and lines of a board, with power on and no chip in reset.
// firmware reads the programs of the chip when they are needed.
func Open(h Host, b *Board, firmware func() (sx1302.Firmware, error)) (*Hardware, error) {
	var open closers
	opened := false
	defer func() { // after a panic too: what stays open is held against the next try
		if !opened {
			_ = open.Close()
		}
	}()
	hw, err := open.hardware(h, b)
	if err != nil {
		return nil, errors.Join(err, open.Close())
	}
	opened = true
	hw.Firmware, hw.Close = firmware, open.Close
	return hw, nil
}

// closers are the opened devices in their order.
type closers []io.Closer

// Close closes all of them, the last one first.
func (c *closers) Close() error {
	var err error
	for i := len(*c) - 1; i >= 0; i-- {
		err = errors.Join(err, (*c)[i].Close())
	}
	*c = nil
	return err
}

func (c *closers) hardware(h Host, b *Board) (*Hardware, error) {
	if IsUSB(b.Device) {
		return c.usb(h, b)
	}
	hw := &Hardware{MaxTransfer: h.MaxTransfer(), Timer: sx1302.NewKernelTimer}
	port, err := h.SPI(b.Device)
	if err != nil {
		return nil, err
	}
	*c = append(*c, port)
	hw.Conn = port
	lock, err := h.Lock(b.Device)
	if err != nil {
		return nil, err
	}
	*c = append(*c, lock)
	if b.SX1261 != "" {
		port, err := h.SPI(b.SX1261)
		if err != nil {
			return nil, err
		}
		*c = append(*c, port)
		hw.SX1261 = port
	}
	pins, err := c.pins(h, b)
	if err != nil {
		return nil, err
	}
	hw.Reset = b.reset(h, pins)
	if b.I2C != "" {
		sensor := Sensor{Open: func() (I2CBus, error) { return h.I2C(b.I2C) }}
		hw.Temperature = sensor.Temperature
	}
	return hw, nil
}

// pins opens the lines of a board. A board that a program resets has no reset line.
func (c *closers) pins(h Host, b *Board) (Pins, error) {
	var p Pins
	for _, want := range []struct {
		name string
		high bool
		pin  *Pin
	}{
		{b.Power, true, &p.Power}, {b.Reset, false, &p.Reset}, {b.SX1261Reset, true, &p.SX1261Reset},
	} {
		if want.name == "" || strings.HasPrefix(want.name, commandPrefix) || strings.HasPrefix(want.name, ExecPrefix) {
			continue
		}
		l, err := h.Line(want.name, want.high)
		if err != nil {
			return Pins{}, err
		}
		*c = append(*c, l)
		*want.pin = l
	}
	return p, nil
}
