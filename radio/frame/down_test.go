package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"lorawand/radio"
)

// specDown is LoRaWAN 1.0.3, 4.3.3 and 4.4, written plainly.
func specDown(d Data, fCnt uint32, nwk, app Key) []byte {
	address := []byte{d.DevAddr[3], d.DevAddr[2], d.DevAddr[1], d.DevAddr[0]}
	counter := binary.LittleEndian.AppendUint32(nil, fCnt)
	fCtrl := byte(len(d.FOpts))
	for bit, set := range map[byte]bool{0x80: d.ADR, 0x20: d.ACK, 0x10: d.FPending} {
		if set {
			fCtrl |= bit
		}
	}
	msg := join([]byte{byte(d.MType) << 5}, address, []byte{fCtrl}, counter[:2], d.FOpts)
	if d.HasFPort {
		msg = append(msg, d.FPort)
		k := app
		if d.FPort == 0 {
			k = nwk
		}
		for i, c := range d.FRMPayload {
			s := specAES(k, join([]byte{1, 0, 0, 0, 0, 1}, address, counter, []byte{0, byte(i/16 + 1)}))
			msg = append(msg, c^s[i%16])
		}
	}
	b0 := join([]byte{0x49, 0, 0, 0, 0, 1}, address, counter, []byte{0, byte(len(msg))})
	return append(msg, specCMAC(nwk, b0, msg)[:4]...)
}

func TestDownlink(t *testing.T) {
	keys := sameKeys(Key{1, 15: 2}, Key{3, 15: 4})
	tests := map[string]Data{
		"acknowledgement": {MType: UnconfirmedDown, ACK: true},
		"all bits":        {MType: UnconfirmedDown, ADR: true, ACK: true, FPending: true},
		"FOpts":           {MType: UnconfirmedDown, FOpts: []byte{3, 0x50, 7, 0, 1}},
		"15 FOpts":        {MType: ConfirmedDown, FOpts: bytes.Repeat([]byte{6}, 15), HasFPort: true, FPort: 223, FRMPayload: []byte("x")},
		"FPort 0":         {MType: UnconfirmedDown, HasFPort: true, FRMPayload: []byte{3, 0x50, 7, 0, 1}},
		"FPort alone":     {MType: ConfirmedDown, HasFPort: true, FPort: 7},
		"16 bytes":        {MType: ConfirmedDown, HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{9}, 16)},
		"242 bytes":       {MType: UnconfirmedDown, HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{9}, 242)},
	}
	for name, d := range tests {
		t.Run(name, func(t *testing.T) {
			d.DevAddr = radio.DevAddr{1, 2, 3, 4}
			plain := bytes.Clone(d.FRMPayload)
			const fCnt = 0x12345
			phy, err := BuildDownlink(d, fCnt, keys)
			if want := specDown(d, fCnt, keys.SNwkSIntKey, keys.AppSKey); err != nil || !bytes.Equal(phy, want) {
				t.Fatalf("built %x, %v; want %x", phy, err, want)
			}
			if !bytes.Equal(d.FRMPayload, plain) {
				t.Error("building has changed the caller's payload")
			}
			got, err := ParseData(phy)
			if err != nil {
				t.Fatal(err)
			}
			if !got.CheckDownlinkMIC(keys.SNwkSIntKey, fCnt) || got.CheckDownlinkMIC(keys.AppSKey, fCnt) || got.CheckDownlinkMIC(keys.SNwkSIntKey, fCnt&0xffff) {
				t.Error("the MIC goes by another key or counter")
			}
			if got.CheckUplinkMIC(keys.SNwkSIntKey, fCnt) {
				t.Error("a downlink is taken for an uplink")
			}
			if got.MType != d.MType || got.DevAddr != d.DevAddr || got.ADR != d.ADR || got.ACK != d.ACK || got.FPending != d.FPending || got.ClassB ||
				!bytes.Equal(got.FOpts, d.FOpts) || got.HasFPort != d.HasFPort || got.FPort != d.FPort {
				t.Errorf("got %+v, want %+v", got, d)
			}
			k := keys.AppSKey
			if d.FPort == 0 {
				k = keys.NwkSEncKey
			}
			if p := got.Decrypt(k, fCnt); !bytes.Equal(p, plain) {
				t.Errorf("payload %x, want %x", p, plain)
			}
		})
	}
}

// The bits that only uplinks have are not sent, whoever sets them.
func TestDownlinkHasNoUplinkBits(t *testing.T) {
	phy, err := BuildDownlink(Data{MType: UnconfirmedDown, ADRACKReq: true, ClassB: true}, 1, SessionKeys{})
	if err != nil || phy[5] != 0 {
		t.Errorf("FCtrl is %02x, %v", phy[5], err)
	}
	phy, err = BuildUplink(Data{MType: UnconfirmedUp, FPending: true}, 1, SessionKeys{})
	if err != nil || phy[5] != 0 {
		t.Errorf("FCtrl of an uplink is %02x, %v", phy[5], err)
	}
}

func TestCheckDownlinkMICOfUplink(t *testing.T) {
	keys := sameKeys(Key{1}, Key{2})
	phy, err := BuildUplink(Data{MType: UnconfirmedUp}, 1, keys)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseData(phy)
	if err != nil {
		t.Fatal(err)
	}
	if d.CheckDownlinkMIC(keys.SNwkSIntKey, 1) {
		t.Error("an uplink is taken for a downlink")
	}
}

func TestBuildDownlinkRefuses(t *testing.T) {
	for name, d := range map[string]Data{
		"uplink":          {MType: UnconfirmedUp},
		"join-accept":     {MType: TypeJoinAccept},
		"16 FOpts":        {MType: UnconfirmedDown, FOpts: make([]byte, 16)},
		"no port":         {MType: UnconfirmedDown, FRMPayload: []byte{1}},
		"too long":        {MType: UnconfirmedDown, HasFPort: true, FPort: 1, FRMPayload: make([]byte, 243)},
		"FOpts on port 0": {MType: UnconfirmedDown, HasFPort: true, FOpts: []byte{2}},
	} {
		if phy, err := BuildDownlink(d, 1, SessionKeys{}); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %x, %v; want ErrFrame", name, phy, err)
		}
	}
}
