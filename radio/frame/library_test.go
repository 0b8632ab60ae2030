package frame

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/brocaar/lorawan"

	"lorawand/radio"
	"lorawand/radio/fuzztest"
)

// libraryFrame is a data frame as brocaar/lorawan has it.
type libraryFrame struct {
	phy lorawan.PHYPayload
	mac *lorawan.MACPayload
}

func parseWithLibrary(phy []byte) (*libraryFrame, error) {
	f := new(libraryFrame)
	if err := f.phy.UnmarshalBinary(bytes.Clone(phy)); err != nil {
		return nil, err
	}
	var ok bool
	if f.mac, ok = f.phy.MACPayload.(*lorawan.MACPayload); !ok {
		return nil, errors.New("no data frame")
	}
	return f, nil
}

func (f *libraryFrame) uplink() bool { return MType(f.phy.MHDR.MType).Uplink() }

func libraryVersion(version11 bool) lorawan.MACVersion {
	if version11 {
		return lorawan.LoRaWAN1_1
	}
	return lorawan.LoRaWAN1_0
}

// checkMIC leaves the counter in the frame.
func (f *libraryFrame) checkMIC(k SessionKeys, version11 bool, fCnt uint32, ctx Context) (bool, error) {
	f.mac.FHDR.FCnt = fCnt
	v, s := libraryVersion(version11), lorawan.AES128Key(k.SNwkSIntKey)
	if !f.uplink() {
		return f.phy.ValidateDownlinkDataMIC(v, uint32(ctx.ConfFCnt), s)
	}
	return f.phy.ValidateUplinkDataMIC(v, uint32(ctx.ConfFCnt), ctx.TxDR, ctx.TxCh, lorawan.AES128Key(k.FNwkSIntKey), s)
}

func (f *libraryFrame) setMIC(k SessionKeys, version11 bool, fCnt uint32, ctx Context) error {
	f.mac.FHDR.FCnt = fCnt
	v, s := libraryVersion(version11), lorawan.AES128Key(k.SNwkSIntKey)
	if !f.uplink() {
		return f.phy.SetDownlinkDataMIC(v, uint32(ctx.ConfFCnt), s)
	}
	return f.phy.SetUplinkDataMIC(v, uint32(ctx.ConfFCnt), ctx.TxDR, ctx.TxCh, lorawan.AES128Key(k.FNwkSIntKey), s)
}

// plain decrypts FOpts and FRMPayload of copies; the frame stays as it is.
func (f *libraryFrame) plain(k SessionKeys, version11 bool, fCnt uint32) (fOpts, payload []byte, err error) {
	addr, port := f.mac.FHDR.DevAddr, byte(0)
	if f.mac.FPort != nil {
		port = *f.mac.FPort
	}
	fOpts = libraryBytes(f.mac.FHDR.FOpts)
	if version11 {
		aFCntDown := !f.uplink() && port > 0
		if fOpts, err = lorawan.EncryptFOpts(lorawan.AES128Key(k.NwkSEncKey), aFCntDown, f.uplink(), addr, fCnt,
			fOpts); err != nil {
			return nil, nil, err
		}
	}
	key := k.AppSKey
	if port == 0 {
		key = k.NwkSEncKey
	}
	payload, err = lorawan.EncryptFRMPayload(lorawan.AES128Key(key), f.uplink(), addr, fCnt,
		libraryBytes(f.mac.FRMPayload))
	return fOpts, payload, err
}

// libraryBytes copies the bytes that the library keeps as one payload.
func libraryBytes(p []lorawan.Payload) []byte {
	if len(p) == 0 {
		return nil
	}
	return bytes.Clone(p[0].(*lorawan.DataPayload).Bytes)
}

// FuzzAgainstLibrary holds parsing, MIC, decryption and building of data frames
// of both versions against brocaar/lorawan. What is refused here and not there
// is in accepted.
func FuzzAgainstLibrary(f *testing.F) {
	for _, d := range frames() {
		for _, version11 := range []bool{false, true} {
			f.Add(specFrame(d, 0x1fedc, sessionKeys(), version11, Context{1, 2, 3}), []byte{1}, version11, uint32(0x1fedc),
				uint16(1), byte(2), byte(3))
		}
	}
	f.Add(unhex(f, "40F17DBE4900020001954378762B11FF0D"), []byte("key"), false, uint32(2), uint16(0), byte(0), byte(0))
	// RFU in a downlink
	f.Add(unhex(f, "600102030441000002 aabbccdd"), []byte(nil), true, uint32(1), uint16(0), byte(0), byte(0))
	f.Add(unhex(f, "40010203040f0000aabbccdd"), []byte(nil), true, uint32(1), uint16(0), byte(0), byte(0)) // too few FOpts
	f.Add(unhex(f, "4001020304010000 02 00 aabbccdd"), []byte(nil), false, uint32(1), uint16(0), byte(0), byte(0))
	f.Add(unhex(f, "4101020304000000aabbccdd"), []byte(nil), false, uint32(1), uint16(0), byte(0), byte(0))
	f.Add(make([]byte, 256), []byte(nil), false, uint32(1), uint16(0), byte(0), byte(0))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, phy, seed []byte, version11 bool, fCnt uint32, confFCnt uint16, dr, ch byte) {
		lib, err := parseWithLibrary(phy)
		d, ownErr := ParseData(phy)
		if want := err == nil && accepted(phy, lib); (ownErr == nil) != want {
			t.Fatalf("%x: %v, library %v", phy, ownErr, err)
		}
		if ownErr != nil {
			return
		}
		sameFields(t, phy, d, lib)
		keys := keysOf(seed)
		c, ctx := NewCipher(keys, version11), Context{confFCnt, dr, ch}
		sameCrypto(t, c, keys, ctx, d, lib, fCnt)

		// The frame once more, with the MIC that the library gives it.
		if !d.MType.Uplink() {
			lib.mac.FHDR.FCtrl.ADRACKReq = false // reserved; not made here
		}
		if err := lib.setMIC(keys, version11, fCnt, ctx); err != nil {
			t.Fatalf("%x: library: %v", phy, err)
		}
		want, err := lib.phy.MarshalBinary()
		if err != nil {
			t.Fatalf("%x: library: %v", phy, err)
		}
		lib, err = parseWithLibrary(want)
		if err != nil {
			t.Fatalf("%x: library: %v", want, err)
		}
		if d, err = ParseData(want); err != nil || !checkMIC(c, d, fCnt, ctx) {
			t.Fatalf("%x: MIC of the library is refused, %v", want, err)
		}
		sameCrypto(t, c, keys, ctx, d, lib, fCnt)
		again := *d
		again.FOpts, again.FRMPayload = c.AppendFOpts(nil, d, fCnt), c.AppendFRMPayload(nil, d, fCnt)
		if built, err := c.build(&again, fCnt, ctx); err != nil || !bytes.Equal(built, want) {
			t.Fatalf("built %x, %v; library %x", built, err, want)
		}
	}))
}

// accepted reports whether a frame that the library takes is taken here too:
// not with another MHDR than that of LoRaWAN R1, above the size that the
// physical layer carries, or with FOpts beside FPort 0, which the library only
// refuses if there is FRMPayload.
func accepted(phy []byte, lib *libraryFrame) bool {
	fOptsOnPort0 := len(lib.mac.FHDR.FOpts) > 0 && lib.mac.FPort != nil && *lib.mac.FPort == 0
	return phy[0]&0x1f == 0 && len(phy) <= 255 && !fOptsOnPort0
}

func sameFields(t *testing.T, phy []byte, d *Data, lib *libraryFrame) {
	t.Helper()
	h, up := lib.mac.FHDR, lib.uplink()
	want := Data{
		MType: MType(lib.phy.MHDR.MType), DevAddr: radio.DevAddr(h.DevAddr), FCnt: uint16(h.FCnt), MIC: lib.phy.MIC,
		ADR: h.FCtrl.ADR, ADRACKReq: up && h.FCtrl.ADRACKReq, ACK: h.FCtrl.ACK,
		ClassB: up && h.FCtrl.ClassB, FPending: !up && h.FCtrl.FPending, HasFPort: lib.mac.FPort != nil,
	}
	if want.HasFPort {
		want.FPort = *lib.mac.FPort
	}
	fOpts, payload := libraryBytes(h.FOpts), libraryBytes(lib.mac.FRMPayload)
	if d.MType != want.MType || d.DevAddr != want.DevAddr || d.FCnt != want.FCnt || d.MIC != want.MIC ||
		d.ADR != want.ADR || d.ADRACKReq != want.ADRACKReq || d.ACK != want.ACK || d.ClassB != want.ClassB ||
		d.FPending != want.FPending ||
		d.HasFPort != want.HasFPort || d.FPort != want.FPort || !bytes.Equal(d.FOpts, fOpts) ||
		!bytes.Equal(d.FRMPayload, payload) {
		t.Fatalf("%x: %+v, library %+v with FOpts %x and payload %x", phy, d, want, fOpts, payload)
	}
}

func sameCrypto(t *testing.T, c *Cipher, keys SessionKeys, ctx Context, d *Data, lib *libraryFrame, fCnt uint32) {
	t.Helper()
	good, err := lib.checkMIC(keys, c.version11, fCnt, ctx)
	if got := checkMIC(c, d, fCnt, ctx); err != nil || got != good {
		t.Fatalf("%x: MIC %v, library %v, %v", d.phy, got, good, err)
	}
	fOpts, payload, err := lib.plain(keys, c.version11, fCnt)
	if got := c.AppendFOpts(nil, d, fCnt); err != nil || !bytes.Equal(got, fOpts) {
		t.Fatalf("%x: FOpts %x, library %x, %v", d.phy, got, fOpts, err)
	}
	if got := c.AppendFRMPayload(nil, d, fCnt); !bytes.Equal(got, payload) {
		t.Fatalf("%x: payload %x, library %x", d.phy, got, payload)
	}
}

func checkMIC(c *Cipher, d *Data, fCnt uint32, ctx Context) bool {
	return c.CheckUplinkMIC(d, fCnt, ctx) || c.CheckDownlinkMIC(d, fCnt, ctx)
}

// keysOf makes four keys of some bytes: all the same without any.
func keysOf(seed []byte) (k SessionKeys) {
	for i, key := range []*Key{&k.FNwkSIntKey, &k.SNwkSIntKey, &k.NwkSEncKey, &k.AppSKey} {
		for j, b := range seed {
			key[(i*5+j)%16] ^= b + byte(i)
		}
	}
	return k
}

// BenchmarkUplink is what an uplink costs: taken apart, MIC checked, decrypted.
// The size is that of FRMPayload; "single" is without a Cipher.
func BenchmarkUplink(b *testing.B) {
	keys := sameKeys(Key{1}, Key{2})
	for _, size := range []int{20, 222} {
		uplink := Data{MType: UnconfirmedUp, HasFPort: true, FPort: 1, FRMPayload: make([]byte, size)}
		phy, phy11 := specFrame(uplink, 1, keys, false, Context{}), specFrame(uplink, 1, keys, true, Context{})
		b.Run(fmt.Sprintf("%d/library", size), func(b *testing.B) { benchmarkLibrary(b, phy, keys) })
		b.Run(fmt.Sprintf("%d/single", size), func(b *testing.B) { benchmarkSingle(b, phy, keys) })
		b.Run(fmt.Sprintf("%d/cipher", size), func(b *testing.B) { benchmarkCipher(b, phy, NewCipher(keys, false)) })
		b.Run(fmt.Sprintf("%d/cipher11", size), func(b *testing.B) { benchmarkCipher(b, phy11, NewCipher(keys, true)) })
	}
}

func benchmarkLibrary(b *testing.B, phy []byte, keys SessionKeys) {
	b.ReportAllocs()
	for b.Loop() {
		f, err := parseWithLibrary(phy)
		if err != nil {
			b.Fatal(err)
		}
		if good, err := f.checkMIC(keys, false, 1, Context{}); err != nil || !good {
			b.Fatal("the MIC is refused", err)
		}
		if err := f.phy.DecryptFRMPayload(lorawan.AES128Key(keys.AppSKey)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkSingle(b *testing.B, phy []byte, keys SessionKeys) {
	b.ReportAllocs()
	for b.Loop() {
		d, err := ParseData(phy)
		if err != nil || !d.CheckUplinkMIC(keys.FNwkSIntKey, 1) {
			b.Fatal("the MIC is refused", err)
		}
		d.Decrypt(keys.AppSKey, 1)
	}
}

func benchmarkCipher(b *testing.B, phy []byte, c *Cipher) {
	var d Data
	buf := make([]byte, 0, MaxSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Parse(phy); err != nil || !c.CheckUplinkMIC(&d, 1, Context{}) {
			b.Fatal("the MIC is refused", err)
		}
		buf = c.AppendFRMPayload(buf[:0], &d, 1)
	}
}

// BenchmarkParse is the part without cryptography.
func BenchmarkParse(b *testing.B) {
	phy := specFrame(Data{MType: UnconfirmedUp, HasFPort: true, FPort: 1, FRMPayload: make([]byte, 20)}, 1, sessionKeys(),
		false, Context{})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parseWithLibrary(phy); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("own", func(b *testing.B) {
		var d Data
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Parse(phy); err != nil {
				b.Fatal(err)
			}
		}
	})
}
