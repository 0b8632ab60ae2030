package backfill

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/store/storetest"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/v3"
)

// While the server answers nothing is posted, and nothing is written.
func TestQuiet(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		for range 200 {
			s.up()
			s.wait(7 * time.Second)
		}
		s.wait(time.Minute)
		s.check(0)
		if s.far.dials != 0 || s.disk.Ops() != 0 || s.Status().Missed != 0 {
			s.Errorf("%d connections, %d operations of the disk, %+v", s.far.dials, s.disk.Ops(), s.Status())
		}
	})
}

// An outage of two days loses nothing and repeats nothing. Messages have their received_at.
func TestTwoDays(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		for range 5 {
			s.up()
			s.wait(time.Minute)
		}
		s.far.cut(true)
		began := time.Now()
		for time.Since(began) < 2*24*time.Hour {
			s.up()
			s.wait(2 * time.Minute)
		}
		missed := s.sent - 5
		st := s.Status()
		if int(st.Missed) < missed-1 || st.Posted != 0 || !strings.Contains(st.Error, errNoRoute.Error()) {
			s.Errorf("%d of the outage: %+v", missed, st)
		}
		s.far.cut(false)
		back := time.Now()
		for range 30 {
			s.up()
			s.wait(time.Minute)
		}
		s.check(0)
		posts := s.far.posts()
		if len(posts) != missed || posts[0].at.Sub(back) > 40*time.Second {
			s.Errorf("%d posts for %d, the first after %v", len(posts), missed, posts[0].at.Sub(back))
		}
		if s.far.gets < 1 || s.far.gets > 3 {
			s.Errorf("the device is asked for %d times", s.far.gets)
		}
		for i, p := range posts {
			at, err := time.Parse(time.RFC3339Nano, p.receivedAt)
			due := began.Add(time.Duration(i) * (2*time.Minute + 200*time.Millisecond))
			if err != nil || at.Sub(due).Abs() > time.Second {
				s.Fatalf("uplink %d has received_at %s, want %v", p.fCnt, p.receivedAt, due)
			}
			if i > 5 && p.at.Sub(posts[i-5].at) < time.Second {
				s.Fatal("more than 5 a second")
			}
		}
	})
}

// Whatever the network does, every message arrives, and one comes again only where the answer to a post
// was lost.
func TestNetworkFaults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		twice   bool                       // each datagram comes twice
		trouble func(r *rand.Rand) trouble // of a post
		each    func(s *stand, r *rand.Rand)
		// unanswered says that answers to posts are lost, and again that the server took those posts.
		unanswered, again bool
	}{
		{name: "slow", trouble: func(*rand.Rand) trouble { return trouble{slow: 3 * time.Second} }},
		{
			name: "cut in the middle of a post", unanswered: true,
			trouble: func(r *rand.Rand) trouble { return trouble{half: r.IntN(3) == 0} },
		},
		{
			name: "answer lost", unanswered: true, again: true,
			trouble: func(r *rand.Rand) trouble { return trouble{lost: r.IntN(3) == 0} },
		},
		{
			name: "half-open", unanswered: true, again: true,
			trouble: func(r *rand.Rand) trouble { return trouble{hang: r.IntN(5) == 0} },
		},
		{
			name: "duplicate answers", twice: true,
			trouble: func(r *rand.Rand) trouble { return trouble{twice: r.IntN(3) == 0} },
		},
		{
			name: "500 and 503", trouble: func(r *rand.Rand) trouble {
				return trouble{status: []int{0, 0, 500, 503}[r.IntN(4)], content: emptyBody}
			},
		},
		{
			name: "429", trouble: func(r *rand.Rand) trouble {
				if r.IntN(4) > 0 {
					return trouble{}
				}
				return trouble{status: 429, content: emptyBody, header: "Retry-After: 20\r\n"}
			},
		},
		{
			name: "flapping", again: true, each: func(s *stand, r *rand.Rand) {
				s.far.cut(r.IntN(2) == 0)
				s.wait(rand.N(70 * time.Second))
				s.far.cut(false)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inTime(t, func(s *stand) {
				s.far.twice = tt.twice
				testFaults(s, tt.trouble, tt.each, tt.unanswered, tt.again)
			})
		})
	}
}

func testFaults(s *stand, of func(*rand.Rand) trouble, each func(*stand, *rand.Rand), unanswered, again bool) {
	r, theirs := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
	if of != nil {
		s.far.trouble = func(req *http.Request) trouble {
			if req.Method != http.MethodPost {
				return trouble{}
			}
			return of(theirs)
		}
	}
	s.start()
	for range 12 {
		for range 10 {
			s.up()
			s.wait(time.Duration(5+r.IntN(10)) * time.Second)
		}
		if each != nil {
			each(s, r)
			continue
		}
		s.far.cut(true)
		for range 10 {
			s.up()
			s.wait(time.Duration(10+r.IntN(10)) * time.Second)
		}
		s.far.cut(false)
	}
	s.wait(8 * time.Hour)
	most := 0
	if again {
		most = int(s.Status().Unanswered)
	}
	if each != nil {
		s.checkFlapping(most)
	} else {
		s.check(most)
	}
	if unanswered != (s.Status().Unanswered > 0) && each == nil {
		s.Errorf("%d without an answer", s.Status().Unanswered)
	}
}

// checkFlapping is check, but for frames that were lost on a way that was not off for as long as an outage.
func (s *stand) checkFlapping(again int) {
	s.Helper()
	more, lost := 0, 0
	for _, times := range s.counts() {
		more += max(times-1, 0)
		if times == 0 {
			lost++
		}
	}
	// No frame is sent while the way is off: it is off between the rounds.
	if more > again || lost > 0 {
		s.Errorf("%d came once more, at most %d may; %d are lost", more, again, lost)
	}
	s.checkEmpty()
}

// What is not of the frames of an outage is never posted: above all not what came by a simulation.
func TestNotPosted(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.far.cut(true)
		simulated := func(text string) []byte { return []byte(strings.TrimSuffix(text, "}") + `,"simulated":true}`) }
		for range 10 {
			s.up()
			last := string(upPayload(s.sent-1, "dev1", time.Now()))
			other := []byte(strings.ReplaceAll(last, "00BB0001", "01BB0001"))
			for _, m := range []v3.Message{
				{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: simulated(last)},
				{Application: "app2", Device: "dev1", Suffix: v3.Up, Payload: []byte(last)},
				{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte(last), Again: true},
				{Application: "app1", Device: "dev1", Suffix: v3.DownSent, Payload: []byte(`{"downlink_sent":{}}`)},
				{Application: "app1", Device: "dev1", Suffix: v3.Join, Payload: []byte(`{"join_accept":{}}`)},
				{Application: "app1", Device: "dev2", Suffix: v3.Up, Payload: other},
				{Suffix: "lorawand/status", Payload: []byte(`{}`)},
			} {
				s.Publish(m)
			}
			s.wait(20 * time.Second)
		}
		s.wait(time.Minute)
		s.far.cut(false)
		s.wait(time.Hour)
		s.check(0)
	})
}

// The place of a device goes the way of its uplink.
func TestLocation(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		place := v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Solved, Payload: []byte(`{"location_solved":{}}`)}
		s.up()
		s.Publish(place)
		s.wait(time.Minute)
		s.far.cut(true)
		s.up()
		s.Publish(place)
		s.wait(time.Minute)
		s.far.cut(false)
		s.wait(10 * time.Minute)
		posts := s.far.posts()
		if len(posts) != 2 || posts[0].topic != "app1/dev1 up" || posts[1].topic != "app1/dev1 location/solved" {
			s.Errorf("%+v", posts)
		}
	})
}

// A restart, before, in and after an outage, loses nothing and repeats nothing.
func TestRestart(t *testing.T) {
	inTime(t, func(s *stand) {
		for round := range 20 {
			s.start()
			for i := range 6 {
				s.far.cut(round%4 >= 2)
				s.up()
				s.wait(time.Duration(4+i) * time.Second)
			}
			s.wait(6 * time.Second)
			s.stop()
		}
		s.far.cut(false)
		s.start()
		s.wait(time.Hour)
		s.check(0)
	})
}

// After a power cut in an outage what is older than the commit interval and an outage's begin is there.
func TestPowerCut(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.far.cut(true)
		for range 200 {
			s.up()
			s.wait(time.Second)
		}
		never := func() bool { return false }
		after := s.disk.After(s.disk.Ops(), storetest.Cut{Name: never, Data: never})
		s.stop()
		s.disk = after
		s.far.cut(false)
		s.start()
		s.wait(time.Hour)
		got := s.counts()
		missing := 0
		for n, times := range got {
			if times == 0 && missing == 0 {
				missing = n
			}
			if times > 1 {
				s.Errorf("uplink %d arrives %d times", n, times)
			}
		}
		// 15 s for the commit, 30 s for the device to send the frame again, and 1.2 s for each.
		if missing < 200-40 {
			s.Errorf("the first that is missing is %d of 200", missing)
		}
	})
}

// While the journal cannot be written memory is bounded, and what is lost is counted.
func TestUnwritable(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.disk.SetReadOnly(true)
		s.outage(3000, time.Second)
		st := s.Status()
		if st.Waiting > maxItems || st.Lost+uint64(st.Waiting) != 3000 || st.Fault == "" {
			s.Errorf("%+v", st)
		}
		s.disk.SetReadOnly(false)
		s.wait(time.Minute)
		if st := s.Status(); st.Waiting != 0 || st.Fault != "" {
			s.Errorf("%+v", st)
		}
		s.far.cut(false)
		s.wait(time.Hour)
		if got := uint64(len(s.far.posts())); got != 3000-st.Lost {
			s.Errorf("%d are posted, %d were lost", got, st.Lost)
		}
	})
}

// The journal is bounded in an outage that is too long; the newest stay.
func TestTooLong(t *testing.T) {
	inTime(t, func(s *stand) {
		s.o.Journal = journal.Options{Bytes: journal.MinBytes, Age: 3 * time.Hour}
		s.start()
		s.outage(24*60, time.Minute)
		st := s.Status()
		if st.Journal.Lost == 0 || st.Journal.Bytes > journal.MinBytes {
			s.Errorf("%+v", st)
		}
		s.far.cut(false)
		s.wait(time.Hour)
		posts := s.far.posts()
		if n := len(posts); n < 180 || n > 24*60-180 || posts[n-1].fCnt != s.sent-1 {
			s.Errorf("%d of the newest are posted, the last is %d of %d", n, posts[n-1].fCnt, s.sent)
		}
	})
}

// A server that takes nothing and a disk that hangs do not hold up the end.
func TestStopInTime(t *testing.T) {
	for _, hang := range []string{"network", "disk"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStand(t)
			s.far.trouble = func(*http.Request) trouble { return trouble{slow: time.Hour} }
			s.start()
			s.outage(10, 10*time.Second)
			release := make(chan struct{})
			if hang == "network" {
				s.far.cut(false)
				s.wait(time.Minute)
			} else {
				s.disk.Fail(func(string, string) error { <-release; return nil })
				s.up()
			}
			began := time.Now()
			s.stop()
			if took := time.Since(began) - time.Second; took > 3*time.Second {
				t.Errorf("%s: it takes %v", hang, took)
			}
			close(release)
			s.wait(2 * time.Hour)
		})
	}
}

// A key that cannot be read is a fault as any other.
func TestNoKey(t *testing.T) {
	inTime(t, func(s *stand) {
		missing := errors.New("no such file")
		var found atomic.Bool
		s.o.Key = func() (string, error) {
			if found.Load() {
				return "NNSXS.KEY", nil
			}
			return "", missing
		}
		s.start()
		s.far.cut(true)
		s.up()
		s.wait(time.Minute)
		s.far.cut(false)
		s.wait(time.Minute)
		s.far.set(func() {
			if st := s.Status(); st.Error != missing.Error() || s.far.dials != 0 {
				s.Errorf("%+v, %d connections", st, s.far.dials)
			}
		})
		found.Store(true)
		s.wait(10 * time.Minute)
		s.check(0)
	})
}

// The stated exception: while the server hears the frames and its answers come nowhere, all that it hears
// counts as missed.
func TestAnswersOnlyLost(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.far.set(func() { s.far.mute = true })
		for range 10 {
			s.up()
			s.wait(20 * time.Second)
		}
		s.far.set(func() { s.far.mute = false })
		s.wait(time.Hour)
		s.check(10)
		if n := len(s.far.posts()); n < 9 {
			s.Errorf("%d are posted", n)
		}
	})
}

// A flood of frames that name devices of ours takes no more memory than the bounds.
func TestFlood(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.far.cut(true)
		for n := range 20_000 {
			s.Handed([]byte{0x40, 1, 0, 0xbb, 0, 0, byte(n), byte(n >> 8), 1, 2, 3, 4})
		}
		s.Handed([]byte{0x40}) // and what is no frame
		s.Acknowledged(nil)
		for n := range 5000 {
			s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: upPayload(n, "dev1", time.Now())})
		}
		s.mu.Lock()
		if w := &s.watch; len(w.frames) > maxFrames || len(w.newest) > maxFrames || len(w.ring) > maxFrames ||
			len(w.list) > maxItems || w.bytes > maxBytes {
			s.Errorf("%d and %d frames, %d messages, %d bytes", len(w.frames), len(w.ring), len(w.list), w.bytes)
		}
		s.mu.Unlock()
		s.wait(time.Minute)
	})
}
