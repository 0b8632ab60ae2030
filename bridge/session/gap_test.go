package session

import (
	"encoding/hex"
	"fmt"
	"testing"

	"lorawand/radio"
)

// life is a session on its way through crashes, restores and hand-overs. What
// the device hears is looked at from outside: by the counters alone.
type life struct {
	*testing.T
	d    *Device
	sent uint32          // the last counter that went out
	used map[uint32]bool // all of them
}

func newLife(t *testing.T, v Version) *life {
	d := &Device{
		ID: ID{"app1", "dev1"}, Version: v, Plan: "EU_863_870",
		Session: &Session{DevAddr: radio.DevAddr{1, 2, 3, 4}},
	}
	return &life{T: t, d: d, used: map[uint32]bool{}}
}

// restart loads what the store has: the device's record, and that of its
// counters with marks.
func (l *life) restart(m Marks) {
	l.Helper()
	b, err := MarshalDevice(l.d)
	if err != nil {
		l.Fatal(err)
	}
	counters := AppendCounters(nil, l.d.Session, m)
	if l.d, err = UnmarshalDevice(b); err == nil {
		err = l.d.Session.SetCounterBytes(counters)
	}
	if err != nil {
		l.Fatal(err)
	}
}

func (l *life) reserve() {
	m, _ := l.d.Session.Reserve(l.d.Version)
	l.d.Session.Reserved(m, true)
}

// send uses a counter. The device has to take it, whatever was passed over.
func (l *life) send(reaches bool) {
	l.Helper()
	l.reserve()
	s := l.d.Session
	fCnt, ok := s.NextFCntDown(l.d.Version, true)
	switch {
	case !ok:
		l.Fatal("no counter can be used any more")
	case l.used[fCnt]:
		l.Fatalf("FCntDown %d is used twice", fCnt)
	case fCnt-l.sent >= 16384:
		l.Fatalf("FCntDown %d after %d: the device does not hear it", fCnt, l.sent)
	}
	l.used[fCnt] = true
	s.UseFCntDown(l.d.Version, true)
	if reaches {
		l.sent = fCnt
		s.Sent(l.d.Version, true, fCnt)
	}
}

// do lets something happen: D a downlink that is sent, R one that every gateway
// refuses, C a crash, c one with a block that was just reserved, S a clean stop,
// H a skip that is not known how far it has to go: a hand-over or a restore.
func (l *life) do(what rune) {
	l.Helper()
	switch what {
	case 'D':
		l.send(true)
	case 'R':
		l.send(false)
	case 'C':
		l.restart(l.d.Session.Marks())
	case 'c':
		l.reserve()
		l.restart(l.d.Session.Marks())
	case 'S':
		l.restart(l.d.Session.Settled())
	case 'H':
		l.d.SkipAhead()
		l.restart(l.d.Session.Settled())
	}
}

// Whatever is passed over between two downlinks, the device hears the second.
func TestSkipsStayInTheGap(t *testing.T) {
	for _, tt := range []struct {
		name, what string
		times      int // of what, before the next downlink
	}{
		{"a hand-over", "H", 1},
		{"two hand-overs", "H", 2},
		{"a hand-over after a crash, twice", "cH", 2},
		{"hand-overs without end", "H", 40},
		{"crashes with a block each", "c", 700},
		{"crashes between hand-overs", "ccccH", 10},
		{"a hand-over, then crashes", "Hccccccccccccccccccccccc", 6},
		{"clean stops", "cS", 200},
		{"hand-overs with downlinks between", "HD", 20},
		{"refused downlinks", "RRRC", 100},
		{"a refused downlink and a hand-over", "RH", 12},
	} {
		for _, v := range []Version{V1_0_3, V1_1} {
			t.Run(fmt.Sprintf("%s, LoRaWAN %v", tt.name, v), func(t *testing.T) {
				l := newLife(t, v)
				for range 3 {
					for range tt.times {
						for _, what := range tt.what {
							l.do(what)
						}
					}
					l.send(true)
					l.do('C')
				}
			})
		}
	}
}

// A skip goes as far as it can: above what can have been used since.
func TestSkippable(t *testing.T) {
	for _, tt := range []struct{ unsent, want uint32 }{
		{0, 8192},
		{8192, 4096},
		{12288, 2048},
		{16381, 1},
		{16382, 0},
		{16383, 0},
		{16384, 8192},
		{1 << 31, 8192},
	} {
		if got := skippable(tt.unsent); got != tt.want {
			t.Errorf("%d unsent: skips %d, want %d", tt.unsent, got, tt.want)
		}
	}
	for _, tt := range []struct{ unsent, want uint32 }{
		{0, 64},
		{8192, 64},
		{8320, 63},
		{12288, 32},
		{16383, 1},
		{16384, 64},
	} {
		if got := block(tt.unsent); got != tt.want {
			t.Errorf("%d unsent: reserves %d, want %d", tt.unsent, got, tt.want)
		}
	}
}

// Both versions of what a store has of counters are read, on every CPU.
func TestCounterBytes(t *testing.T) {
	const v1, v2 = "0101701101000101000002010000" + "01020304", "0201701101000101000002010000" + "01020304" + "0300000004000000"
	for _, tt := range []struct {
		name, hex string
		own       Session // what the device's record says
		want      string  // FCntUp, NFCntDown, AFCntDown, the last ones sent
	}{
		{"version 1", v1, Session{}, "70000 257 258 {257 258}"},
		{"version 2", v2, Session{}, "70000 257 258 {3 4}"},
		{"version 2 behind the device's record", v2, Session{
			NFCntDown: 300, AFCntDown: 301, NStored: 300, AStored: 301,
			NUnsent: 7,
		}, "70000 300 301 {293 301}"},
		{"version 1 behind the device's record", v1, Session{
			NFCntDown: 300, AFCntDown: 301, NStored: 320, AStored: 320,
			NUnsent: 7,
		}, "70000 320 320 {293 301}"},
	} {
		b, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatal(err)
		}
		s := tt.own
		s.DevAddr = radio.DevAddr{1, 2, 3, 4}
		if err := s.SetCounterBytes(b); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.FCntUp, s.NFCntDown, s.AFCntDown, s.LastSent()); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if next := AppendCounters(nil, &s, s.Settled()); next[0] != 2 || s.SetCounterBytes(next) != nil {
			t.Errorf("%s: written again as %x", tt.name, next)
		}
	}
}
