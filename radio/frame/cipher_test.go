package frame

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lorawand/radio"
)

// sessionKeys returns four different keys.
func sessionKeys() SessionKeys {
	return SessionKeys{
		FNwkSIntKey: Key{1, 15: 0x11}, SNwkSIntKey: Key{2, 15: 0x22}, NwkSEncKey: Key{3, 15: 0x33}, AppSKey: Key{4, 15: 0x44},
	}
}

// Frames of LoRaWAN 1.1. Source: brocaar/lorawan, phypayload_test.go; the keys
// are 02…02, 02…03 and 02…04 for SNwkSIntKey, FNwkSIntKey and NwkSEncKey.
func TestKnownFramesOf11(t *testing.T) {
	twos := Key(bytes.Repeat([]byte{2}, 16))
	keys := SessionKeys{FNwkSIntKey: twos, SNwkSIntKey: twos, NwkSEncKey: twos, AppSKey: Key(bytes.Repeat([]byte{1}, 16))}
	keys.FNwkSIntKey[15], keys.NwkSEncKey[15] = 3, 4
	ctx := Context{ConfFCnt: 1, TxDR: 2, TxCh: 3}
	tests := map[string]struct {
		phy  string
		fCnt uint32
		want Data
	}{
		"uplink": {
			phy: "40 04030201 80 0100 01 A694642615 7612366A", fCnt: 1,
			want: Data{MType: UnconfirmedUp, ADR: true, HasFPort: true, FPort: 1, FRMPayload: []byte("hello")},
		},
		"uplink with ACK": {
			phy: "40 04030201 A0 0100 01 A694642615 F842C4B9", fCnt: 1,
			want: Data{MType: UnconfirmedUp, ADR: true, ACK: true, HasFPort: true, FPort: 1, FRMPayload: []byte("hello")},
		},
		"FOpts of a downlink with NFCntDown": {
			phy:  "60 04030201 03 0000 DFB4F1 E24F1F9F",
			want: Data{MType: UnconfirmedDown, FOpts: []byte{2, 7, 1}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewCipher(keys, true)
			tt.want.DevAddr = radio.DevAddr{1, 2, 3, 4}
			phy := unhex(t, tt.phy)
			build, check := c.BuildUplink, c.CheckUplinkMIC
			if !tt.want.MType.Uplink() {
				build, check = c.BuildDownlink, c.CheckDownlinkMIC
			}
			if built, err := build(tt.want, tt.fCnt, ctx); err != nil || !bytes.Equal(built, phy) {
				t.Errorf("built %x, %v; want %x", built, err, phy)
			}
			d, err := ParseData(phy)
			if err != nil {
				t.Fatal(err)
			}
			if !check(d, tt.fCnt, ctx) {
				t.Error("the right MIC is refused")
			}
			if got := c.AppendFRMPayload(nil, d, tt.fCnt); !bytes.Equal(got, tt.want.FRMPayload) {
				t.Errorf("payload %x", got)
			}
			if got := c.AppendFOpts(nil, d, tt.fCnt); !bytes.Equal(got, tt.want.FOpts) {
				t.Errorf("FOpts %x", got)
			}
		})
	}
}

// What The Things Stack encrypts and signs with key 01…01, DevAddr 01020304 and
// counter 1. Source: lorawan-stack, pkg/crypto/data_messages_test.go.
func TestKnownFramesOfTheThingsStack(t *testing.T) {
	k := Key(bytes.Repeat([]byte{1}, 16))
	up := Data{
		MType: UnconfirmedUp, DevAddr: radio.DevAddr{1, 2, 3, 4}, HasFPort: true, FPort: 1,
		FRMPayload: []byte{1, 2, 3, 4},
	}
	down := up
	down.MType = UnconfirmedDown
	if phy, err := NewCipher(sameKeys(k, k), false).BuildUplink(up, 1, Context{}); err != nil ||
		!bytes.Equal(phy[9:13], unhex(t, "CFF30B4E")) {
		t.Errorf("uplink %x, %v", phy, err)
	}
	if phy, err := NewCipher(sameKeys(k, k), false).BuildDownlink(down, 1, Context{}); err != nil ||
		!bytes.Equal(phy[9:13], unhex(t, "4E75F440")) {
		t.Errorf("downlink %x, %v", phy, err)
	}
	for version11, mic := range map[bool]string{false: "3B073182", true: "3B073B07"} {
		d, err := ParseData(unhex(t, "40 04030201 00 0100 01 01020304"+mic))
		if err != nil {
			t.Fatal(err)
		}
		if !NewCipher(sameKeys(k, k), version11).CheckUplinkMIC(d, 1, Context{}) {
			t.Errorf("1.1 %v: MIC %s is refused", version11, mic)
		}
	}
}

// frames are data frames of all shapes.
func frames() map[string]Data {
	out := make(map[string]Data)
	for name, d := range map[string]Data{
		"empty":           {},
		"acknowledgement": {ACK: true},
		"all bits":        {ADR: true, ADRACKReq: true, ACK: true, ClassB: true, FPending: true},
		"FOpts":           {FOpts: []byte{3, 0x50, 7, 0, 1}},
		"FOpts, FPort":    {FOpts: []byte{3, 0x50, 7, 0, 1}, HasFPort: true, FPort: 1},
		"15 FOpts": {
			ACK: true, FOpts: bytes.Repeat([]byte{6}, 15), HasFPort: true, FPort: 223,
			FRMPayload: []byte("x"),
		},
		"FPort 0":       {HasFPort: true, FRMPayload: []byte{3, 0x50, 7, 0, 1}},
		"FPort alone":   {HasFPort: true, FPort: 7},
		"FPort 0 alone": {HasFPort: true},
		"MIC over 16":   {HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{9}, 7)},
		"MIC over 17":   {HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{9}, 8)},
		"16 bytes":      {ACK: true, HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{9}, 16)},
		"17 bytes":      {HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{9}, 17)},
		"242 bytes":     {HasFPort: true, FPort: 255, FRMPayload: bytes.Repeat([]byte{9}, 242)},
	} {
		for _, m := range []MType{UnconfirmedUp, ConfirmedUp, UnconfirmedDown, ConfirmedDown} {
			d.MType, d.DevAddr = m, radio.DevAddr{0x91, 2, 3, 4}
			d.ADRACKReq, d.ClassB, d.FPending = d.ADRACKReq && m.Uplink(), d.ClassB && m.Uplink(), d.FPending && !m.Uplink()
			out[fmt.Sprintf("%v, %s", m, name)] = d
		}
	}
	return out
}

func TestCipherBySpecification(t *testing.T) {
	const fCnt = 0x1fedc
	ctx := Context{ConfFCnt: 0xabcd, TxDR: 5, TxCh: 7}
	for name, d := range frames() {
		for _, version11 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, 1.1 %v", name, version11), func(t *testing.T) {
				keys := sessionKeys()
				c := NewCipher(keys, version11)
				build, check := c.BuildUplink, c.CheckUplinkMIC
				if !d.MType.Uplink() {
					build, check = c.BuildDownlink, c.CheckDownlinkMIC
				}
				plain := bytes.Clone(d.FRMPayload)
				phy, err := build(d, fCnt, ctx)
				if want := specFrame(d, fCnt, keys, version11, ctx); err != nil || !bytes.Equal(phy, want) {
					t.Fatalf("built %x, %v; want %x", phy, err, want)
				}
				if !bytes.Equal(d.FRMPayload, plain) {
					t.Error("building has changed the caller's payload")
				}

				var got Data
				if err := got.Parse(phy); err != nil {
					t.Fatal(err)
				}
				before := bytes.Clone(phy)
				checkCipher(t, c, d, &got, fCnt, ctx)
				if !bytes.Equal(phy, before) {
					t.Errorf("the frame has become %x, was %x", phy, before)
				}
				if got.MType != d.MType || got.DevAddr != d.DevAddr || got.FCnt != fCnt&0xffff || got.ADR != d.ADR ||
					got.ADRACKReq != d.ADRACKReq ||
					got.ACK != d.ACK || got.ClassB != d.ClassB || got.FPending != d.FPending || got.HasFPort != d.HasFPort ||
					got.FPort != d.FPort {
					t.Errorf("got %+v, want %+v", got, d)
				}
				for i := len(phy) - 4; i < len(phy); i++ {
					bad := bytes.Clone(phy)
					bad[i] ^= 0x10
					if p, err := ParseData(bad); err != nil || check(p, fCnt, ctx) {
						t.Errorf("byte %d is wrong: %+v, %v", i, p, err)
					}
				}
			})
		}
	}
}

// checkCipher checks, decrypts and refuses a frame that was parsed from d, twice:
// nothing that is done to a frame may change it.
func checkCipher(t *testing.T, c *Cipher, d Data, got *Data, fCnt uint32, ctx Context) {
	t.Helper()
	check, other := c.CheckUplinkMIC, c.CheckDownlinkMIC
	if !d.MType.Uplink() {
		check, other = other, check
	}
	for range 2 {
		if !check(got, fCnt, ctx) {
			t.Error("the right MIC is refused")
		}
		if other(got, fCnt, ctx) {
			t.Error("it is taken for the other direction")
		}
		if check(got, fCnt&0xffff, ctx) || check(got, fCnt+1, ctx) {
			t.Error("another counter is taken")
		}
		if p := c.AppendFRMPayload([]byte("before"), got, fCnt); !bytes.Equal(p, append([]byte("before"), d.FRMPayload...)) {
			t.Errorf("payload %x, want %x", p, d.FRMPayload)
		}
		if o := c.AppendFOpts([]byte("before"), got, fCnt); !bytes.Equal(o, append([]byte("before"), d.FOpts...)) {
			t.Errorf("FOpts %x, want %x", o, d.FOpts)
		}
	}
}

// Every length that a last block can have.
func TestBuildOfEverySize(t *testing.T) {
	keys := sessionKeys()
	for size := range 2*16 + 1 {
		d := Data{MType: UnconfirmedUp, HasFPort: true, FPort: 1, FRMPayload: bytes.Repeat([]byte{0xa5}, size)}
		phy, err := NewCipher(keys, false).BuildUplink(d, 1, Context{})
		if want := specFrame(d, 1, keys, false, Context{}); err != nil || !bytes.Equal(phy, want) {
			t.Errorf("%d bytes of payload: %x, %v; want %x", size, phy, err, want)
		}
	}
}

// Each part of the context, and each key, counts where the specification says so.
func TestMICGoesByContextAndKeys(t *testing.T) {
	ctx := Context{ConfFCnt: 1, TxDR: 2, TxCh: 3}
	changes := map[string]func(*SessionKeys, *Context){
		"ConfFCnt":    func(_ *SessionKeys, c *Context) { c.ConfFCnt++ },
		"TxDR":        func(_ *SessionKeys, c *Context) { c.TxDR++ },
		"TxCh":        func(_ *SessionKeys, c *Context) { c.TxCh++ },
		"FNwkSIntKey": func(k *SessionKeys, _ *Context) { k.FNwkSIntKey[1]++ },
		"SNwkSIntKey": func(k *SessionKeys, _ *Context) { k.SNwkSIntKey[1]++ },
		"NwkSEncKey":  func(k *SessionKeys, _ *Context) { k.NwkSEncKey[1]++ },
		"AppSKey":     func(k *SessionKeys, _ *Context) { k.AppSKey[1]++ },
	}
	tests := []struct {
		name      string
		version11 bool
		frame     Data
		counts    string
	}{
		{"1.0 uplink with ACK", false, Data{MType: UnconfirmedUp, ACK: true}, "FNwkSIntKey"},
		{"1.0 downlink with ACK", false, Data{MType: UnconfirmedDown, ACK: true}, "SNwkSIntKey"},
		{"1.1 uplink with ACK", true, Data{MType: UnconfirmedUp, ACK: true}, "ConfFCnt TxDR TxCh FNwkSIntKey SNwkSIntKey"},
		{"1.1 uplink", true, Data{MType: UnconfirmedUp}, "TxDR TxCh FNwkSIntKey SNwkSIntKey"},
		{"1.1 downlink with ACK", true, Data{MType: UnconfirmedDown, ACK: true}, "ConfFCnt SNwkSIntKey"},
		{"1.1 downlink", true, Data{MType: UnconfirmedDown}, "SNwkSIntKey"},
	}
	for _, tt := range tests {
		phy := specFrame(tt.frame, 9, sessionKeys(), tt.version11, ctx)
		d, err := ParseData(phy)
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range changes {
			keys, with := sessionKeys(), ctx
			change(&keys, &with)
			c := NewCipher(keys, tt.version11)
			good := c.CheckUplinkMIC(d, 9, with) || c.CheckDownlinkMIC(d, 9, with)
			if want := !slices.Contains(strings.Fields(tt.counts), name); good != want {
				t.Errorf("%s, another %s: MIC taken %v, want %v", tt.name, name, good, want)
			}
		}
	}
}

// One frame of LoRaWAN 1.0.x without a Cipher.
func TestSingleFrame(t *testing.T) {
	keys := sameKeys(Key{1}, Key{2})
	for name, d := range frames() {
		build, check := BuildUplink, (*Data).CheckUplinkMIC
		if !d.MType.Uplink() {
			build, check = BuildDownlink, (*Data).CheckDownlinkMIC
		}
		phy, err := build(d, 5, keys)
		if want := specFrame(d, 5, keys, false, Context{}); err != nil || !bytes.Equal(phy, want) {
			t.Fatalf("%s: built %x, %v; want %x", name, phy, err, want)
		}
		got, err := ParseData(phy)
		if err != nil || !check(got, keys.FNwkSIntKey, 5) || check(got, keys.AppSKey, 5) || check(got, keys.FNwkSIntKey, 6) {
			t.Errorf("%s: MIC goes by another key or counter; %v", name, err)
		}
		k := keys.AppSKey
		if d.FPort == 0 {
			k = keys.NwkSEncKey
		}
		if plain := got.Decrypt(k, 5); !bytes.Equal(plain, d.FRMPayload) {
			t.Errorf("%s: payload %x", name, plain)
		}
	}
}

// A frame that was put together and not parsed has no MIC.
func TestCheckMICOfNothing(t *testing.T) {
	c := NewCipher(sessionKeys(), false)
	for _, m := range []MType{TypeJoinRequest, UnconfirmedUp, UnconfirmedDown} {
		d := &Data{MType: m}
		if c.CheckUplinkMIC(d, 1, Context{}) || c.CheckDownlinkMIC(d, 1, Context{}) {
			t.Errorf("a %v that was never parsed has a MIC", m)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	c := NewCipher(sessionKeys(), true)
	for name, d := range map[string]Data{
		"16 FOpts":        {FOpts: make([]byte, 16)},
		"no port":         {FRMPayload: []byte{1}},
		"too long":        {HasFPort: true, FPort: 1, FRMPayload: make([]byte, 243)},
		"FOpts on port 0": {HasFPort: true, FOpts: []byte{2}},
	} {
		d.MType = UnconfirmedUp
		if phy, err := c.BuildUplink(d, 1, Context{}); !errors.Is(err, ErrFrame) {
			t.Errorf("uplink, %s: %x, %v; want ErrFrame", name, phy, err)
		}
		d.MType = UnconfirmedDown
		if phy, err := c.BuildDownlink(d, 1, Context{}); !errors.Is(err, ErrFrame) {
			t.Errorf("downlink, %s: %x, %v; want ErrFrame", name, phy, err)
		}
	}
	for _, m := range []MType{
		TypeJoinRequest, TypeJoinAccept, UnconfirmedDown, ConfirmedDown, TypeRejoinRequest,
		Proprietary,
	} {
		if phy, err := c.BuildUplink(Data{MType: m}, 1, Context{}); !errors.Is(err, ErrFrame) {
			t.Errorf("uplink of type %v: %x, %v; want ErrFrame", m, phy, err)
		}
	}
	for _, m := range []MType{
		TypeJoinRequest, TypeJoinAccept, UnconfirmedUp, ConfirmedUp, TypeRejoinRequest,
		Proprietary,
	} {
		if phy, err := c.BuildDownlink(Data{MType: m}, 1, Context{}); !errors.Is(err, ErrFrame) {
			t.Errorf("downlink of type %v: %x, %v; want ErrFrame", m, phy, err)
		}
	}
}

// The bits that the other direction has are not sent, whoever sets them.
func TestBuildLeavesOutBitsOfTheOtherDirection(t *testing.T) {
	c := NewCipher(sessionKeys(), false)
	if phy, err := c.BuildDownlink(Data{MType: UnconfirmedDown, ADRACKReq: true, ClassB: true}, 1,
		Context{}); err != nil || phy[5] != 0 {
		t.Errorf("%x, %v", phy, err)
	}
	if phy, err := c.BuildUplink(Data{MType: UnconfirmedUp, FPending: true}, 1, Context{}); err != nil || phy[5] != 0 {
		t.Errorf("%x, %v", phy, err)
	}
}

func TestParseIsACopyOrNot(t *testing.T) {
	phy := specFrame(Data{MType: UnconfirmedUp, FOpts: []byte{2}, HasFPort: true, FPort: 1, FRMPayload: []byte("x")}, 1,
		sessionKeys(), false, Context{})
	var d Data
	if err := d.Parse(phy); err != nil {
		t.Fatal(err)
	}
	if &d.FOpts[0] != &phy[8] || &d.FRMPayload[0] != &phy[10] {
		t.Error("Parse has copied the frame")
	}
	if cap(d.FOpts) != 1 || cap(d.FRMPayload) != 1 {
		t.Errorf("an append would write to the frame: %d and %d bytes", cap(d.FOpts), cap(d.FRMPayload))
	}
	want := d
	if err := d.Parse(phy[:11]); err == nil || d.DevAddr != want.DevAddr || &d.FRMPayload[0] != &want.FRMPayload[0] {
		t.Errorf("%v: a refused frame has changed %+v to %+v", err, want, d)
	}
}

func TestFramePathAllocatesNothing(t *testing.T) {
	for _, version11 := range []bool{false, true} {
		keys := sessionKeys()
		frame := Data{
			MType: ConfirmedUp, ACK: true, FOpts: []byte{2, 3, 7}, HasFPort: true, FPort: 1,
			FRMPayload: make([]byte, 200),
		}
		phy := specFrame(frame, 1, keys, version11, Context{})
		c := NewCipher(keys, version11)
		var d Data
		payload, fOpts := make([]byte, 0, MaxSize), make([]byte, 0, maxFOpts)
		if n := testing.AllocsPerRun(100, func() {
			if err := d.Parse(phy); err != nil || !c.CheckUplinkMIC(&d, 1, Context{}) || c.CheckUplinkMIC(&d, 2, Context{}) {
				t.Fatal("the frame is refused", err)
			}
			payload = c.AppendFRMPayload(payload[:0], &d, 1)
			fOpts = c.AppendFOpts(fOpts[:0], &d, 1)
		}); n != 0 {
			t.Errorf("1.1 %v: %v allocations", version11, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := c.BuildUplink(frame, 1, Context{}); err != nil {
				t.Fatal(err)
			}
		}); n != 1 {
			t.Errorf("1.1 %v: %v allocations for a frame that is made", version11, n)
		}
	}
}
