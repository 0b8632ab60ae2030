package sx1302

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// ErrNoFirmware is the reason when a program was not imported yet.
var ErrNoFirmware = errors.New("sx1302: firmware is missing")

// Image is a firmware image that was found.
type Image struct {
	Program Program
	Data    []byte // ImageSize
}

// MaxImportSize is the size of the largest file that FindImages reads, bytes.
const MaxImportSize = 64 << 20

// maxHashes limits the places in a binary, with valid check bits, at which
// FindImages computes the hash: so many take the CPU of a gateway a minute.
const maxHashes = 1 << 15

// FindImages returns the firmware images in a file: the text of a .var file of
// sx1302_hal, an image of 8192 bytes, or a binary that contains images, as every
// packet forwarder for the SX1302 does, of any architecture. It returns only images that
// Semtech has published, or ErrImage if there is none.
func FindImages(file []byte) ([]Image, error) { return published.find(file) }

// published are the programs of sx1302_hal.
var published = catalogue{Identify, 126_300}

// catalogue is what is known of the programs to find.
type catalogue struct {
	identify func([]byte) Program
	patchSum uint32 // of the bytes of the SX1261's patch
}

func (k *catalogue) find(file []byte) ([]Image, error) {
	if len(file) > MaxImportSize {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrImage, len(file), MaxImportSize)
	}
	if data, err := parseVar(file); err == nil {
		file = data
	} else if !errors.Is(err, errNoArray) {
		return nil, err
	}
	if len(file) != ImageSize && len(file) != PatchSize {
		return k.scan(file)
	}
	if len(file) == ImageSize {
		if err := CheckImage(file); err != nil {
			return nil, err
		}
	}
	p := k.identify(file)
	if p == UnknownProgram {
		return nil, fmt.Errorf("%w: well-formed, but none that is published with sx1302_hal", ErrImage)
	}
	return []Image{{p, bytes.Clone(file)}}, nil
}

// errNoArray is the reason for refusing a text without a C array.
var errNoArray = errors.New("no C array")

// parseVar reads the first array in braces of a .var file. It is an image, with
// bytes of one or two hexadecimal digits, or the patch of the SX1261, with words of
// up to eight digits, which are returned big-endian.
func parseVar(file []byte) ([]byte, error) {
	open := bytes.IndexByte(file, '{')
	if open < 0 || bytes.IndexByte(file, 0) >= 0 || !bytes.Contains(file[:open], []byte("[")) {
		return nil, errNoArray
	}
	body := file[open+1:]
	end := bytes.IndexByte(body, '}')
	if end < 0 {
		return nil, errNoArray
	}
	var values []uint32
	widest := 0
	for token := range bytes.FieldsFuncSeq(body[:end], func(r rune) bool { return r == ',' || r <= ' ' }) {
		digits, ok := bytes.CutPrefix(bytes.ToLower(token), []byte("0x"))
		v, err := strconv.ParseUint(string(digits), 16, 32)
		if !ok || err != nil || len(digits) > 8 {
			return nil, fmt.Errorf("%w: %.20q in the array is no number of 32 bits", ErrImage, token)
		}
		if len(values) == ImageSize {
			return nil, fmt.Errorf("%w: the array is longer than %d", ErrImage, ImageSize)
		}
		values, widest = append(values, uint32(v)), max(widest, len(digits))
	}
	return arrayBytes(values, widest)
}

// arrayBytes converts the numbers of an array to bytes. widest is the number of
// hexadecimal digits of the longest one.
func arrayBytes(values []uint32, widest int) (data []byte, err error) {
	switch {
	case len(values) == ImageSize && widest <= 2:
		for _, v := range values {
			data = append(data, byte(v))
		}
	case len(values) == ImageSize:
		err = fmt.Errorf("%w: a number in the array is no byte", ErrImage)
	case len(values) == patchWords && widest > 2:
		for _, v := range values {
			data = binary.BigEndian.AppendUint32(data, v)
		}
	default:
		err = fmt.Errorf("%w: the array has %d numbers, want %d bytes, or %d words in %s", ErrImage, len(values), ImageSize,
			patchWords, PatchSX1261)
	}
	return data, err
}

// scan looks for images anywhere in a binary: for 4096 words in a row with valid check
// bits, or as many bytes as the patch of the SX1261 with its sum, and then for a known hash.
func (k *catalogue) scan(file []byte) ([]Image, error) {
	var words wordScan
	var sum uint32 // of the last PatchSize bytes
	var found []Image
	hashes, images := 0, 0
	for at := range file {
		sum += uint32(file[at])
		if at >= PatchSize {
			sum -= uint32(file[at-PatchSize])
		}
		var candidate []byte
		if at+1 < len(file) && words.add(file[at:]) {
			candidate = file[at+2-ImageSize : at+2]
			images++
		} else if at+1 >= PatchSize && sum == k.patchSum {
			candidate = file[at+1-PatchSize : at+1]
		}
		if candidate == nil {
			continue
		}
		if hashes++; hashes > maxHashes {
			break
		}
		if im, ok := k.image(candidate); ok {
			found = append(found, im)
			words.restart(at)
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case hashes > maxHashes:
		return nil, fmt.Errorf("%w: too much looks like one, but is none", ErrImage)
	case images > 0:
		return nil, fmt.Errorf("%w: there is one in %d bytes, but none that is published with sx1302_hal", ErrImage,
			len(file))
	}
	return nil, fmt.Errorf("%w: none in %d bytes", ErrImage, len(file))
}

// image returns the image that a part of a binary is. The words of the patch are there as
// its processor stores them.
func (k *catalogue) image(part []byte) (Image, bool) {
	data := bytes.Clone(part)
	p := k.identify(data)
	if p == UnknownProgram && len(data) == PatchSize {
		for i := 0; i < len(data); i += 4 {
			binary.BigEndian.PutUint32(data[i:], binary.LittleEndian.Uint32(data[i:]))
		}
		p = k.identify(data)
	}
	return Image{p, data}, p != UnknownProgram
}

// wordScan looks for images by the check bits of their words, which begin at even or at
// odd offsets.
type wordScan struct {
	at      int
	good    [2]int // words with good check bits up to here
	nonZero [2]int // words since the last one that was not 0
}

// add takes the word at the next offset. It reports whether an image may end with it.
func (s *wordScan) add(b []byte) bool {
	w, parity := binary.LittleEndian.Uint16(b), s.at&1
	s.at++
	s.good[parity]++
	s.nonZero[parity]++
	if !checkWord(w) {
		s.good[parity] = 0
	}
	if w != 0 {
		s.nonZero[parity] = 0
	}
	return s.good[parity] >= ImageSize/2 && s.nonZero[parity] < ImageSize/2
}

// restart forgets the words at such offsets: they are those of an image.
func (s *wordScan) restart(at int) { s.good[at&1] = 0 }

// FileName returns the name of the file of an imported program.
func (p Program) FileName() string {
	switch p {
	case AGCSX1250:
		return "agc_sx1250.bin"
	case AGCSX125x:
		return "agc_sx125x.bin"
	case ARB:
		return "arb.bin"
	case CalibrationSX125x:
		return "cal_sx125x.bin"
	case PatchSX1261:
		return "sx1261.bin"
	}
	return ""
}

// check verifies size and check bits.
func (im *Image) check() error {
	if im.Program != PatchSX1261 {
		return CheckImage(im.Data)
	}
	if len(im.Data) != PatchSize {
		return fmt.Errorf("%w: %d bytes, want %d", ErrImage, len(im.Data), PatchSize)
	}
	return nil
}

// imageMode lets the daemon, which does not run as root, read images imported by
// root.
const imageMode = 0o644

// SaveImage writes an image into a folder, completely or not at all. All users may
// read it. It refuses an image that is too old.
func SaveImage(dir string, im Image) error {
	if im.Program.Old() {
		return fmt.Errorf("%w: %s is too old, it must be of 2.0.0 or later", ErrImage, im.Program)
	}
	if err := im.check(); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, im.Program.FileName()+".*")
	if err != nil {
		return fmt.Errorf("sx1302: save firmware: %w", err)
	}
	defer os.Remove(f.Name()) // fails if all went well
	if err = writeImage(f, im.Data); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, im.Program.FileName()))
	}
	if err != nil {
		return fmt.Errorf("sx1302: save firmware: %w", err)
	}
	return nil
}

// writeImage writes, syncs and closes a file, so that a power cut after its
// renaming leaves no empty file.
func writeImage(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Chmod(imageMode), f.Sync(), f.Close())
}

// Absent returns which of some programs are not in the folder of imported images.
func Absent(dir string, programs ...Program) (absent []Program) {
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(dir, p.FileName())); err != nil {
			absent = append(absent, p)
		}
	}
	return absent
}

// LoadFirmware reads the programs for a configuration from the folder of imported
// images. ErrNoFirmware says which program is missing and where to get it.
func LoadFirmware(dir string, c Config) (Firmware, error) {
	var f Firmware
	need := map[Program]*[]byte{AGCSX1250: &f.AGC, ARB: &f.ARB}
	if c.sx125x() {
		need = map[Program]*[]byte{AGCSX125x: &f.AGC, ARB: &f.ARB, CalibrationSX125x: &f.Calibration}
	}
	if c.usesSX1261() {
		need[PatchSX1261] = &f.SX1261
	}
	for p := AGCSX1250; p <= PatchSX1261; p++ {
		target, ok := need[p]
		if !ok {
			continue
		}
		path := filepath.Join(dir, p.FileName())
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && p == PatchSX1261 && !c.LBT.Enabled {
			continue // the gateway works without it, only spectral scans do not
		}
		if errors.Is(err, os.ErrNotExist) {
			return f, fmt.Errorf("%w: %s; it is %s of https://github.com/Lora-net/sx1302_hal, libloragw/src: lorawand "+
				"firmware import FILE", ErrNoFirmware, path, p)
		}
		if err != nil {
			return f, unreadable(err, dir)
		}
		if err := (&Image{p, data}).check(); err != nil {
			return f, fmt.Errorf("%s: %w", path, err)
		}
		*target = data
	}
	return f, nil
}

// unreadable adds to an error the command that makes the folder of images readable.
func unreadable(err error, dir string) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("sx1302: firmware: %w; the user that lorawand runs as must be able to read it: chmod -R a+rX %s",
			err, dir)
	}
	return fmt.Errorf("sx1302: firmware: %w", err)
}
