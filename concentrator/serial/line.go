package serial

import (
	"errors"
	"io"
	"time"
)

// quiet is after how long without a byte a Read of a Line returns.
const quiet = 200 * time.Millisecond

// Line is a serial line to something else than a concentrator, such as a satellite receiver.
type Line struct {
	*tty
	lock io.Closer
}

// OpenLine opens a serial line at a speed in baud. A Read of it returns 0, nil when nothing has
// come for a moment. lock takes the device for this process, or says who has it; nil does nothing.
func OpenLine(device string, baud int, lock func(device string) (io.Closer, error)) (_ *Line, err error) {
	l := new(Line)
	if lock != nil {
		if l.lock, err = lock(device); err != nil {
			return nil, err
		}
	}
	if l.tty, err = openAt(device, baud); err == nil {
		if err = l.SetReadTimeout(quiet); err == nil {
			return l, nil
		}
	}
	return nil, errors.Join(err, l.Close())
}

// Close implements io.Closer.
func (l *Line) Close() (err error) {
	if l.tty != nil {
		err = l.tty.Close()
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}
