package air

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/fuzztest"
	"lorawand/radio/region"
)

// exchange sends an uplink and a downlink for its RX1, and returns both.
func (b *bench) exchange(v *Device, up, down frame.Data, fCnt uint32) (*frame.Data, *Heard) {
	b.Helper()
	s, heard := b.sends(v, up)
	b.transmits(answer(heard, s.RX1, b.down(down, fCnt)))
	time.Sleep(3 * time.Second)
	synctest.Wait()
	d, err := frame.ParseData(s.PHYPayload)
	if err != nil {
		b.Fatal(err)
	}
	if len(b.heard) == 0 {
		return d, nil
	}
	h := b.heard[len(b.heard)-1]
	return d, &h
}

func TestDownlinkContent(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.abp()
		up, h := b.exchange(v, frame.Data{MType: frame.ConfirmedUp}, frame.Data{
			MType: frame.ConfirmedDown, ACK: true, FPending: true, FOpts: []byte{0x06}, HasFPort: true, FPort: 15,
			FRMPayload: []byte{0xbe, 0xef},
		}, 1)
		if up.MType != frame.ConfirmedUp || up.ACK {
			t.Errorf("uplink %+v", up)
		}
		if h == nil || h.Device != "dev1" || h.Gateway != gatewayA || h.FCnt != 1 || h.JoinAccept != nil ||
			!h.Data.Confirmed() || !h.Data.ACK || !h.Data.FPending {
			t.Fatalf("heard %+v", h)
		}
		if h.Data.FPort != 15 || !bytes.Equal(h.Data.FRMPayload, []byte{0xbe, 0xef}) || len(h.Commands) != 1 ||
			h.Commands[0].CID != 6 {
			t.Errorf("heard %+v, %+v", h.Data, h.Commands)
		}
		if up, _ := b.sends(v, frame.Data{HasFPort: true, FPort: 1}); !mustParse(t, up.PHYPayload).ACK {
			t.Error("a confirmed downlink is not acknowledged")
		}
		if up, _ := b.sends(v, frame.Data{HasFPort: true, FPort: 1}); mustParse(t, up.PHYPayload).ACK {
			t.Error("a confirmed downlink is acknowledged twice")
		}
		_, h = b.exchange(v, frame.Data{FOpts: []byte{LinkCheckReq, DeviceTimeReq}}, frame.Data{
			HasFPort: true, FRMPayload: []byte{0x02, 20, 3, 0x0D, 1, 2, 0, 0, 128, 0x08, 5},
		}, 2)
		want := radio.GPSTime(513*time.Second + 500*time.Millisecond)
		if h == nil || h.LinkCheck == nil || *h.LinkCheck != (LinkCheckAns{20, 3}) || h.DeviceTime != want ||
			len(h.Commands) != 3 {
			t.Errorf("MAC commands with FPort 0: %+v", h)
		}
		tx := b.log[len(b.log)-1]
		if tx.TakenBy != "dev1" || tx.Untaken != "" || tx.End.Sub(tx.Begin) != 56576*time.Microsecond ||
			tx.Counter.Counter() != tx.Time.Counter() {
			t.Errorf("log %+v", tx)
		}
	})
}

func mustParse(t testing.TB, phy []byte) *frame.Data {
	t.Helper()
	d, err := frame.ParseData(phy)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFCntDown(t *testing.T) {
	tests := []struct {
		name    string
		version Version
		least   uint32 // FCntDown that the session goes on with
		fCnts   []uint32
		missed  string // of the last
	}{
		{"from 0", V1_0_3, 0, []uint32{0, 1}, ""},
		{"from 1, with gaps", V1_0_3, 0, []uint32{1, 65, 16449}, ""},
		{"again", V1_0_3, 0, []uint32{1, 7, 7}, "FCntDown 7 not above 7"},
		{"back", V1_0_3, 0, []uint32{1, 7, 6}, "FCntDown 6 not above 7"},
		{"back to 0", V1_0_3, 0, []uint32{9, 0}, "FCntDown 0 not above 9"},
		{"over 16 bits", V1_0_3, 65_530, []uint32{65_535, 65_536, 70_000}, ""},
		{"back over 16 bits", V1_0_3, 65_530, []uint32{65_536, 65_535}, "FCntDown 65535 not above 65536"},
		{"too far", V1_0_3, 0, []uint32{1, 16_386}, "FCntDown 16386 is 16385 above 1, at most 16384"},
		{"as far", V1_0_4, 0, []uint32{1, 60_000}, ""},
		{"more than 16 bits ahead", V1_0_4, 0, []uint32{1, 65_538}, "wrong MIC"},
		{"to the end", V1_0_3, math.MaxUint32 - 1, []uint32{math.MaxUint32}, ""},
		{"beyond the end", V1_0_3, math.MaxUint32, []uint32{math.MaxUint32, 0}, "wrong MIC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onAir(t, func(b *bench) {
				v := b.device(DeviceOptions{
					Name: "dev1", Version: tt.version, DevAddr: addr1, Keys: sessionKeys(1, 2),
					DataRate: 5, FCntDown: tt.least,
				})
				for i, fCnt := range tt.fCnts {
					s, up := b.sends(v, frame.Data{})
					b.transmits(answer(up, s.RX1, b.down(frame.Data{}, fCnt)))
					if i == len(tt.fCnts)-1 && tt.missed != "" {
						b.wants("", tt.missed)
						continue
					}
					b.wants("RX1 0", "")
					if session, ok := v.Session(); !ok || session.FCntDown != uint32(min(uint64(fCnt)+1, math.MaxUint32)) {
						t.Errorf("after %d: %d, %v", fCnt, session.FCntDown, ok)
					}
				}
			})
		})
	}
}

func TestResend(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.abp()
		first, _ := b.sends(v, frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte("x")})
		frequencies := map[radio.Frequency]bool{}
		for range 10 {
			again, up := b.sent(func() (Sent, error) { return v.Resend(first) })
			if !bytes.Equal(again.PHYPayload, first.PHYPayload) || again.FCnt != 0 {
				t.Fatalf("%x again is %x", first.PHYPayload, again.PHYPayload)
			}
			frequencies[up.Frequency] = true
			b.transmits(answer(up, again.RX1, b.down(frame.Data{}, uint32(len(b.log)+1))))
			b.wants("RX1 0", "")
		}
		if len(frequencies) < 3 {
			t.Errorf("always on %v", frequencies)
		}
		if s, _ := b.sends(v, frame.Data{}); s.FCnt != 1 {
			t.Errorf("FCntUp %d after one frame and its repetitions", s.FCnt)
		}
	})
}

// Devices with one DevAddr: a frame is for the one with its key.
func TestSharedDevAddr(t *testing.T) {
	onAir(t, func(b *bench) {
		var devices []*Device
		for i := range byte(3) {
			devices = append(devices, b.device(DeviceOptions{
				Name: fmt.Sprint(i), DevAddr: addr1, Keys: sessionKeys(i, 2),
				DataRate: 5,
			}))
		}
		s, up := b.sends(devices[1], frame.Data{})
		b.transmits(answer(up, s.RX1, b.down(frame.Data{}, 1)))
		b.wants("RX1 0", "")
		s, up = b.sends(devices[1], frame.Data{})
		d := answer(up, s.RX1, b.down(frame.Data{}, 2))
		d.PHYPayload[11]++
		b.transmits(d)
		const unsent = "no window was opened: the device has not sent yet"
		b.wants("", strings.Join([]string{unsent, "wrong MIC", unsent}, ", "))
		if got := b.log[1].Untaken; got != "0: "+unsent+"; 1: wrong MIC; 2: "+unsent {
			t.Errorf("log: %s", got)
		}
		b.transmits(answer(up, Window{Delay: 15 * time.Second, Frequency: 868_100_000, DataRate: s.DataRate},
			b.down(frame.Data{DevAddr: radio.DevAddr{9}}, 2)))
		b.wants("", "")
		if got := b.log[2]; got.TakenBy != "" || got.Untaken != "meant for no device on this air" {
			t.Errorf("log: %+v", got)
		}
	})
}

// The factory settings of ABP devices.
func TestFactorySettings(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.device(DeviceOptions{
			Name: "dev1", DevAddr: addr1, Keys: sessionKeys(1, 2), DataRate: 5, FCntUp: 70_000, FCntDown: 70_001,
			RX1Delay: 3 * time.Second, RX1DROffset: 2, RX2: region.Window{Frequency: 869_525_000, DataRate: 3},
		})
		s, up := b.sends(v, frame.Data{})
		want1 := Window{3 * time.Second, s.Frequency, radio.LoRaDataRate(9, 125_000)}
		want2 := Window{4 * time.Second, 869_525_000, radio.LoRaDataRate(9, 125_000)}
		if s.RX1 != want1 || s.RX2 != want2 || s.FCnt != 70_000 {
			t.Errorf("windows %+v and %+v of %d", s.RX1, s.RX2, s.FCnt)
		}
		b.transmits(answer(up, s.RX2, b.down(frame.Data{}, 70_001)))
		b.wants("RX2 0", "")
	})
}

func TestDeviceRefuses(t *testing.T) {
	a, p := New(1), plan(t)
	for name, o := range map[string]DeviceOptions{
		"no plan":      {},
		"no data rate": {Plan: p, DataRate: 9},
		"no RX2":       {Plan: p, RX2: region.Window{Frequency: 869_525_000, DataRate: 14}},
	} {
		if _, err := a.Device(o); !errors.Is(err, ErrDevice) {
			t.Errorf("%s: %v, want ErrDevice", name, err)
		}
	}
	abp, err := a.Device(DeviceOptions{Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	otaa, err := a.Device(DeviceOptions{
		Plan: p, RootKeys: frame.RootKeys{AppKey: frame.Key{1}}, Version: V1_0_4,
		DevNonce: math.MaxUint16,
	})
	if err != nil {
		t.Fatal(err)
	}
	long := frame.Data{HasFPort: true, FPort: 1, FRMPayload: make([]byte, 52)}
	for name, send := range map[string]func() (Sent, error){
		"payload without port": func() (Sent, error) { return abp.Send(frame.Data{FRMPayload: []byte{1}}) },
		"a downlink":           func() (Sent, error) { return abp.Send(frame.Data{MType: frame.ConfirmedDown}) },
		"too long for SF12":    func() (Sent, error) { return abp.Send(long) },
		"no AppKey":            abp.Join,
		"not joined":           func() (Sent, error) { return otaa.Send(frame.Data{}) },
		"too long again":       func() (Sent, error) { return abp.Resend(Sent{PHYPayload: make([]byte, 200)}) },
	} {
		if s, err := send(); !errors.Is(err, ErrDevice) && !errors.Is(err, frame.ErrFrame) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := abp.Send(frame.Data{}); err != nil || s.FCnt != 0 {
		t.Errorf("the first frame after all that is refused: %d, %v", s.FCnt, err)
	}
	if s, err := otaa.Join(); err != nil || s.DevNonce != math.MaxUint16 {
		t.Errorf("the last DevNonce: %d, %v", s.DevNonce, err)
	}
	if _, err := otaa.Join(); !errors.Is(err, ErrDevice) {
		t.Errorf("beyond the last DevNonce: %v", err)
	}
	if err := abp.SetDataRate(8); !errors.Is(err, ErrDevice) {
		t.Errorf("SetDataRate: %v", err)
	}
}

func FuzzParseAnswers(f *testing.F) {
	f.Add([]byte{0x02, 20, 3, 0x0D, 1, 2, 0, 0, 128, 0x08, 5})
	f.Add([]byte{0x06, 0xff, 0x03})
	f.Add([]byte{0x02, 1})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		var again []byte
		for _, c := range parseAnswers(b).Commands {
			again = append(append(again, c.CID), c.Payload...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x is read as %x", b, again)
		}
	}))
}

// No bytes from a gateway do harm to devices.
func FuzzRead(f *testing.F) {
	good, err := frame.BuildDownlink(frame.Data{
		MType: frame.UnconfirmedDown, DevAddr: addr1, HasFPort: true,
		FRMPayload: []byte{6},
	}, 5, sessionKeys(1, 2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(slices.Concat([]byte{0x20}, make([]byte, 16)))
	f.Add(slices.Concat([]byte{0x20}, make([]byte, 32)))
	f.Add([]byte{0x60, 0xef, 0xcd, 0xab, 0x01})
	a := New(1)
	p := plan(f)
	abp, err1 := a.Device(DeviceOptions{Plan: p, DevAddr: addr1, Keys: sessionKeys(1, 2)})
	second, err2 := a.Device(DeviceOptions{Plan: p, DevAddr: addr1, Keys: sessionKeys(2, 2)})
	otaa, err3 := a.Device(DeviceOptions{Plan: p, RootKeys: frame.RootKeys{AppKey: frame.Key{1}}})
	_, err4 := otaa.Join()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		f.Fatal(err)
	}
	r := a.Listen(ReceiverOptions{})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, phy []byte) {
		tx := &transmission{receiver: r, Transmission: Transmission{
			Begin:    time.Now(),
			Downlink: radio.Downlink{PHYPayload: phy},
		}}
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, v := range a.meant(tx) {
			v.judge(tx)
		}
		abp.lastDown, second.lastDown = -1, -1
		for _, v := range []*Device{abp, second, otaa} {
			if reason := v.read(tx, &Heard{}); reason == "" && !bytes.Equal(phy, good) && v == otaa {
				t.Fatalf("%x is taken as a join-accept", phy)
			}
		}
	}))
}
