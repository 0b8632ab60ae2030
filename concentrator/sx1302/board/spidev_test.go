package board

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/spi"
)

// usualPort notes that it was used.
type usualPort struct {
	Port
	packets int
}

func (u *usualPort) TxPackets(p []spi.Packet) error {
	u.packets += len(p)
	return nil
}

// MaxTxSize implements conn.Limits.
func (*usualPort) MaxTxSize() int { return 4096 }

// spidev answers messages as the kernel does: each byte comes back one higher.
type spidev struct {
	requests []uintptr
	frames   [][]byte // bytes while the chip is selected
	selected bool
	err      error
}

func (s *spidev) ioctl(_, request, arg uintptr) error {
	s.requests = append(s.requests, request)
	transfers := (*[quickPackets]spiTransfer)(*(*unsafe.Pointer)(unsafe.Pointer(&arg)))
	n := int(request>>16&0x1FFF) / 32
	for i := range transfers[:n] {
		t := &transfers[i]
		if t.speed != 2_000_000 || t.bits != 8 || t.delay|uint16(t.txBits|t.rxBits|t.wordDelay|t.none) != 0 {
			return unix.EINVAL
		}
		w, r := bytesAt(t.tx, t.length), bytesAt(t.rx, t.length)
		for k := range r {
			r[k] = 1
			if w != nil {
				r[k] += w[k]
			}
		}
		if !s.selected {
			s.frames = append(s.frames, nil)
		}
		s.frames[len(s.frames)-1] = append(s.frames[len(s.frames)-1], w...)
		last := i == n-1
		s.selected = (t.csChange != 0) == last
	}
	return s.err
}

// bytesAt returns the bytes at an address.
func bytesAt(at uint64, n uint32) []byte {
	if at == 0 {
		return nil
	}
	address := uintptr(at)
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), n)
}

// TestQuickPort: short packets are one message, with the chip select as it is asked for;
// longer ones go the usual way.
func TestQuickPort(t *testing.T) {
	packet := func(n int, keep bool) spi.Packet {
		return spi.Packet{W: bytes.Repeat([]byte{7}, n), R: make([]byte, n), KeepCS: keep}
	}
	for name, tt := range map[string]struct {
		packets []spi.Packet
		frames  []int // their lengths
		usual   int
	}{
		"a poll":        {[]spi.Packet{packet(6, false), packet(12, false), packet(12, false)}, []int{6, 12, 12}, 0},
		"one way each":  {[]spi.Packet{{W: []byte{1, 2, 3}, KeepCS: true}, {R: make([]byte, 9)}}, []int{3}, 0},
		"one":           {[]spi.Packet{packet(32, false)}, []int{32}, 0},
		"too long":      {[]spi.Packet{packet(6, false), packet(33, false)}, nil, 2},
		"too many":      {slices.Repeat([]spi.Packet{packet(6, false)}, 4), nil, 4},
		"none":          {nil, nil, 0},
		"an empty one":  {[]spi.Packet{packet(6, false), {}}, nil, 2},
		"two lengths":   {[]spi.Packet{{W: make([]byte, 3), R: make([]byte, 2)}}, nil, 1},
		"stay selected": {[]spi.Packet{packet(6, true)}, []int{6}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			usual, kernel := &usualPort{}, &spidev{}
			p := &quickPort{Port: usual, ioctl: kernel.ioctl}
			if err := p.TxPackets(tt.packets); err != nil {
				t.Fatal(err)
			}
			var lengths []int
			for _, f := range kernel.frames {
				lengths = append(lengths, len(f))
			}
			if usual.packets != tt.usual || !slices.Equal(lengths, tt.frames) || kernel.selected != (name == "stay selected") {
				t.Errorf("frames %v and %d the usual way, selected %t; want %v and %d", lengths, usual.packets, kernel.selected,
					tt.frames, tt.usual)
			}
			for _, sent := range tt.packets[:min(len(tt.packets), 3*len(kernel.requests))] {
				if i := slices.IndexFunc(sent.R, func(b byte) bool { return b != 8 && b != 1 }); i >= 0 {
					t.Errorf("received %x", sent.R)
				}
			}
			if len(kernel.requests) > 1 {
				t.Errorf("%d calls", len(kernel.requests))
			}
		})
	}
	kernel := &spidev{err: unix.EMSGSIZE}
	p := &quickPort{Port: &usualPort{}, ioctl: kernel.ioctl}
	if n := p.MaxTxSize(); n != 4096 {
		t.Errorf("at most %d bytes, want 4096", n)
	}
	if err := p.TxPackets([]spi.Packet{packet(6, false)}); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("an error of the kernel: %v", err)
	}
}

// TestSPIMessage: the numbers of SPI_IOC_MESSAGE(1) and (3) in C.
func TestSPIMessage(t *testing.T) {
	one, three := uintptr(0x40206B00), uintptr(0x40606B00)
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		one, three = 0x80206B00, 0x80606B00
	}
	if a, b := spiMessage(1), spiMessage(3); a != one || b != three || unsafe.Sizeof(spiTransfer{}) != 32 {
		t.Errorf("%#x and %#x, want %#x and %#x", a, b, one, three)
	}
	if err := rawIoctl(^uintptr(0), spiMessage(1), 0); err == nil {
		t.Error("no error without a file")
	}
}
