package board

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// quickPort is a port that makes short messages, as an idle poll is one, by a call of the
// system that Go's scheduler is not told of. A call that it is told of wakes the runtime's
// monitor, which costs a slow CPU more than the call: see packaging/README.md. Short
// messages take less than 0.4 ms on the bus; longer ones go the usual way, so that others
// of the program can run meanwhile.
type quickPort struct {
	Port
	file      *os.File
	fd        uintptr
	ioctl     func(fd, request, arg uintptr) error
	transfers [quickPackets]spiTransfer
}

// Limits of a short message.
const (
	quickPackets = 3
	quickBytes   = 32 // of a packet
)

// spiTransfer is struct spi_ioc_transfer of linux/spi/spidev.h.
type spiTransfer struct {
	tx, rx          uint64 // addresses
	length          uint32 // bytes
	speed           uint32 // Hz
	delay           uint16 // µs
	bits, csChange  uint8
	txBits, rxBits  uint8
	wordDelay, none uint8
}

// newQuickPort returns a port whose device was opened once more.
func newQuickPort(p Port, f *os.File) *quickPort {
	return &quickPort{Port: p, file: f, fd: f.Fd(), ioctl: rawIoctl}
}

// Close implements Port.
func (p *quickPort) Close() error { return errors.Join(p.file.Close(), p.Port.Close()) }

// MaxTxSize implements conn.Limits.
func (p *quickPort) MaxTxSize() int {
	if l, ok := p.Port.(conn.Limits); ok {
		return l.MaxTxSize()
	}
	return 0
}

// TxPackets implements spi.Conn.
func (p *quickPort) TxPackets(packets []spi.Packet) error {
	if len(packets) == 0 || len(packets) > quickPackets {
		return p.Port.TxPackets(packets)
	}
	for i := range packets {
		w, r := packets[i].W, packets[i].R
		if n := max(len(w), len(r)); n == 0 || n > quickBytes || len(w) > 0 && len(r) > 0 && len(w) != len(r) {
			return p.Port.TxPackets(packets)
		}
		p.transfers[i] = spiTransfer{
			tx: address(w), rx: address(r), length: uint32(max(len(w), len(r))),
			speed: uint32(spiSpeed / physic.Hertz), bits: 8,
		}
		// Between two packets the flag raises the chip select, after the last one it keeps it.
		if last := i == len(packets)-1; packets[i].KeepCS == last {
			p.transfers[i].csChange = 1
		}
	}
	err := p.ioctl(p.fd, spiMessage(len(packets)), uintptr(unsafe.Pointer(&p.transfers)))
	runtime.KeepAlive(packets)
	if err != nil {
		return fmt.Errorf("spidev: %d packets: %w", len(packets), err)
	}
	return nil
}

// address returns where bytes are, 0 for none.
func address(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(&b[0])))
}

// spiMessage returns SPI_IOC_MESSAGE(n) of linux/spi/spidev.h: _IOW('k', 0, n transfers). A
// MIPS has the direction in three bits.
func spiMessage(n int) uintptr {
	write := uintptr(1) << 30
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		write = 4 << 29
	}
	return write | uintptr(n)*unsafe.Sizeof(spiTransfer{})<<16 | 'k'<<8
}

func rawIoctl(fd, request, arg uintptr) error {
	for {
		if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, fd, request, arg); errno != unix.EINTR {
			if errno == 0 {
				return nil
			}
			return errno
		}
	}
}
