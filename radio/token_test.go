package radio

import (
	"errors"
	"math"
	"testing"

	"lorawand/radio/fuzztest"
)

func TestUplinkToken(t *testing.T) {
	tokens := []UplinkToken{
		{},
		{Gateway: EUI64{1, 2, 3, 4, 5, 6, 7, 8}, Antenna: 1, Time: 1 << 40, Host: 12345678901234, GPS: 1479370164544e6},
		{Gateway: EUI64{0xff}, Antenna: 255, Time: math.MaxInt64, Host: math.MinInt64, GPS: -1},
	}
	for _, want := range tokens {
		got, err := ParseUplinkToken(want.String())
		if err != nil || got != want {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	}
	// Written once and kept: the bytes are the same on every CPU.
	const golden = "AQECAwQFBgcIAQAAAQAAAAAAAAALOnPOL/IUh8dTnPTQAA=="
	if got := tokens[1].String(); got != golden {
		t.Errorf("token is %s, want %s", got, golden)
	}
}

func TestUplinkTokenRefuses(t *testing.T) {
	good := UplinkToken{Antenna: 1}
	b := good.AppendBinary(nil)
	for name, text := range map[string]string{
		"empty":   "",
		"base64":  "*",
		"version": "AgAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
		"short":   "AQAA",
		"long":    good.String() + "AAAA",
		"TTS's":   "CiIKIAoUZXVpLTAyNDIwMjAwMDAyNDc4MDMSCAJCAgAAJHgDEMj49+ME",
	} {
		if tok, err := ParseUplinkToken(text); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, %v; want ErrToken", name, tok, err)
		}
	}
	if len(b) != tokenSize {
		t.Errorf("token has %d bytes, want %d", len(b), tokenSize)
	}
}

func FuzzUplinkToken(f *testing.F) {
	f.Add("")
	f.Add(UplinkToken{}.String())
	f.Add(UplinkToken{Gateway: EUI64{1}, Antenna: 2, Time: 3, Host: 4, GPS: 5}.String())
	f.Fuzz(fuzztest.Quick(func(t *testing.T, text string) {
		tok, err := ParseUplinkToken(text)
		if err != nil {
			if !errors.Is(err, ErrToken) {
				t.Fatalf("%q: %v is not ErrToken", text, err)
			}
			return
		}
		back, err := ParseUplinkToken(tok.String())
		if err != nil || back != tok {
			t.Fatalf("%q: %+v came back as %+v, %v", text, tok, back, err)
		}
	}))
}
