package gnss

import (
	"bytes"
	"time"
)

// fields has the fields of a sentence one after the other.
type fields struct{ rest []byte }

func (f *fields) next() []byte {
	i := bytes.IndexByte(f.rest, ',')
	if i < 0 {
		field := f.rest
		f.rest = nil
		return field
	}
	field := f.rest[:i]
	f.rest = f.rest[i+1:]
	return field
}

func (f *fields) skip(n int) {
	for range n {
		f.next()
	}
}

// decimal reads a number such as "5223.786", in units of 10^-digits; further digits are cut.
func decimal(b []byte, digits int) (n int64, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	whole, fraction := b, b[len(b):]
	if i := bytes.IndexByte(b, '.'); i >= 0 {
		whole, fraction = b[:i], b[i+1:]
	}
	if len(whole) > 6 {
		return 0, false
	}
	for _, part := range [2][]byte{whole, fraction[:min(len(fraction), digits)]} {
		for _, d := range part {
			if d < '0' || d > '9' {
				return 0, false
			}
			n = n*10 + int64(d-'0')
		}
	}
	for range digits - min(len(fraction), digits) {
		n *= 10
	}
	if negative {
		n = -n
	}
	return n, true
}

// calendar is what an RMC tells: a time of UTC. The two digits of its year count from 1980 on, and
// old receivers are off by 1024 weeks.
type calendar struct {
	day    int64 // since 1970
	second int64 // of the day; 86400 is a leap second
	whole  bool  // no fraction of a second: it is the time of a pulse
}

// parseRMC reads the fields of an RMC behind its name. ok is false while the receiver has no fix.
//
// Source: NMEA 0183 as in the u-blox M8 receiver description, 31.2.16.
func parseRMC(f fields) (c calendar, ok bool) {
	clock, valid := f.next(), f.next()
	f.skip(6)
	date := f.next()
	if string(valid) != "A" || len(date) != 6 || len(clock) < 6 {
		return c, false
	}
	at, ok1 := decimal(clock[:6], 0)
	day, ok2 := decimal(date, 0)
	fraction, ok3 := int64(0), true
	if len(clock) > 6 {
		fraction, ok3 = decimal(clock[6:], 3)
	}
	h, m, s := at/10000, at/100%100, at%100
	if !ok1 || !ok2 || !ok3 || at < 0 || day < 0 || h > 23 || m > 59 || s > 60 || s == 60 && h*60+m != 23*60+59 {
		return c, false
	}
	year, month, d := 2000+int(day%100), time.Month(day/100%100), int(day/10000)
	if year >= 2080 {
		year -= 100
	}
	date0 := time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
	if date0.Day() != d || date0.Month() != month {
		return c, false
	}
	return calendar{date0.Unix() / 86400, h*3600 + m*60 + s, fraction == 0}, true
}

// place is what a GGA tells.
type place struct {
	latitude, longitude int64 // 1e-7 of a degree
	altitude            int64 // dm above the sea
	satellites          int64
}

// parseGGA reads the fields of a GGA behind its name. ok is false while the receiver has no fix.
//
// Source: as parseRMC, 31.2.4.
func parseGGA(f fields) (p place, ok bool) {
	f.skip(1)
	lat, south, lng, west := f.next(), f.next(), f.next(), f.next()
	quality, count := f.next(), f.next()
	f.skip(1)
	height := f.next()
	p.satellites, _ = decimal(count, 0)
	var okLat, okLng, okHeight bool
	p.latitude, okLat = angle(lat, south, 'N', 'S', 90)
	p.longitude, okLng = angle(lng, west, 'E', 'W', 180)
	p.altitude, okHeight = decimal(height, 1)
	return p, okLat && okLng && okHeight && len(quality) == 1 && quality[0] >= '1' && quality[0] <= '5' && // 6 is a guess
		p.altitude > -5_000 && p.altitude < 100_000
}

// angle reads degrees and minutes, "05223.786", in 1e-7 of a degree.
func angle(b, side []byte, positive, negative byte, most int64) (int64, bool) {
	v, ok := decimal(b, 7)
	degrees, minutes := v/1_000_000_000, v%1_000_000_000
	if !ok || v < 0 || len(side) != 1 || minutes >= 600_000_000 {
		return 0, false
	}
	out := degrees*10_000_000 + minutes/60
	if out > most*10_000_000 {
		return 0, false
	}
	switch side[0] {
	case positive:
		return out, true
	case negative:
		return -out, true
	}
	return 0, false
}
