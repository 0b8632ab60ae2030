package core

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// lineCounter is a log that counts its lines.
type lineCounter struct{ lines map[string]int }

func (l *lineCounter) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}
func (l *lineCounter) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lineCounter) WithGroup(string) slog.Handler      { return l }
func (l *lineCounter) Handle(_ context.Context, r slog.Record) error {
	l.lines[r.Message]++
	return nil
}

// mixedFlood is a stand on which all kinds of frames come that are of no device, or not any more.
type mixedFlood struct {
	*stand
	rnd    *rand.Rand
	joins  *session.Device
	old    []byte // that was heard before
	log    *event.Log
	lines  *lineCounter
	crowd  []*session.Device // on one DevAddr
	air    int               // of 20 frames so many come by the gateway, the others by addresses that claim to be one
	nextUp uint32            // FCntUp
}

func newMixedFlood(t *testing.T, wrongMICs, air int) *mixedFlood {
	t.Helper()
	f := &mixedFlood{
		stand: bounded(t, wrongMICs), rnd: rand.New(rand.NewSource(1)), lines: &lineCounter{map[string]int{}}, air: air,
	}
	f.log = event.NewLog(slog.New(f.lines))
	f.keeps.seldom = true
	f.joins = f.otaa("dev3", session.V1_0_3)
	for i := range session.MaxPerDevAddr {
		keys := testKeys(byte(i))
		keys.FNwkSIntKey[2], keys.SNwkSIntKey[2], keys.NwkSEncKey[2] = 9, 9, 9
		d := &session.Device{
			ID:     session.ID{Application: "app2", Device: fmt.Sprintf("crowd%d", i)},
			DevEUI: radio.EUI64{0xc, byte(i)}, Version: session.V1_0_3, Plan: "EU_863_870_TTN",
			Session: &session.Session{DevAddr: radio.DevAddr{1, 2, 4, 0}, Keys: keys},
		}
		f.add(d)
		f.crowd = append(f.crowd, d)
	}
	f.old = f.phy("dev1", 0, confirmed("x"))
	f.hear(gwA, f.old)
	f.wait(time.Minute)
	f.nextUp = 1
	return f
}

// hostile is the next frame of the flood, of each kind in turn.
func (f *mixedFlood) hostile(n int) []byte {
	random := make([]byte, 12+f.rnd.Intn(200))
	f.rnd.Read(random)
	forged := slices.Clone(f.phy("dev1", f.nextUp, payload("forged")))
	join := f.joinRequest(f.joins, uint16(n))
	switch n % 8 {
	case 0: // of another network
		random[0], random[4], random[5] = 0x40, 0x26, 0
		return random
	case 1:
		return f.old
	case 2: // spoilt
		forged[f.rnd.Intn(len(forged)-1)+1] ^= 1 << f.rnd.Intn(8)
		return forged
	case 3:
		return forged[:1+f.rnd.Intn(len(forged)-1)]
	case 4: // as long as a frame can be
		return append(random[:12:12], make([]byte, 243)...)
	case 5: // by somebody whom nobody knows
		f.rnd.Read(join[9:17])
		return join
	case 6: // by somebody who is known, with another key
		f.rnd.Read(join[len(join)-4:])
		return join
	}
	forged = f.phy(f.crowd[0].ID.Device, uint32(f.rnd.Intn(1<<16)), payload("forged"))
	f.rnd.Read(forged[len(forged)-4:])
	return forged
}

// of is by whom a frame of the flood comes.
func (f *mixedFlood) of(n int) (g radio.EUI64, how func(*radio.Uplink)) {
	if n*7%20 < f.air {
		return gwA, func(*radio.Uplink) {}
	}
	return []radio.EUI64{gwA, gwB}[n%2], stranger
}

// sends is which device sends in a second, whose RX1 opens within the time to its next uplink; "": none.
func sends(second int) string {
	switch {
	case second%2 == 1:
		return "dev2" // RX1 opens after 1 s
	case second%6 == 0:
		return "dev1" // after 5 s
	}
	return ""
}

// run lets the flood come at 2000 frames a second, while dev1 and dev2 send, and a device of the crowd. It
// returns how many uplinks there were, and how many of the first two that had no answer in RX1.
func (f *mixedFlood) run(seconds int) (sent, missed int) {
	const rate = 2000
	f.sent, f.ups, f.read = nil, nil, 0
	for n := range seconds * rate {
		g, how := f.of(n)
		f.hear(g, f.hostile(n), how)
		if second := n / rate; n%rate == rate/2 {
			fCnt := f.nextUp + uint32(second)
			f.hear(gwA, f.phy(f.crowd[100].ID.Device, fCnt, payload("x")))
			sent++
			if d := sends(second); d != "" {
				f.hear(gwA, f.phy(d, fCnt, confirmed("x")))
				sent++
				missed++
			}
		}
		for i := range f.events {
			f.log.Write(&f.events[i])
		}
		f.events = f.events[:0]
		f.wait(time.Second / rate)
		if n%rate == 0 {
			time.Sleep(time.Second) // for the log
		}
	}
	f.wait(10 * time.Second)
	for i := range f.sent {
		if d := &f.sent[i]; d.Frequency == 868_300_000 && d.ahead >= 100*ms {
			missed--
		}
	}
	return sent, missed
}

// While 2000 frames a second of all kinds come that are of nobody, real devices are heard and
// answered in RX1, by a machine of any speed; the memory that is held stays as it is, and so does
// the log.
func TestMixedFlood(t *testing.T) {
	for _, tt := range []struct {
		name           string
		wrongMICs, air int
	}{
		// The radio brings 300 frames a second at most.
		{"a router: 300/s on the air, 1700/s by addresses that are not the gateway's", 1800, 3},
		{"a PC: 2000/s by the gateway", 2_000_000, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { mixedFloodOf(t, tt.wrongMICs, tt.air) })
		})
	}
}

func mixedFloodOf(t *testing.T, wrongMICs, air int) {
	const seconds = 4
	f := newMixedFlood(t, wrongMICs, air)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sent, missed := f.run(seconds)
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown, lines := int64(after.HeapAlloc)-int64(before.HeapAlloc), 0
	for _, n := range f.lines.lines {
		lines += n
	}
	st := f.c.Stats()
	t.Logf("%d frames of nobody: %d uplinks, %d published, %d without RX1, %d kB more, %d lines of log, dropped %v, "+
		"joins refused %v", seconds*2000, sent, len(f.ups), missed, grown>>10, lines, st.Dropped, st.Refusals)
	if missed != 0 || len(f.ups) != sent || len(f.c.remembered) > sent {
		t.Errorf("of %d uplinks %d are published and %d have no RX1; %d receptions are held", sent, len(f.ups), missed,
			len(f.c.remembered))
	}
	if grown > 4<<20 || lines > 40 {
		t.Errorf("%d bytes more are held, and %d lines are in the log: %v", grown, lines, f.lines.lines)
	}
	runtime.KeepAlive(f)
}
