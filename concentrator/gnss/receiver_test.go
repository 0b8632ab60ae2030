package gnss

import (
	"strings"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

var someday = time.Date(2026, 11, 29, 10, 20, 30, 0, time.UTC)

// times are what becomes of the time, second by second.
var times = []struct {
	name string
	at   time.Time
	run  func(s *sky)
}{
	{"two pulses that fit", someday, func(s *sky) {
		s.second(s.usual)
		s.lost("after one")
		s.seconds(2)
		s.knows("after three")
	}},
	{"a counter that is fast", someday, func(s *sky) {
		s.fast = 8
		s.seconds(120)
		s.knows("after two minutes")
	}},
	{"a counter that no TCXO has", someday, func(s *sky) {
		s.fast = 15
		s.seconds(60)
		s.lost("after a minute")
	}},
	{"a gap of 20 s", someday, func(s *sky) {
		s.seconds(60)
		for range 20 {
			s.pass()
		}
		s.knows("within")
		s.seconds(1)
		s.knows("behind")
	}},
	{"a gap of a minute", someday, func(s *sky) {
		s.seconds(10)
		for range 31 {
			s.pass()
		}
		s.lost("within")
		s.seconds(1)
		s.lost("behind, after one")
		s.seconds(1)
		s.knows("behind, after two")
	}},
	{"an hour's gap, and a wrong time that fits 10 ppm of that", someday, func(s *sky) {
		s.seconds(10)
		for range 3600 {
			s.pass()
		}
		s.count += 20_000
		s.seconds(1)
		s.lost("after one")
		s.count -= 20_000
		s.seconds(1)
		s.lost("after one that does not fit")
		s.seconds(3)
		s.knows("after those that do")
	}},
	{"pulses without sentences", someday, func(s *sky) {
		s.seconds(10)
		for range 31 {
			s.second(func() string { return "" })
		}
		s.lost("")
	}},
	{"sentences without pulses", someday, func(s *sky) {
		s.seconds(10)
		for range 31 {
			s.pass()
			s.says(s.usual())
		}
		s.lost("")
	}},
	{"a cold start: no fix, then a wrong time, then the right one", someday, func(s *sky) {
		for range 20 {
			s.second(func() string { return line("GNRMC,102030.00,V,,,,,,,291126,,,N") })
		}
		s.lost("no fix")
		for range 10 { // leap seconds not known yet
			s.second(func() string { return rmc(s.gps.UTC().Add(2 * time.Second)) })
		}
		s.seconds(3)
		s.lost("a third time that does not fit replaces the reference")
		s.seconds(1)
		s.knows("the next one fits")
	}},
	{"two wrong times in a row", someday, func(s *sky) {
		s.seconds(10)
		for range 2 {
			s.second(func() string { return rmc(s.gps.UTC().Add(time.Hour)) })
		}
		s.knows("after them")
		s.seconds(1)
		s.knows("behind them")
	}},
	{"the clock of the satellites jumps", someday, func(s *sky) {
		s.seconds(10)
		s.gps += radio.GPSTime(time.Hour)
		s.seconds(4)
		s.knows("after four")
	}},
	{"the counter begins anew", someday, func(s *sky) {
		s.seconds(10)
		s.Restart()
		s.count = 12_345
		s.lost("at once")
		s.seconds(2)
		s.knows("after two")
	}},
	{"the counter jumps", someday, func(s *sky) {
		s.seconds(10)
		s.count += 40
		s.seconds(1)
		s.seconds(4)
		s.knows("after five")
	}},
	{"the year ends", time.Date(2026, 12, 31, 23, 59, 50, 0, time.UTC), func(s *sky) {
		s.seconds(20)
		s.knows("")
	}},
}

func TestTime(t *testing.T) {
	for _, tt := range times {
		t.Run(tt.name, func(t *testing.T) { tt.run(newSky(t, tt.at)) })
	}
}

// A receiver of u-blox tells GPS time itself, which goes before what RMC says.
func TestTimeGPS(t *testing.T) {
	const good, ns = timeValid | leapValid, 20
	for _, tt := range []struct {
		name  string
		says  func(gps radio.GPSTime) string
		knows bool
	}{
		{"valid", func(g radio.GPSTime) string { return timegps(g, 18, good, ns) }, true},
		{"within some ns", func(g radio.GPSTime) string { return timegps(g-40, 18, good, ns) }, true},
		{"no week", func(g radio.GPSTime) string { return timegps(g, 18, 1, ns) }, false},
		{"by its own clock", func(g radio.GPSTime) string { return timegps(g, 18, good, maxAccuracy+1) }, false},
		{"between pulses", func(g radio.GPSTime) string {
			return timegps(g+radio.GPSTime(200*time.Millisecond), 18, good, ns)
		}, false},
		{"leap seconds not known", func(g radio.GPSTime) string { return timegps(g, 0, timeValid, ns) }, true},
		{"1024 weeks ago", func(g radio.GPSTime) string { return timegps(g-radio.GPSTime(1024*week), 18, good, ns) }, true},
		{"2048 weeks ago", func(g radio.GPSTime) string { return timegps(g-radio.GPSTime(2048*week), 18, good, ns) }, true},
		{"RMC says another time", func(g radio.GPSTime) string {
			return timegps(g, 18, good, ns) + rmc(g.UTC().Add(3*time.Second))
		}, true},
		{"both", func(g radio.GPSTime) string { return rmc(g.UTC()) + timegps(g, 18, good, ns) + line(gga) }, true},
		{"wrong checksum", func(g radio.GPSTime) string { return timegps(g, 18, good, ns)[:23] + "\x00" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSky(t, someday)
			for range 5 {
				s.second(func() string { return tt.says(s.gps) })
			}
			if tt.knows {
				s.knows("")
			} else {
				s.lost("")
			}
		})
	}
}

// Without u-blox's protocol the week of GPS, of which satellites tell ten bits, may be the wrong
// one: then RMC is 1024 weeks early, with the leap seconds of today.
func TestWeekRollOver(t *testing.T) {
	for _, weeks := range []time.Duration{1024, 2048} {
		s := newSky(t, someday)
		for range 3 {
			s.second(func() string { return rmc(s.gps.UTC().Add(-weeks * week)) })
		}
		s.knows("early weeks")
	}
}

// A leap second is told as 23:59:60, or GPS time is. radio knows of no later one than that of
// 2016; a receiver may.
func TestLeapSecond(t *testing.T) {
	before := time.Date(2016, 12, 31, 23, 59, 57, 0, time.UTC)
	t.Run("RMC", func(t *testing.T) {
		s := newSky(t, before)
		s.opts.NotBefore = time.Time{}
		s.seconds(2)
		s.second(func() string { return line("GNRMC,235960.00,A,5222.38600,N,00453.55000,E,0.1,,311216,,,A") })
		if got := s.GPS(s.count); got != s.gps {
			t.Errorf("in the leap second: %v, want %v", got, s.gps)
		}
		s.seconds(2)
		s.knows("behind")
		if got, want := s.gps.UTC(), time.Date(2017, 1, 1, 0, 0, 1, 0, time.UTC); got != want {
			t.Errorf("it is %v, want %v", got, want)
		}
	})
	t.Run("a later one, told by the receiver", func(t *testing.T) {
		s := newSky(t, someday)
		for range 5 {
			s.second(func() string { return timegps(s.gps, 19, timeValid|leapValid, 20) })
		}
		got, ok := s.Calendar(s.now)
		if want := s.gps.UTC().Add(-time.Second); !ok || got.Sub(want).Abs() > time.Microsecond {
			t.Errorf("it is %v, want %v", got, want)
		}
	})
}

// What comes before, between and within sentences spoils no more than the sentence it is in.
func TestGarbage(t *testing.T) {
	noise := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*i*31 + i*7 + 0xB5)
		}
		return string(b)
	}
	for name, before := range map[string]string{
		"nothing":                    "",
		"bytes":                      noise(1000),
		"a cut sentence":             "$GNRMC,1020",
		"an endless sentence":        "$" + strings.Repeat("A", 4000),
		"the begin of a frame":       "\xB5\x62\x01\x20\x10\x00\x01\x02",
		"begins of frames":           "\xB5\xB5\x62\xB5\x62\x01\xB5\x62\x01\x20\xB5",
		"a wrong checksum":           "$GNRMC,102030.00,A,5222.38600,N,00453.55000,E,0.1,,291126,,,A*00\r\n",
		"a sentence without a star":  "$GNRMC,102030.00,A,5222.38600,N\r\n",
		"empty sentences":            "$\r\n$*00\r\n$*\r\n$,*2C\r\n",
		"another frame of u-blox":    "\xB5\x62\x05\x01\x02\x00\x06\x01\x0F\x38",
		"sentences without a fix":    line("GNRMC,,V,,,,,,,,,,N") + line("GNGGA,,,,,,0,00,99.99,,,,,,"),
		"sentences of others":        line("GPGSV,4,1,13,02,72,095,38") + line("PUBX,00,102030.00") + line("GPTXT,01"),
		"fields that are no numbers": line("GNRMC,xx2030.00,A,,,,,,,2911,,,A") + line("GNGGA,a,b,N,c,E,1,d,e,f,M"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSky(t, someday)
			for range 3 {
				s.second(func() string { return before + "\r\n" + s.usual() })
				s.says(before) // the rest may be cut by the next second
			}
			s.seconds(1)
			s.knows("")
		})
	}
}

// What a slow receiver says of a second ends behind the next pulse, or with it. The time is that of the
// pulse before it began.
func TestSlowLine(t *testing.T) {
	for _, tt := range []struct {
		name          string
		begins, lasts time.Duration // behind the pulse, from then on
		knows         bool
	}{
		{"at once", 10 * time.Millisecond, 20 * time.Millisecond, true},
		{"within the second", 300 * time.Millisecond, 600 * time.Millisecond, true},
		{"beyond the second", 300 * time.Millisecond, 900 * time.Millisecond, true},
		{"until just before it says the next", 700 * time.Millisecond, 940 * time.Millisecond, true},
		{"without a pause", 200 * time.Millisecond, 990 * time.Millisecond, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSky(t, someday)
			const step = 10 * time.Millisecond
			var text string
			var from, told int
			for n := range 6 * int(time.Second/step) {
				now := time.Duration(n) * step
				if now%time.Second == 0 {
					s.pass()
					s.Pulse(s.count, s.now)
				}
				at := s.now
				s.now = s.now.Add(now % time.Second)
				if now%time.Second == tt.begins%time.Second {
					text, from, told = line("GPGSV,4,1,13,02,72,095,38")+line(gga)+rmc(s.gps.UTC()), n, 0
				}
				if text != "" {
					part := min(len(text), len(text)*(n-from)/int(tt.lasts/step))
					s.take([]byte(text[told:part]))
					told = part
				}
				s.now = at
			}
			if tt.knows {
				s.knows("")
				return
			}
			s.lost("")
			state := s.State()
			if says, _ := state.Fault("/dev/tty", s.now); !strings.Contains(says, "without a pause") {
				t.Errorf("it says %q", says)
			}
		})
	}
}

// A receiver that tells a time of another pulse than the last one is found out by a calendar that
// is right, for as long as the time is not sure.
func TestOffCalendar(t *testing.T) {
	for _, tt := range []struct {
		name  string
		off   time.Duration // of the calendar
		right bool
		knows bool
	}{
		{"right", 0, true, true},
		{"nearly right", 400 * time.Millisecond, true, true},
		{"a second late", -time.Second, true, false},
		{"a second early", time.Second, true, false},
		{"nobody knows whether it is right", time.Second, false, true},
		{"an hour off", time.Hour, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSky(t, someday)
			off := tt.off
			s.opts.Calendar = func() (time.Time, bool) {
				return s.gps.UTC().Add(200*time.Millisecond + off), tt.right
			}
			s.seconds(4)
			if tt.knows {
				off = time.Second
				s.seconds(4)
				s.knows("once it is sure")
				return
			}
			s.lost("")
			state := s.State()
			if says, todo := state.Fault("/dev/tty", s.now); !strings.Contains(says, "1s off") || todo == "" {
				t.Errorf("it says %q, to do: %q", says, todo)
			}
			off = 0
			s.seconds(2)
			s.knows("when it fits")
		})
	}
}

// The driver of the chip may tell of a pulse after the receiver has told its time.
func TestLatePulse(t *testing.T) {
	s := newSky(t, someday)
	for range 3 {
		s.pass()
		at := s.now
		s.says(s.usual())
		s.Pulse(s.count, at)
	}
	s.knows("")
}

func at(latitude, longitude float64, altitude int32) radio.Place {
	return radio.Place{Latitude: latitude, Longitude: longitude, Altitude: altitude}
}

func TestPlace(t *testing.T) {
	s := newSky(t, someday)
	if s.Place() != nil {
		t.Error("a place before it was told")
	}
	for _, tt := range []struct {
		name, body string
		want       radio.Place
	}{
		{"north and east", gga, at(52.3731, 4.8925, 12)},
		{"no fix", "GNGGA,102030.00,,,,,0,00,99.9,,M,,M,,", at(52.3731, 4.8925, 12)},
		{"a guess", "GNGGA,102030.00,1000.0,N,01000.0,E,6,00,99.9,1.0,M,,M,,", at(52.3731, 4.8925, 12)},
		{"a metre away", "GNGGA,102030.00,5222.38650,N,00453.55,E,1,09,0.9,15.4,M,46.0,M,,", at(52.3731, 4.8925, 12)},
		{"south and west", "GPGGA,102030,3351.0,S,15112.6,W,2,04,1.9,-3.5,M,46.0,M,,", at(-33.85, -151.21, -3)},
		{"impossible", "GPGGA,102030,9951.0,S,15112.6,W,2,04,1.9,-3.5,M,46.0,M,,", at(-33.85, -151.21, -3)},
		{"minutes from 60 on", "GPGGA,102030,3361.0,S,15112.6,W,2,04,1.9,-3.5,M,,M,,", at(-33.85, -151.21, -3)},
	} {
		s.says(line(tt.body))
		if got := *s.Place(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// What is wrong, and in which order that is found out.
func TestFault(t *testing.T) {
	s := newSky(t, someday)
	check := func(want string) {
		t.Helper()
		state := s.State()
		says, todo := state.Fault(s.opts.Device, s.now)
		if (want == "") != (says == "") || !strings.Contains(says, want) || (says == "") != (todo == "") {
			t.Errorf("%q, to do: %q; want %q", says, todo, want)
		}
	}
	s.now = s.now.Add(time.Minute)
	check("says nothing")
	s.says(line("GNRMC,,V,,,,,,,,,,N"))
	check("no fix")
	s.says(s.usual())
	check("no pulse")
	s.second(s.usual)
	check("not known yet")
	s.seconds(2)
	check("")
	for range 40 {
		s.pass()
		s.says(s.usual())
	}
	check("no pulse")
}

// Nothing that comes over the line allocates memory, but for a new place.
func TestAllocations(t *testing.T) {
	s := newSky(t, someday)
	s.seconds(3)
	text := []byte(s.usual() + timegps(s.gps, 18, timeValid, 20) + line("GPGSV,4,1,13,02,72,095,38"))
	if n := testing.AllocsPerRun(100, func() { s.take(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTake(f *testing.F) {
	f.Add([]byte(line(gga) + timegps(1, 18, 7, 20)))
	f.Add([]byte("\xB5\x62\x01\x20\x10\x00$GN"))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		s := newSky(t, someday)
		s.take(b)
		s.seconds(10) // a time of u-blox goes before RMC for 5 s
		s.knows("after anything")
	}))
}
