package jetstream

import (
	"time"

	"golang.org/x/sys/unix"
)

// began is for kernels without CLOCK_BOOTTIME.
var began = time.Now()

// monotonic returns the time in ns since some instant. It also runs while the machine is
// suspended, which the clock of package time does not: a lease must not outlive that.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return int64(time.Since(began)) + 1
	}
	return ts.Nano()
}
