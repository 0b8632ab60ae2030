package sx1302

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
)

// ImageSize is the length of each firmware image: 4096 words of 16 bits,
// little-endian.
const ImageSize = 8192

// ErrImage is the reason for refusing bytes that are not a firmware image.
var ErrImage = errors.New("sx1302: firmware image")

// Firmware has the programs that the chip runs. They belong to Semtech, which
// publishes them with sx1302_hal; lorawand carries no copy.
type Firmware struct {
	AGC         []byte // gain controller for the type of the radios: AGCSX1250 or AGCSX125x
	ARB         []byte // arbiter
	Calibration []byte // SX1255 and SX1257 only
	SX1261      []byte // patch of the radio that scans for LBT; Config.LBT only
}

// Program is one of the programs of sx1302_hal.
type Program uint8

// Programs.
const (
	UnknownProgram Program = iota
	AGCSX1250
	AGCSX125x
	ARB
	CalibrationSX125x
	PatchSX1261

	// Those of sx1302_hal 1.0.0 to 1.1.2, which the driver has no use for: later ones
	// report other versions. The calibration has stayed the same since.
	OldAGCSX1250
	OldAGCSX125x
	OldARB
)

// Old reports whether a program is of a version that is too old.
func (p Program) Old() bool { return p >= OldAGCSX1250 }

// programs has, for each program, its file in sx1302_hal and the SHA-256 of its
// 8192 bytes, or of the big-endian words of the patch. The hashes are the same in
// sx1302_hal 2.0.0 to 2.1.0 and all forks that were compared.
var programs = map[Program]struct{ file, sum string }{
	AGCSX1250:         {"agc_fw_sx1250.var", "8f612e878b946b8c7cc59a5fc27ad33bb18ab92ad6e291d873f5d6bb7daae0d4"},
	AGCSX125x:         {"agc_fw_sx1257.var", "28d05612240627fb9e61ec43eba661e96d24805e1ce62b2d800c8461d400ae66"},
	ARB:               {"arb_fw.var", "a6f542395e29cd258917f5948d1067ab18e3cf08ce5ee250e2caa08539f80fd0"},
	CalibrationSX125x: {"cal_fw.var", "48b381021068a760d53e6366094f51e35084097f272c801ba8b47e7226d68d44"},
	PatchSX1261:       {"sx1261_pram.var", "2f1a728415a38298d07b77ebb1b54c9b9cdfe21fd830bf842d79d73f23b99074"},
	OldAGCSX1250: {
		"agc_fw_sx1250.var of sx1302_hal 1", "68dbe0dfa09693754d9b51d85224e0a17a8bcd6e3cbe30222672deabdd63a4f3",
	},
	OldAGCSX125x: {
		"agc_fw_sx1257.var of sx1302_hal 1", "0783f6cac6ffc51b0a42617fcb6d4ef60abf7c76e83a8c7d81a96af0f3626477",
	},
	OldARB: {"arb_fw.var of sx1302_hal 1", "85dada4552e0d63c80a7be0b2c2c5292a6393f8ecb3046175bd5159539b3f9ac"},
}

// Versions that the programs report.
const (
	versionAGCSX1250   = 10
	versionAGCSX125x   = 6
	versionARB         = 2
	versionCalibration = 1
)

// String returns the name of the file in sx1302_hal, libloragw/src.
func (p Program) String() string {
	if known, ok := programs[p]; ok {
		return known.file
	}
	return "unknown program"
}

// Identify returns the program in an image, by its hash.
func Identify(image []byte) Program {
	sum := sha256.Sum256(image)
	text := hex.EncodeToString(sum[:])
	for p, known := range programs {
		if known.sum == text {
			return p
		}
	}
	return UnknownProgram
}

// CheckImage verifies the size of an image and the check bits of its words:
// bits 15 and 14 are the number of ones in bits 13 to 0, modulo 4. It returns
// ErrImage.
func CheckImage(image []byte) error {
	if len(image) != ImageSize {
		return fmt.Errorf("%w: %d bytes, want %d", ErrImage, len(image), ImageSize)
	}
	for i := 0; i < len(image); i += 2 {
		if w := binary.LittleEndian.Uint16(image[i:]); !checkWord(w) {
			return fmt.Errorf("%w: the check bits of word %d (0x%04x) are wrong", ErrImage, i/2, w)
		}
	}
	return nil
}

func checkWord(w uint16) bool {
	return int(w>>14) == bits.OnesCount16(w&0x3FFF)%4
}

// validate checks that all programs of a configuration are there.
func (f *Firmware) validate(c *Config) error {
	if err := CheckImage(f.AGC); err != nil {
		return fmt.Errorf("AGC: %w", err)
	}
	if err := CheckImage(f.ARB); err != nil {
		return fmt.Errorf("ARB: %w", err)
	}
	if c.sx125x() {
		if err := CheckImage(f.Calibration); err != nil {
			return fmt.Errorf("calibration: %w", err)
		}
	}
	if c.LBT.Enabled && len(f.SX1261) != PatchSize {
		return fmt.Errorf("SX1261: %w: %d bytes, want %d", ErrImage, len(f.SX1261), PatchSize)
	}
	return nil
}
