package chirpstack

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// macNames are the versions of LoRaWAN as The Things Stack names them, in the order of
// ChirpStack's enumeration MacVersion (api/proto/common/common.proto).
var macNames = [...]string{"MAC_V1_0", "MAC_V1_0_1", "MAC_V1_0_2", "MAC_V1_0_3", "MAC_V1_0_4", "MAC_V1_1", ""}

// Places in macNames.
const (
	v103      = 3
	v11       = 5
	noVersion = len(macNames) - 1
)

// version returns the place of a profile's version in macNames. It may be told as LORAWAN_1_0_3, 3
// or 1.0.3; where protobuf's JSON leaves it out, it is the first.
func version(profile fields) int {
	_, told := profile["macversion"]
	switch text := profile.text("macversion"); {
	case len(profile) == 0 || told && text == "":
		return noVersion
	case !told:
		return 0
	default:
		return enumeration(text, "LORAWAN_", "1_0_0", "1_0_1", "1_0_2", "1_0_3", "1_0_4", "1_1_0")
	}
}

// enumeration returns the place of a member by its name, with points or underscores, or by its
// number; else how many there are.
func enumeration(text, prefix string, names ...string) int {
	plain := strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(text))
	if i := slices.Index(names, strings.TrimPrefix(plain, prefix)); i >= 0 {
		return i
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n < len(names) {
		return n
	}
	return len(names)
}

// phyName returns the version of the regional parameters as The Things Stack names it; "" leaves
// it to the version of LoRaWAN.
func phyName(mac int, revision string) string {
	const b, rp002 = 1, 2 // places of the revisions
	r := 0
	if revision != "" {
		r = enumeration(revision, "", "A", "B", "RP002_1_0_0", "RP002_1_0_1", "RP002_1_0_2", "RP002_1_0_3", "RP002_1_0_4")
	}
	suffix := "_REV_A"
	if r == b {
		suffix = "_REV_B"
	}
	switch {
	case mac == noVersion || r > rp002+4:
		return ""
	case r >= rp002:
		return "RP002_V1_0_" + strconv.Itoa(r-rp002)
	case mac == v11 || mac == v103-1:
		return strings.Replace(macNames[mac], "MAC_", "PHY_", 1) + suffix
	}
	return ""
}

// regions are the frequency plans of ChirpStack's enumeration Region, by its names. Of a region
// with several plans the text ends in "_": which it is, is told elsewhere.
var regions = map[string]string{
	"EU868": "EU_863_870", "US915": "US_902_928_FSB_", "AU915": "AU_915_928_FSB_", "EU433": "EU_433",
	"CN470": "CN_470_510_FSB_", "AS923": "AS_923", "AS923_2": "AS_923_2", "AS923_3": "AS_923_3", "AS923_4": "AS_923_4",
	"KR920": "KR_920_923_TTN", "IN865": "IN_865_867", "RU864": "RU_864_870_TTN",
}

// regionNames are they by number.
var regionNames = []string{
	"EU868", "", "US915", "CN779", "EU433", "AU915", "CN470", "AS923", "KR920", "IN865", "RU864", "ISM2400",
	"AS923_2", "AS923_3", "AS923_4", "KZ868",
}

// planOf returns the frequency plan of a profile; "" leaves it to the owner. own is one that he
// has named: it counts where it is of the region.
func planOf(profile fields, own string) (string, error) {
	if len(profile) == 0 || profile["region"] == nil && profile.text("rfregion") == "" && profile["supportsjoin"] != nil {
		return "", nil // of version 3, which need not tell
	}
	told := profile.text("region", "rfregion")
	name := regionNames[0] // protobuf's JSON leaves it out
	if i := enumeration(told, "", regionNames...); told != "" && i < len(regionNames) {
		name = regionNames[i]
	} else if told != "" {
		name = told
	}
	plan, known := regions[name]
	switch {
	case !known:
		return "", fmt.Errorf("region: %.20q has no frequency plan here", told)
	case !strings.HasSuffix(plan, "_"):
		if strings.HasPrefix(own, plan) && name == "EU868" {
			return own, nil // with another RX2 for the next join
		}
		return plan, nil
	case strings.HasPrefix(own, plan):
		return own, nil
	}
	// Such as us915_1: channels 8 to 15, which The Things Stack calls block 2.
	if _, block, ok := strings.Cut(profile.text("regionconfigid"), "_"); ok {
		if n, err := strconv.Atoi(block); err == nil && n >= 0 && n < 8 && name != "CN470" {
			return plan + strconv.Itoa(n+1), nil
		}
	}
	return "", fmt.Errorf("region %s: which block of channels is not told; --plan %sN does", name, plan)
}

// rootKeys returns them. Below LoRaWAN 1.1 ChirpStack keeps the AppKey as NwkKey.
func rootKeys(keys fields, mac int) tree {
	app, nwk := keys.key("appkey"), keys.key("nwkkey")
	if mac < v11 && nwk != "" {
		app, nwk = nwk, ""
	}
	out := tree{}
	if app != "" {
		out["app_key"] = tree{"key": app}
	}
	if nwk != "" {
		out["nwk_key"] = tree{"key": nwk}
	}
	return out
}

// Codecs of ChirpStack 3 are functions of other names than The Things Stack's; those of version 4
// are the same.
const (
	decodeOf3 = "\nfunction decodeUplink(input) {\n  return { data: Decode(input.fPort, input.bytes, {}) };\n}\n"
	encodeOf3 = "\nfunction encodeDownlink(input) {\n  return { bytes: Encode(input.fPort, input.data, {}) };\n}\n"
)

func formatters(profile fields) tree {
	out := tree{}
	up, down := profile.text("payloadcodecscript"), profile.text("payloadcodecscript")
	switch profile.text("payloadcodecruntime", "payloadcodec") {
	case "CAYENNE_LPP", "1":
		return tree{"up_formatter": "FORMATTER_CAYENNELPP", "down_formatter": "FORMATTER_CAYENNELPP"}
	case "CUSTOM_JS":
		if up = profile.text("payloaddecoderscript"); up != "" {
			up += decodeOf3
		}
		if down = profile.text("payloadencoderscript"); down != "" {
			down += encodeOf3
		}
	case "JS", "2":
	default:
		return out
	}
	if up != "" {
		out["up_formatter"], out["up_formatter_parameter"] = "FORMATTER_JAVASCRIPT", up
	}
	if down != "" {
		out["down_formatter"], out["down_formatter_parameter"] = "FORMATTER_JAVASCRIPT", down
	}
	return out
}

// settingsOf returns mac_settings, and sets the classes of a device. What is told of receive windows
// is for devices that do not join.
func settingsOf(profile fields, out tree) (tree, error) {
	s := tree{}
	var fault error
	number := func(names ...string) uint64 {
		for _, name := range names {
			n, err := profile.number(name)
			if err != nil && fault == nil {
				fault = err
			}
			if n != 0 {
				return n
			}
		}
		return 0
	}
	if out["supports_join"] == false && len(profile) > 0 {
		s["rx1_delay"] = max(number("abprx1delay", "rxdelay1"), 1)
		s.set("rx1_data_rate_offset", number("abprx1droffset", "rxdroffset1"))
		if f := number("abprx2freq", "rxfreq2"); f > 0 { // else RX2 is the band's
			s["rx2_frequency"], s["rx2_data_rate_index"] = f, number("abprx2dr", "rxdatarate2")
		}
		if f := profile["factorypresetfreqs"]; f != nil && string(f) != "[]" {
			s["factory_preset_frequencies"] = f
		}
	}
	if n := number("devicestatusreqinterval"); n > 0 { // times a day
		s["status_time_periodicity"] = strconv.FormatUint(max(24*3600/n, 1), 10) + "s"
	}
	out.set("supports_class_b", profile.yes("supportsclassb"))
	out.set("supports_class_c", profile.yes("supportsclassc"))
	if profile.yes("supportsclassb") {
		every := number("classbpingslotperiodicity")
		if n := number("classbpingslotnbk"); profile["classbpingslotnbk"] != nil { // 2^n slots in 128 s
			every = 7 - min(n, 7)
		}
		if n := number("pingslotperiod"); n > 0 { // of version 3: 2^5 for each second
			every = uint64(bits.Len64(n / 64))
		}
		s["ping_slot_periodicity"] = every
		s.set("ping_slot_data_rate_index", number("classbpingslotdr", "pingslotdr"))
		s.set("ping_slot_frequency", number("classbpingslotfreq", "pingslotfreq"))
		if n := number("classbtimeout"); n > 0 {
			s["class_b_timeout"] = strconv.FormatUint(n, 10) + "s"
		}
	}
	if n := number("classctimeout"); n > 0 && profile.yes("supportsclassc") {
		s["class_c_timeout"] = strconv.FormatUint(n, 10) + "s"
	}
	return s, fault
}
