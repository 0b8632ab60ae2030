package sx1302

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio/fuzztest"
)

// synthetic knows the images of sx1302test as the published ones are known.
func synthetic(image []byte) Program {
	for p, q := range map[Program]sx1302test.Program{
		AGCSX1250: sx1302test.AGCSX1250, AGCSX125x: sx1302test.AGCSX125x, ARB: sx1302test.ARB,
		CalibrationSX125x: sx1302test.Calibration,
	} {
		if bytes.Equal(image, sx1302test.Image(q)) {
			return p
		}
	}
	if bytes.Equal(image, sx1302test.Patch()) {
		return PatchSX1261
	}
	return UnknownProgram
}

// modelled are the programs of sx1302test.
func modelled() *catalogue {
	k := catalogue{identify: synthetic}
	for _, b := range sx1302test.Patch() {
		k.patchSum += uint32(b)
	}
	return &k
}

// varPatch is the patch as sx1302_hal publishes it.
func varPatch(patch []byte) []byte {
	var b bytes.Buffer
	b.WriteString("const uint32_t pram[] =\n{\n")
	for i := 0; i < len(patch); i += 4 {
		fmt.Fprintf(&b, "0x%x,\n", binary.BigEndian.Uint32(patch[i:]))
	}
	b.WriteString("};\n")
	return b.Bytes()
}

// littleEndian is the patch as such processors store it.
func littleEndian(patch []byte) []byte {
	b := slices.Clone(patch)
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	return b
}

// within has parts at places of a file that looks like nothing.
func within(n int, at map[int][]byte) []byte {
	b := executable(n, false, nil)
	for i, part := range at {
		copy(b[i:], part)
	}
	return b
}

// varFile is an image as sx1302_hal publishes it.
func varFile(image []byte) []byte {
	var b bytes.Buffer
	b.WriteString("static const uint8_t firmware[MCU_FW_SIZE] = {\n")
	for i, v := range image {
		sep := ", "
		if i%16 == 15 {
			sep = ",\n"
		}
		fmt.Fprintf(&b, "0x%02X%s", v, sep)
	}
	b.WriteString("};\n")
	return b.Bytes()
}

// executable has images at places of a file of n bytes that look like nothing, or
// like zeros.
func executable(n int, zeros bool, at map[int]sx1302test.Program) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		if !zeros {
			b[i] = byte(rnd.Uint32())
		}
	}
	for i, p := range at {
		copy(b[i:], sx1302test.Image(p))
	}
	return b
}

// imageFile is a file to import, with what is in it.
type imageFile struct {
	name string
	file []byte
	want []Program
	says string
}

// patchFiles are files with the patch of the SX1261.
func patchFiles() []imageFile {
	agc, patch := sx1302test.Image(sx1302test.AGCSX1250), sx1302test.Patch()
	otherPatch := slices.Clone(patch)
	otherPatch[1000]++
	return []imageFile{
		{name: "patch", file: patch, want: []Program{PatchSX1261}},
		{name: "patch as text", file: varPatch(patch), want: []Program{PatchSX1261}},
		{name: "another patch as text", file: varPatch(otherPatch), says: "none that is published"},
		{
			name: "all in a program for ARM", file: within(1<<16, map[int][]byte{
				0x1000: littleEndian(patch), 0x3000: agc, 0x5000: sx1302test.Image(sx1302test.ARB),
			}),
			want: []Program{PatchSX1261, AGCSX1250, ARB},
		},
		{
			name: "all in a program for a MIPS", file: within(1<<16, map[int][]byte{0x1000: agc, 0x3004: patch}),
			want: []Program{AGCSX1250, PatchSX1261},
		},
		{
			name: "patch at the end, right after an image", file: within(1<<14, map[int][]byte{
				1<<14 - PatchSize: littleEndian(patch), 1<<14 - PatchSize - ImageSize: agc,
			}),
			want: []Program{AGCSX1250, PatchSX1261},
		},
		{
			name: "another patch with the same sum",
			file: within(1<<14, map[int][]byte{100: slices.Concat(patch[4:], patch[:4])}), says: "none in 16384 bytes",
		},
	}
}

func TestFindImages(t *testing.T) {
	agc := sx1302test.Image(sx1302test.AGCSX1250)
	wellFormed := slices.Repeat([]byte{0x01, 0x40}, ImageSize/2)
	spoilt := slices.Clone(agc)
	spoilt[4000] ^= 0x10
	two := map[int]sx1302test.Program{0x1234: sx1302test.ARB, 0x9000: sx1302test.AGCSX1250}
	tests := []imageFile{
		{name: "raw", file: agc, want: []Program{AGCSX1250}},
		{name: "text", file: varFile(agc), want: []Program{AGCSX1250}},
		{name: "binary", file: executable(1<<17, false, two), want: []Program{ARB, AGCSX1250}},
		{name: "binary of zeros", file: executable(1<<20, true, two), want: []Program{ARB, AGCSX1250}},
		{name: "back to back", file: executable(1<<15, true,
			map[int]sx1302test.Program{0: sx1302test.ARB, ImageSize: sx1302test.AGCSX125x}), want: []Program{ARB, AGCSX125x}},
		{
			name: "odd places", file: executable(1<<17, false,
				map[int]sx1302test.Program{0x1235: sx1302test.ARB, 0x900A: sx1302test.AGCSX1250, 0xC003: sx1302test.Calibration}),
			want: []Program{ARB, AGCSX1250, CalibrationSX125x},
		},
		{
			name: "one that is not published", file: within(1<<16, map[int][]byte{0x1000: wellFormed}),
			says: "there is one in 65536 bytes, but none that is published",
		},
		{
			name: "before many that are none", file: slices.Concat(agc, slices.Repeat(wellFormed, 20)),
			want: []Program{AGCSX1250},
		},
		{name: "too long", file: make([]byte, MaxImportSize+1), says: "67108865 bytes, more than 67108864"},
		{name: "check bits", file: spoilt, says: "check bits of word 2000"},
		{name: "another program", file: wellFormed, says: "none that is published"},
		{name: "many that are none", file: slices.Repeat(wellFormed, 20), says: "too much"},
		{name: "short text", file: varFile(agc[:100]), says: "100 numbers, want 8192 bytes"},
		{name: "no bytes in text", file: bytes.Replace(varFile(agc), []byte("0x"), []byte("0y"), 1), says: "is no number"},
		{name: "too large a byte", file: bytes.Replace(varFile(agc), []byte("0x"), []byte("0xF"), 1), says: "is no byte"},
		{name: "empty", says: "none in 0 bytes"},
		{name: "zeros", file: make([]byte, 1<<20), says: "none in"},
	}
	for _, tt := range append(tests, patchFiles()...) {
		t.Run(tt.name, func(t *testing.T) {
			found, err := modelled().find(tt.file)
			if tt.says != "" {
				if !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("FindImages: %v, want %q", err, tt.says)
				}
				return
			}
			var got []Program
			for _, f := range found {
				got = append(got, f.Program)
				if synthetic(f.Data) != f.Program {
					t.Errorf("%s has other bytes", f.Program)
				}
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("FindImages = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestFindSyntheticImage(t *testing.T) {
	if _, err := FindImages(sx1302test.Image(sx1302test.AGCSX1250)); !errors.Is(err, ErrImage) {
		t.Errorf("a synthetic image is taken for one of Semtech's: %v", err)
	}
}

func TestFirmwareFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadFirmware(dir, Config{}); !errors.Is(err, ErrNoFirmware) ||
		!strings.Contains(err.Error(), "agc_fw_sx1250.var") || !strings.Contains(err.Error(), "lorawand firmware import") {
		t.Errorf("LoadFirmware: %v", err)
	}
	for p, q := range map[Program]sx1302test.Program{AGCSX1250: sx1302test.AGCSX1250, ARB: sx1302test.ARB} {
		if err := SaveImage(dir, Image{p, sx1302test.Image(q)}); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, ARB.FileName())); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v; want that all can read it", info.Mode(), err)
	}
	f, err := LoadFirmware(dir, Config{})
	if err != nil || f.validate(&Config{}) != nil || synthetic(f.ARB) != ARB {
		t.Errorf("LoadFirmware: %v", err)
	}
	if f, err = LoadFirmware(dir, Config{Spectrum: true}); err != nil || f.SX1261 != nil {
		t.Errorf("LoadFirmware for scans without the patch: %v", err)
	}
	if _, err = LoadFirmware(dir, Config{Spectrum: true, LBT: LBT{Enabled: true}}); !errors.Is(err, ErrNoFirmware) {
		t.Errorf("LoadFirmware for LBT without the patch: %v", err)
	}
	with1257 := Config{Radios: [Chains]Radio{{Type: SX1257}}}
	if _, err := LoadFirmware(dir, with1257); !errors.Is(err, ErrNoFirmware) ||
		!strings.Contains(err.Error(), "agc_fw_sx1257.var") {
		t.Errorf("LoadFirmware for SX1257: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("%d files, %v", len(files), err)
	}
	if err := SaveImage(dir, Image{ARB, []byte("x")}); !errors.Is(err, ErrImage) {
		t.Errorf("SaveImage: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ARB.FileName()), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFirmware(dir, Config{}); !errors.Is(err, ErrImage) {
		t.Errorf("LoadFirmware of a torn file: %v", err)
	}
}

// A pipe takes the bytes, but cannot be synced.
func TestWriteImageSyncs(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := writeImage(w, []byte("image")); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v, want that of a sync", err)
	}
	if _, err := w.Write(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("it is left open: %v", err)
	}
}

func TestUnreadableFirmware(t *testing.T) {
	err := unreadable(&os.PathError{Op: "open", Path: "/fw/arb.bin", Err: os.ErrPermission}, "/fw")
	if !errors.Is(err, os.ErrPermission) || !strings.HasSuffix(err.Error(), "chmod -R a+rX /fw") {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, AGCSX1250.FileName()), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFirmware(dir, Config{}); err == nil || strings.Contains(err.Error(), "chmod") {
		t.Errorf("LoadFirmware of a folder: %v", err)
	}
}

func FuzzFindImages(f *testing.F) {
	agc := sx1302test.Image(sx1302test.AGCSX1250)
	f.Add(agc)
	f.Add(varFile(agc))
	f.Add([]byte("a[] = { 0x1, 0x22 }"))
	f.Add(make([]byte, ImageSize+3))
	f.Add(littleEndian(sx1302test.Patch()))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, file []byte) {
		found, err := modelled().find(file)
		if err == nil && len(found) == 0 {
			t.Error("nothing and no error")
		}
	}))
}
