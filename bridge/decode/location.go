package decode

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"lorawand/bridge/session"
)

// fromPayload names the locations that decoded payloads tell, as in The Things Stack.
const fromPayload = "frm-payload"

// locationIn returns where a decoded payload places the device: by its members
// latitude and longitude, lat and lng or lat and lon, or by those of a member gps or
// gps_N, as CayenneLPP has them. 0, 0 is what a receiver without a fix tells.
func locationIn(decoded []byte) (l session.Location, ok bool) {
	if !bytes.Contains(decoded, []byte(`"lat`)) {
		return l, false
	}
	var members map[string]any
	if json.Unmarshal(decoded, &members) != nil {
		return l, false
	}
	if l, ok = locationOf(members); ok {
		return l, true
	}
	var names []string
	for name := range members {
		if name == "gps" || strings.HasPrefix(name, "gps_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if inner, isObject := members[name].(map[string]any); isObject {
			if l, ok = locationOf(inner); ok {
				return l, true
			}
		}
	}
	return l, false
}

func locationOf(members map[string]any) (l session.Location, ok bool) {
	for _, names := range [...][2]string{{"latitude", "longitude"}, {"lat", "lng"}, {"lat", "lon"}} {
		latitude, hasLatitude := members[names[0]].(float64)
		longitude, hasLongitude := members[names[1]].(float64)
		if !hasLatitude || !hasLongitude || latitude == 0 && longitude == 0 ||
			math.Abs(latitude) > 90 || math.Abs(longitude) > 180 {
			continue
		}
		return session.Location{
			Latitude: latitude, Longitude: longitude, Altitude: metres(members["altitude"]),
			Accuracy: metres(members["accuracy"]),
			Source:   "SOURCE_GPS",
		}, true
	}
	return l, false
}

// metres cuts a number to an integer; what is none, or out of range, is 0.
func metres(v any) int32 {
	n, _ := v.(float64)
	if math.Abs(n) > math.MaxInt32 {
		return 0
	}
	return int32(n)
}
