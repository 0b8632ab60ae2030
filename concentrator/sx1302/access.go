package sx1302

import (
	"maps"
	"slices"
)

// The part of the register map with the settings.
const (
	shadowFirst = 0x5200
	shadowLast  = 0x61FF
)

// registers gives access to fields. It remembers the bytes that the host has
// written, so that a field of less than a byte costs one read at most. The chip
// changes only read-only flags in these bytes.
type registers struct {
	*bus
	known [shadowLast - shadowFirst + 1]bool
	value [shadowLast - shadowFirst + 1]byte
}

// forget drops all remembered bytes. It is called after a reset of the chip.
func (r *registers) forget() { clear(r.known[:]) }

// get reads a field from the chip.
func (r *registers) get(f field) (int, error) {
	var b [1]byte
	if err := r.read(f.addr, b[:]); err != nil {
		return 0, err
	}
	r.remember(f.addr, b[0])
	return int(b[0]&f.mask()) >> f.shift, nil
}

// set writes a field and keeps the other bits of its byte.
func (r *registers) set(f field, value int) error {
	b := byte(value<<f.shift) & f.mask()
	if f.width < 8 {
		old, err := r.current(f.addr)
		if err != nil {
			return err
		}
		b |= old &^ f.mask()
	}
	if err := r.write(f.addr, []byte{b}); err != nil {
		return err
	}
	r.remember(f.addr, b)
	return nil
}

// setAll writes fields in their order.
func (r *registers) setAll(list []setting) error {
	for _, s := range list {
		if err := r.set(s.field, s.value); err != nil {
			return err
		}
	}
	return nil
}

// writeBytes writes whole bytes from a field on.
func (r *registers) writeBytes(f field, data []byte) error {
	if err := r.write(f.addr, data); err != nil {
		return err
	}
	for i, b := range data {
		r.remember(f.addr+uint16(i), b)
	}
	return nil
}

// current returns a byte of the map from memory, or reads it.
func (r *registers) current(addr uint16) (byte, error) {
	if i := int(addr) - shadowFirst; i >= 0 && i < len(r.known) && r.known[i] {
		return r.value[i], nil
	}
	var b [1]byte
	if err := r.read(addr, b[:]); err != nil {
		return 0, err
	}
	r.remember(addr, b[0])
	return b[0], nil
}

func (r *registers) remember(addr uint16, b byte) {
	if i := int(addr) - shadowFirst; i >= 0 && i < len(r.known) {
		r.known[i], r.value[i] = true, b
	}
}

// setBlock writes fields as set does, but in one frame for each run of consecutive
// bytes. The fields are those of chain A; plus is the distance to the block of the
// chain.
func (r *registers) setBlock(plus uint16, list []setting) error {
	values := map[uint16]byte{}
	for _, s := range list {
		addr := s.field.addr + plus
		old, ok := values[addr]
		if !ok {
			var err error
			if old, err = r.current(addr); err != nil {
				return err
			}
		}
		values[addr] = old&^s.field.mask() | byte(s.value<<s.field.shift)&s.field.mask()
	}
	addrs := slices.Sorted(maps.Keys(values))
	for i := 0; i < len(addrs); {
		run := []byte{values[addrs[i]]}
		first := addrs[i]
		for i++; i < len(addrs) && addrs[i] == first+uint16(len(run)); i++ {
			run = append(run, values[addrs[i]])
		}
		if err := r.writeBytes(field{addr: first}, run); err != nil {
			return err
		}
	}
	return nil
}
