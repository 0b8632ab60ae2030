package forward

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

var (
	gwA = radio.EUI64{0xa, 7: 1}
	gwB = radio.EUI64{0xb, 7: 2}
)

// far is the far end of a socket: a server that keeps what it gets and answers as one does.
type far struct {
	net.Conn
	mu    sync.Mutex
	got   []gwmp.Packet
	quiet bool // it answers nothing
	slow  time.Duration
	twice bool // each answer
}

// stand are the links in the fake time of a synctest bubble. Its sockets are pipes.
type stand struct {
	*testing.T
	*links.Links
	mu      sync.Mutex
	far     []*far // in the order in which they were opened
	noName  bool   // names are not resolved
	mute    bool   // sockets that are opened now have no answer
	slow    time.Duration
	twice   bool
	dialled int
	asked   []foreign.Request
	reply   []func(foreign.Result)
	changes []string
	cancel  func()
	done    chan struct{}
}

// newStand starts a Forwarder to servers.
func newStand(t *testing.T, servers ...Server) *stand {
	s := &stand{T: t, done: make(chan struct{})}
	f, err := New(Options{
		Servers: servers, dial: s.dial,
		Ask: func(r foreign.Request, reply func(foreign.Result)) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked, s.reply = append(s.asked, r), append(s.reply, reply)
		},
		Changed: func(server string, g radio.EUI64, fault error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			text := "answers"
			if fault != nil {
				text = fault.Error()
			}
			s.changes = append(s.changes, server+" "+text)
		},
		Calendar: func() radio.WallTime { return radio.WallTime{Time: time.Now(), Quality: radio.TimeNTP} },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Links = f
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return s
}

// end stops the Forwarder. In a bubble it fails where a goroutine is left.
func (s *stand) end() {
	s.cancel()
	<-s.done
}

func (s *stand) dial(_ context.Context, address string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialled++
	if s.noName {
		return nil, errors.New("no such host: " + address)
	}
	near, end := net.Pipe()
	o := &far{Conn: end, quiet: s.mute, slow: s.slow, twice: s.twice}
	s.far = append(s.far, o)
	go o.serve()
	return near, nil
}

func (o *far) serve() {
	buf := make([]byte, gwmp.MaxSize)
	for {
		n, err := o.Read(buf)
		if err != nil {
			return
		}
		p, err := gwmp.ParsePacket(slices.Clone(buf[:n]))
		if err != nil {
			panic(err)
		}
		o.mu.Lock()
		o.got = append(o.got, p)
		quiet := o.quiet
		o.mu.Unlock()
		answer := map[gwmp.Type]gwmp.Type{gwmp.PushData: gwmp.PushAck, gwmp.PullData: gwmp.PullAck}[p.Type]
		if answer != 0 && !quiet {
			// A pipe has no buffer: both ends may be about to write.
			go func() {
				time.Sleep(o.slow)
				for range map[bool]int{false: 1, true: 2}[o.twice] {
					_, _ = o.Write(gwmp.Packet{Version: p.Version, Token: p.Token, Type: answer}.Append(nil))
				}
			}()
		}
	}
}

// setQuiet has the server answer no more, or again.
func (o *far) setQuiet(quiet bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.quiet = quiet
}

// take returns what of a kind the server has got since the last call.
func (o *far) take(t gwmp.Type) (out []gwmp.Packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = slices.DeleteFunc(o.got, func(p gwmp.Packet) bool {
		if p.Type == t {
			out = append(out, p)
		}
		return p.Type == t
	})
	return out
}

// acks returns the tokens and bodies of the TX_ACKs that the server has got since the last call.
func (o *far) acks() (out []string) {
	for _, p := range o.take(gwmp.TxAck) {
		out = append(out, string(rune('a'+p.Token))+" "+strings.TrimSuffix(strings.TrimPrefix(string(p.Body), `{"txpk_ack":`), "}"))
	}
	return out
}

// want asks a gateway to send, by a PULL_RESP with a token.
func (s *stand) want(o *far, token uint16, change ...func(*radio.Downlink)) {
	s.Helper()
	d := radio.Downlink{
		PHYPayload: []byte{0x60, 1, 2, 3}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), Power: 1400,
		Time: 5_000_000,
	}
	for _, f := range change {
		f(&d)
	}
	p := gwmp.Packet{Version: gwmp.Version2, Token: token, Type: gwmp.PullResp, Body: gwmp.AppendTx(nil, &d)}
	if _, err := o.Write(p.Append(nil)); err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

// one returns the only downlink that the core was asked for since the last call.
func (s *stand) one() (foreign.Request, func(foreign.Result)) {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) != 1 {
		s.Fatalf("the core is asked for %d downlinks", len(s.asked))
	}
	r, reply := s.asked[0], s.reply[0]
	s.asked, s.reply = nil, nil
	return r, func(r foreign.Result) { reply(r); synctest.Wait() }
}

// opened returns the far end of a socket.
func (s *stand) opened(i int) *far {
	s.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.far) {
		s.Fatalf("%d sockets were opened", len(s.far))
	}
	return s.far[i]
}

// hear has a gateway hear a data frame of a DevAddr that ends with a byte.
func (s *stand) hear(g radio.EUI64, addr byte, own bool) {
	s.Uplink(radio.Uplink{
		Gateway: g, PHYPayload: append([]byte{0x40, addr, 2, 1, 0x26}, make([]byte, 7)...), Frequency: 868_300_000,
		DataRate: radio.LoRaDataRate(9, 125_000), CodingRate: radio.CodingRate45, Time: 1<<32 + 7,
		Receptions: []radio.Reception{{Channel: 1, RSSI: -9100, SNR: 525}},
	}, own)
	synctest.Wait()
}

func (s *stand) state(i int) links.State {
	s.Helper()
	all := s.States()
	if i >= len(all) {
		s.Fatalf("%d servers", len(all))
	}
	return all[i]
}
