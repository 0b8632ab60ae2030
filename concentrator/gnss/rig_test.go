package gnss

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"lorawand/radio"
)

// line returns a sentence with its checksum.
func line(body string) string {
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, sum)
}

// rmc returns the sentence that tells a time of UTC.
func rmc(t time.Time) string {
	return line("GNRMC," + t.Format("150405.00") + ",A,5222.38600,N,00453.55000,E,0.1,," + t.Format("020106") + ",,,A")
}

const gga = "GNGGA,102030.00,5222.38600,N,00453.55000,E,1,09,0.9,12.4,M,46.0,M,,"

// timegps returns a NAV-TIMEGPS.
func timegps(gps radio.GPSTime, leap int8, flags byte, accuracy uint32) string {
	at := time.Duration(gps)
	p := binary.LittleEndian.AppendUint32(nil, uint32(at%week/time.Millisecond))
	p = binary.LittleEndian.AppendUint32(p, uint32(int32(at%time.Millisecond)))
	p = binary.LittleEndian.AppendUint16(p, uint16(at/week))
	p = append(p, byte(leap), flags)
	p = binary.LittleEndian.AppendUint32(p, accuracy)
	frame := append(timeHeader[:len(timeHeader):len(timeHeader)], p...)
	a, b := ubxChecksum(0, 0, frame[2:])
	return string(append(frame, a, b))
}

// sky is a receiver, and a chip that has its pulses. Its time is moved by hand.
type sky struct {
	*testing.T
	*Receiver
	now   radio.HostTime
	gps   radio.GPSTime          // true, of the last pulse
	count radio.ConcentratorTime // of the last pulse
	fast  int                    // of the counter, ppm
}

func newSky(t *testing.T, at time.Time) *sky {
	s := &sky{T: t, now: 1000, gps: radio.GPSTimeOf(at), count: 4_294_000_000}
	s.Receiver = New(Options{
		Device: "/dev/tty", Now: func() radio.HostTime { return s.now },
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Logger: slog.New(slog.DiscardHandler),
	})
	return s
}

// usual is what a receiver without u-blox's protocol says of the last pulse.
func (s *sky) usual() string { return rmc(s.gps.UTC()) + line(gga) }

// second has a second pass, with a pulse, and what the receiver says 200 ms later.
func (s *sky) second(says func() string) {
	s.pass()
	s.Pulse(s.count, s.now)
	s.says(says())
}

// pass has a second pass without a pulse.
func (s *sky) pass() {
	s.now = s.now.Add(time.Second)
	s.gps += radio.GPSTime(time.Second)
	s.count += radio.ConcentratorTime(1_000_000 + s.fast)
}

func (s *sky) says(text string) {
	s.now = s.now.Add(200 * time.Millisecond)
	s.take([]byte(text))
	s.now = s.now.Add(-200 * time.Millisecond)
}

// seconds has usual seconds pass.
func (s *sky) seconds(n int) {
	for range n {
		s.second(s.usual)
	}
}

// knows checks that the receiver knows the true time, half a second behind the last pulse.
func (s *sky) knows(what string) {
	s.Helper()
	s.knowsAt(what, s.gps)
}

func (s *sky) knowsAt(what string, gps radio.GPSTime) {
	s.Helper()
	got := s.GPS(s.count + radio.ConcentratorTime(500_000+s.fast/2))
	want := gps + radio.GPSTime(500*time.Millisecond)
	if off := time.Duration(got - want); off.Abs() > 5*time.Microsecond {
		s.Errorf("%s: GPS time is off by %v", what, off)
	}
	t, ok := s.Calendar(s.now.Add(500 * time.Millisecond))
	if off := t.Sub(want.UTC()); !ok || off.Abs() > 5*time.Microsecond {
		s.Errorf("%s: the calendar, known: %v, is off by %v", what, ok, off)
	}
}

// lost checks that the receiver does not know the time.
func (s *sky) lost(what string) {
	s.Helper()
	if got := s.GPS(s.count); got != 0 {
		s.Errorf("%s: GPS time is told: %v", what, got.UTC())
	}
	if got, ok := s.Calendar(s.now); ok {
		s.Errorf("%s: a calendar is told: %v", what, got)
	}
}
