package frame

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/brocaar/lorawan"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// aRejoin is a rejoin-request with different bytes everywhere.
func aRejoin(t JoinType) RejoinRequest {
	_, req, a := aJoin()
	r := RejoinRequest{Type: t, NetID: a.NetID, JoinEUI: req.JoinEUI, DevEUI: req.DevEUI, Count: req.DevNonce}
	if t == Rejoin1 {
		r.NetID = radio.NetID{}
	} else {
		r.JoinEUI = radio.EUI64{}
	}
	return r
}

var rejoinTypes = []JoinType{Rejoin0, Rejoin1, Rejoin2}

// LoRaWAN 1.1, 6.2.4: MHDR, RejoinType, NetID or JoinEUI, DevEUI, RJcount, and the CMAC of
// all that. The library makes the same.
func TestRejoinRequestBySpecification(t *testing.T) {
	key := Key{1, 2, 3, 15: 4}
	for n, typ := range rejoinTypes {
		t.Run(typ.String(), func(t *testing.T) {
			first := wireNetID
			if typ == Rejoin1 {
				first = wireJoinEUI
			}
			want := join([]byte{0xc0, byte(n)}, first, wireDevEUI, wireDevNonce)
			want = append(want, specCMAC(key, want)[:4]...)
			r := aRejoin(typ)
			phy, err := BuildRejoinRequest(r, key)
			if err != nil || !bytes.Equal(phy, want) {
				t.Fatalf("built %x, %v; want %x", phy, err, want)
			}
			got, err := ParseRejoinRequest(phy)
			if err != nil || !got.CheckMIC(key) || got.CheckMIC(Key{9}) {
				t.Fatalf("parsed as %+v, %v", got, err)
			}
			if r.MIC = got.MIC; *got != r {
				t.Errorf("parsed as %+v, want %+v", got, r)
			}
			var lib lorawan.PHYPayload
			if err := lib.UnmarshalBinary(slices.Clone(phy)); err != nil {
				t.Fatal(err)
			}
			if good, err := lib.ValidateUplinkJoinMIC(lorawan.AES128Key(key)); !good || err != nil {
				t.Errorf("the library refuses it: %v", err)
			}
		})
	}
}

// LoRaWAN 1.1, 6.2.3 and 6.2.4: the answer is encrypted with JSEncKey, its MIC covers the type
// of the request, and RJcount stands for DevNonce, also in the keys.
func TestRejoinAcceptBySpecification(t *testing.T) {
	root, join0, accept := aJoin()
	accept.OptNeg = true
	derive := func(k Key, parts ...[]byte) Key {
		return Key(specAES(k, join(append(parts, make([]byte, 16))...)[:16]))
	}
	jsIntKey, jsEncKey := derive(root.NwkKey, []byte{6}, wireDevEUI), derive(root.NwkKey, []byte{5}, wireDevEUI)
	if JSIntKey(root.NwkKey, join0.DevEUI) != jsIntKey {
		t.Error("another JSIntKey")
	}
	for n, typ := range rejoinTypes {
		t.Run(typ.String(), func(t *testing.T) {
			r := aRejoin(typ)
			req := r.Request(join0.JoinEUI)
			if req.JoinEUI != join0.JoinEUI || req.DevEUI != join0.DevEUI || req.DevNonce != join0.DevNonce {
				t.Errorf("stands for %+v", req)
			}
			plain := join(wireNonce, wireNetID, wireDevAddr, []byte{0xd9, 7})
			prefix := join([]byte{byte(n)}, wireJoinEUI, wireDevNonce)
			plain = append(plain, specCMAC(jsIntKey, prefix, []byte{0x20}, plain)[:4]...)
			phy, err := BuildJoinAccept(accept, root, &req)
			if err != nil {
				t.Fatal(err)
			}
			if air := deviceDecrypts(jsEncKey, phy); phy[0] != 0x20 || !bytes.Equal(air, plain) {
				t.Errorf("%02x %x, want 20 %x", phy[0], air, plain)
			}
			if got, err := ParseJoinAccept(phy, root, &req); err != nil || !reflect.DeepEqual(*got, accept) {
				t.Errorf("parsed as %+v, %v", got, err)
			}
			for _, other := range append(rejoinTypes, Join) { // of another request with the same count
				not := req
				if not.Type = other; other == typ {
					continue
				}
				if got, err := ParseJoinAccept(phy, root, &not); !errors.Is(err, ErrMIC) {
					t.Errorf("taken for the answer to a %v: %+v, %v", other, got, err)
				}
			}
			keys, err := DeriveSessionKeys(accept, root, &req)
			want := SessionKeys{
				FNwkSIntKey: derive(root.NwkKey, []byte{1}, wireNonce, wireJoinEUI, wireDevNonce),
				SNwkSIntKey: derive(root.NwkKey, []byte{3}, wireNonce, wireJoinEUI, wireDevNonce),
				NwkSEncKey:  derive(root.NwkKey, []byte{4}, wireNonce, wireJoinEUI, wireDevNonce),
				AppSKey:     derive(root.AppKey, []byte{2}, wireNonce, wireJoinEUI, wireDevNonce),
			}
			if err != nil || keys != want {
				t.Errorf("keys %x, %v; want %x", keyBytes(keys), err, keyBytes(want))
			}
			accept10 := accept
			accept10.OptNeg = false
			if _, err := BuildJoinAccept(accept10, root, &req); !errors.Is(err, ErrFrame) {
				t.Errorf("answered with LoRaWAN 1.0.x: %v", err)
			}
			if _, err := DeriveSessionKeys(accept10, root, &req); !errors.Is(err, ErrFrame) {
				t.Errorf("keys of LoRaWAN 1.0.x: %v", err)
			}
		})
	}
}

func TestParseRejoinRequestRefuses(t *testing.T) {
	for name, phy := range map[string][]byte{
		"nothing":                 nil,
		"only MHDR":               {0xc0},
		"a join-request":          make([]byte, 23),
		"type 3":                  {0: 0xc0, 1: 3, 18: 0},
		"type 255":                {0: 0xc0, 1: 255, 18: 0},
		"type 0, too short":       {0: 0xc0, 1: 0, 17: 0},
		"type 0, too long":        {0: 0xc0, 1: 0, 19: 0},
		"type 0 with a JoinEUI":   {0: 0xc0, 1: 0, 23: 0},
		"type 1 with a NetID":     {0: 0xc0, 1: 1, 18: 0},
		"type 2, too long":        {0: 0xc0, 1: 2, 19: 0},
		"MHDR of a later LoRaWAN": {0: 0xc1, 1: 0, 18: 0},
		"far too long":            {0: 0xc0, 300: 0},
	} {
		if r, err := ParseRejoinRequest(phy); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v; want ErrFrame", name, r, err)
		}
	}
	for _, typ := range []JoinType{Join, Rejoin2 + 1, 255} {
		if phy, err := BuildRejoinRequest(RejoinRequest{Type: typ}, Key{1}); !errors.Is(err, ErrFrame) {
			t.Errorf("type %d: built %x, %v", typ, phy, err)
		}
	}
}

func FuzzRejoinRequest(f *testing.F) {
	for _, typ := range rejoinTypes {
		phy, err := BuildRejoinRequest(aRejoin(typ), Key{7})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(phy, []byte{7})
		f.Add(phy[:len(phy)-1], []byte(nil))
	}
	f.Add([]byte{0xc0, 3, 18: 0}, []byte{1})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, phy, secret []byte) {
		var k Key
		copy(k[:], secret)
		before := bytes.Clone(phy)
		r, err := ParseRejoinRequest(phy)
		wanted := len(phy) > 1 && phy[0] == 0xc0 && (phy[1] == 1 && len(phy) == 24 || phy[1]&^2 == 0 && len(phy) == 19)
		if (err == nil) != wanted || err != nil && !errors.Is(err, ErrFrame) {
			t.Fatalf("%x: %v", phy, err)
		}
		if !bytes.Equal(phy, before) {
			t.Fatalf("%x was changed to %x", before, phy)
		}
		if err != nil {
			return
		}
		end := len(phy) - 4
		good := bytes.Equal(specCMAC(k, phy[:end])[:4], phy[end:])
		if r.CheckMIC(k) != good {
			t.Fatalf("%x: MIC of %x taken for %v", phy, k[:], !good)
		}
		built, err := BuildRejoinRequest(*r, k)
		if err != nil || !bytes.Equal(built[:end], phy[:end]) || bytes.Equal(built, phy) != good {
			t.Fatalf("%x: built anew as %x, %v", phy, built, err)
		}
	}))
}
