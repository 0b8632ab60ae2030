package board

import (
	"errors"
	"fmt"
)

// ErrNoSensor is the reason when no temperature sensor is found.
var ErrNoSensor = errors.New("sx1302: no STTS751 temperature sensor")

// I2C is a bus, as i2c.Bus of periph is one.
type I2C interface {
	Tx(addr uint16, w, r []byte) error
}

// Thermometer is the STTS751 that Semtech's boards have.
type Thermometer struct {
	bus  I2C
	addr uint16
}

// Registers of the STTS751 and what they hold.
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

// sttsAddresses are where boards have it, in the order in which sx1302_hal
// tries them.
var sttsAddresses = []uint16{0x39, 0x3B, 0x38}

// I2CBus is a bus that was opened.
type I2CBus interface {
	I2C
	Close() error
}

// Sensor measures with a board's temperature sensor. The sensor has power only while the
// board has, so it is looked for with the first measurement, and again after each one
// that failed.
type Sensor struct {
	// Open opens the bus for one measurement, so that a hanging one blocks nothing else.
	Open func() (I2CBus, error)

	addr uint16 // where it was found; 0: it has to be looked for
}

// Temperature measures, in 1/256 °C. It returns ErrNoSensor while there is none.
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

// FindThermometer looks for the sensor on a bus and sets it to one measurement
// a second. It returns ErrNoSensor if there is none.
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

// Temperature returns what it measures, in 1/256 °C. The low byte is read
// first, with which the sensor holds the high one still.
func (t *Thermometer) Temperature() (int32, error) {
	low, err := t.read(sttsLow)
	if err != nil {
		return 0, err
	}
	high, err := t.read(sttsHigh)
	return int32(int8(high))<<8 | int32(low), err
}
