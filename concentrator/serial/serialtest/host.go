package serialtest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Host is a host with ttys: folders as /dev and /sys, in which boards can be plugged in
// and out.
type Host struct {
	Dev, Sys string

	mu      sync.Mutex
	plugged []*Plugged
}

// Plugged is a board that is plugged in.
type Plugged struct {
	Path string // in the host's /dev/serial/by-id
	TTY  string // as the host's /dev/ttyACM0

	host  *Host
	pty   *PTY
	files []string
	done  chan struct{}
}

// NewHost returns a host with nothing plugged in, in a folder.
func NewHost(dir string) (*Host, error) {
	h := &Host{Dev: filepath.Join(dir, "dev"), Sys: filepath.Join(dir, "sys")}
	for _, folder := range []string{filepath.Join(h.Dev, "serial", "by-id"), filepath.Join(h.Sys, "class", "tty")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Plug plugs a bridge in, as the tty of a number. With id, as 0483:5740, it says what USB
// device it is.
func (h *Host) Plug(b *Bridge, number int, id string) (*Plugged, error) {
	pty, err := OpenPTY()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("ttyACM%d", number)
	serial := fmt.Sprintf("%X", b.board.Unique[:])
	p := &Plugged{
		host: h, pty: pty, done: make(chan struct{}), TTY: filepath.Join(h.Dev, name),
		Path: filepath.Join(h.Dev, "serial", "by-id", "usb-ST_Virtual_ComPort_"+serial+"-if00"),
	}
	usb := filepath.Join(h.Sys, "devices", "usb-"+serial)
	vendor, product := id[:4], id[5:]
	err = p.make(usb, map[string]string{"idVendor": vendor, "idProduct": product, "serial": serial, "product": "STM32 Virtual ComPort"})
	for link, target := range map[string]string{
		p.TTY: pty.Device, p.Path: p.TTY, filepath.Join(h.Sys, "class", "tty", name): filepath.Join(usb, "tty"),
	} {
		if err == nil {
			p.files = append(p.files, link)
			err = os.Symlink(target, link)
		}
	}
	if err != nil {
		pty.Close()
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = b.Serve(pty)
	}()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plugged = append(h.plugged, p)
	return p, nil
}

// make makes the folders of a USB device and of its interface, which a tty is of.
func (p *Plugged) make(usb string, words map[string]string) error {
	if err := os.MkdirAll(filepath.Join(usb, "interface"), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(usb, "tty"), 0o700); err != nil {
		return err
	}
	p.files = append(p.files, usb)
	for name, text := range words {
		if err := os.WriteFile(filepath.Join(usb, name), []byte(text+"\n"), 0o600); err != nil {
			return err
		}
	}
	return os.Symlink(filepath.Join(usb, "interface"), filepath.Join(usb, "tty", "device"))
}

// Unplug pulls it out.
func (p *Plugged) Unplug() error {
	for _, f := range p.files {
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	err := p.pty.Close()
	<-p.done
	return err
}

// Close pulls all out.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugged {
		_ = p.Unplug() // which may have been done
	}
	return nil
}
