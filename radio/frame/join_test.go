package frame

import (
	"bytes"
	"crypto/aes"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// A join that was heard on The Things Network, with its AppKey and the session
// keys. Source: lora-packet, issue 10.
func TestKnownJoin(t *testing.T) {
	root := RootKeys{AppKey: key(t, "B6B53F4A168A7A88BDF7EA135CE9CFCA")}
	phy := unhex(t, "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913")
	req, err := ParseJoinRequest(phy)
	if err != nil {
		t.Fatal(err)
	}
	if req.JoinEUI.String() != "70B3D57ED00000DC" || req.DevEUI.String() != "00AFEE7CF5ED6F1E" || req.DevNonce != 0xCC85 {
		t.Errorf("parsed as %+v", req)
	}
	if !req.CheckMIC(root.AppKey) || req.CheckMIC(Key{1}) {
		t.Error("the MIC is taken for another")
	}
	if got, err := BuildJoinRequest(JoinRequest{JoinEUI: req.JoinEUI, DevEUI: req.DevEUI, DevNonce: req.DevNonce},
		root.AppKey); err != nil || !bytes.Equal(got, phy) {
		t.Errorf("built %x, %v; want %x", got, err, phy)
	}

	answer := unhex(t, "204DD85AE608B87FC4889970B7D2042C9E72959B0057AED6094B16003DF12DE145")
	want := JoinAccept{
		JoinNonce: 0xE5063A, NetID: radio.NetID{0, 0, 0x13}, DevAddr: radio.DevAddr{0x26, 1, 0x2E, 0x43},
		RX2DataRate: 3, RXDelay: 1,
		CFList: CFListFrequencies([]radio.Frequency{867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000}),
	}
	got, err := ParseJoinAccept(answer, root, req)
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Fatalf("parsed as %+v, %v; want %+v", got, err, want)
	}
	if built, err := BuildJoinAccept(want, root, req); err != nil || !bytes.Equal(built, answer) {
		t.Errorf("built %x, %v; want %x", built, err, answer)
	}
	keys, err := DeriveSessionKeys(want, root, req)
	if nwk, app := key(t, "2C96F7028184BB0BE8AA49275290D4FC"), key(t, "F3A5C8F0232A38C144029C165865802C"); err != nil || keys != sameKeys(nwk, app) {
		t.Errorf("keys %x, %v", keyBytes(keys), err)
	}
}

// The network keys of a LoRaWAN 1.1 join.
// Source: brocaar/lorawan, backend/joinserver/joinserver_test.go.
func TestKnownKeysOf11(t *testing.T) {
	root := RootKeys{NwkKey: key(t, "01020304050607080102030405060708"), AppKey: Key{1}}
	req := &JoinRequest{
		JoinEUI: radio.EUI64{8, 7, 6, 5, 4, 3, 2, 1}, DevEUI: radio.EUI64{1, 2, 3, 4, 5, 6, 7, 8},
		DevNonce: 258,
	}
	keys, err := DeriveSessionKeys(JoinAccept{JoinNonce: 65536, OptNeg: true}, root, req)
	want := SessionKeys{
		FNwkSIntKey: key(t, "537F8AAE896C79E015D102D06286354E"),
		SNwkSIntKey: key(t, "589498993092CFDB5FD2E02AC7510BF1"),
		NwkSEncKey:  key(t, "9898283C4F66EB6C6FD5165882046C40"),
		AppSKey:     keys.AppSKey,
	}
	if err != nil || keys != want {
		t.Errorf("keys %x, %v; want %x", keyBytes(keys), err, keyBytes(want))
	}
}

func keyBytes(k SessionKeys) [][]byte {
	return [][]byte{k.FNwkSIntKey[:], k.SNwkSIntKey[:], k.NwkSEncKey[:], k.AppSKey[:]}
}

// aJoin is a join with different bytes everywhere.
func aJoin() (RootKeys, *JoinRequest, JoinAccept) {
	root := RootKeys{AppKey: Key{1, 2, 3, 15: 4}, NwkKey: Key{5, 6, 7, 15: 8}}
	req := &JoinRequest{
		JoinEUI:  radio.EUI64{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18},
		DevEUI:   radio.EUI64{0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28},
		DevNonce: 0x3132,
	}
	return root, req, JoinAccept{
		JoinNonce: 0x414243, NetID: radio.NetID{0x51, 0x52, 0x53}, DevAddr: radio.DevAddr{0x61, 0x62, 0x63, 0x64},
		RX1DROffset: 5, RX2DataRate: 9, RXDelay: 7,
	}
}

// The wire has every field with its lowest byte first.
var (
	wireJoinEUI  = []byte{0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11}
	wireDevEUI   = []byte{0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21}
	wireDevNonce = []byte{0x32, 0x31}
	wireNonce    = []byte{0x43, 0x42, 0x41}
	wireNetID    = []byte{0x53, 0x52, 0x51}
	wireDevAddr  = []byte{0x64, 0x63, 0x62, 0x61}
)

// LoRaWAN 1.0.3, 6.2.4, and 1.1, 6.2.2: cmac over MHDR, JoinEUI, DevEUI and DevNonce.
func TestJoinRequestBySpecification(t *testing.T) {
	root, req, _ := aJoin()
	want := join([]byte{0}, wireJoinEUI, wireDevEUI, wireDevNonce)
	want = append(want, specCMAC(root.NwkKey, want)[:4]...)
	phy, err := BuildJoinRequest(*req, root.NwkKey)
	if err != nil || !bytes.Equal(phy, want) {
		t.Errorf("built %x, %v; want %x", phy, err, want)
	}
	got, err := ParseJoinRequest(phy)
	if err != nil || !got.CheckMIC(root.NwkKey) || got.CheckMIC(root.AppKey) {
		t.Errorf("parsed as %+v, %v", got, err)
	}
}

// LoRaWAN 1.0.3, 6.2.5, and 1.1, 6.2.3: MIC and encryption of a join-accept,
// and the session keys.
func TestJoinAcceptBySpecification(t *testing.T) {
	root, req, accept := aJoin()
	pad := make([]byte, 16)
	derive := func(k Key, parts ...[]byte) Key { return Key(specAES(k, join(append(parts, pad)...)[:16])) }
	nwk := derive(root.AppKey, []byte{1}, wireNonce, wireNetID, wireDevNonce)
	jsIntKey := derive(root.NwkKey, []byte{6}, wireDevEUI)
	request := join([]byte{0xff}, wireJoinEUI, wireDevNonce)

	tests := map[string]struct {
		optNeg   bool
		cfList   []byte
		settings byte // DLSettings
		mic, enc Key
		prefix   []byte // of what the MIC is over
		keys     SessionKeys
	}{
		"1.0": {
			settings: 0x59, mic: root.AppKey, enc: root.AppKey,
			keys: sameKeys(nwk, derive(root.AppKey, []byte{2}, wireNonce, wireNetID, wireDevNonce)),
		},
		"1.1": {
			optNeg: true, settings: 0xd9, mic: jsIntKey, enc: root.NwkKey, prefix: request,
			keys: SessionKeys{
				FNwkSIntKey: derive(root.NwkKey, []byte{1}, wireNonce, wireJoinEUI, wireDevNonce),
				SNwkSIntKey: derive(root.NwkKey, []byte{3}, wireNonce, wireJoinEUI, wireDevNonce),
				NwkSEncKey:  derive(root.NwkKey, []byte{4}, wireNonce, wireJoinEUI, wireDevNonce),
				AppSKey:     derive(root.AppKey, []byte{2}, wireNonce, wireJoinEUI, wireDevNonce),
			},
		},
	}
	for version, tt := range maps.Clone(tests) {
		tt.cfList = CFListMasks([]uint16{0xff00, 0, 0, 0, 2, 0})
		tests[version+" with masks"] = tt
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := accept
			a.OptNeg, a.CFList = tt.optNeg, tt.cfList
			plain := join(wireNonce, wireNetID, wireDevAddr, []byte{tt.settings, 7}, tt.cfList)
			plain = append(plain, specCMAC(tt.mic, tt.prefix, []byte{0x20}, plain)[:4]...)

			phy, err := BuildJoinAccept(a, root, req)
			if err != nil {
				t.Fatal(err)
			}
			air := deviceDecrypts(tt.enc, phy)
			if phy[0] != 0x20 || !bytes.Equal(air, plain) {
				t.Errorf("%02x %x, want 20 %x", phy[0], air, plain)
			}
			got, err := ParseJoinAccept(phy, root, req)
			if err != nil || !reflect.DeepEqual(*got, a) {
				t.Errorf("parsed as %+v, %v; want %+v", got, err, a)
			}
			keys, err := DeriveSessionKeys(a, root, req)
			if err != nil || keys != tt.keys {
				t.Errorf("keys %x, %v; want %x", keyBytes(keys), err, keyBytes(tt.keys))
			}
		})
	}
}

// deviceDecrypts returns the fields of a join-accept as a device decrypts them, by
// AES encryption.
func deviceDecrypts(key Key, phy []byte) (plain []byte) {
	for i := 1; i+16 <= len(phy); i += 16 {
		plain = append(plain, specAES(key, phy[i:i+16])...)
	}
	return plain
}

func TestParseJoinRequestRefuses(t *testing.T) {
	for name, phy := range map[string][]byte{
		"nothing":     nil,
		"22 bytes":    make([]byte, 22),
		"24 bytes":    make([]byte, 24),
		"256 bytes":   make([]byte, 256),
		"data frame":  append([]byte{0x40}, make([]byte, 22)...),
		"join-accept": append([]byte{0x20}, make([]byte, 22)...),
		"major 1":     append([]byte{0x01}, make([]byte, 22)...),
	} {
		if r, err := ParseJoinRequest(phy); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v; want ErrFrame", name, r, err)
		}
	}
}

func TestParseJoinAcceptRefuses(t *testing.T) {
	root, req, accept := aJoin()
	for name, phy := range map[string][]byte{
		"nothing":      nil,
		"16 bytes":     append([]byte{0x20}, make([]byte, 15)...),
		"32 bytes":     append([]byte{0x20}, make([]byte, 31)...),
		"49 bytes":     append([]byte{0x20}, make([]byte, 48)...),
		"join-request": make([]byte, 17),
		"data frame":   append([]byte{0x60}, make([]byte, 16)...),
	} {
		if a, err := ParseJoinAccept(phy, root, req); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v; want ErrFrame", name, a, err)
		}
	}

	for _, optNeg := range []bool{false, true} {
		accept.OptNeg = optNeg
		phy, err := BuildJoinAccept(accept, root, req)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(phy); i++ {
			bad := slices.Clone(phy)
			bad[i] ^= 1
			if a, err := ParseJoinAccept(bad, root, req); !errors.Is(err, ErrMIC) {
				t.Errorf("OptNeg %v, byte %d is wrong: %+v, %v; want ErrMIC", optNeg, i, a, err)
			}
		}
		wrong := root
		wrong.AppKey[3]++
		wrong.NwkKey[3]++
		if a, err := ParseJoinAccept(phy, wrong, req); !errors.Is(err, ErrMIC) {
			t.Errorf("OptNeg %v, other keys: %+v, %v; want ErrMIC", optNeg, a, err)
		}
	}
	phy, err := BuildJoinAccept(accept, root, req)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*JoinRequest){
		"DevNonce": func(r *JoinRequest) { r.DevNonce++ },
		"JoinEUI":  func(r *JoinRequest) { r.JoinEUI[0]++ },
		"DevEUI":   func(r *JoinRequest) { r.DevEUI[0]++ },
	} {
		other := *req
		change(&other)
		if a, err := ParseJoinAccept(phy, root, &other); !errors.Is(err, ErrMIC) {
			t.Errorf("an answer to another %s: %+v, %v; want ErrMIC", name, a, err)
		}
	}
}

// A join-accept that the right key made, with bits that are reserved.
func TestParseJoinAcceptRefusesReserved(t *testing.T) {
	root, req, _ := aJoin()
	plain := join(wireNonce, wireNetID, wireDevAddr, []byte{0x59, 0x17})
	plain = append(plain, specCMAC(root.AppKey, []byte{0x20}, plain)[:4]...)
	c, err := aes.NewCipher(root.AppKey[:])
	if err != nil {
		t.Fatal(err)
	}
	phy := make([]byte, 17)
	phy[0] = 0x20
	c.Decrypt(phy[1:], plain)
	if a, err := ParseJoinAccept(phy, root, req); !errors.Is(err, ErrMIC) {
		t.Errorf("%+v, %v; want ErrMIC", a, err)
	}
}

func TestBuildJoinAcceptRefuses(t *testing.T) {
	root, req, accept := aJoin()
	tests := map[string]struct {
		change func(*JoinAccept, *RootKeys)
		err    error
	}{
		"JoinNonce of 25 bits": {func(a *JoinAccept, _ *RootKeys) { a.JoinNonce = 1 << 24 }, ErrFrame},
		"RX1DROffset 8":        {func(a *JoinAccept, _ *RootKeys) { a.RX1DROffset = 8 }, ErrFrame},
		"RX2 data rate 16":     {func(a *JoinAccept, _ *RootKeys) { a.RX2DataRate = 16 }, ErrFrame},
		"RXDelay 16":           {func(a *JoinAccept, _ *RootKeys) { a.RXDelay = 16 }, ErrFrame},
		"CFList of 15 bytes":   {func(a *JoinAccept, _ *RootKeys) { a.CFList = make([]byte, 15) }, ErrFrame},
		"CFList of 0 bytes":    {func(a *JoinAccept, _ *RootKeys) { a.CFList = []byte{} }, ErrFrame},
		"no AppKey":            {func(_ *JoinAccept, k *RootKeys) { k.AppKey = Key{} }, ErrKey},
		"1.1, no AppKey":       {func(a *JoinAccept, k *RootKeys) { a.OptNeg, k.AppKey = true, Key{} }, ErrKey},
		"1.1, no NwkKey":       {func(a *JoinAccept, k *RootKeys) { a.OptNeg, k.NwkKey = true, Key{} }, ErrKey},
	}
	for name, tt := range tests {
		a, k := accept, root
		tt.change(&a, &k)
		if phy, err := BuildJoinAccept(a, k, req); !errors.Is(err, tt.err) {
			t.Errorf("%s: %x, %v; want %v", name, phy, err, tt.err)
		}
		if keys, err := DeriveSessionKeys(a, k, req); !errors.Is(err, tt.err) || keys != (SessionKeys{}) {
			t.Errorf("%s: keys %x, %v; want none and %v", name, keyBytes(keys), err, tt.err)
		}
	}
}

func TestCFList(t *testing.T) {
	tests := map[string]struct {
		list  []byte
		wire  string
		freqs []radio.Frequency
		masks []uint16
	}{
		"EU868": {
			list:  CFListFrequencies([]radio.Frequency{867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000}),
			wire:  "184F84 E85684 B85E84 886684 586E84 00",
			freqs: []radio.Frequency{867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000},
		},
		"one, and one left out": {
			list:  CFListFrequencies([]radio.Frequency{0, 922_000_000}),
			wire:  "000000 A0AF8C 000000 000000 000000 00",
			freqs: []radio.Frequency{0, 922_000_000, 0, 0, 0},
		},
		"more than five, and what does not fit": {
			list:  CFListFrequencies([]radio.Frequency{1_677_721_500, 1_677_721_600, 4_294_967_295, 100, 199, 868_100_000}),
			wire:  "FFFFFF 000000 000000 010000 010000 00",
			freqs: []radio.Frequency{1_677_721_500, 0, 0, 100, 100},
		},
		"US915, second sub-band": {
			list:  CFListMasks([]uint16{0xff00, 0, 0, 0, 0x0002}),
			wire:  "00FF 0000 0000 0000 0200 0000 000000 01",
			masks: []uint16{0xff00, 0, 0, 0, 2, 0},
		},
		"more than six masks": {
			list:  CFListMasks([]uint16{1, 2, 3, 4, 5, 6, 7}),
			wire:  "0100 0200 0300 0400 0500 0600 000000 01",
			masks: []uint16{1, 2, 3, 4, 5, 6},
		},
	}
	for name, tt := range tests {
		if !bytes.Equal(tt.list, unhex(t, tt.wire)) {
			t.Errorf("%s: %X, want %s", name, tt.list, tt.wire)
		}
		freqs, masks, err := ParseCFList(tt.list)
		if err != nil || !slices.Equal(freqs, tt.freqs) || !slices.Equal(masks, tt.masks) {
			t.Errorf("%s: read as %v, %x, %v", name, freqs, masks, err)
		}
	}
	if f, m := CFListFrequencies(nil), CFListMasks(nil); f != nil || m != nil {
		t.Errorf("of nothing: %x, %x", f, m)
	}
	for name, b := range map[string][]byte{"nothing": nil, "15 bytes": make([]byte, 15), "17 bytes": make([]byte, 17), "type 2": {15: 2}} {
		if f, m, err := ParseCFList(b); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v, %v, %v; want ErrFrame", name, f, m, err)
		}
	}
}

func FuzzJoinRequest(f *testing.F) {
	f.Add(unhex(f, "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913"), make([]byte, 16))
	f.Add(unhex(f, "00DC0000D07ED5B3701E6FEDF57CEEAF0085CC587FE913"), unhex(f, "B6B53F4A168A7A88BDF7EA135CE9CFCA"))
	f.Add(make([]byte, 22), []byte{1})
	f.Add(unhex(f, "40F17DBE4900020001954378762B11FF0D"), []byte(nil))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, phy, appKey []byte) {
		var k Key
		copy(k[:], appKey)
		before := bytes.Clone(phy)
		req, err := ParseJoinRequest(phy)
		if (err == nil) != (len(phy) == 23 && phy[0] == 0) || err != nil && !errors.Is(err, ErrFrame) {
			t.Fatalf("%x: %v", phy, err)
		}
		if !bytes.Equal(phy, before) {
			t.Fatalf("%x was changed to %x", before, phy)
		}
		if err != nil {
			return
		}
		good := bytes.Equal(specCMAC(k, phy[:19])[:4], phy[19:])
		if req.CheckMIC(k) != good {
			t.Fatalf("%x: MIC of %x taken for %v", phy, k[:], !good)
		}
		built, err := BuildJoinRequest(*req, k)
		if err != nil || !bytes.Equal(built[:19], phy[:19]) || bytes.Equal(built, phy) != good {
			t.Fatalf("%x: built anew as %x, %v", phy, built, err)
		}
	}))
}

func FuzzJoinAccept(f *testing.F) {
	root := RootKeys{AppKey: key(f, "B6B53F4A168A7A88BDF7EA135CE9CFCA"), NwkKey: Key{1}}
	known := unhex(f, "204DD85AE608B87FC4889970B7D2042C9E72959B0057AED6094B16003DF12DE145")
	f.Add(known, uint32(0xE5063A), uint16(0xCC85), byte(3), byte(1), []byte(nil))
	f.Add(known[:17], uint32(1), uint16(1), byte(0xff), byte(15), make([]byte, 16))
	f.Add([]byte{0x20}, uint32(1<<24), uint16(1), byte(0x80), byte(16), make([]byte, 15))
	f.Fuzz(fuzztest.Quick(func(
		t *testing.T, phy []byte, joinNonce uint32, devNonce uint16, settings, delay byte, cfList []byte,
	) {
		req := &JoinRequest{JoinEUI: radio.EUI64{2}, DevEUI: radio.EUI64{3}, DevNonce: devNonce}
		before := bytes.Clone(phy)
		if a, err := ParseJoinAccept(phy, root, req); err == nil {
			if built, err := BuildJoinAccept(*a, root, req); err != nil || !bytes.Equal(built, phy) {
				t.Fatalf("%x: parsed as %+v, built anew as %x, %v", phy, a, built, err)
			}
		} else if !errors.Is(err, ErrFrame) && !errors.Is(err, ErrMIC) {
			t.Fatalf("%x: %v", phy, err)
		}
		if !bytes.Equal(phy, before) {
			t.Fatalf("%x was changed to %x", before, phy)
		}

		a := JoinAccept{
			JoinNonce: joinNonce, DevAddr: radio.DevAddr{4, 5}, OptNeg: settings&0x80 != 0,
			RX1DROffset: settings >> 4 & 7, RX2DataRate: settings & 15, RXDelay: delay, CFList: cfList,
		}
		built, err := BuildJoinAccept(a, root, req)
		if err != nil {
			if !errors.Is(err, ErrFrame) || joinNonce < 1<<24 && delay < 16 && (cfList == nil || len(cfList) == 16) {
				t.Fatalf("%+v: %v", a, err)
			}
			return
		}
		if got, err := ParseJoinAccept(built, root, req); err != nil || !reflect.DeepEqual(*got, a) {
			t.Fatalf("%+v: %x is parsed as %+v, %v", a, built, got, err)
		}
		if _, err := DeriveSessionKeys(a, root, req); err != nil {
			t.Fatalf("%+v: %v", a, err)
		}
	}))
}
