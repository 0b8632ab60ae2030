// Package codec says which payload formatter a device has: one of its own, one of
// its application, or the codec that its maker has published in The Things Stack's
// device repository. It holds the codecs that the owner has imported from a copy of
// that.
package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"lorawand/bridge/formatter"
)

// Formatters by their names in The Things Stack. GRPCService is not served.
const (
	None        = "FORMATTER_NONE"
	Repository  = "FORMATTER_REPOSITORY"
	GRPCService = "FORMATTER_GRPC_SERVICE"
	JavaScript  = "FORMATTER_JAVASCRIPT"
	CayenneLPP  = "FORMATTER_CAYENNELPP"
)

// ErrInvalid is the reason for a codec or a model that cannot be used.
var ErrInvalid = errors.New("not a usable codec")

// Codec is what a maker has published to read and write payloads.
type Codec struct {
	Brand string `json:"brand_id"`
	ID    string `json:"codec_id"` // within the brand
	// Files are scripts by the names of their files.
	Files map[string]string `json:"files"`
	// The files of what a codec does. "" is none.
	UplinkDecoder   string `json:"uplink_decoder,omitempty"`
	DownlinkEncoder string `json:"downlink_encoder,omitempty"`
	DownlinkDecoder string `json:"downlink_decoder,omitempty"`
}

// Model is a kind of device, as its maker has published it.
type Model struct {
	Brand    string    `json:"brand_id"`
	ID       string    `json:"model_id"`
	Versions []Version `json:"versions"`
}

// Version is a firmware of a Model.
type Version struct {
	Firmware string   `json:"firmware_version"`
	Hardware []string `json:"hardware_versions,omitempty"` // that it is for; none: all
	// Codecs are keys of Codecs by band id, such as EU_863_870.
	Codecs map[string]string `json:"codecs"`
}

// Key names the codec among all: "brand/codec".
func (c *Codec) Key() string { return c.Brand + "/" + c.ID }

// Key names the model among all: "brand/model".
func (m *Model) Key() string { return m.Brand + "/" + m.ID }

// Script returns the script for a task; where the codec has none for that, another
// one, whose error then says what is missing.
func (c *Codec) Script(t formatter.Task) string {
	order := []string{c.UplinkDecoder, c.DownlinkEncoder, c.DownlinkDecoder}
	switch t {
	case formatter.EncodeDownlink:
		order = []string{c.DownlinkEncoder, c.DownlinkDecoder, c.UplinkDecoder}
	case formatter.DecodeDownlink:
		order = []string{c.DownlinkDecoder, c.DownlinkEncoder, c.UplinkDecoder}
	}
	for _, name := range order {
		if name != "" {
			return c.Files[name]
		}
	}
	return ""
}

// Bytes returns how long the scripts are together.
func (c *Codec) Bytes() (n int) {
	for _, source := range c.Files {
		n += len(source)
	}
	return n
}

// Limits of what is published of one model or codec.
const (
	maxVersions = 64
	maxHardware = 64
	maxBands    = 32
	maxFiles    = 3
	maxText     = 64 // bytes of a version
)

// The names of models and codecs, of bands, and of scripts. As regular expressions
// they would take 5 MB: a class of all letters, 128 times.
func isID(s string) bool   { return isName(s, 64, lowerOrDigit, "_-") }
func isBand(s string) bool { return isName(s, 36, upperOrDigit, "_") }
func isFile(s string) bool { return isName(s, 128, letterOrNumber, " ._/+-") }

// isName reports whether a text has one of a kind of character, and then these and
// others, at most so many in all.
func isName(s string, most int, kind func(rune) bool, others string) bool {
	n := 0
	for _, r := range s {
		if n++; n > most || !kind(r) && (n == 1 || !strings.ContainsRune(others, r)) {
			return false
		}
	}
	return n > 0
}

func lowerOrDigit(r rune) bool   { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' }
func upperOrDigit(r rune) bool   { return 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' }
func letterOrNumber(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// Check returns ErrInvalid for a codec that cannot be used.
func (c *Codec) Check() error {
	if !isID(c.Brand) || !isID(c.ID) {
		return fmt.Errorf("%w: %.80q: ids have lower-case letters, digits, dashes and underscores", ErrInvalid, c.Key())
	}
	named := map[string]bool{}
	for _, name := range []string{c.UplinkDecoder, c.DownlinkEncoder, c.DownlinkDecoder} {
		if _, ok := c.Files[name]; name != "" && !ok {
			return fmt.Errorf("%w: %s: the script %.60q is missing", ErrInvalid, c.Key(), name)
		}
		named[name] = true
	}
	if len(c.Files) == 0 || len(c.Files) > maxFiles {
		return fmt.Errorf("%w: %s: %d scripts, must be 1 to %d", ErrInvalid, c.Key(), len(c.Files), maxFiles)
	}
	for name, source := range c.Files {
		switch {
		case !named[name] || !isFile(name):
			return fmt.Errorf("%w: %s: a script called %.60q", ErrInvalid, c.Key(), name)
		case len(source) > formatter.MaxCodec:
			return fmt.Errorf("%w: %s: %s has %d bytes, more than %d",
				ErrInvalid, c.Key(), name, len(source), formatter.MaxCodec)
		}
	}
	return nil
}

// Check returns ErrInvalid for a model that cannot be used.
func (m *Model) Check() error {
	if !isID(m.Brand) || !isID(m.ID) {
		return fmt.Errorf("%w: model %.80q: ids have lower-case letters, digits, dashes and underscores",
			ErrInvalid, m.Key())
	}
	if len(m.Versions) > maxVersions {
		return fmt.Errorf("%w: model %s: %d firmware versions, at most %d",
			ErrInvalid, m.Key(), len(m.Versions), maxVersions)
	}
	for _, v := range m.Versions {
		if len(v.Hardware) > maxHardware || len(v.Codecs) > maxBands {
			return fmt.Errorf("%w: model %s: %d hardware versions and %d bands, at most %d and %d",
				ErrInvalid, m.Key(), len(v.Hardware), len(v.Codecs), maxHardware, maxBands)
		}
		for _, text := range append([]string{v.Firmware}, v.Hardware...) {
			if len(text) > maxText {
				return fmt.Errorf("%w: model %s: a version of %d bytes, at most %d", ErrInvalid, m.Key(), len(text), maxText)
			}
		}
		for band, key := range v.Codecs {
			brand, id, _ := strings.Cut(key, "/")
			if !isBand(band) || !isID(brand) || !isID(id) {
				return fmt.Errorf("%w: model %s: band %.40q with codec %.80q", ErrInvalid, m.Key(), band, key)
			}
		}
	}
	return nil
}

// Marshal returns the bytes that a store keeps of a codec.
func (c *Codec) Marshal() ([]byte, error) { return json.Marshal(c) }

// Marshal returns the bytes that a store keeps of a model.
func (m *Model) Marshal() ([]byte, error) { return json.Marshal(m) }

// UnmarshalCodec reads what Marshal wrote.
func UnmarshalCodec(b []byte) (*Codec, error) {
	c := new(Codec)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("codec in the store: %w", err)
	}
	return c, c.Check()
}

// UnmarshalModel reads what Marshal wrote.
func UnmarshalModel(b []byte) (*Model, error) {
	m := new(Model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("model in the store: %w", err)
	}
	return m, m.Check()
}
