package broker

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/pace"
)

// futile starts a broker that refuses each push, and returns what it tells.
func futile(t *testing.T) (*bench, <-chan Refused) {
	told := make(chan Refused, 1000)
	return startWith(t, func(o *Options) {
		o.Refused = func(r Refused) { told <- r }
		o.Push = func(context.Context, Push) error { return ErrRefused }
	}), told
}

// floods has a client flood: it sends a push of QoS 2 that costs more than is earned meanwhile, and more behind it.
func (s *bench) floods(r *raw, told <-chan Refused) {
	s.Helper()
	s.futile.Spend("app1", pace.Most, time.Now().Add(time.Minute)) // nothing is earned before
	long := strings.Repeat("x", 60<<10)
	r.send(publishPacket(7, 2, pushTopic, long))
	r.send(publishPacket(8, 2, pushTopic, long))
	isTold(s.T, told, tooManyRefused)
}

// A client that is disconnected for a flood has got its answer, and the end of its connection is none that
// takes the answer away: it sends it on its next connection no more.
func TestFloodAnswered(t *testing.T) {
	for _, version := range []byte{4, 5} {
		s, told := futile(t)
		r, _ := s.again(version, "dev", s.key1)
		s.floods(r, told)
		time.Sleep(pace.FloodPause + pace.FloodPause/10) // it reads late
		r.want(packets.Pubrec)
		if version == 5 {
			r.want(packets.Disconnect)
		}
		if _, err := r.receive(patience); !errors.Is(err, io.EOF) {
			t.Errorf("MQTT level %d: %v", version, err)
		}
		r, ack := s.again(version, "dev", s.key1)
		if r.send(pubrelPacket(7)); !ack.SessionPresent {
			t.Error("its session is gone")
		}
		if pk := r.want(packets.Pubcomp); pk.ReasonCode != 0 {
			t.Errorf("PUBCOMP 0x%x", pk.ReasonCode)
		}
	}
}

// A client that has flooded holds up neither the end of the broker nor that of its key.
func TestFloodHoldsUpNobody(t *testing.T) {
	for name, ends := range map[string]func(*bench){
		"the broker stops": func(s *bench) { s.stopNow() },
		"its key is revoked": func(s *bench) {
			if n := s.Disconnect(func(access.Login) bool { return true }); n == 0 || s.session("app1/dev") != nil {
				s.Errorf("%d are gone, and its session is not", n)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, told := futile(t)
			r, _ := s.again(4, "dev", s.key1)
			s.floods(r, told)
			began := time.Now()
			if ends(s); time.Since(began) > 2*pace.FloodPause {
				t.Errorf("it takes %v", time.Since(began))
			}
		})
	}
}

// A client that is refused something now and then stays, while another one of its application floods.
func TestFloodOfAnother(t *testing.T) {
	s, told := futile(t)
	r, _ := s.again(5, "dev", s.key1)
	for range 3 {
		time.Sleep(pace.FloodPause + pace.FloodPause/10)
		s.futile.Spend("app1", pace.Most, time.Now().Add(time.Minute)) // nothing is earned before
		r.send(publishPacket(1, 1, pushTopic, ""))
		r.want(packets.Puback)
	}
	s.floods(r, told)
	r.want(packets.Pubrec)
	if pk := r.want(packets.Disconnect); pk.ReasonCode != packets.ErrMessageRateTooHigh.Code {
		t.Errorf("disconnected with 0x%x", pk.ReasonCode)
	}
}
