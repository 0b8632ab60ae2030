package sheet

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// column sets one field of a device from its text, which is not empty.
type column func(d *session.Device, text string) error

// columns are the fields that have a name in a table: those of The Things
// Stack's CSV files, and what a device of LoRaWAN 1.1 or with a factory setting
// needs besides. They stand in the order in which people are shown them.
//
// Source: pkg/devicetemplates/ttscsv.go of lorawan-stack v3.32.
var columns = []struct {
	name string
	set  column
}{
	{"id", text(func(d *session.Device) *string { return &d.ID.Device })},
	{"dev_eui", hex(func(d *session.Device) encoding.TextUnmarshaler { return &d.DevEUI })},
	{"join_eui", joinEUI},
	{"app_key", rootKey(func(d *session.Device) encoding.TextUnmarshaler { return &d.RootKeys.AppKey })},
	{"nwk_key", rootKey(func(d *session.Device) encoding.TextUnmarshaler { return &d.RootKeys.NwkKey })},
	{"name", text(func(d *session.Device) *string { return &d.Name })},
	{"description", text(func(d *session.Device) *string { return &d.Description })},
	{"lorawan_version", lorawanVersion},
	{"lorawan_phy_version", text(func(d *session.Device) *string { return &d.PHYVersion })},
	{"frequency_plan_id", text(func(d *session.Device) *string { return &d.Plan })},
	{DevAddr, inSession(func(s *session.Session) encoding.TextUnmarshaler { return &s.DevAddr })},
	{"app_s_key", inSession(func(s *session.Session) encoding.TextUnmarshaler { return &s.Keys.AppSKey })},
	{"f_nwk_s_int_key", inSession(func(s *session.Session) encoding.TextUnmarshaler { return &s.Keys.FNwkSIntKey })},
	{"s_nwk_s_int_key", inSession(func(s *session.Session) encoding.TextUnmarshaler { return &s.Keys.SNwkSIntKey })},
	{"nwk_s_enc_key", inSession(func(s *session.Session) encoding.TextUnmarshaler { return &s.Keys.NwkSEncKey })},
	{"last_f_cnt_up", lastFCntUp},
	{"last_n_f_cnt_down", counter(func(s *session.Session) *uint32 { return &s.NFCntDown })},
	{"last_a_f_cnt_down", counter(func(s *session.Session) *uint32 { return &s.AFCntDown })},
	{"rx1_delay", rx1Delay},
	{"rx1_data_rate_offset", small(7, func(d *session.Device, v *uint8) { d.Settings.RX1DROffset = v })},
	{"rx2_data_rate_index", small(15, func(d *session.Device, v *uint8) { d.Settings.RX2DataRate = v })},
	{"rx2_frequency", rx2Frequency},
	{"supports_32_bit_f_cnt", boolean(func(d *session.Device, v bool) { d.Settings.Counter16 = !v })},
	{"resets_f_cnt", boolean(func(d *session.Device, v bool) { d.Settings.ResetsFCnt = v })},
	{"test_port", boolean(func(d *session.Device, v bool) { d.Settings.TestPort = v })},
	{"resets_join_nonces", boolean(func(d *session.Device, v bool) { d.Settings.ResetsJoinNonce = v })},
	{"supports_class_b", boolean(func(d *session.Device, v bool) { d.ClassB = v })},
	{"supports_class_c", boolean(func(d *session.Device, v bool) { d.ClassC = v })},
	{"ping_slot_periodicity", func(d *session.Device, s string) (err error) {
		d.Settings.MAC.Ping.Periodicity, err = macstate.ParsePing(s)
		d.Settings.MAC.Ping.Known = err == nil
		return err
	}},
	{"brand_id", text(func(d *session.Device) *string { return &d.VersionIDs.Brand })},
	{"model_id", text(func(d *session.Device) *string { return &d.VersionIDs.Model })},
	{"hardware_version", text(func(d *session.Device) *string { return &d.VersionIDs.Hardware })},
	{"firmware_version", text(func(d *session.Device) *string { return &d.VersionIDs.Firmware })},
	{"band_id", text(func(d *session.Device) *string { return &d.VersionIDs.Band })},
}

// DevAddr is the name of the column with the address of a session.
const DevAddr = "dev_addr"

// otherNames of columns, as makers of devices write them. Capitals, blanks, dashes
// and underscores make no difference in any name: DevEUI is dev_eui.
var otherNames = map[string]string{
	"app_eui":                 "join_eui",
	"application_eui":         "join_eui",
	"application_key":         "app_key",
	"application_session_key": "app_s_key",
	"device_address":          DevAddr,
	"device_eui":              "dev_eui",
	"device_id":               "id",
	"device_name":             "name",
	"frequency_plan":          "frequency_plan_id",
	"mac_version":             "lorawan_version",
	"network_key":             "nwk_key",
	"network_session_key":     "f_nwk_s_int_key",
	"nwk_s_key":               "f_nwk_s_int_key",
	"phy_version":             "lorawan_phy_version",
}

// columnsByLetters has the names' letters and digits alone.
var columnsByLetters = func() map[string]int {
	out := map[string]int{}
	for i, c := range columns {
		out[letters(c.name)] = i
	}
	for other, name := range otherNames {
		out[letters(other)] = out[letters(name)]
	}
	return out
}()

// letters returns the letters and digits of a name in lower case. What stands in
// brackets behind it, such as a unit, does not count.
func letters(name string) string {
	if i := strings.IndexAny(name, "(["); i > 0 {
		name = name[:i]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// Name returns the name of the column that a table calls so, or "".
func Name(text string) string {
	if i, ok := columnsByLetters[letters(text)]; ok {
		return columns[i].name
	}
	return ""
}

// Columns returns the names of all columns of a table, and other names that they
// may have, for people: "join_eui (app_eui, application_eui)".
func Columns() []string {
	others := map[string][]string{}
	for _, other := range slices.Sorted(maps.Keys(otherNames)) {
		others[otherNames[other]] = append(others[otherNames[other]], other)
	}
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.name
		if o := others[c.name]; len(o) > 0 {
			out[i] += " (" + strings.Join(o, ", ") + ")"
		}
	}
	return out
}

// Set sets the field of a device that a table calls so. It returns ErrField where there is none.
func Set(d *session.Device, name, text string) error {
	i, ok := columnsByLetters[letters(name)]
	if !ok {
		return fmt.Errorf("%w: %.40q", ErrField, name)
	}
	if err := columns[i].set(d, text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// ErrField is the reason for a field that a device does not have.
var ErrField = errors.New("no such field")

// Fields sets fields of a device by the names that they have in a CSV
// file. It names one that is wrong, and may have set others then.
func Fields(d *session.Device, fields map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := Set(d, name, fields[name]); err != nil {
			return err
		}
	}
	return nil
}

func text(field func(*session.Device) *string) column {
	return func(d *session.Device, s string) error {
		*field(d) = s
		return nil
	}
}

// hex reads an identifier or a key as people and spreadsheets write them: with
// separators, a prefix 0x, or marks that make a cell a text.
func hex(field func(*session.Device) encoding.TextUnmarshaler) column {
	return func(d *session.Device, s string) error { return Hex(s, field(d)) }
}

func joinEUI(d *session.Device, s string) error {
	d.HasJoinEUI = true
	return Hex(s, &d.JoinEUI)
}

func lorawanVersion(d *session.Device, s string) error {
	d.Version, d.VersionName = Version(s), s
	return nil
}

func rootKey(field func(*session.Device) encoding.TextUnmarshaler) column {
	return func(d *session.Device, s string) error {
		d.SupportsJoin = true
		return Hex(s, field(d))
	}
}

// small reads a number, or the name of an enumeration that ends in one.
func small(limit uint64, set func(*session.Device, *uint8)) column {
	return func(d *session.Device, s string) error {
		v, err := strconv.ParseUint(s[strings.LastIndexByte(s, '_')+1:], 10, 8)
		if err != nil || v > limit {
			return fmt.Errorf("%.20q, must be 0 to %d", s, limit)
		}
		n := uint8(v)
		set(d, &n)
		return nil
	}
}

// rx2Frequency reads Hz.
func rx2Frequency(d *session.Device, s string) error {
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil || v == 0 {
		return fmt.Errorf("%.20q, must be in Hz, such as 869525000", s)
	}
	f := radio.Frequency(v)
	d.Settings.RX2Frequency = &f
	return nil
}

// rx1Delay reads "5" as well as "RX_DELAY_5", in s.
func rx1Delay(d *session.Device, s string) error {
	v, err := strconv.ParseUint(strings.TrimPrefix(s, "RX_DELAY_"), 10, 8)
	if err != nil || v > 15 {
		return fmt.Errorf("%.20q, must be 1 to 15", s)
	}
	delay := uint8(v)
	d.Settings.RX1Delay = &delay
	return nil
}

func boolean(set func(*session.Device, bool)) column {
	return func(d *session.Device, s string) error {
		v, err := strconv.ParseBool(strings.ToLower(s))
		if err != nil {
			return fmt.Errorf("%.20q, must be true or false", s)
		}
		set(d, v)
		return nil
	}
}

func inSession(field func(*session.Session) encoding.TextUnmarshaler) column {
	return func(d *session.Device, s string) error { return Hex(s, field(sessionOfDevice(d))) }
}

// sessionOfDevice returns the session of a device, which it gets if it has none.
func sessionOfDevice(d *session.Device) *session.Session {
	if d.Session == nil {
		d.Session = new(session.Session)
	}
	return d.Session
}

func counter(field func(*session.Session) *uint32) column {
	return func(d *session.Device, s string) error {
		v, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return fmt.Errorf("%.20q, must be 0 to 4294967295", s)
		}
		*field(sessionOfDevice(d)) = uint32(v)
		return nil
	}
}

func lastFCntUp(d *session.Device, s string) error {
	err := counter(func(s *session.Session) *uint32 { return &s.FCntUp })(d, s)
	if d.Session != nil {
		d.Session.Heard = d.Session.FCntUp > 0
	}
	return err
}

// Version reads "MAC_V1_0_3" as well as "1.0.3", and "V1.0.3" and "LoRaWAN 1.0.3"
// as makers of devices write it.
func Version(s string) session.Version {
	s = strings.ToUpper(s)
	for _, prefix := range []string{"LORAWAN", "MAC_", " ", "V"} {
		s = strings.TrimPrefix(s, prefix)
	}
	return session.ParseVersion(strings.ReplaceAll(s, "_", "."))
}
