package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/pace"
)

// A client whose application publishes too much that is refused gets its answers, and is disconnected. What
// is taken costs nothing, and other applications go on.
func TestFloods(t *testing.T) {
	const push = "v3/app1/devices/dev1/down/push"
	const taken = 300 // pushes of 5 KiB: refused ones would have cost twice as much as an application has
	for _, tt := range []struct {
		name, topic string
		bytes       int
		answer      error
		most        int // publishes that are answered; 0: the client may go on
	}{
		{"refused pushes", push, 10, ErrRefused, pace.Most + 1},
		{"refused with a reason", push, 900, fmt.Errorf("%w: no such device", ErrRefused), pace.Most + 1},
		{"long ones", push, 60 << 10, ErrRefused, pace.Most/61 + 1},
		{"long topics", "v3/app1/devices/" + strings.Repeat("x", 60<<10) + "/down/push", 10, ErrRefused, pace.Most/61 + 1},
		{"no pushes", "v3/app2/devices/dev1/down/push", 10, nil, pace.Most + 1},
		{"pushes that are taken", push, 5 << 10, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told := make(chan Refused, 1000) // one a second of each kind
			s := startWith(t, func(o *Options) {
				o.Refused = func(r Refused) { told <- r }
				o.Push = func(context.Context, Push) error { return tt.answer }
			})
			other := s.loginAs(5, "other", "app2", s.key2)
			r, _ := s.again(5, "dev", s.key1)
			payload := strings.Repeat("x", tt.bytes)
			answered, began := 0, time.Now()
			for tt.most > 0 || answered < taken {
				r.send(publishPacket(1, 1, tt.topic, payload))
				pk, err := r.receive(patience)
				if err != nil {
					t.Fatal(err)
				}
				if pk.FixedHeader.Type == packets.Disconnect {
					if pk.ReasonCode != packets.ErrMessageRateTooHigh.Code {
						t.Errorf("disconnected with 0x%x", pk.ReasonCode)
					}
					break
				}
				answered++
			}
			most := tt.most + int(time.Since(began).Seconds()*pace.PerSecond) + 1
			if tt.most > 0 && (answered < tt.most || answered > most) {
				t.Errorf("%d publishes are answered, want %d to %d", answered, tt.most, most)
			}
			if tt.most == 0 && answered < taken {
				t.Errorf("%d publishes are answered", answered)
			}
			if tt.most > 0 {
				isTold(t, told, tooManyRefused)
			}
			other.send(publishPacket(1, 1, tt.topic, "x"))
			other.want(packets.Puback)
		})
	}
}

// isTold waits until a refusal of a publish is told.
func isTold(t *testing.T, told <-chan Refused, why string) {
	t.Helper()
	for {
		select {
		case r := <-told:
			if r.What == PublishRefused && r.Why == why && r.Client == "dev" && r.Application == "app1" {
				return
			}
		case <-time.After(patience):
			t.Fatal("nobody is told of it")
		}
	}
}

// The place of a client that has flooded stays taken for a moment, in which its id waits.
func TestFloodsPlace(t *testing.T) {
	ended := make(chan time.Time, 10)
	s := startWith(t, func(o *Options) {
		o.Push = func(context.Context, Push) error { return ErrRefused }
		o.Refused = func(r Refused) {
			if r.Why == tooManyRefused {
				ended <- time.Now()
			}
		}
	})
	r, _ := s.again(4, "dev", s.key1)
	s.futile.Spend("app1", pace.Most, time.Now().Add(time.Minute)) // nothing is earned before
	for range 10 {
		r.send(publishPacket(0, 0, "v3/app1/devices/dev1/down/push", ""))
	}
	if pk, err := r.receive(patience); err == nil {
		t.Errorf("a client of MQTT 3 gets %s", packets.PacketNames[pk.FixedHeader.Type])
	}
	s.again(4, "dev", s.key1)
	select {
	case at := <-ended:
		if took := time.Since(at); took < pace.FloodPause {
			t.Errorf("it is back after %v", took)
		}
	case <-time.After(patience):
		t.Error("nobody is told of it")
	}
}

// A client that sends without a pause is slowed down, and is disconnected when that goes on; acknowledgements of
// what it has not got are no better.
func TestHurriedClients(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes []byte // of a packet
	}{
		{"PINGREQ", []byte{packets.Pingreq << 4, 0}},
		{"PUBREL", []byte{packets.Pubrel<<4 | 2, 2, 0, 7}},
		{"PUBACK", []byte{packets.Puback << 4, 2, 0, 7}},
		{"PUBREC", []byte{packets.Pubrec << 4, 2, 0, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Limits{})
			r, _ := s.again(5, "dev", s.key1)
			r.hurries(r, tt.bytes, []byte{packets.Disconnect << 4, 0})
		})
	}
}

// A client whose SUBSCRIBE or PUBLISH is long waits before that is carried out: else it would leave meanwhile, and come
// back with the next one; or a hundred clients would send one each at once.
func TestHurriedAgain(t *testing.T) {
	filter := "v3/app1/devices/" + strings.Repeat("x", 40) + "/up"
	many := slices.Repeat([]string{filter}, 1000)
	const payload = 60 << 10
	for _, tt := range []struct {
		name    string
		send    func(r *raw)
		packets int // that one counts as
		free    int // that go without a wait
	}{
		{"SUBSCRIBE", func(r *raw) { r.subscribe(1, many...) }, 1000 * (len(filter) + 3) / 64, 1},
		{"PUBLISH", func(r *raw) {
			r.send(publishPacket(1, 1, "v3/app1/devices/dev1/down/push", strings.Repeat("x", payload)))
			r.want(packets.Puback)
		}, 64, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Limits{})
			const times = 10
			began := time.Now()
			for range times {
				tt.send(s.login("dev"))
			}
			each := time.Second / 8000 * time.Duration(tt.packets)
			if took, least := time.Since(began), time.Duration(times-tt.free)*each; took < least {
				t.Errorf("%d of them take %v, want %v at least", times, took, least)
			}
		})
	}
}

// hurries has a client write 100 000 packets without a pause, and a last one. It is to be disconnected for that; what
// it hears of it comes by r.
func (r *raw) hurries(w io.Writer, packet, last []byte) {
	r.Helper()
	many := bytes.Repeat(packet, 1000)
	began := time.Now()
	go func() { // which takes 12.5 s
		for range 100 {
			if _, err := w.Write(many); err != nil {
				return
			}
		}
		_, _ = w.Write(last)
	}()
	var heard packets.Packet
	err := error(nil)
	for ; err == nil; heard, err = r.receive(patience) {
		if heard.FixedHeader.Type == packets.Disconnect {
			break
		}
	}
	took := time.Since(began)
	ended := heard.FixedHeader.Type == packets.Disconnect && heard.ReasonCode == packets.ErrMessageRateTooHigh.Code
	deaf := err != nil && !errors.Is(err, os.ErrDeadlineExceeded) // a busy machine did not read its answers in time
	slow := took > 12*time.Second                                 // it takes fewer packets than it may
	if !ended && !deaf && !slow || (ended || deaf) && took < 5*time.Second {
		r.Errorf("after %v: %s 0x%x, %v", took, packets.PacketNames[heard.FixedHeader.Type], heard.ReasonCode, err)
	}
}
