package serial

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// ErrNoBridge is the reason when no USB bridge is found.
var ErrNoBridge = errors.New("no USB bridge of a concentrator")

// Ports opens boards behind USB bridges, and remembers which board it had found behind
// each device: the number of a tty may be that of another board when both have been
// unplugged. The zero value is ready; it may be used by several goroutines.
type Ports struct {
	Roots
	Options Options // Name aside

	// Lock takes a device for this process, or says who has it; nil does nothing.
	Lock func(device string) (io.Closer, error)

	mu   sync.Mutex
	seen map[string]string // Identity.Unique by device
}

// Any is the device of a host that has one board.
const Any = ""

// Open opens the bridge behind a device, or the only one of the host. One that was there
// before is looked for everywhere: it may have come back as another tty.
func (p *Ports) Open(device string) (*Locked, error) {
	p.mu.Lock()
	want := p.seen[device]
	p.mu.Unlock()
	found, err := p.find(device, want)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]string{}
	}
	p.seen[device] = found.Identity().Unique
	return found, nil
}

// find opens the board that it wants, or the one on the device if it wants none in particular.
func (p *Ports) find(device, want string) (*Locked, error) {
	var paths []string
	if device != Any {
		paths = append(paths, device)
	}
	if device == Any || want != "" {
		for _, d := range p.List() {
			if !slices.ContainsFunc(paths, func(path string) bool { return resolved(path) == resolved(d.TTY) }) {
				paths = append(paths, d.Path)
			}
		}
	}
	if device == Any && want == "" && len(paths) > 1 {
		return nil, fmt.Errorf("%w: there are several, name one as device: %s", ErrNoBridge, strings.Join(paths, ", "))
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w is plugged in", ErrNoBridge)
	}
	var errs []error
	for _, path := range paths {
		b, err := p.open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if is := b.Identity().Unique; want != "" && is != want {
			errs = append(errs, errors.Join(fmt.Errorf("serial: %s: %w: it has board %s, and not board %s as before; "+
				"start lorawand again to work with that", path, ErrNoBridge, is, want), b.Close()))
			continue
		}
		return b, nil
	}
	return nil, errors.Join(errs...)
}

// Locked is a bridge whose tty this process has for itself.
type Locked struct {
	*Bridge
	lock io.Closer
}

// Close implements io.Closer.
func (l *Locked) Close() error {
	err := l.Bridge.Close()
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

// open opens what is behind a path.
func (p *Ports) open(path string) (_ *Locked, err error) {
	l := &Locked{}
	if p.Lock != nil {
		if l.lock, err = p.Lock(path); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, l.lock.Close())
			}
		}()
	}
	port, err := openTTY(path)
	if err != nil {
		return nil, err
	}
	o := p.Options
	o.Name = path
	l.Bridge, err = New(port, o)
	return l, err
}
