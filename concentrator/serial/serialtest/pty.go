package serialtest

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// PTY is a pair of terminals: the model is on one side, the host opens the other one.
type PTY struct {
	Device string // for the host
	master *os.File
}

// OpenPTY makes a pair.
func OpenPTY() (*PTY, error) {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	raw, err := m.SyscallConn()
	if err != nil {
		return nil, err
	}
	var number int
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("serialtest: pty: %w", err)
	}
	return &PTY{fmt.Sprintf("/dev/pts/%d", number), m}, nil
}

// Read implements io.Reader.
func (p *PTY) Read(b []byte) (int, error) { return p.master.Read(b) }

// Write implements io.Writer.
func (p *PTY) Write(b []byte) (int, error) { return p.master.Write(b) }

// Close unplugs it.
func (p *PTY) Close() error { return p.master.Close() }

// Memory is a port in memory, which package time moves: for tests in fake time. It
// implements serial.Port.
type Memory struct {
	bridge *Bridge

	mu      sync.Mutex
	answers []byte
	within  time.Duration
	gone    bool
}

// Memory returns a port with the bridge behind it.
func (b *Bridge) Memory() *Memory { return &Memory{bridge: b} }

// Unplug takes the bridge away.
func (m *Memory) Unplug() { _ = m.Close() }

// SetReadTimeout implements serial.Port.
func (m *Memory) SetReadTimeout(d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.within = d
	return nil
}

// Write implements io.Writer. The bridge answers at once.
func (m *Memory) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return 0, io.ErrClosedPipe
	}
	for _, part := range m.bridge.take(p) {
		m.answers = append(m.answers, part...)
	}
	return len(p), nil
}

// Read implements io.Reader.
func (m *Memory) Read(p []byte) (int, error) {
	m.mu.Lock()
	if len(m.answers) == 0 && !m.gone {
		within := m.within
		m.mu.Unlock()
		time.Sleep(within)
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	if m.gone {
		return 0, io.ErrClosedPipe
	}
	n := copy(p, m.answers)
	m.answers = m.answers[n:]
	return n, nil
}

// Close implements io.Closer.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
	return nil
}
