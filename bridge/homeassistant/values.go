//go:build !small

package homeassistant

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is how Home Assistant is to take a value.
type kind uint8

const (
	number  kind = iota
	boolean      // a binary sensor
	text
)

// value is one that was found in a message.
type value struct {
	normalized bool
	index      int      // of the measurement, in normalized_payload
	path       []string // names of members, from decoded_payload or the measurement on
	kind       kind
	class      class
	n          float64 // what it was when it was found; yes is 1, a text 0
	seen       int     // the number of the uplink that had it last
}

// same reports whether two values stand at the same place.
func (v *value) same(w *value) bool {
	return v.normalized == w.normalized && v.index == w.index && slices.Equal(v.path, w.path)
}

// rounded is how far two numbers may be apart that tell the same, where that is more than a hundredth of them: makers
// round or cut one of them to a decimal.
const rounded = 0.1

// tells reports whether a value of decoded_payload may tell what a normalized one does. A unit alone does
// not say so: the wind has degrees, and a place has.
func (v *value) tells(n *value) bool {
	if v.class == (class{}) || v.class != n.class || statistic(v.path) != statistic(n.path) {
		return false
	}
	lower := func(v *value) string { return strings.ToLower(strings.Join(split(leaf(v.path)), "")) }
	return (v.class.device != "" || strings.HasSuffix(lower(v), lower(n))) &&
		v.apart(n) <= max(rounded, math.Abs(v.n)/100)
}

func (v *value) apart(n *value) float64 { return math.Abs(v.n - n.n) }

// up is what is read of an "up" message.
type up struct {
	Message struct {
		Decoded    map[string]any   `json:"decoded_payload"`
		Normalized []map[string]any `json:"normalized_payload"`
	} `json:"uplink_message"`
}

// valuesOf returns the values in an "up" message. Of those in normalized_payload it
// leaves out what decoded_payload tells too.
func valuesOf(payload []byte) []value {
	var m up
	if json.Unmarshal(payload, &m) != nil {
		return nil
	}
	var f finder
	f.walk(nil, m.Message.Decoded)
	n := finder{normalized: true}
	for n.index = range m.Message.Normalized {
		n.walk(nil, m.Message.Normalized[n.index])
	}
	found := append(f.found, besides(f.found, n.found)...)
	return found[:min(len(found), maxValues)]
}

// besides returns the normalized values that decoded ones do not tell. Each tells one at most, the one with the nearest
// number: one decoded temperature is not that of the air, of the soil and of the water.
func besides(decoded, normalized []value) (out []value) {
	told := map[int]bool{}
	for i := range decoded {
		d, nearest := &decoded[i], -1
		for k := range normalized {
			n := &normalized[k]
			if !told[k] && d.tells(n) && (nearest < 0 || d.apart(n) < d.apart(&normalized[nearest])) {
				nearest = k
			}
		}
		if nearest >= 0 {
			told[nearest] = true
		}
	}
	for k := range normalized {
		if !told[k] {
			out = append(out, normalized[k])
		}
	}
	return out
}

// finder collects values, in the order of the names.
type finder struct {
	normalized bool
	index      int
	found      []value
}

func (f *finder) walk(path []string, at any) {
	if len(f.found) >= maxValues {
		return
	}
	switch at := at.(type) {
	case map[string]any:
		if len(path) == maxDepth {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(at)) {
			if name != "" && len(name) <= maxName {
				f.walk(append(slices.Clip(path), name), at[name])
			}
		}
	case float64:
		f.add(path, number, at)
	case bool:
		n := 0.0
		if at {
			n = 1
		}
		f.add(path, boolean, n)
	case string:
		// Many formatters of makers write numbers as texts, such as "21.50".
		n, err := strconv.ParseFloat(at, 64)
		if err == nil && strings.Trim(at, "+-.0123456789") == "" {
			f.add(path, number, n)
		} else {
			f.add(path, text, 0)
		}
	}
}

// mostVolts is what a normalized battery gives in volts, as it is defined; more is taken for per cent.
const mostVolts = 5

func (f *finder) add(path []string, k kind, n float64) {
	if f.normalized && len(path) == 1 && path[0] == "time" {
		return // when the measurement was made
	}
	v := value{normalized: f.normalized, index: f.index, path: path, kind: k, n: n}
	name := strings.Join(path, ".")
	switch {
	case f.normalized && name == "action.motion.detected":
		v.class = booleanClasses["motion"]
	case f.normalized && k == number && name == "battery" && n <= mostVolts:
		v.class = volts
	case f.normalized && k == number && name != "battery": // which makers give in % too
		v.class = normalizedClasses[name]
	case k == number:
		v.class = numberClass(path, n)
	case k == boolean:
		v.class = booleanClasses[strings.Join(significant(leaf(path)), "")]
	}
	f.found = append(f.found, v)
}
