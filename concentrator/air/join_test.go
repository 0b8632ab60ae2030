package air

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

var root = frame.RootKeys{AppKey: frame.Key{0xb6, 15: 7}}

func (b *bench) otaa(version Version) *Device {
	return b.device(DeviceOptions{
		Name: "dev1", Version: version, JoinEUI: radio.EUI64{0x70, 1}, DevEUI: radio.EUI64{0x70, 2}, RootKeys: root,
		DataRate: 5, DevNonce: 258,
	})
}

// accept builds a join-accept for a join-request that was heard.
func (b *bench) accept(up radio.Uplink, a frame.JoinAccept, keys frame.RootKeys) ([]byte, *frame.JoinRequest) {
	b.Helper()
	req, err := frame.ParseJoinRequest(up.PHYPayload)
	if err != nil || !req.CheckMIC(root.AppKey) {
		b.Fatalf("join-request %+v, %v", req, err)
	}
	phy, err := frame.BuildJoinAccept(a, keys, req)
	if err != nil {
		b.Fatal(err)
	}
	return phy, req
}

var accepted = frame.JoinAccept{
	JoinNonce: 65_536, DevAddr: addr1, RX1DROffset: 1, RX2DataRate: 3, RXDelay: 5,
	CFList: frame.CFListFrequencies([]radio.Frequency{867_100_000, 0, 867_500_000}),
}

// A device joins, and everything that it was told is in force.
func TestJoin(t *testing.T) {
	for _, window := range []int{1, 2} {
		onAir(t, func(b *bench) {
			v := b.otaa(V1_0_3)
			s, up := b.sent(v.Join)
			sf7, sf12 := radio.LoRaDataRate(7, 125_000), radio.LoRaDataRate(12, 125_000)
			if want := (Window{5 * time.Second, s.Frequency, sf7}); s.RX1 != want {
				t.Errorf("RX1 of a join %+v, want %+v", s.RX1, want)
			}
			if want := (Window{6 * time.Second, 869_525_000, sf12}); s.RX2 != want {
				t.Errorf("RX2 of a join %+v, want %+v", s.RX2, want)
			}
			phy, req := b.accept(up, accepted, root)
			if req.JoinEUI != (radio.EUI64{0x70, 1}) || req.DevEUI != (radio.EUI64{0x70, 2}) || req.DevNonce != s.DevNonce {
				t.Errorf("join-request %+v", req)
			}
			b.transmits(answer(up, *(&uplink{Sent: s}).window(window), phy))
			b.wants(fmt.Sprintf("RX%d 0", window), "")
			session, ok := v.Session()
			keys, err := frame.DeriveSessionKeys(accepted, root, req)
			if err != nil || !ok || session != (Session{DevAddr: addr1, Keys: keys}) {
				t.Fatalf("session %+v, %v, %v", session, ok, err)
			}

			frequencies := map[radio.Frequency]bool{}
			for range 100 {
				s, up = b.sends(v, frame.Data{HasFPort: true, FPort: 1})
				frequencies[s.Frequency] = true
			}
			if len(frequencies) != 5 || !frequencies[867_100_000] || !frequencies[867_500_000] {
				t.Errorf("sends on %v, want the channels of the band and of the CFList", frequencies)
			}
			if want := (Window{5 * time.Second, s.Frequency, radio.LoRaDataRate(8, 125_000)}); s.RX1 != want {
				t.Errorf("RX1 %+v, want %+v", s.RX1, want)
			}
			if want := (Window{6 * time.Second, 869_525_000, radio.LoRaDataRate(9, 125_000)}); s.RX2 != want {
				t.Errorf("RX2 %+v, want %+v", s.RX2, want)
			}
			down, err := frame.BuildDownlink(frame.Data{MType: frame.UnconfirmedDown, DevAddr: addr1}, 1, keys)
			if err != nil {
				t.Fatal(err)
			}
			b.transmits(answer(up, s.RX1, down))
			b.wants("RX1 0", "")
			if s, _ := b.sent(v.Join); s.Frequency < 868_000_000 {
				t.Errorf("asks to join on %v, where a network need not listen", s.Frequency)
			}
		})
	}
}

var otherRoot = frame.RootKeys{AppKey: frame.Key{9}}

var joinNotTakenTests = []struct {
	name    string
	version Version
	keys    frame.RootKeys
	change  func(*frame.JoinAccept, *radio.Downlink)
	missed  string
}{
	{"late", V1_0_3, root, func(_ *frame.JoinAccept, d *radio.Downlink) { d.Time += 412 }, "412 µs late for RX1"},
	{"very late", V1_0_3, root, func(_ *frame.JoinAccept, d *radio.Downlink) { d.Time += 5_000_000 }, "5s late for RX1"},
	{
		"after the delay of data", V1_0_3, root, func(_ *frame.JoinAccept, d *radio.Downlink) { d.Time -= 4_000_000 },
		"4s early for RX1",
	},
	{"other AppKey", V1_0_3, otherRoot, nil, "wrong MIC: join-accept for DevEUI 7002000000000000"},
	{"other AppKey and late", V1_0_3, otherRoot, func(_ *frame.JoinAccept, d *radio.Downlink) { d.Time += 412 }, ""},
	{
		"RX2 data rate", V1_0_3, root, func(a *frame.JoinAccept, _ *radio.Downlink) { a.RX2DataRate = 12 },
		"join-accept with RX2 data rate 12: no such data rate in the frequency plan: downlink index 12 in EU_863_870_TTN",
	},
	{
		"offset", V1_0_3, root, func(a *frame.JoinAccept, _ *radio.Downlink) { a.RX1DROffset = 7 },
		"join-accept with RX1DROffset 7: no such data rate in the frequency plan: RX1 of index 5 with offset 7 in " +
			"EU_863_870_TTN",
	},
	{
		"CFList of another type", V1_0_3, root,
		func(a *frame.JoinAccept, _ *radio.Downlink) { a.CFList = append(make([]byte, 15), 2) },
		"join-accept: malformed frame: CFList of type 2",
	},
	{"CFList of another band", V1_0_3, root, func(a *frame.JoinAccept, _ *radio.Downlink) {
		a.CFList = frame.CFListFrequencies([]radio.Frequency{902_300_000})
	}, "join-accept with CFList: no such frequency in the frequency plan: 902.3 MHz lies in no sub-band of " +
		"EU_863_870_TTN"},
	{
		"JoinNonce is not checked by 1.0.3", V1_0_3, root, func(a *frame.JoinAccept, _ *radio.Downlink) { a.JoinNonce = 5 },
		"taken",
	},
	{
		"JoinNonce", V1_0_4, root, func(a *frame.JoinAccept, _ *radio.Downlink) { a.JoinNonce = 65_536 },
		"JoinNonce 65536 not above 65536",
	},
	{"next JoinNonce", V1_0_4, root, func(a *frame.JoinAccept, _ *radio.Downlink) { a.JoinNonce = 65_537 }, "taken"},
}

func TestJoinNotTaken(t *testing.T) {
	for _, tt := range joinNotTakenTests {
		t.Run(tt.name, func(t *testing.T) {
			onAir(t, func(b *bench) {
				v := b.otaa(tt.version)
				s, up := b.sent(v.Join)
				phy, _ := b.accept(up, accepted, root)
				b.transmits(answer(up, s.RX1, phy))
				b.wants("RX1 0", "")
				before, _ := v.Session()

				s, up = b.sent(v.Join)
				a, d := accepted, answer(up, s.RX1, nil)
				a.DevAddr = radio.DevAddr{2}
				if tt.change != nil {
					tt.change(&a, &d)
				}
				d.PHYPayload, _ = b.accept(up, a, tt.keys)
				b.transmits(d)
				time.Sleep(5 * time.Second)
				if tt.missed == "taken" {
					b.wants("RX1 0", "")
					return
				}
				b.wants("", tt.missed)
				if after, ok := v.Session(); !ok || after != before {
					t.Errorf("session %+v, want %+v as before", after, before)
				}
				if len(b.silent) != 1 || !b.silent[0].Join {
					t.Errorf("told of %d windows that brought nothing", len(b.silent))
				}
			})
		})
	}
}

// In bands of fixed channels RX1 is on a frequency of its own, and the CFList
// says which of the channels are in use.
func TestJoinFixedChannels(t *testing.T) {
	us, err := region.Lookup("US_902_928_FSB_2")
	if err != nil {
		t.Fatal(err)
	}
	masks := func(m ...uint16) []byte { return frame.CFListMasks(m) }
	tests := []struct {
		name        string
		cfList      []byte
		frequencies int
		missed      string
	}{
		{"the second block", masks(0xff00, 0, 0, 0, 2), 8, ""},
		{"half of it", masks(0x0f00, 0, 0, 0, 2), 4, ""},
		{
			"the first block", masks(0x00ff, 0, 0, 0, 1), 0,
			"join-accept with CFList that leaves no channel of US_902_928_FSB_2",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onAirWith(t, ReceiverOptions{Plan: us}, func(b *bench) {
				v := b.device(DeviceOptions{Name: "dev1", Plan: us, RootKeys: root, DataRate: 0})
				s, up := b.sent(v.Join)
				n := (s.Frequency - 903_900_000) / 200_000 // from the first of the block, channel 8
				if want := (Window{5 * time.Second, 923_300_000 + n*600_000, radio.LoRaDataRate(10, 500_000)}); s.RX1 != want ||
					up.Receptions[0].Channel != uint8(n) {
					t.Errorf("RX1 of a join on %v, channel %d: %+v, want %+v", s.Frequency, up.Receptions[0].Channel, s.RX1, want)
				}
				if want := (Window{6 * time.Second, 923_300_000, radio.LoRaDataRate(12, 500_000)}); s.RX2 != want {
					t.Errorf("RX2 of a join %+v, want %+v", s.RX2, want)
				}
				phy, _ := b.accept(up, frame.JoinAccept{JoinNonce: 1, RX2DataRate: 8, RXDelay: 1, CFList: tt.cfList}, root)
				b.transmits(answer(up, s.RX1, phy))
				if tt.missed != "" {
					b.wants("", tt.missed)
					return
				}
				b.wants("RX1 0", "")
				frequencies := map[radio.Frequency]bool{}
				for range 100 {
					s, _ := b.sends(v, frame.Data{HasFPort: true, FPort: 1})
					frequencies[s.Frequency] = true
				}
				if len(frequencies) != tt.frequencies {
					t.Errorf("sends on %v, want %d of them", frequencies, tt.frequencies)
				}
			})
		})
	}
}

func TestDevNonces(t *testing.T) {
	onAir(t, func(b *bench) {
		random, counting := b.otaa(V1_0_3), b.otaa(V1_0_4)
		seen := map[uint16]bool{}
		for i := range uint16(20) {
			s, _ := b.sent(random.Join)
			seen[s.DevNonce] = true
			if s, _ := b.sent(counting.Join); s.DevNonce != 258+i {
				t.Errorf("DevNonce %d, want %d", s.DevNonce, 258+i)
			}
		}
		if len(seen) < 15 {
			t.Errorf("%d DevNonces in 20 tries", len(seen))
		}
		if s, _ := b.sent(func() (Sent, error) { return counting.JoinWith(3) }); s.DevNonce != 3 {
			t.Errorf("DevNonce %d, want 3", s.DevNonce)
		}
		if s, _ := b.sent(counting.Join); s.DevNonce != 278 {
			t.Errorf("DevNonce %d, want 278", s.DevNonce)
		}
	})
}

// server answers whatever it hears in a window that the gateway has room in.
type server struct {
	b       *bench
	nonce   uint32
	refused int
}

func (s *server) hear(up radio.Uplink, keys frame.RootKeys) {
	req, err := frame.ParseJoinRequest(up.PHYPayload)
	if err != nil {
		s.b.Error(err)
		return
	}
	s.nonce++
	phy, err := frame.BuildJoinAccept(frame.JoinAccept{
		JoinNonce: s.nonce,
		DevAddr:   radio.DevAddr{1, byte(s.nonce >> 16), byte(s.nonce >> 8), byte(s.nonce)}, RXDelay: 1,
	}, keys, req)
	if err != nil {
		s.b.Error(err)
		return
	}
	d := radio.Downlink{
		PHYPayload: phy, Time: up.Time + 5_000_000, Frequency: up.Frequency, DataRate: up.DataRate,
		Power: 1400,
	}
	if s.b.r.Transmit(d) != radio.TxOK {
		s.refused++
	}
}

// A thousand devices that join until they have: each is heard, and what the
// gateway takes is taken by the device that it is for. Twice the same.
func TestThousandJoins(t *testing.T) {
	var first []Transmission
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, ReceiverOptions{Counter: 1_000_000})
			srv, joined := &server{b: b, nonce: 1}, 0
			b.r.opts.Hear = func(up radio.Uplink) { srv.hear(up, root) }
			rnd := rand.New(rand.NewPCG(1, 2))
			begin := time.Now()
			for i := range 1000 {
				pause := rand.New(rand.NewPCG(uint64(i), 3))
				var v *Device
				join := func() {
					if _, err := v.Join(); err != nil {
						t.Error(err)
					}
				}
				again := func(Sent) { b.a.At(time.Now().Add(time.Duration(pause.Int64N(int64(3*time.Minute)))), join) }
				v, err := b.a.Device(DeviceOptions{
					Name: fmt.Sprint(i), Plan: plan(t), DataRate: 5, RootKeys: root, DevEUI: radio.EUI64{1, byte(i >> 8), byte(i)},
					Heard:  func(Heard) { joined++ },
					Missed: func(m Missed) { t.Errorf("%s: %s", m.Device, m.Reason) },
					Silent: again,
				})
				if err != nil {
					t.Fatal(err)
				}
				b.a.At(begin.Add(time.Duration(rnd.Int64N(int64(10*time.Second)))), join)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if joined != 1000 || len(b.log) != 1000 || len(b.a.joining) != 0 {
				t.Errorf("%d devices have joined, %d join-accepts, %d refused", joined, len(b.log), srv.refused)
			}
			for i, tx := range b.log {
				if first != nil && (tx.Counter != first[i].Counter || tx.TakenBy != first[i].TakenBy ||
					string(tx.PHYPayload) != string(first[i].PHYPayload)) {
					t.Fatalf("transmission %d is %+v, was %+v before", i, tx, first[i])
				}
				if i > 0 && tx.Begin.Before(b.log[i-1].End) {
					t.Errorf("transmission %d begins before the end of that before", i)
				}
			}
			first = b.log
		})
	}
}
