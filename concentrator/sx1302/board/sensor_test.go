package board

import (
	"errors"
	"testing"
)

// testI2C is a bus with one chip, by register.
type testI2C struct {
	addr      uint16
	registers map[byte]byte
	closed    int
}

var errNoAnswer = errors.New("no answer")

func (b *testI2C) Tx(addr uint16, w, r []byte) error {
	switch {
	case addr != b.addr:
		return errNoAnswer
	case len(r) > 0:
		r[0] = b.registers[w[0]]
	case len(w) == 2:
		b.registers[w[0]] = w[1]
	}
	return nil
}

func (b *testI2C) Close() error {
	b.closed++
	return nil
}

// TestSensor: a sensor is found as soon as it answers, and again after it did not.
// Every bus that was opened is closed.
func TestSensor(t *testing.T) {
	const warm, absent = 0x39, 0x48
	none := errors.New("no such device")
	opened, bus := 0, &testI2C{addr: warm, registers: map[byte]byte{0xFE: 0x53, 0x00: 31, 0x02: 0x80}}
	var openErr error
	s := Sensor{Open: func() (I2CBus, error) {
		if openErr != nil {
			return nil, openErr
		}
		opened++
		return bus, nil
	}}
	for i, tt := range []struct {
		addr uint16
		open error
		err  error // nil: it measures
	}{
		{absent, none, none},
		{absent, nil, ErrNoSensor},
		{warm, nil, nil},
		{warm, nil, nil},
		{absent, nil, errNoAnswer},
		{absent, nil, ErrNoSensor},
		{0x38, nil, nil}, // another board
	} {
		bus.addr, openErr = tt.addr, tt.open
		got, err := s.Temperature()
		if !errors.Is(err, tt.err) || err == nil && got != 31*256+128 || opened != bus.closed {
			t.Errorf("measurement %d: %d, %v; %d opened, %d closed", i, got, err, opened, bus.closed)
		}
	}
}

func TestThermometer(t *testing.T) {
	for _, tt := range []struct {
		name      string
		addr      uint16
		registers map[byte]byte
		want      int32
		err       error
	}{
		{"warm", 0x39, map[byte]byte{0xFD: 0, 0xFE: 0x53, 0x00: 31, 0x02: 0x80}, 31*256 + 128, nil},
		{"below zero", 0x3B, map[byte]byte{0xFD: 1, 0xFE: 0x53, 0x00: 0xF6, 0x02: 0x40}, -10*256 + 64, nil},
		{"last address", 0x38, map[byte]byte{0xFD: 1, 0xFE: 0x53}, 0, nil},
		{"another chip", 0x39, map[byte]byte{0xFD: 0x06, 0xFE: 0x53}, 0, ErrNoSensor},
		{"another maker", 0x39, map[byte]byte{0xFE: 0x54}, 0, ErrNoSensor},
		{"none", 0x48, nil, 0, ErrNoSensor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bus := &testI2C{addr: tt.addr, registers: tt.registers}
			sensor, err := FindThermometer(bus)
			if !errors.Is(err, tt.err) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if bus.registers[0x03] != 0x8C || bus.registers[0x04] != 0x04 {
				t.Errorf("registers %v", bus.registers)
			}
			if got, err := sensor.Temperature(); got != tt.want || err != nil {
				t.Errorf("%d, %v, want %d", got, err, tt.want)
			}
			bus.addr = 0
			if _, err := sensor.Temperature(); err == nil {
				t.Error("a sensor that is gone measures")
			}
		})
	}
}
