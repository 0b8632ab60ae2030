package board

import (
	"errors"
	"fmt"
)

// ErrNoSensor is the reason when no temperature sensor is found.
var ErrNoSensor = errors.New("sx1302: no STTS751 temperature sensor")

// I2C is an I2C bus, such as periph's i2c.Bus.
type I2C interface {
	Tx(addr uint16, w, r []byte) error
}

// Thermometer is an STTS751, the sensor of Semtech's boards.
type Thermometer struct {
	bus  I2C
	addr uint16
}

// Registers of the STTS751, and their values.
const (
	sttsHigh         = 0x00 // °C, signed
	sttsLow          = 0x02 // 1/256 °C
	sttsConfig       = 0x03
	sttsRate         = 0x04
	sttsProduct      = 0xFD
	sttsManufacturer = 0xFE

	sttsEventOff12Bit = 0x8C // sttsConfig
	sttsOncePerSecond = 0x04 // sttsRate
	sttsST            = 0x53 // sttsManufacturer
	sttsMaxProduct    = 0x01 // STTS751-0 is 0, STTS751-1 is 1
)

// sttsAddresses are the addresses of the sensor on the known boards, in the order
// in which sx1302_hal tries them.
var sttsAddresses = []uint16{0x39, 0x3B, 0x38}

// I2CBus is an open bus.
type I2CBus interface {
	I2C
	Close() error
}

// Sensor measures with the temperature sensor of a board. The sensor has power only
// while the board has, so the first measurement looks for it, and so does each one
// after a failure.
type Sensor struct {
	// Open opens the bus for one measurement, so that a bus that hangs blocks
	// nothing else.
	Open func() (I2CBus, error)

	addr uint16 // the address of the sensor; 0: unknown
}

// Temperature measures the temperature in 1/256 °C. It returns ErrNoSensor if there
// is no sensor.
func (s *Sensor) Temperature() (t int32, err error) {
	bus, err := s.Open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	sensor := &Thermometer{bus, s.addr}
	if s.addr == 0 {
		if sensor, err = FindThermometer(bus); err != nil {
			return 0, err
		}
	}
	s.addr = sensor.addr
	if t, err = sensor.Temperature(); err != nil {
		s.addr = 0
	}
	return t, err
}

// FindThermometer looks for the sensor on a bus and makes it measure once a second.
// It returns ErrNoSensor if there is none.
func FindThermometer(bus I2C) (*Thermometer, error) {
	var last error
	for _, addr := range sttsAddresses {
		t := &Thermometer{bus, addr}
		product, err := t.read(sttsProduct)
		if err != nil {
			last = err
			continue
		}
		if maker, err := t.read(sttsManufacturer); err != nil || maker != sttsST || product > sttsMaxProduct {
			last = fmt.Errorf("product 0x%02x of manufacturer 0x%02x at 0x%02x", product, maker, addr)
			continue
		}
		for _, w := range [][]byte{{sttsConfig, sttsEventOff12Bit}, {sttsRate, sttsOncePerSecond}} {
			if err := bus.Tx(addr, w, nil); err != nil {
				return nil, fmt.Errorf("sx1302: temperature sensor at 0x%02x: %w", addr, err)
			}
		}
		return t, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrNoSensor, last)
}

func (t *Thermometer) read(register byte) (byte, error) {
	var b [1]byte
	if err := t.bus.Tx(t.addr, []byte{register}, b[:]); err != nil {
		return 0, fmt.Errorf("sx1302: temperature sensor at 0x%02x: %w", t.addr, err)
	}
	return b[0], nil
}

// Temperature returns the temperature in 1/256 °C. It reads the low byte first,
// because the sensor then keeps the high byte for it.
func (t *Thermometer) Temperature() (int32, error) {
	low, err := t.read(sttsLow)
	if err != nil {
		return 0, err
	}
	high, err := t.read(sttsHigh)
	return int32(int8(high))<<8 | int32(low), err
}
