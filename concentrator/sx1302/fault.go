package sx1302

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrFault is the reason for ending a run after a panic of this program. What the panic has left
// half done is not used again: the caller opens the board anew, with a driver of its own.
var ErrFault = errors.New("internal fault of the driver")

// Contain does a part of the work with a radio on board. A panic in it is logged with its stack,
// counted by a call of count, and returned as an ErrFault: it costs this gateway some seconds, and
// not the daemon.
func Contain(log *slog.Logger, count func(), work func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			log.Error("internal fault of the concentrator's driver", "fault", fault, "stack", string(debug.Stack()))
			count()
			err = fmt.Errorf("%w: %v", ErrFault, fault)
		}
	}()
	return work()
}

func (d *Driver) contained(work func() error) error {
	return Contain(d.log, func() { d.count(func(s *DriverStats) { s.Faults++ }) }, work)
}
