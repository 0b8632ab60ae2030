package forward

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// frame has a gateway hear a frame with a counter.
func (s *stand) frame(g radio.EUI64, n int) {
	s.Uplink(radio.Uplink{
		Gateway: g, PHYPayload: append([]byte{0x40, 1, 2, 1, 0x26, 0, byte(n), byte(n >> 8)}, make([]byte, 5)...),
		Frequency: 868_300_000, DataRate: radio.LoRaDataRate(9, 125_000), CodingRate: radio.CodingRate45, Time: 1<<32 + 7,
		Receptions: []radio.Reception{{RSSI: -9100}},
	}, true)
}

// came returns how often each of n frames has come, over all sockets.
func (s *stand) came(n int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]int, n)
	for _, o := range s.far {
		o.mu.Lock()
		for _, p := range o.got {
			if p.Type != gwmp.PushData {
				continue
			}
			push, _ := gwmp.ParsePush(p.Body)
			for _, up := range push.Uplinks {
				out[int(up.PHYPayload[6])|int(up.PHYPayload[7])<<8]++
			}
		}
		o.mu.Unlock()
	}
	return out
}

// Whatever the network does, to a server by UDP or to a central by a connection: no frame comes twice, each is counted
// as handed on or as lost, and a minute after the network is good again all come.
func TestNetworkFaults(t *testing.T) {
	for _, stream := range []bool{false, true} {
		for _, tt := range []struct {
			name  string
			setup func(*stand)
			bad   func(s *stand, r *rand.Rand) time.Duration // makes it so, for so long
			good  func(*stand)
			times int
			all   bool // no frame is lost at all
		}{
			{
				name: "two days", times: 1, good: func(s *stand) { s.noName = false },
				bad: func(s *stand, _ *rand.Rand) time.Duration { s.noName = true; s.close(); return 48 * time.Hour },
			},
			{
				name: "half-open", times: 5, good: func(s *stand) { s.mute = false },
				bad: func(s *stand, r *rand.Rand) time.Duration {
					s.mute = true
					for _, o := range s.far {
						o.setQuiet(true)
					}
					return time.Duration(r.IntN(600)) * time.Second
				},
			},
			{
				name: "flapping", times: 200, good: func(s *stand) { s.noName = false },
				bad: func(s *stand, r *rand.Rand) time.Duration {
					s.noName = r.IntN(2) == 0
					s.close()
					return time.Duration(r.IntN(20_000)) * time.Millisecond
				},
			},
			{name: "slow", all: true, setup: func(s *stand) { s.slow = 3 * time.Second }},
			{name: "duplicate answers", all: true, setup: func(s *stand) { s.twice = true }},
		} {
			t.Run(map[bool]string{false: "UDP ", true: "connection "}[stream]+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var s *stand
					server := Server{Address: "one:1700", Selection: foreign.Selection{Own: true}}
					if stream {
						server.Trusted, server.KeepAlive = true, 5*time.Second
						server.Dial = func(ctx context.Context, _ radio.EUI64) (net.Conn, error) {
							conn, err := s.dial(ctx, "one:1700")
							if err != nil {
								return nil, errors.Join(io.EOF, err)
							}
							return conn, nil
						}
					}
					s = newStand(t, server)
					defer func() { s.end(); time.Sleep(10 * time.Second) }() // for answers that are on their way
					if tt.setup != nil {
						tt.setup(s)
					}
					testNetworkFault(s, tt.times, tt.bad, tt.good, tt.all)
				})
			})
		}
	}
}

// close ends all sockets. mu is held.
func (s *stand) close() {
	for _, o := range s.far {
		_ = o.Close()
	}
}

func testNetworkFault(s *stand, times int, bad func(*stand, *rand.Rand) time.Duration, good func(*stand), all bool) {
	r := rand.New(rand.NewPCG(1, 2))
	s.Gateway(gwA, true, nil)
	time.Sleep(time.Second)
	n := 0
	send := func(frames int, each time.Duration) {
		for range frames {
			s.frame(gwA, n)
			n++
			time.Sleep(each)
		}
	}
	send(20, time.Second)
	for range times {
		s.mu.Lock()
		length := bad(s, r)
		s.mu.Unlock()
		for begin := time.Now(); time.Since(begin) < length; {
			send(1, max(length/50, time.Second))
		}
		s.mu.Lock()
		good(s)
		s.mu.Unlock()
		send(1, time.Second)
	}
	time.Sleep(time.Minute)
	before := n
	send(20, time.Second)
	time.Sleep(time.Minute)
	synctest.Wait()
	for i, times := range s.came(n) {
		if times > 1 || times == 0 && (all || i >= before) {
			s.Errorf("frame %d of %d comes %d times", i, n, times)
		}
	}
	st := s.state(0)
	if st.Heard != uint64(n) || st.Forwarded+st.Lost != uint64(n) || st.Acknowledged > st.Forwarded || st.Answered != 1 ||
		st.Gateways != 1 || all && st.Acknowledged != uint64(n) {
		s.Errorf("%d frames: %+v", n, st)
	}
}
