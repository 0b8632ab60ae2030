package board

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/host/v3/sysfs"
)

// Linux is a host with spidev, i2c-dev and the GPIO character device.
type Linux struct {
	// OpenUSB opens the USB bridge behind a tty, see package serial; nil opens none.
	OpenUSB func(device string) (USB, error)
}

var _ Host = Linux{}

// spiSpeed is the speed that Semtech's board is designed for.
const spiSpeed = 2 * physic.MegaHertz

// parseSPI splits "/dev/spidev0.1".
func parseSPI(device string) (bus, chip int, err error) {
	numbers, ok := strings.CutPrefix(device, "/dev/spidev")
	b, c, found := strings.Cut(numbers, ".")
	bus, errBus := strconv.Atoi(b)
	chip, errChip := strconv.Atoi(c)
	if !ok || !found || errBus != nil || errChip != nil {
		return 0, 0, fmt.Errorf("%q is no SPI device; it is named as in /dev/spidev0.0", device)
	}
	return bus, chip, nil
}

// spiPort is an open port with the connection to its only chip.
type spiPort struct {
	spi.Conn
	port *sysfs.SPI
}

// Close implements Port.
func (p spiPort) Close() error { return p.port.Close() }

// MaxTxSize implements conn.Limits.
func (p spiPort) MaxTxSize() int {
	if l, ok := p.Conn.(conn.Limits); ok {
		return l.MaxTxSize()
	}
	return 0
}

// SPI implements Host.
func (Linux) SPI(device string) (Port, error) {
	bus, chip, err := parseSPI(device)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0) // the library drops the kind of its error
	if err != nil {
		return nil, fmt.Errorf("%w; check that SPI is switched on and that you may use it", err)
	}
	port, err := sysfs.NewSPI(bus, chip)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", device, err), f.Close())
	}
	c, err := port.Connect(spiSpeed, spi.Mode0, 8)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", device, err), port.Close(), f.Close())
	}
	return newQuickPort(spiPort{c, port}, f), nil
}

// spidevBufsiz is the file in which spidev tells its longest transfer;
// defaultBufsiz is that length if there is no such file.
const (
	spidevBufsiz  = "/sys/module/spidev/parameters/bufsiz"
	defaultBufsiz = 4096
)

// MaxTransfer implements Host.
func (Linux) MaxTransfer() int { return readBufsiz(spidevBufsiz) }

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

// I2C implements Host. A bus is named as "/dev/i2c-1".
func (Linux) I2C(name string) (I2CBus, error) {
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

// Line implements Host.
func (Linux) Line(name string, high bool) (Output, error) { return OpenLine(name, high) }

// ErrHeld is the reason for not opening a device that another program uses.
var ErrHeld = errors.New("another program works with it; stop that first")

// Lock implements Host. Other processes of lorawand lock the device too. Packet
// forwarders do not; root finds them by their open files.
func (Linux) Lock(device string) (io.Closer, error) {
	f, err := os.OpenFile(device, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0) // it may be a tty
	switch {
	case errors.Is(err, syscall.EBUSY): // a tty that another program has for itself
		return nil, fmt.Errorf("%s: %w: %s", device, ErrHeld, cmp.Or(holder(device), "of another user"))
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	who := holder(device)
	if err == nil && who == "" {
		return f, nil
	}
	f.Close()
	if who == "" {
		who = "lorawand run, or another command"
	}
	return nil, fmt.Errorf("%s: %w: %s", device, ErrHeld, who)
}

// holder returns the name of another process that has a device open, or "". It sees
// the processes that this one may see in /proc.
func holder(device string) string {
	if real, err := filepath.EvalSymlinks(device); err == nil {
		device = real
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*") // its only error is a bad pattern
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
		who := fmt.Sprintf("%s, process %s", strings.TrimSpace(string(name)), pid)
		groups, _ := os.ReadFile(filepath.Join(process, "cgroup")) // kernels without have no services
		if service := serviceOf(string(groups)); service != "" {
			who += fmt.Sprintf(": systemctl disable --now %s", service)
		}
		return who
	}
	return ""
}

// serviceOf returns the service of systemd that a process belongs to, by its control groups,
// or "". That of a user's session is none that can be stopped so.
func serviceOf(groups string) string {
	for line := range strings.Lines(groups) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":/system.slice/")
		service, _, _ := strings.Cut(path, "/")
		if strings.HasSuffix(service, ".service") {
			return service
		}
	}
	return ""
}

// runWithin limits how long a program may take to reset a board.
const runWithin = 30 * time.Second

// Run implements Host.
func (Linux) Run(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, runWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		said := strings.TrimSpace(string(out))
		return fmt.Errorf("%s: %w: %.200s", strings.Join(append([]string{program}, args...), " "), err, said)
	}
	return nil
}
