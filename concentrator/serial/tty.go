package serial

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// writeWithin is how long the kernel may take to take a request.
const writeWithin = time.Second

// tty is a Port of this host. The kernel has no time limit for a write, so that another
// goroutine makes it.
type tty struct {
	serial.Port
	todo chan []byte
	done chan error
}

// openTTY opens the tty of a bridge, for which any speed will do.
func openTTY(device string) (*tty, error) { return openAt(device, 115200) }

// openAt opens a tty in raw mode, with its lines for a modem as the kernel sets them.
func openAt(device string, baud int) (*tty, error) {
	p, err := serial.Open(device, &serial.Mode{BaudRate: baud})
	if err != nil {
		return nil, openError(device, err)
	}
	t := &tty{p, make(chan []byte), make(chan error, 1)}
	go t.writes()
	return t, nil
}

// openError adds to an error of opening a tty what to do about it.
func openError(device string, err error) error {
	var e *serial.PortError
	switch {
	case errors.As(err, &e) && e.Code() == serial.PermissionDenied:
		return fmt.Errorf("open %s: %w; the user must be in the group that the device belongs to, often dialout", device,
			os.ErrPermission)
	case errors.As(err, &e) && e.Code() == serial.PortBusy:
		return fmt.Errorf("open %s: %w: another program works with it; stop that first", device, syscall.EBUSY)
	}
	return fmt.Errorf("open %s: %w", device, err)
}

// writes makes the writes until there are no more.
func (t *tty) writes() {
	for p := range t.todo {
		t.done <- writeAll(t.Port, p)
	}
}

// writeAll goes on where a write was short or interrupted.
func writeAll(w io.Writer, p []byte) error {
	for len(p) > 0 {
		n, err := w.Write(p)
		switch {
		case err != nil && !errors.Is(err, syscall.EINTR):
			return err
		case err == nil && n == 0:
			return io.ErrShortWrite
		}
		p = p[n:]
	}
	return nil
}

// Write implements io.Writer. After an error p must not be changed: it may still be in use.
func (t *tty) Write(p []byte) (int, error) {
	limit := time.NewTimer(writeWithin)
	defer limit.Stop()
	t.todo <- p
	select {
	case err := <-t.done:
		if err != nil {
			return 0, err
		}
		return len(p), nil
	case <-limit.C:
		return 0, fmt.Errorf("write: %w", os.ErrDeadlineExceeded)
	}
}

// Close implements io.Closer. A write that hangs ends when the board is unplugged.
func (t *tty) Close() error {
	close(t.todo)
	return t.Port.Close()
}
