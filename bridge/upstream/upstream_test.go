package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/store/storetest"
	"lorawand/bridge/upstream/client"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// A message goes out at once, with what identifies it; nothing is written to flash.
func TestLive(t *testing.T) {
	for _, version := range []byte{client.V5, client.V311} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.far.only = version
			s.start()
			s.wait(2 * time.Second)
			for range 100 {
				s.up()
			}
			s.Publish(v3.Message{Application: "app2", Device: "dev1", Suffix: v3.Up, Payload: []byte(`{}`)})
			s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte(`{}`), Again: true})
			s.Publish(v3.Message{Suffix: "lorawand/status", Payload: []byte(`{}`)})
			s.wait(time.Second)
			got := s.far.arrivals()
			if len(got) != 101 || got[0].topic != "site1/lorawand/status" || got[0].payload != "on" || !got[0].retain {
				t.Fatalf("%d messages, first %+v", len(got), got[0])
			}
			for n, a := range got[1:] {
				id := fmt.Sprintf(`"correlation_ids":["lorawand:frame:AYfg8g==:%d","as:up:01"]`, n)
				if a.topic != "site1/v3/app1/devices/dev1/up" || !strings.Contains(a.payload, id) || a.retain {
					t.Fatalf("message %d: %+v", n, a)
				}
				want := fmt.Sprintf("map[lorawand-frame:AYfg8g==:%d lorawand-lane:live]", n)
				if user := fmt.Sprint(a.user); version == client.V5 && user != want {
					t.Fatalf("message %d: %s", n, user)
				}
			}
			if ops := s.disk.Ops(); ops != 0 {
				t.Errorf("%d operations of the disk", ops)
			}
			s.stop()
			if st := s.Status(); st.Waiting != 0 || st.Live != 100 || len(s.far.wills) != 0 {
				t.Errorf("%+v, wills %q", st, s.far.wills)
			}
		})
	}
}

// An outage of two days loses nothing and repeats nothing. What is new goes first.
func TestTwoDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.start()
		s.wait(time.Second)
		s.up()
		s.wait(time.Second)
		s.far.cut(true)
		const outage = 2 * 24 * time.Hour
		for range outage / (2 * time.Minute) {
			s.wait(2 * time.Minute)
			s.up()
		}
		missed := s.sent
		if n := len(s.far.wills); n != 1 {
			t.Errorf("%d last wills", n)
		}
		st := s.Status()
		if st.Connected || st.Error != "no route to host" || st.Journal.Messages+int64(st.Waiting) != int64(missed-1) {
			t.Fatalf("%+v", st)
		}
		s.far.cut(false)
		back := time.Now()
		for range 12 {
			s.wait(time.Minute)
			s.up()
		}
		s.wait(time.Minute)
		s.expectAll()
		s.checkLanes(missed, back)
		s.stop()
	})
}

// checkLanes checks the marks, the order and the rate of what has arrived since the
// outage.
func (s *stand) checkLanes(missed int, back time.Time) {
	s.Helper()
	last := map[string]int{"live": -1, "backfill": -1}
	var filled []time.Time
	for _, a := range s.far.arrivals() {
		if a.retain {
			continue
		}
		var n int
		_, _ = fmt.Sscanf(a.user[record.FrameProperty], "AYfg8g==:%d", &n)
		lane := a.user[record.LaneProperty]
		if n <= last[lane] {
			s.Fatalf("%s: uplink %d after %d", lane, n, last[lane])
		}
		last[lane] = n
		if marked := strings.Contains(a.payload, `"lorawand:lane:backfill"`); marked != (lane == "backfill") {
			s.Errorf("%s: %s", lane, a.payload)
		}
		if lane == "backfill" {
			filled = append(filled, a.at)
		}
		if n >= missed {
			if due := back.Add(time.Duration(n-missed+1) * time.Minute); a.at.Sub(due) > time.Second || lane != "live" {
				s.Errorf("uplink %d has come %v late by %s", n, a.at.Sub(due), lane)
			}
		}
	}
	if len(filled) < missed-3 {
		s.Errorf("only %d were backfilled", len(filled))
	}
	for i := 11; i < len(filled); i++ {
		if filled[i].Sub(filled[i-11]) < time.Second {
			s.Fatal("more than 10 a second")
		}
	}
}

// Whatever the network does, every message arrives, and one arrives again only where a
// connection has ended in between.
func TestNetworkFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(*far)
		fault func(*stand, *rand.Rand)
		again bool // it may arrive again
	}{
		{name: "duplicate PUBACK", setup: func(f *far) { f.twice = true }},
		{name: "slow", setup: func(f *far) { f.delay = 300 * time.Millisecond }},
		{
			name: "flapping", again: true, setup: func(f *far) { f.delay = 20 * time.Millisecond },
			fault: func(s *stand, r *rand.Rand) {
				s.far.cut(r.IntN(2) == 0)
				s.wait(rand.N(20 * time.Second))
				s.far.cut(false)
			},
		},
		{
			name: "half-open", again: true, fault: func(s *stand, r *rand.Rand) {
				s.far.set(func() { s.far.hung = true })
				s.wait(time.Duration(r.IntN(200)) * time.Second)
				s.far.cut(false)
				s.far.set(func() { s.far.hung = false })
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t)
				if tt.setup != nil {
					tt.setup(s.far)
				}
				r := rand.New(rand.NewPCG(1, 2))
				s.start()
				for range 40 {
					for range 25 {
						s.up()
						s.wait(time.Duration(r.IntN(900)) * time.Millisecond)
					}
					if tt.fault != nil {
						tt.fault(s, r)
					}
				}
				s.wait(20 * time.Minute)
				if tt.again {
					s.expectEmpty()
					s.expectOnceOrBefore(40 * 16)
				} else {
					s.expectAll()
				}
				s.stop()
			})
		})
	}
}

// expectOnceOrBefore expects every uplink, and at most so many repetitions: a window for
// each connection that has ended.
func (s *stand) expectOnceOrBefore(most int) {
	s.Helper()
	again := 0
	for n, times := range s.counts() {
		if times == 0 {
			s.Errorf("uplink %d is lost", n)
		}
		again += max(times-1, 0)
	}
	if again > most {
		s.Errorf("%d repetitions", again)
	}
}

// A restart, with or without a connection, loses nothing and repeats nothing.
func TestRestart(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprint("off ", off), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t)
				s.far.off = off
				s.far.delay = 50 * time.Millisecond
				for range 20 {
					s.start()
					for range 30 {
						s.up()
						s.wait(100 * time.Millisecond)
					}
					s.stop()
				}
				s.far.cut(false)
				s.start()
				s.wait(10 * time.Minute)
				s.expectAll()
				s.stop()
			})
		})
	}
}

// After a power cut in an outage what is older than the commit interval is there.
func TestPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.far.off = true
		s.start()
		for range 100 {
			s.up()
			s.wait(time.Second)
		}
		never := func() bool { return false }
		after := s.disk.After(s.disk.Ops(), storetest.Cut{Name: never, Data: never})
		s.stop()
		s.disk = after
		s.far.cut(false)
		s.start()
		s.wait(time.Minute)
		got := s.counts()
		if missing := slices.Index(got, 0); missing < 85 || slices.Max(got) > 1 {
			t.Errorf("the first that is missing is %d of 100", missing)
		}
		s.stop()
	})
}

// While the journal cannot be written memory is bounded, and what is lost is counted.
func TestUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.far.off = true
		var log strings.Builder
		s.o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s.start()
		s.disk.SetReadOnly(true)
		for range 5000 {
			s.up()
			s.wait(100 * time.Millisecond)
		}
		st := s.Status()
		if st.Waiting > maxItems || st.Lost+uint64(st.Waiting) != 5000 || st.Fault == "" {
			t.Errorf("%+v", st)
		}
		if n := strings.Count(log.String(), "the journal cannot be written"); n != 1 {
			t.Errorf("it is told %d times:\n%s", n, log.String())
		}
		s.disk.SetReadOnly(false)
		s.wait(time.Minute)
		if st := s.Status(); st.Waiting != 0 || st.Fault != "" {
			t.Errorf("%+v", st)
		}
		s.far.cut(false)
		s.wait(10 * time.Minute)
		lost := 0
		for n, times := range s.counts() {
			if times == 0 {
				lost++
				if n > 5000-maxItems/2 {
					t.Fatalf("uplink %d is lost", n)
				}
			}
		}
		if uint64(lost) > st.Lost {
			t.Errorf("%d are lost, %d were counted", lost, st.Lost)
		}
		s.stop()
	})
}

// Downlinks come back; one that the other broker sends once more is taken once.
func TestDownlinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		push := client.Received{Topic: "site1/v3/app1/devices/dev1/down/push", Payload: []byte(`{"downlinks":[]}`), ID: 7}
		s.far.down = []client.Received{push}
		s.start()
		s.wait(time.Second)
		if want := []string{`app1/dev1 false {"downlinks":[]}`}; !slices.Equal(s.pushes, want) || s.far.down != nil {
			t.Fatalf("%q", s.pushes)
		}
		if want := []string{"site1/v3/app1/devices/+/down/push", "site1/v3/app1/devices/+/down/replace"}; !slices.Equal(
			s.far.subs, want) {
			t.Errorf("%q", s.far.subs)
		}
		again := push
		again.Again = true
		next := client.Received{Topic: "site1/v3/app1/devices/dev1/down/replace", Payload: []byte(`{}`), ID: 8, Again: true}
		foreign := client.Received{Topic: "site1/v3/app2/devices/dev1/down/push", Payload: []byte(`{}`), ID: 9}
		for _, m := range []client.Received{again, next, foreign} {
			s.far.set(func() { s.far.down = []client.Received{m} })
			s.far.cut(false)
			s.wait(time.Minute)
			if s.far.down != nil {
				t.Errorf("%+v is not acknowledged", m)
			}
		}
		if len(s.pushes) != 2 || s.pushes[1] != "app1/dev1 true {}" {
			t.Errorf("%q", s.pushes)
		}
		s.stop()
	})
}

// A downlink that cannot be stored is not acknowledged, and comes again.
func TestDownlinkNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		var works atomic.Bool
		var tried atomic.Int64
		s.o.Push = pushing(func() error {
			if tried.Add(1); !works.Load() {
				return errors.New("the disk is full")
			}
			return nil
		})
		s.far.down = []client.Received{{Topic: "site1/v3/app1/devices/dev1/down/push", ID: 3}}
		s.start()
		s.wait(10 * time.Second)
		if tried.Load() < 2 || s.far.down == nil {
			t.Errorf("tried %d times", tried.Load())
		}
		works.Store(true)
		s.wait(time.Minute)
		if s.far.down != nil {
			t.Error("it is not acknowledged")
		}
		s.stop()
	})
}

// What the other broker will never take does not block what comes behind it; what it
// does not take now is kept.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		code    byte
		refused uint64
	}{{0x99, 3}, {0x87, 0}, {0x97, 0}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.o.Client.Birth = nil
			s.far.code = tt.code
			s.start()
			s.wait(time.Second)
			for range 3 {
				s.up()
			}
			s.wait(10 * time.Minute)
			st := s.Status()
			if st.Refused != tt.refused || st.Journal.Messages+int64(st.Waiting) != int64(3-tt.refused) {
				t.Errorf("reason 0x%02x: %+v", tt.code, st)
			}
			s.far.set(func() { s.far.code = 0; s.far.got = nil })
			s.wait(5 * time.Minute)
			if got := len(s.far.arrivals()); got != int(3-tt.refused) {
				t.Errorf("reason 0x%02x: %d arrive later", tt.code, got)
			}
			s.stop()
		})
	}
}

// The journal is bounded in an outage that is too long; the newest stay.
func TestTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		s.o.Journal = journal.Options{Bytes: journal.MinBytes, Age: 3 * time.Hour}
		s.far.off = true
		s.start()
		for range 24 * 60 {
			s.up()
			s.wait(time.Minute)
		}
		st := s.Status()
		if st.Journal.Lost == 0 || st.Journal.Messages+st.Journal.Lost+int64(st.Waiting) != int64(s.sent) {
			t.Errorf("%+v", st)
		}
		s.far.cut(false)
		s.wait(time.Hour)
		got := s.counts()
		first := slices.Index(got, 1)
		if kept := s.sent - first; kept < 180 || kept > 24*60-180 || slices.Contains(got[first:], 0) ||
			slices.Max(got) > 1 {
			t.Errorf("%d of the newest have arrived", s.sent-first)
		}
		s.stop()
	})
}

// A network that takes nothing and a disk that hangs do not hold up the end.
func TestStopInTime(t *testing.T) {
	for _, hang := range []string{"network", "disk"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.start()
			s.wait(time.Second)
			release := make(chan struct{})
			if hang == "network" {
				s.far.set(func() { s.far.delay = time.Hour })
			} else {
				s.disk.Fail(func(string, string) error { <-release; return nil })
				s.far.cut(true)
			}
			for range 40 {
				s.up()
			}
			s.wait(20 * time.Second)
			began := time.Now()
			s.stop()
			if took := time.Since(began) - time.Second; took > 4*time.Second {
				t.Errorf("%s: it takes %v", hang, took)
			}
			close(release)
			s.wait(2 * time.Hour)
			if st := s.Status(); st.Waiting != 0 || st.Journal.Messages+int64(st.Live) < 40 {
				t.Errorf("%s: %+v", hang, st)
			}
		})
	}
}
