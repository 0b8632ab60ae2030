package sx1302

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Timer is the timer of a Driver's loop, for one goroutine.
type Timer interface {
	// Expired returns a channel that receives when the time has passed.
	Expired() <-chan time.Time

	// Reset makes the timer expire once, after d. An earlier expiry may still be
	// received.
	Reset(d time.Duration)

	// Stop ends it for good.
	Stop()
}

// runtimeTimer is a Timer of package time.
type runtimeTimer struct{ *time.Timer }

func newRuntimeTimer() Timer { return runtimeTimer{time.NewTimer(time.Hour)} }

func (t runtimeTimer) Expired() <-chan time.Time { return t.C }
func (t runtimeTimer) Reset(d time.Duration)     { t.Timer.Reset(d) }
func (t runtimeTimer) Stop()                     { t.Timer.Stop() }

// kernelTimer is a timer of the kernel (timerfd). Go's scheduler waits for it as
// for a socket. For a timer of package time the scheduler asks the kernel twice,
// because epoll counts whole ms, and wakes its monitor thread, which competes with
// the woken goroutine for a single CPU. On 32-bit MIPS, where 64-bit atomics spin,
// that is most of the cost of a quiet loop.
type kernelTimer struct {
	fd      int // of file
	file    *os.File
	raw     syscall.RawConn
	expired chan time.Time
}

// NewKernelTimer makes a timer that costs a slow CPU a fraction of a timer of
// package time, if it expires a hundred times a second. Fake time does not affect
// it.
func NewKernelTimer() (Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("sx1302: timer: %w", err)
	}
	t := &kernelTimer{fd: fd, file: os.NewFile(uintptr(fd), "timer"), expired: make(chan time.Time, 1)}
	if t.raw, err = t.file.SyscallConn(); err != nil {
		t.Stop()
		return nil, fmt.Errorf("sx1302: timer: %w", err)
	}
	go t.run()
	return t, nil
}

// run sends each expiry to the channel until the timer is stopped. Its reads do not
// block, so the scheduler need not know of them.
func (t *kernelTimer) run() {
	var times [8]byte
	read := func(fd uintptr) (done bool) {
		_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&times)), unsafe.Sizeof(times))
		return errno != unix.EAGAIN
	}
	for t.raw.Read(read) == nil {
		select {
		case t.expired <- time.Time{}:
		default: // an earlier expiry was not received yet
		}
	}
}

func (t *kernelTimer) Expired() <-chan time.Time { return t.expired }

func (t *kernelTimer) Reset(d time.Duration) {
	s := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))} // 0 would stop it
	_ = unix.TimerfdSettime(t.fd, 0, &s, nil)                          // the arguments are valid
}

func (t *kernelTimer) Stop() { _ = t.file.Close() }
