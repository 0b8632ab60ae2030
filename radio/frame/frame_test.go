package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB, s string) (k Key) {
	t.Helper()
	if err := k.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return k
}

func sameKeys(nwk, app Key) SessionKeys {
	return SessionKeys{FNwkSIntKey: nwk, SNwkSIntKey: nwk, NwkSEncKey: nwk, AppSKey: app}
}

// A frame that is used as an example all over the LoRaWAN world (the readme of
// lora-packet, after LoRaWAN 1.0's own test tool): "test" on FPort 1.
func TestKnownUplink(t *testing.T) {
	phy := unhex(t, "40F17DBE4900020001954378762B11FF0D")
	nwk, app := key(t, "44024241ed4ce9a68c6a8bc055233fd3"), key(t, "ec925802ae430ca77fd3dd73cb2cc588")
	d, err := ParseData(phy)
	if err != nil {
		t.Fatal(err)
	}
	if d.MType != UnconfirmedUp || d.DevAddr.String() != "49BE7DF1" || d.FCnt != 2 || !d.HasFPort || d.FPort != 1 {
		t.Errorf("parsed as %+v", d)
	}
	if !d.CheckUplinkMIC(nwk, 2) {
		t.Error("the right MIC is refused")
	}
	if d.CheckUplinkMIC(app, 2) || d.CheckUplinkMIC(nwk, 3) || d.CheckUplinkMIC(nwk, 2+1<<16) {
		t.Error("a wrong key or counter is taken")
	}
	if got := d.Decrypt(app, 2); string(got) != "test" {
		t.Errorf("payload is %q, want test", got)
	}
	built, err := BuildUplink(Data{
		MType: UnconfirmedUp, DevAddr: d.DevAddr, HasFPort: true, FPort: 1,
		FRMPayload: []byte("test"),
	}, 2, sameKeys(nwk, app))
	if err != nil || !bytes.Equal(built, phy) {
		t.Errorf("built %x, %v; want %x", built, err, phy)
	}
}

func TestUplinkRoundTrip(t *testing.T) {
	keys := sameKeys(Key{1}, Key{2})
	tests := map[string]Data{
		"empty":     {MType: UnconfirmedUp},
		"port only": {MType: ConfirmedUp, HasFPort: true, FPort: 3},
		"FOpts":     {MType: UnconfirmedUp, FOpts: []byte{2, 13}, ADR: true, ADRACKReq: true, ACK: true, ClassB: true},
		"MAC":       {MType: UnconfirmedUp, HasFPort: true, FRMPayload: []byte{2}},
		"15 FOpts": {
			MType: UnconfirmedUp, FOpts: bytes.Repeat([]byte{0xff}, 15), HasFPort: true, FPort: 223,
			FRMPayload: []byte{1},
		},
		"242 bytes":  {MType: ConfirmedUp, HasFPort: true, FPort: 255, FRMPayload: bytes.Repeat([]byte{7}, 242)},
		"16 bytes":   {MType: ConfirmedUp, HasFPort: true, FPort: 9, FRMPayload: bytes.Repeat([]byte{7}, 16)},
		"17 bytes":   {MType: ConfirmedUp, HasFPort: true, FPort: 9, FRMPayload: bytes.Repeat([]byte{7}, 17)},
		"no payload": {MType: UnconfirmedUp, FOpts: []byte{1}},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			want.DevAddr = radio.DevAddr{1, 2, 3, 4}
			const fCnt = 0x12345
			phy, err := BuildUplink(want, fCnt, keys)
			if err != nil {
				t.Fatal(err)
			}
			before := bytes.Clone(phy)
			got, err := ParseData(phy)
			if err != nil {
				t.Fatal(err)
			}
			appKey := keys.AppSKey
			if want.HasFPort && want.FPort == 0 {
				appKey = keys.NwkSEncKey
			}
			for range 2 { // nothing that is done to a frame changes it
				if !got.CheckUplinkMIC(keys.FNwkSIntKey, fCnt) || got.CheckUplinkMIC(keys.FNwkSIntKey, fCnt&0xffff) {
					t.Error("MIC goes by another counter")
				}
				if plain := got.Decrypt(appKey, fCnt); !bytes.Equal(plain, want.FRMPayload) {
					t.Errorf("payload %x, want %x", plain, want.FRMPayload)
				}
			}
			if !bytes.Equal(phy, before) {
				t.Error("parsing has changed the caller's bytes")
			}
			clear(phy)
			if !got.CheckUplinkMIC(keys.FNwkSIntKey, fCnt) {
				t.Error("the frame lives in the caller's bytes")
			}
			if got.FCnt != 0x2345 || got.MType != want.MType || got.ADR != want.ADR || got.ADRACKReq != want.ADRACKReq ||
				got.ACK != want.ACK ||
				got.ClassB != want.ClassB || !bytes.Equal(got.FOpts, want.FOpts) || got.HasFPort != want.HasFPort ||
				got.FPort != want.FPort {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestParseDataRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":        "",
		"11 bytes":       "4001020304000000aabbcc",
		"major 1":        "4101020304000000aabbccdd",
		"RFU bits":       "5c01020304000000aabbccdd",
		"join-request":   "0001020304050607080102030405060708aabb01020304",
		"FOpts too long": "40010203040f0000aabbccdd",
		"FOpts, FPort 0": "40010203040100000200 0102aabbccdd",
		"256 bytes":      "40" + strings.Repeat("00", 255),
	} {
		if d, err := ParseData(unhex(t, s)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v; want ErrFrame", name, d, err)
		}
	}
}

func TestBuildUplinkRefuses(t *testing.T) {
	for name, d := range map[string]Data{
		"downlink":        {MType: UnconfirmedDown},
		"16 FOpts":        {MType: UnconfirmedUp, FOpts: make([]byte, 16)},
		"no port":         {MType: UnconfirmedUp, FRMPayload: []byte{1}},
		"too long":        {MType: UnconfirmedUp, HasFPort: true, FPort: 1, FRMPayload: make([]byte, 243)},
		"FOpts on port 0": {MType: UnconfirmedUp, HasFPort: true, FOpts: []byte{2}},
	} {
		if phy, err := BuildUplink(d, 1, SessionKeys{}); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %x, %v; want ErrFrame", name, phy, err)
		}
	}
}

func TestNextFCnt(t *testing.T) {
	tests := []struct {
		least uint32
		low   uint16
		want  uint32
		ok    bool
	}{
		{0, 0, 0, true},
		{1, 0, 0x10000, true},
		{5, 5, 5, true},
		{0xffff, 0xffff, 0xffff, true},
		{0x10000, 0, 0x10000, true},
		{0xfffe, 3, 0x10003, true},
		{0x12345, 0x2344, 0x22344, true},
		{0xffff0001, 0, 0, false},
		{0xffffffff, 0xffff, 0xffffffff, true},
	}
	for _, tt := range tests {
		got, ok := NextFCnt(tt.least, tt.low)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("NextFCnt(%#x, %#x) = %#x, %v; want %#x, %v", tt.least, tt.low, got, ok, tt.want, tt.ok)
		}
	}
}

func TestKeysAreNotShown(t *testing.T) {
	k := key(t, "000102030405060708090A0B0C0D0E0F")
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "key", k, "keys", SessionKeys{AppSKey: k})
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "key", k)
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v %x", k, k, k), logged.String()} {
		if strings.Contains(strings.ToUpper(s), "0C0D0E") || strings.Contains(s, "12 13 14") {
			t.Errorf("the key is in %q", s)
		}
	}
	if text, _ := k.MarshalText(); string(text) != "000102030405060708090A0B0C0D0E0F" {
		t.Errorf("text is %s", text)
	}
	before := k
	for _, bad := range []string{"", "00", "zz0102030405060708090A0B0C0D0E0F", "000102030405060708090A0B0C0D0E0F00"} {
		err := k.UnmarshalText([]byte(bad))
		if err == nil || bad != "" && len(bad) > 2 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if k != before {
		t.Error("a refused text has changed the key")
	}
}

// The library logs bad MAC commands to the global logger; nothing here does.
func TestNothingIsLogged(t *testing.T) {
	var logged bytes.Buffer
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	keys := sameKeys(Key{1}, Key{2})
	for _, d := range []Data{
		{MType: UnconfirmedUp, FOpts: []byte{0x80, 0xff, 0x03}},
		{MType: UnconfirmedUp, HasFPort: true, FRMPayload: []byte{0x80, 0xff, 0x03}},
	} {
		phy, err := BuildUplink(d, 1, keys)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseData(phy)
		if err != nil {
			t.Fatal(err)
		}
		p.CheckUplinkMIC(keys.FNwkSIntKey, 1)
		p.Decrypt(keys.NwkSEncKey, 1)
	}
	if logged.Len() > 0 {
		t.Errorf("logged %q", logged.String())
	}
}

func FuzzParseData(f *testing.F) {
	f.Add(unhex(f, "40F17DBE4900020001954378762B11FF0D"), uint32(2))
	f.Add(unhex(f, "4001020304000000aabbccdd"), uint32(0x10000))
	f.Add(unhex(f, "80010203040f0000010203040506070809101112131415aabbccdd"), uint32(0))
	f.Add(unhex(f, "400102030420000000 03ff80 aabbccdd"), uint32(1))
	f.Add(unhex(f, "60010203042300000102 03 05 aabbccdd"), uint32(1))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, phy []byte, fCnt uint32) {
		before := bytes.Clone(phy)
		d, err := ParseData(phy)
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatalf("%x: %v is not ErrFrame", phy, err)
			}
			return
		}
		k := Key{1, 2, 3}
		d.CheckUplinkMIC(k, fCnt)
		d.CheckDownlinkMIC(k, fCnt)
		d.Decrypt(k, fCnt)
		if !bytes.Equal(phy, before) {
			t.Fatalf("%x was changed to %x", before, phy)
		}
		if !d.MType.Uplink() {
			return
		}
		again := *d
		fCnt = fCnt&^0xffff | uint32(d.FCnt)
		again.FRMPayload = d.Decrypt(k, fCnt)
		built, err := BuildUplink(again, fCnt, sameKeys(k, k))
		if err != nil || !bytes.Equal(built[:len(built)-4], phy[:len(phy)-4]) {
			t.Fatalf("%x: built anew as %x, %v", phy, built, err)
		}
	}))
}
