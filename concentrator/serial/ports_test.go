package serial_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/serial"
	"lorawand/concentrator/serial/serialtest"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
)

// stm32 is the USB device that bridges are.
const stm32 = "0483:5740"

// patience is more than any answer takes on a machine that is busy.
var patience = serial.Options{Within: 20 * time.Second}

func newHost(t *testing.T) (*serialtest.Host, *serial.Ports) {
	t.Helper()
	h, err := serialtest.NewHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h, &serial.Ports{Roots: serial.Roots{Dev: h.Dev, Sys: h.Sys}, Options: patience, Lock: board.Linux{}.Lock}
}

// numbered returns a board whose bridge is known by a number.
func numbered(n byte) *serialtest.Bridge { return newBoard(serialtest.Board{Unique: [12]byte{11: n}}) }

func plug(t *testing.T, h *serialtest.Host, b *serialtest.Bridge, number int) *serialtest.Plugged {
	t.Helper()
	p, err := h.Plug(b, number, stm32)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// want opens a device and compares which board is behind it.
func want(t *testing.T, ports *serial.Ports, device string, number byte) *serial.Locked {
	t.Helper()
	b, err := ports.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	if id := b.Identity().Unique; !strings.HasSuffix(id, string("0123456789"[number])) {
		t.Errorf("%s has board %s, want %d", device, id, number)
	}
	back := make([]byte, len(versionFrame))
	if err := b.Tx(versionFrame, back); err != nil || !bytes.Equal(back, versionAnswer) {
		t.Errorf("%s: %x, %v", device, back, err)
	}
	return b
}

func closed(t *testing.T, all ...*serial.Locked) {
	t.Helper()
	for _, b := range all {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// gone waits until a board notices that it was unplugged.
func gone(t *testing.T, b *serial.Locked) {
	t.Helper()
	if err := b.Tx(versionFrame, make([]byte, len(versionFrame))); !errors.Is(err, sx1302.ErrGone) {
		t.Errorf("unplugged: %v", err)
	}
	if err := b.Modify(0x5300, 1, 1); !errors.Is(err, sx1302.ErrGone) {
		t.Errorf("unplugged: %v", err)
	}
	closed(t, b)
}

// TestUnplug: a board that was unplugged is gone at once, and is found again when it
// comes back: as the same tty, as another one, and by its path that stays the same.
func TestUnplug(t *testing.T) {
	for name, device := range map[string]func(p *serialtest.Plugged) string{
		"by its tty":             func(p *serialtest.Plugged) string { return p.TTY },
		"by the path that stays": func(p *serialtest.Plugged) string { return p.Path },
		"as the only one":        func(*serialtest.Plugged) string { return serial.Any },
	} {
		t.Run(name, func(t *testing.T) {
			h, ports := newHost(t)
			far := numbered(1)
			p := plug(t, h, far, 0)
			path := device(p)
			b := want(t, ports, path, 1)
			for _, number := range []int{0, 3, 0} {
				if err := p.Unplug(); err != nil {
					t.Fatal(err)
				}
				gone(t, b)
				if _, err := ports.Open(path); err == nil {
					t.Error("opened what is not there")
				}
				p = plug(t, h, far, number)
				b = want(t, ports, path, 1)
			}
			closed(t, b)
		})
	}
}

// TestTwoBoards: two boards are worked with at once, each is found again when both come
// back with their numbers exchanged, and none is taken for the other.
func TestTwoBoards(t *testing.T) {
	h, ports := newHost(t)
	one, two := numbered(1), numbered(2)
	p, q := plug(t, h, one, 0), plug(t, h, two, 1)
	_, err := ports.Open(serial.Any)
	if !errors.Is(err, serial.ErrNoBridge) || !strings.Contains(err.Error(), p.Path+", "+q.Path) {
		t.Errorf("any of two: %v", err)
	}
	first, second := p.TTY, q.TTY
	b, c := want(t, ports, first, 1), want(t, ports, second, 2)
	if _, err := ports.Open(first); !errors.Is(err, board.ErrHeld) && !errors.Is(err, os.ErrPermission) {
		t.Errorf("the same one twice: %v", err)
	}
	if err := errors.Join(p.Unplug(), q.Unplug()); err != nil {
		t.Fatal(err)
	}
	gone(t, b)
	gone(t, c)
	q = plug(t, h, two, 0)
	if _, err := ports.Open(first); err == nil || !strings.Contains(err.Error(), "and not board 000000000000000000000001 as before") {
		t.Errorf("the second one in the place of the first: %v", err)
	}
	c = want(t, ports, second, 2)
	p = plug(t, h, one, 1)
	b = want(t, ports, first, 1)
	closed(t, b, c)
	if err := errors.Join(p.Unplug(), q.Unplug()); err != nil {
		t.Fatal(err)
	}
}

// TestList: what is listed has the numbers of a bridge, and the path that stays the same.
func TestList(t *testing.T) {
	h, ports := newHost(t)
	if got := ports.List(); len(got) != 0 {
		t.Errorf("nothing is plugged in: %v", got)
	}
	if _, err := ports.Open(serial.Any); !errors.Is(err, serial.ErrNoBridge) {
		t.Errorf("nothing is plugged in: %v", err)
	}
	p := plug(t, h, numbered(1), 7)
	if _, err := h.Plug(numbered(2), 0, "1a86:55d4"); err != nil { // a Zigbee stick
		t.Fatal(err)
	}
	bare := plug(t, h, numbered(3), 8)
	if err := os.Remove(bare.Path); err != nil { // without udev
		t.Fatal(err)
	}
	got := ports.List()
	if len(got) != 2 || got[0].Path != p.Path && got[1].Path != p.Path {
		t.Fatalf("%+v", got)
	}
	for _, d := range got {
		if d.TTY == bare.TTY && d.Path != bare.TTY || d.Product != "STM32 Virtual ComPort" || len(d.Serial) != 24 {
			t.Errorf("%+v", d)
		}
	}
}

// TestOpenFails: the error says what is there instead of a bridge.
func TestOpenFails(t *testing.T) {
	h, ports := newHost(t)
	plain := h.Dev + "/plain"
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for device, says := range map[string]string{
		h.Dev + "/ttyACM9": "no such file",
		plain:              "open " + plain,
	} {
		if _, err := ports.Open(device); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", device, err, says)
		}
	}
}
