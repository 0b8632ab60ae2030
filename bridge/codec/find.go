package codec

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lorawand/bridge/session"
)

// ErrMissing is the reason for a device without the codec of its maker.
var ErrMissing = errors.New("no codec")

// maxNamed is how many versions an error names.
const maxNamed = 8

// Find returns the codec of a device by what it is made of. What the device does
// not tell may be any, as long as all of these have the same codec. It returns
// ErrMissing, with what can be done.
func (l *Library) Find(ids session.VersionIDs) (*Codec, error) {
	if ids.Brand == "" || ids.Model == "" {
		return nil, fmt.Errorf("%w: the device does not tell its brand and model; device set --brand, --model, "+
			"--firmware-version and --band tell them", ErrMissing)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	m := l.models[ids.Brand+"/"+ids.Model]
	if m == nil {
		return nil, fmt.Errorf("%w: that of %.40s/%.40s is not imported; lorawand codec import reads it from a copy of "+
			"github.com/TheThingsNetwork/lorawan-devices", ErrMissing, ids.Brand, ids.Model)
	}
	key, err := m.codec(ids)
	if err != nil {
		return nil, err
	}
	if l.codecs[key] == nil {
		return nil, fmt.Errorf("%w: %s of model %s is not imported", ErrMissing, key, m.Key())
	}
	return l.codecs[key], nil
}

// codec returns the key of the codec of a device.
func (m *Model) codec(ids session.VersionIDs) (string, error) {
	var found, firmwares, bands []string
	add := func(to *[]string, s string) {
		if !slices.Contains(*to, s) {
			*to = append(*to, s)
		}
	}
	matched := false
	for _, v := range m.Versions {
		add(&firmwares, v.Firmware)
		if ids.Firmware != "" && ids.Firmware != v.Firmware ||
			ids.Firmware == "" && ids.Hardware != "" && len(v.Hardware) > 0 && !slices.Contains(v.Hardware, ids.Hardware) {
			continue
		}
		matched = true
		for _, band := range slices.Sorted(maps.Keys(v.Codecs)) {
			add(&bands, band)
			if ids.Band == "" || ids.Band == band {
				add(&found, v.Codecs[band])
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%w: %s has several, for other versions or bands (%s); device set --firmware-version and "+
			"--band tell which", ErrMissing, m.Key(), some(found))
	case !matched:
		return "", fmt.Errorf("%w: firmware version %.40q and hardware version %.40q of %s are not known; there are %s",
			ErrMissing, ids.Firmware, ids.Hardware, m.Key(), some(firmwares))
	case len(bands) == 0:
		return "", fmt.Errorf("%w: the maker of %s has published none", ErrMissing, m.Key())
	}
	return "", fmt.Errorf("%w: %s has none for the band %.40q; there are %s", ErrMissing, m.Key(), ids.Band, some(bands))
}

// some lists texts, the first ones of many.
func some(texts []string) string {
	named := texts[:min(len(texts), maxNamed)]
	text := strings.Join(named, ", ")
	if more := len(texts) - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
