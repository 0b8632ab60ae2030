package chirpstack

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of the fields that take what people have written, in characters. ChirpStack's own
// are wider. Source: api/ttn/lorawan/v3/end_device.proto of lorawan-stack v3.32.
const (
	maxName        = 50
	maxDescription = 2000
	maxAttributes  = 10
	maxKey         = 36
	maxValue       = 200
)

// attributeKey is the form of an attribute's key.
var attributeKey = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9]){2,}$`)

// keySigns are written otherwise in the keys of tags.
var keySigns = strings.NewReplacer("_", "-", " ", "-", ".", "-", ":", "-")

// cut returns as much of a text as fits its field.
func cut(field, text string, most int, note func(string, ...any)) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	note("its %s is cut: it has %d characters, of which %d fit", field, utf8.RuneCountInString(text), most)
	return string([]rune(text)[:most])
}

// attributes makes attributes of tags; nil: there are none. Tags that do not fit are left out.
func attributes(raw json.RawMessage, note func(string, ...any)) map[string]string {
	var tags map[string]string
	if json.Unmarshal(raw, &tags) != nil {
		return nil
	}
	var out map[string]string
	var left []string
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		key := keySigns.Replace(strings.ToLower(tag))
		_, twice := out[key]
		if twice || len(out) >= maxAttributes || len(key) > maxKey || !attributeKey.MatchString(key) ||
			utf8.RuneCountInString(tags[tag]) > maxValue {
			left = append(left, tag)
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = tags[tag]
	}
	if len(left) > 0 {
		note("%d of its tags are left out, %.60q among them: %d fit, with keys of 3 to %d letters, digits and dashes "+
			"and values of up to %d characters", len(left), left[0], maxAttributes, maxKey, maxValue)
	}
	return out
}
