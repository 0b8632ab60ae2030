package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/host/v3/sysfs"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
)

// hardware is a board that was opened: the way to its chip, and what is around
// that.
type hardware struct {
	conn        spi.Conn
	maxTransfer int                         // bytes; 0 is no limit
	sx1261      spi.Conn                    // nil: no listening before talking
	reset       func(context.Context) error // nil: others reset it
	temperature func() (int32, error)       // 1/256 °C, once the board has power; nil: it has no sensor
	firmware    func() (sx1302.Firmware, error)
	timer       func() (sx1302.Timer, error) // nil: that of package time, so that fake time reaches it
	close       func() error
}

// opener opens the board of a configuration.
type opener func(s *config.SX1302, c *config.Concentrator) (*hardware, error)

// spiSpeed is what Semtech's board is laid out for.
const spiSpeed = 2 * physic.MegaHertz

// defaultBufsiz is the most that spidev takes at once if it does not say.
const defaultBufsiz = 4096

// errHeld is the reason when another program works with the device.
var errHeld = errors.New("another program works with it; stop that first")

// openHardware opens a board on an SPI port.
func openHardware(s *config.SX1302, c *config.Concentrator) (*hardware, error) {
	b := &c.Board
	h := &hardware{maxTransfer: readBufsiz(spidevBufsiz), timer: sx1302.NewKernelTimer}
	h.firmware = func() (sx1302.Firmware, error) {
		return sx1302.LoadFirmware(s.Firmware, c.Chip)
	}
	var open []func() error
	h.close = func() error {
		var err error
		for i := len(open) - 1; i >= 0; i-- {
			err = errors.Join(err, open[i]())
		}
		return err
	}
	port, conn, err := openSPI(b.Device)
	if err != nil {
		return nil, err
	}
	open = append(open, port.Close)
	h.conn = conn
	unlock, err := lockDevice(b.Device)
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	open = append(open, unlock)
	if b.SX1261 != "" {
		port, conn, err := openSPI(b.SX1261)
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		open = append(open, port.Close)
		h.sx1261 = conn
	}
	pins, release, err := b.OpenPins()
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	open = append(open, release)
	h.reset = resetOf(b, pins)
	if b.I2C != "" {
		sensor := sx1302.Sensor{Open: func() (sx1302.I2CBus, error) { return openI2C(b.I2C) }}
		h.temperature = sensor.Temperature
	}
	return h, nil
}

// lockDevice takes a device for this process. Others that are of lorawand have it
// locked; packet forwarders lock nothing, and are noticed by who may see what they
// have open: root.
func lockDevice(device string) (unlock func() error, err error) {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	who := holder(device)
	if err == nil && who == "" {
		return f.Close, nil
	}
	f.Close()
	if who == "" {
		who = "lorawand run, or another command"
	}
	return nil, fmt.Errorf("%s: %w: %s", device, errHeld, who)
}

// holder names another process that has a device open, or is "". It sees what
// this process may see in /proc.
func holder(device string) string {
	if real, err := filepath.EvalSymlinks(device); err == nil {
		device = real
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*") // whose only error is a bad pattern
	self := strconv.Itoa(os.Getpid())
	for _, fd := range open {
		process := filepath.Dir(filepath.Dir(fd))
		pid := filepath.Base(process)
		if target, err := os.Readlink(fd); err != nil || target != device || pid == self {
			continue
		}
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			continue // it has just ended
		}
		return fmt.Sprintf("%s, process %s", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// resetWithin is how long a script may take to reset a board.
const resetWithin = 30 * time.Second

// resetOf returns what resets a board: its lines, and then a script, or the
// commands of boards whose lines only the maker's tool reaches.
func resetOf(b *sx1302.Board, pins sx1302.Pins) func(context.Context) error {
	if script, ok := strings.CutPrefix(b.Reset, config.ExecPrefix); ok {
		return func(ctx context.Context) error {
			return errors.Join(pins.Cycle(ctx), runReset(ctx, script))
		}
	}
	steps, ok := b.ResetSteps()
	if !ok {
		return pins.Cycle
	}
	return func(ctx context.Context) error {
		if err := pins.Cycle(ctx); err != nil {
			return err
		}
		for _, s := range steps {
			if err := runReset(ctx, multiTechTool, "store", s.Line, s.Value); err != nil {
				return err
			}
		}
		return nil
	}
}

// multiTechTool sets lines of MultiTech's gateways.
const multiTechTool = "mts-io-sysfs"

func runReset(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, resetWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.200s", strings.Join(append([]string{name}, args...), " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// openI2C opens a bus such as "/dev/i2c-1".
func openI2C(name string) (sx1302.I2CBus, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(name), "i2c-"))
	if err != nil {
		return nil, fmt.Errorf("%q is no I2C bus; it is named as in /dev/i2c-1", name)
	}
	bus, err := sysfs.NewI2C(n)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return bus, nil
}

// parseSPI takes "/dev/spidev0.1" apart.
func parseSPI(device string) (bus, chip int, err error) {
	numbers, ok := strings.CutPrefix(device, "/dev/spidev")
	b, c, found := strings.Cut(numbers, ".")
	bus, errBus := strconv.Atoi(b)
	chip, errChip := strconv.Atoi(c)
	if !ok || !found || errBus != nil || errChip != nil {
		return 0, 0, usage(fmt.Errorf("%q is no SPI device; it is named as in /dev/spidev0.0", device))
	}
	return bus, chip, nil
}

// openSPI opens a port as the chip wants it.
func openSPI(device string) (*sysfs.SPI, spi.Conn, error) {
	bus, chip, err := parseSPI(device)
	if err != nil {
		return nil, nil, err
	}
	port, err := sysfs.NewSPI(bus, chip)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w; check that SPI is switched on and that you may use it", device, err)
	}
	conn, err := port.Connect(spiSpeed, spi.Mode0, 8)
	if err != nil {
		port.Close()
		return nil, nil, fmt.Errorf("open %s: %w", device, err)
	}
	return port, conn, nil
}

// spidevBufsiz is where spidev says how many bytes it takes at once.
const spidevBufsiz = "/sys/module/spidev/parameters/bufsiz"

// readBufsiz reads it, or returns the default.
func readBufsiz(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return defaultBufsiz
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n <= 0 {
		return defaultBufsiz
	}
	return n
}
