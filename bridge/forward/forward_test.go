package forward

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

func prefix(t *testing.T, text string) (p radio.DevAddrPrefix) {
	t.Helper()
	if err := p.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return p
}

// Each server gets what is for it, of each gateway by a socket of its own, as a forwarder sends it.
func TestFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"},
			Server{
				Address:   "two:1700",
				Selection: foreign.Selection{Own: true, DevAddrs: []radio.DevAddrPrefix{prefix(t, "26010201")}},
			})
		defer s.end()
		s.hear(gwA, 1, false) // it is not connected yet
		s.Gateway(gwA, true, nil)
		one, two := s.opened(0), s.opened(1)
		if !strings.HasPrefix(s.state(0).Address, "one") || one.take(gwmp.PullData)[0].EUI != gwA {
			one, two = two, one
		}
		s.hear(gwA, 1, false)
		s.hear(gwA, 2, false)
		s.hear(gwA, 1, true)
		s.hear(gwB, 1, false) // it is not connected
		const frame = `{"rxpk":[{"tmst":7,"freq":868.3,"rfch":0,"stat":1,"modu":"LORA","datr":"SF9BW125","codr":"4/5",` +
			`"size":12,"chan":1,"rssi":-91,"lsnr":5.25,"foff":0,"data":"QA`
		got := [][]gwmp.Packet{one.take(gwmp.PushData), two.take(gwmp.PushData)}
		for _, pushes := range got {
			for _, p := range pushes {
				if p.EUI != gwA || p.Version != gwmp.Version2 || !strings.HasPrefix(string(p.Body), frame) {
					t.Errorf("%+v: %s", p, p.Body)
				}
			}
		}
		if len(got[0]) != 2 || len(got[1]) != 2 {
			t.Errorf("the servers get %d and %d frames, want 2 and 2", len(got[0]), len(got[1]))
		}
		for i := range 2 {
			want := links.Counts{Heard: 3, Forwarded: 2, Acknowledged: 2}
			if st := s.state(i); st.Counts != want || st.Gateways != 1 || st.Answered != 1 {
				t.Errorf("server %d: %+v", i, st)
			}
		}
		s.Gateway(gwB, true, nil)
		synctest.Wait()
		s.hear(gwB, 9, false)
		third, fourth := s.opened(2), s.opened(3)
		if n := len(third.take(gwmp.PushData)) + len(fourth.take(gwmp.PushData)); n != 1 {
			t.Errorf("%d frames of the other gateway", n)
		}
		s.Gateway(gwA, false, nil)
		synctest.Wait()
		s.hear(gwA, 1, false)
		if st := s.state(0); st.Gateways != 1 || st.Forwarded != 3 || len(one.take(gwmp.PushData)) != 0 {
			t.Errorf("a gateway that is gone: %+v", st)
		}
	})
}

// The way down stays open, and the statuses tell what has happened since the last one.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.Gateway(gwA, true, &radio.Place{Latitude: 52.3731, Longitude: -4.8925, Altitude: 12})
		o := s.opened(0)
		for range 3 {
			s.hear(gwA, 1, false)
		}
		s.hear(gwA, 1, true)
		o.take(gwmp.PushData)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if n := len(o.take(gwmp.PullData)); n != 4 {
			t.Errorf("%d PULL_DATA in 31 s", n)
		}
		stats := o.take(gwmp.PushData)
		want := `{"stat":{"time":"2000-01-01 00:00:30 GMT","lati":52.37310,"long":-4.89250,"alti":12,"rxnb":4,"rxok":4,"rxfw":3,` +
			`"ackr":100,"dwnb":0,"txnb":0}}`
		if len(stats) != 1 || string(stats[0].Body) != want {
			t.Fatalf("%d statuses, the first %s\nwant %s", len(stats), stats[0].Body, want)
		}
		if p, err := gwmp.ParsePush(stats[0].Body); err != nil || p.Lost != 0 || p.Stat == nil || p.Stat.Forwarded != 3 {
			t.Errorf("it is read as %+v, %v", p, err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if stats = o.take(gwmp.PushData); !strings.Contains(string(stats[0].Body), `"rxnb":0,"rxok":0,"rxfw":0,"ackr":0`) {
			t.Errorf("%s", stats[0].Body)
		}
		if !slices.Equal(s.changes, []string{"one:1700 answers"}) {
			t.Errorf("people are told %q", s.changes)
		}
	})
}

// A name that is not resolved, a server that falls silent, and one that comes back at another address.
func TestServerComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.noName = true
		s.Gateway(gwA, true, nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		s.hear(gwA, 1, false)
		if n := s.dialled; n < 10 || n > 15 {
			t.Errorf("the name is asked for %d times in 10 min", n)
		}
		if st := s.state(0); st.Lost != 1 || st.Answered != 0 || st.Silence != 10*time.Minute ||
			!strings.Contains(st.Fault, "no such host") {
			t.Errorf("without a name: %+v", st)
		}
		s.mu.Lock()
		s.noName = false
		s.mu.Unlock()
		time.Sleep(time.Minute)
		o := s.opened(0)
		s.hear(gwA, 1, false)
		if len(o.take(gwmp.PushData)) == 0 || s.state(0).Answered != 1 {
			t.Errorf("the name is resolved again: %+v", s.state(0))
		}
		o.setQuiet(true)
		time.Sleep(41 * time.Second)
		if o = s.opened(1); s.state(0).Answered != 1 {
			t.Errorf("the server has another address: %+v", s.state(0))
		}
		s.mu.Lock()
		s.mute = true
		s.mu.Unlock()
		o.setQuiet(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if st := s.state(0); st.Answered != 0 || st.Silence < 59*time.Minute || st.Fault != errSilent.Error() {
			t.Errorf("the server is silent: %+v", st)
		}
		if want := []string{
			"one:1700 no such host: one:1700", "one:1700 answers", "one:1700 " + errSilent.Error(), "one:1700 answers",
			"one:1700 " + errSilent.Error(),
		}; !slices.Equal(s.changes, want) {
			t.Errorf("people are told\n%q, want\n%q", s.changes, want)
		}
	})
}

// When the counter of a gateway begins anew, what the server has planned by the old one comes nowhere,
// and neither does what becomes of it.
func TestCounterBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.Gateway(gwA, true, nil)
		first := s.opened(0)
		s.want(first, 1)
		_, reply := s.one()
		s.Gateway(gwA, true, nil)
		second := s.opened(1)
		if _, err := first.Write([]byte{2}); err == nil {
			t.Error("the old socket is open")
		}
		reply(foreign.Result{Answer: radio.TxTooLate})
		if acks := append(first.acks(), second.acks()...); len(acks) != 0 {
			t.Errorf("the server is told %q", acks)
		}
		s.want(second, 1)
		_, reply = s.one()
		reply(foreign.Result{Answer: radio.TxTooLate})
		if acks := second.acks(); !slices.Equal(acks, []string{`b {"error":"TOO_LATE"}`}) {
			t.Errorf("the server is told %q", acks)
		}
	})
}

// A flood of frames costs bounded memory, and nobody waits for a server that does not read.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		for n := range 100 {
			s.Gateway(radio.EUI64{7: byte(n)}, true, nil)
		}
		synctest.Wait()
		if st := s.state(0); st.Gateways != links.Max || s.dialled != links.Max {
			t.Fatalf("%d gateways, %d sockets", st.Gateways, s.dialled)
		}
		up := radio.Uplink{PHYPayload: append([]byte{0x40}, make([]byte, 11)...)}
		for range 10_000 {
			s.Uplink(up, false)
		}
		synctest.Wait()
		st := s.state(0)
		if st.Heard != 10_000 || st.Forwarded+st.Lost != 10_000 || st.Forwarded < links.QueueSize {
			t.Errorf("%+v", st.Counts)
		}
	})
}

// When a server begins to answer a gateway, the others that wait for its name need not wait any longer.
func TestOthersTryToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, Server{Address: "one:1700"})
		defer s.end()
		s.noName = true
		s.Gateway(gwA, true, nil)
		time.Sleep(30 * time.Second) // so their pauses of a minute end 30 s apart
		s.Gateway(gwB, true, nil)
		time.Sleep(10 * time.Minute)
		s.mu.Lock()
		s.noName = false
		before := s.dialled
		s.mu.Unlock()
		for begin := time.Now(); s.state(0).Answered == 0 && time.Since(begin) < time.Hour; {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if st := s.state(0); st.Answered != 2 || s.dialled != before+2 {
			t.Errorf("%d dials: %+v", s.dialled-before, st)
		}
	})
}
