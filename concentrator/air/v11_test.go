package air

import (
	"errors"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
)

var root11 = frame.RootKeys{AppKey: frame.Key{0xb6, 15: 7}, NwkKey: frame.Key{0xb7, 15: 8}}

// joined11 puts a device of LoRaWAN 1.1 on the air, and has it join.
func (b *bench) joined11() *Device {
	b.Helper()
	v := b.device(DeviceOptions{
		Name: "dev1", Version: V1_1, JoinEUI: radio.EUI64{0x70, 1}, DevEUI: radio.EUI64{0x70, 2},
		RootKeys: root11, DataRate: 5,
	})
	s, up := b.sent(v.Join)
	req, err := frame.ParseJoinRequest(up.PHYPayload)
	if err != nil || !req.CheckMIC(root11.NwkKey) {
		b.Fatalf("join-request %+v, %v", req, err)
	}
	a := accepted
	a.OptNeg = true
	b.answers(up, s.RX1, a, *req)
	b.wants("RX1 0", "")
	return v
}

// answers has the gateway send a join-accept.
func (b *bench) answers(up radio.Uplink, w Window, a frame.JoinAccept, req frame.JoinRequest) {
	b.Helper()
	phy, err := frame.BuildJoinAccept(a, root11, &req)
	if err != nil {
		b.Fatal(err)
	}
	b.transmits(answer(up, w, phy))
}

// reads checks the MIC of an uplink, and returns its FOpts in plain.
func (b *bench) reads(v *Device, up radio.Uplink, fCnt uint32) []byte {
	b.Helper()
	d, err := frame.ParseData(up.PHYPayload)
	if err != nil {
		b.Fatal(err)
	}
	ch, err := v.opts.Plan.UplinkChannel(up.Frequency, 5)
	if err != nil {
		b.Fatal(err)
	}
	s, _ := v.Session()
	c := frame.NewCipher(s.Keys, true)
	if !c.CheckUplinkMIC(d, fCnt, frame.Context{TxDR: 5, TxCh: uint8(ch)}) {
		b.Errorf("wrong MIC of an uplink with FCnt %d", fCnt)
	}
	return c.AppendFOpts(nil, d, fCnt)
}

// RekeyInd is in each frame until RekeyConf has come; two counters of downlinks, each with its
// own order.
func TestDevice11(t *testing.T) {
	onAir(t, func(b *bench) {
		v := b.joined11()
		session, _ := v.Session()
		for fCnt := range uint32(2) {
			_, up := b.sends(v, frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{1}})
			if got := b.reads(v, up, fCnt); string(got) != "\x0b\x01" {
				t.Errorf("FOpts % x, want RekeyInd", got)
			}
			time.Sleep(10 * time.Second)
		}
		down := func(d frame.Data, fCnt uint32) {
			s, up := b.sends(v, frame.Data{})
			d.MType, d.DevAddr = frame.UnconfirmedDown, session.DevAddr
			phy, err := frame.NewCipher(session.Keys, true).BuildDownlink(d, fCnt, frame.Context{})
			if err != nil {
				t.Fatal(err)
			}
			b.transmits(answer(up, s.RX1, phy))
		}
		down(frame.Data{HasFPort: true, FPort: 1, FRMPayload: []byte{9}}, 7)
		b.wants("RX1 0", "")
		down(frame.Data{FOpts: []byte{0x0b, 1}}, 1) // of the other counter
		b.wants("RX1 0", "")
		down(frame.Data{HasFPort: true, FPort: 1}, 6)
		b.wants("", "FCntDown 6 not above 7")
		_, up := b.sends(v, frame.Data{})
		if got := b.reads(v, up, 5); len(got) > 0 {
			t.Errorf("FOpts % x after RekeyConf", got)
		}
	})
}

// A device takes the answer to its rejoin-request, or goes on as before.
func TestRejoin(t *testing.T) {
	for _, typ := range []frame.JoinType{frame.Rejoin0, frame.Rejoin1, frame.Rejoin2} {
		t.Run(typ.String(), func(t *testing.T) {
			onAir(t, func(b *bench) {
				v := b.joined11()
				before, _ := v.Session()
				rejoin := func() (Sent, radio.Uplink, *frame.RejoinRequest) {
					s, up := b.sent(func() (Sent, error) { return v.Rejoin(typ) })
					r, err := frame.ParseRejoinRequest(up.PHYPayload)
					if err != nil || s.Rejoin != typ || s.RX1.Delay != 5*time.Second {
						t.Fatalf("%+v, %+v, %v", s, r, err)
					}
					return s, up, r
				}
				_, _, first := rejoin() // nobody answers
				_, up := b.sends(v, frame.Data{})
				b.reads(v, up, 0)
				time.Sleep(10 * time.Second)
				s, up, r := rejoin()
				if first.Count != 0 || r.Count != 1 {
					t.Errorf("RJcounts %d and %d", first.Count, r.Count)
				}
				a := accepted
				a.OptNeg, a.JoinNonce, a.DevAddr, a.RX1DROffset, a.CFList = true, 65_537, radio.DevAddr{9}, 0, nil
				b.answers(up, s.RX1, a, r.Request(v.opts.JoinEUI))
				b.wants("RX1 0", "")
				after, _ := v.Session()
				if after.DevAddr != a.DevAddr || after.Keys == before.Keys || after.FCntUp != 0 {
					t.Errorf("session %+v", after)
				}
				if keeps := typ == frame.Rejoin2; (v.rx1Offset == 1) != keeps || (len(v.channels) == 7) != keeps {
					t.Errorf("RX1DROffset %d, %d channels", v.rx1Offset, len(v.channels))
				}
				_, up = b.sends(v, frame.Data{})
				if got := b.reads(v, up, 0); string(got) != "\x0b\x01" {
					t.Errorf("FOpts % x, want RekeyInd", got)
				}
				time.Sleep(10 * time.Second)
				if _, _, r := rejoin(); typ != frame.Rejoin1 && r.Count != 0 || typ == frame.Rejoin1 && r.Count != 2 {
					t.Errorf("RJcount %d in the next session", r.Count)
				}
			})
		})
	}
}

func TestRejoinRefused(t *testing.T) {
	onAir(t, func(b *bench) {
		if _, err := b.otaa(V1_0_4).Rejoin(frame.Rejoin0); !errors.Is(err, ErrDevice) {
			t.Errorf("before 1.1: %v", err)
		}
		v := b.joined11()
		if _, err := v.Rejoin(frame.Join); !errors.Is(err, frame.ErrFrame) {
			t.Errorf("a join-request is no rejoin-request: %v", err)
		}
		v.rjCount0 = 1 << 16
		if _, err := v.Rejoin(frame.Rejoin2); !errors.Is(err, ErrDevice) {
			t.Errorf("RJcount0 goes round: %v", err)
		}
	})
}
