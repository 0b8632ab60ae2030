package backfill

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/v3"
	"lorawand/radio"
)

// hear has the stand note a frame, written or not, and publishes its message 200 ms later; during is called in between.
func (s *stand) hear(written bool, during func()) {
	n := s.sent
	s.sent++
	s.Handed(phyOf(n))
	if written {
		s.Sent(phyOf(n))
	}
	if during != nil {
		during()
	}
	time.Sleep(200 * time.Millisecond)
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: upPayload(n, "dev1", time.Now())})
}

// The frame just before the first answer behind an outage was missed, though its message comes behind the answer.
func TestLastOfOutage(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.forward.Gateway(gatewayA, false, nil)
		s.forward.Gateway(gatewayB, false, nil)
		s.wait(time.Hour) // nothing is asked, and nothing answered
		s.hear(true, s.Answered)
		s.wait(5 * time.Minute)
		if n := len(s.far.posts()); n != 1 {
			s.Errorf("%d are posted", n)
		}
	})
}

// A frame that no gateway could write was missed, whatever the server answers to another gateway.
func TestNoWay(t *testing.T) {
	for _, written := range []bool{false, true} {
		inTime(t, func(s *stand) {
			s.start()
			s.Answered()
			s.hear(written, nil)
			s.Answered()
			s.wait(5 * time.Minute)
			want := 1
			if written { // a single datagram was lost
				want = 0
			}
			if n := len(s.far.posts()); n != want {
				s.Errorf("written %v: %d are posted", written, n)
			}
		})
	}
}

// A frame that the device sends once more, with success, was not missed.
func TestSentAgain(t *testing.T) {
	for _, after := range []time.Duration{3 * time.Second, 7 * time.Second, 25 * time.Second} {
		inTime(t, func(s *stand) {
			s.start()
			s.forward.Gateway(gatewayA, false, nil)
			s.forward.Gateway(gatewayB, false, nil)
			s.wait(time.Hour)
			s.hear(true, nil)
			s.wait(after)
			s.Handed(phyOf(0))
			s.Sent(phyOf(0))
			s.Acknowledged(phyOf(0))
			s.Answered()
			s.wait(10 * time.Minute)
			if st := s.Status(); len(s.far.posts()) != 0 || st.Missed != 0 {
				s.Errorf("after %v: %d are posted, %+v", after, len(s.far.posts()), st)
			}
		})
	}
}

// Devices with ABP may share a DevAddr, and send the same counter: the fate of one's frame is not that of the other's.
func TestSameCounter(t *testing.T) {
	for _, tt := range []struct {
		name        string
		written     bool // the first; else there is no way for it
		first, late bool // it is acknowledged, or that only when the second was written
		second      bool
		want        string
	}{
		{name: "the second is missed", written: true, first: true, want: "app1/dev2 up"},
		{name: "and the first is acknowledged late", written: true, late: true, want: "app1/dev2 up"},
		{name: "the first is missed", second: true, want: "app1/dev1 up"},
	} {
		inTime(t, func(s *stand) {
			s.far.devices["app1/dev2"] = ""
			s.start()
			s.forward.Gateway(gatewayA, false, nil)
			s.forward.Gateway(gatewayB, false, nil)
			s.wait(time.Hour) // nothing is asked, and nothing answered
			first, second := phyOf(7), phyOf(7)
			second[len(second)-1] = 1
			acknowledge := func(phy []byte) { s.Acknowledged(phy); s.Answered() }
			for _, f := range []struct {
				device                string
				phy                   []byte
				written, acknowledged bool
			}{{"dev1", first, tt.written, tt.first}, {"dev2", second, true, tt.second}} {
				s.Handed(f.phy)
				if f.written {
					s.Sent(f.phy)
				}
				if f.acknowledged {
					acknowledge(f.phy)
				}
				s.wait(200 * time.Millisecond)
				s.Publish(v3.Message{
					Application: "app1", Device: f.device, Suffix: v3.Up, Payload: upPayload(7, f.device, time.Now()),
				})
				s.Handed(first) // another gateway has heard it
				s.wait(4 * time.Second)
			}
			if tt.late {
				acknowledge(first)
			}
			s.wait(10 * time.Minute)
			if posts := s.far.posts(); len(posts) != 1 || posts[0].topic != tt.want {
				s.Errorf("%s: %+v, want %s", tt.name, posts, tt.want)
			}
		})
	}
}

// A stop soon after the outage has begun keeps what has no PUSH_ACK.
func TestStopAtBegin(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.far.cut(true)
		for range 3 {
			s.up()
			s.wait(800 * time.Millisecond)
		}
		s.wait(time.Second)
		s.stop()
		if st := s.Status(); st.Journal.Messages != 3 {
			s.Errorf("%+v", st)
		}
		s.far.cut(false)
		s.start()
		s.wait(5 * time.Minute)
		s.check(0)
	})
}

// A message at which the server has a fault for ever does not block those behind it for ever.
func TestPoison(t *testing.T) {
	inTime(t, func(s *stand) {
		posts := 0
		s.far.trouble = func(r *http.Request) trouble {
			if r.Method == http.MethodPost && len(s.far.got) == 1 && s.far.got[0].fCnt == 0 {
				posts++
				return answering(500, `{"code":2, "message":"error:pkg/x:y (z)"}`)
			}
			return trouble{}
		}
		s.start()
		s.outage(3, time.Minute)
		s.far.cut(false)
		s.wait(40 * time.Minute)
		if st := s.Status(); st.Posted != 1 || st.Refused != 0 {
			s.Errorf("too soon: %+v", st)
		}
		s.wait(4 * time.Hour)
		// The next one is of the same kind, as the server has published one only.
		if st := s.Status(); st.Refused < 1 || posts < mostTries {
			s.Errorf("after %d posts: %+v", posts, st)
		}
	})
}

// A journal that cannot be read to its end does not keep the sender busy, and counts what is lost once.
func TestRotten(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.outage(30, 20*time.Second)
		for name, data := range s.disk.Files() {
			if strings.HasSuffix(name, ".journal") {
				data[len(data)-1] ^= 1
				f, err := s.disk.Create(name)
				if err != nil {
					s.Fatal(err)
				}
				if _, err := f.WriteAt(data, 0); err != nil {
					s.Fatal(err)
				}
				_ = f.Close()
			}
		}
		s.far.cut(false)
		s.wait(time.Hour)
		st, dials := s.Status(), s.far.dials
		if lost := st.Journal.Lost; st.Journal.Messages != 0 || lost+int64(st.Posted) != int64(st.Missed) {
			s.Errorf("%+v", st)
		}
		s.wait(time.Hour)
		if s.far.dials != dials {
			s.Errorf("%d more connections", s.far.dials-dials)
		}
	})
}

// A server that ends the connection behind each answer gets the posts all the same, and none counts as unanswered.
func TestConnectionClose(t *testing.T) {
	inTime(t, func(s *stand) {
		s.far.closes = true
		s.start()
		s.outage(10, 20*time.Second)
		s.far.cut(false)
		s.wait(time.Hour)
		s.check(0)
		if st := s.Status(); st.Unanswered != 0 {
			s.Errorf("%+v", st)
		}
	})
}

// What a journal has of an application that is not configured any more is not posted.
func TestOtherApplication(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.outage(5, 20*time.Second)
		s.stop()
		s.o.Applications = []string{"app2"}
		s.far.cut(false)
		s.start()
		s.wait(10 * time.Minute)
		if st := s.Status(); len(s.far.posts()) != 0 || st.Elsewhere != 5 || st.Journal.Messages != 0 {
			s.Errorf("%+v", st)
		}
	})
}

// Frames of two gateways of which one has no way: the other's is enough.
func TestOneOfTwoWays(t *testing.T) {
	inTime(t, func(s *stand) {
		s.start()
		s.forward.Gateway(gatewayB, false, nil)
		s.wait(time.Second)
		for n := range 5 {
			s.up()
			s.wait(20 * time.Second)
			if s.far.heard[n] == 0 {
				s.Error(fmt.Sprint(radio.EUI64(gatewayA), " is not heard"))
			}
		}
		s.wait(time.Minute)
		s.check(0)
	})
}

// In memory the messages of one application do not drive out those of another, and those that are being written stay.
func TestMissedAreShared(t *testing.T) {
	var q missed
	add := func(application, text string, length int) {
		q.add([]item{{m: v3.Message{Application: application, Device: text, Payload: make([]byte, length)}}})
		q.shorten()
	}
	left := func(application string) (n int) {
		for _, it := range q.list {
			if it.m.Application == application {
				n++
			}
		}
		return n
	}
	add("app2", "written", 60_000)
	q.writing = 1
	for range 100 {
		add("app1", "dev1", 1000)
	}
	for range 100 {
		add("app2", "long", 60_000)
	}
	if left("app1") != 100 || left("app2") < 10 || q.list[0].m.Device != "written" {
		t.Errorf("long ones: %d and %d are left", left("app1"), left("app2"))
	}
	for range 2 * maxItems {
		add("app2", "short", 10)
	}
	if left("app1") != 100 || len(q.list) != maxItems+1 || q.list[0].m.Device != "written" {
		t.Errorf("many: %d and %d are left", left("app1"), left("app2"))
	}
}
