package bridge

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/radio"
)

// A clock goes by satellites while they tell the time, whatever the host's calendar shows.
func TestFollow(t *testing.T) {
	c := NewClock(func(time.Time) radio.TimeQuality { return radio.TimeNone })
	known, at := false, time.Date(2027, 1, 31, 17, 25, 0, 0, time.UTC)
	c.Follow(func(radio.HostTime) (time.Time, bool) { return at, known })
	if w := c.Now().Wall; w.Known() || c.MaxError() != 0 || !c.Calendar().IsZero() {
		t.Errorf("before: %+v", w)
	}
	known = true
	if w := c.Now().Wall; w.Quality != radio.TimeGNSS || w.Time != at || c.Calendar() != at || c.MaxError() <= 0 {
		t.Errorf("by satellites: %+v", w)
	}
	known = false
	if w := c.Now().Wall; w.Known() {
		t.Errorf("behind: %+v", w)
	}
}

// TestSynchronised: what the kernel says of its clock, and how far it holds it to be off.
func TestSynchronised(t *testing.T) {
	for name, tt := range map[string]struct {
		state int
		tx    unix.Timex
		want  bool
		off   time.Duration
	}{
		"by NTP": {
			unix.TIME_OK,
			unix.Timex{Status: unix.STA_PLL, Maxerror: 12_500},
			true,
			12_500 * time.Microsecond,
		},
		"just corrected": {unix.TIME_OK, unix.Timex{Status: unix.STA_PLL}, true, time.Microsecond},
		"before a leap second": {
			unix.TIME_INS,
			unix.Timex{Status: unix.STA_INS, Maxerror: 900},
			true,
			900 * time.Microsecond,
		},
		"never": {unix.TIME_ERROR, unix.Timex{Status: unix.STA_UNSYNC, Maxerror: 16_000_000}, false, 16 * time.Second},
		"no longer": {
			unix.TIME_OK,
			unix.Timex{Status: unix.STA_PLL | unix.STA_UNSYNC},
			false,
			time.Microsecond,
		},
		"an error, whatever else is": {
			unix.TIME_ERROR,
			unix.Timex{Status: unix.STA_PLL, Maxerror: 1},
			false,
			time.Microsecond,
		},
	} {
		if got := synchronised(tt.state, &tt.tx); got != tt.want || maxError(&tt.tx) != tt.off {
			t.Errorf("%s: %t, off by %v", name, got, maxError(&tt.tx))
		}
	}
}

// TestClockError: only a clock that the kernel is asked for has an error that is known, and
// it has one exactly while it is synchronised.
func TestClockError(t *testing.T) {
	if off := NewClock(func(time.Time) radio.TimeQuality { return radio.TimeNTP }).MaxError(); off != 0 {
		t.Errorf("another clock is off by %v", off)
	}
	c := NewClock(nil)
	for range 100 { // the kernel may change its mind in between
		quality, off := c.quality(time.Now()), c.MaxError()
		if (quality == radio.TimeNTP) == (off > 0) {
			return
		}
	}
	t.Error("quality and error never agree")
}
