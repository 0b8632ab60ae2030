package links

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/radio"
)

var gwA, gwB = radio.EUI64{7: 1}, radio.EUI64{7: 2}

// worker takes a while to end, as one that takes leave.
type worker struct {
	*Link
	s *stand
}

func (w worker) Heard(*radio.Uplink, bool, bool) {
	w.Count(func(*Counts) { w.s.heard++ })
}

func (w worker) Run(ctx context.Context) {
	w.s.note(w.EUI, "begins")
	w.SetOpen(true)
	<-ctx.Done()
	w.SetOpen(false)
	time.Sleep(leaving)
	w.s.note(w.EUI, "ends")
}

const leaving, rest = 3 * time.Second, 2 * time.Second

// stand are Links to a server in the fake time of a bubble.
type stand struct {
	*testing.T
	*Links
	begun time.Time
	mu    sync.Mutex
	notes []string
	of    map[radio.EUI64]*Link
	heard int
	stop  func()
}

func newStand(t *testing.T) *stand {
	s := &stand{T: t, begun: time.Now(), of: map[radio.EUI64]*Link{}}
	s.Links = New([]Server{{
		Address: "x", Rest: rest, Selection: foreign.Selection{},
		Worker: func(l *Link) Worker { s.of[l.EUI] = l; return worker{l, s} },
	}}, func(server string, g radio.EUI64, fault error) { s.note(g, fmt.Sprint(server, " ", fault)) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Links.Run(ctx) }()
	s.stop = func() { cancel(); <-done }
	return s
}

// note keeps what happens, with the second in which it does.
func (s *stand) note(g radio.EUI64, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, fmt.Sprint(time.Since(s.begun).Seconds(), " ", g[7], " ", text))
}

func (s *stand) expect(notes ...string) {
	s.Helper()
	synctest.Wait()
	if !slices.Equal(s.notes, notes) {
		s.Errorf("%q\nwant %q", s.notes, notes)
	}
	s.notes = nil
}

// The work for a gateway that comes again begins some time after the end of that of before; if it goes meanwhile, it
// never begins. What waits when a link ends is lost, and all counts of a server stay.
func TestComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		defer s.stop()
		up := radio.Uplink{Gateway: gwA, PHYPayload: append([]byte{0x40}, make([]byte, 11)...)}
		s.Uplink(up, false) // it is not connected
		s.Gateway(gwA, true, nil)
		s.expect("0 1 begins")
		s.Gateway(gwA, true, nil)
		s.Uplink(up, false)
		s.Uplink(up, true)
		if f := <-s.of[gwA].Frames; f.Era != 1 || len(s.of[gwA].Frames) != 0 || len(s.of[gwA].Renewed) != 1 {
			t.Errorf("%+v", f)
		}
		s.Uplink(up, false)
		s.Gateway(gwA, false, nil)
		s.Gateway(gwA, true, nil)
		s.Uplink(up, false) // its link has not begun
		s.Gateway(gwA, false, nil)
		s.Gateway(gwA, true, nil)
		time.Sleep(time.Minute)
		s.expect("3 1 ends", "5 1 begins")
		if st := s.States()[0]; s.heard != 4 || st.Counts != (Counts{Heard: 4, Lost: 2}) || st.Gateways != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// The reason why a server does not answer is told once, until it answers again.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		defer s.stop()
		s.Gateway(gwA, true, nil)
		s.Gateway(gwB, true, nil)
		synctest.Wait()
		s.notes = nil
		a, fault := s.of[gwA], errors.New("away")
		time.Sleep(time.Minute)
		for _, err := range []error{fault, errors.New("off"), nil, nil, fault} {
			a.Answers(err)
			time.Sleep(time.Second)
		}
		s.expect("60 1 x away", "62 1 x <nil>", "64 1 x away")
		if st := s.States()[0]; st.Answered != 0 || st.Silence != 65*time.Second || st.Fault != "" {
			t.Errorf("%+v", st)
		}
		s.of[gwB].Answers(nil)
		if st := s.States()[0]; st.Answered != 1 || st.Silence != time.Second || st.Fault != "away" {
			t.Errorf("%+v", st)
		}
	})
}

// A server that begins to answer a gateway ends the pauses of those that it does not answer.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		defer s.stop()
		s.Gateway(gwA, true, nil)
		s.Gateway(gwB, true, nil)
		synctest.Wait()
		a, b := s.of[gwA], s.of[gwB]
		b.Answers(errors.New("away"))
		pause := func(ctx context.Context, wait, want time.Duration) {
			t.Helper()
			began := time.Now()
			if b.Pause(ctx, wait); time.Since(began) != want {
				t.Errorf("%v, want %v", time.Since(began), want)
			}
		}
		go func() { time.Sleep(10 * time.Second); a.Answers(nil) }()
		pause(t.Context(), time.Minute, 10*time.Second)
		a.Answers(nil) // it goes on answering
		pause(t.Context(), time.Minute, time.Minute)
		b.Answers(nil)
		a.Answers(errors.New("away"))
		a.Answers(nil)
		pause(t.Context(), time.Minute, time.Minute) // the server answers both
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pause(ctx, time.Minute, time.Second)
	})
}
