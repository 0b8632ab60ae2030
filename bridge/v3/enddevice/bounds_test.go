package enddevice

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What an owner says of a device fits the bounds of The Things Stack, by each way in;
// a text is counted in characters.
func TestBounds(t *testing.T) {
	list := func(n int, value string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`"key-%d":%s`, i, value))
		}
		return "{" + strings.Join(out, ",") + "}"
	}
	long := func(n int) string { return `"` + strings.Repeat("ä", n) + `"` }
	for _, tt := range []struct {
		name, member string // of the object, with %s for its value
		fits, not    string
		says         string
	}{
		{"name", `"name":%s`, long(50), long(51), "name: too long: 51 characters, at most 50"},
		{"a large name", `"name":%s`, long(1), long(100_000), "name: too long: 100000 characters, at most 50"},
		{"description", `"description":%s`, long(2000), long(2001), "description: too long: 2001 characters, at most 2000"},
		{"plan", `"frequency_plan_id":%s`, long(64), long(65), "frequency_plan_id: too long: 65 characters, at most 64"},
		{"brand", `"version_ids":{"brand_id":%s}`, long(36), long(37), "version_ids.brand_id: too long"},
		{"model", `"version_ids":{"model_id":%s}`, long(36), long(37), "version_ids.model_id: too long"},
		{"hardware", `"version_ids":{"hardware_version":%s}`, long(32), long(33), "version_ids.hardware_version: too long"},
		{"firmware", `"version_ids":{"firmware_version":%s}`, long(32), long(33), "version_ids.firmware_version: too long"},
		{"band", `"version_ids":{"band_id":%s}`, long(32), long(33), "version_ids.band_id: too long"},
		{"attributes", `"attributes":%s`, list(10, `"a"`), list(11, `"a"`), "attributes: 11, at most 10"},
		{"attribute", `"attributes":{"key":%s}`, long(200), long(201), "attributes.key: too long: 201 characters"},
		{"key of an attribute", `"attributes":{%s:"a"}`, `"key"`, `"` + strings.Repeat("k", 37) + `"`, "attributes: "},
		{"locations", `"locations":%s`, list(10, `{}`), list(11, `{}`), "locations: 11, at most 10"},
		{"key of a location", `"locations":{%s:{}}`, `"user"`, `"A b"`, "locations: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			read := func(value string) error {
				_, err := Parse([]byte(strings.TrimSuffix(bare, "}")+","+fmt.Sprintf(tt.member, value)+"}"), opts)
				return err
			}
			if err := read(tt.fits); err != nil {
				t.Errorf("what fits: %.200v", err)
			}
			err := read(tt.not)
			if err == nil || !strings.Contains(err.Error(), tt.says) || len(err.Error()) > 200 {
				t.Errorf("got %.300v, want %s", err, tt.says)
			}
		})
	}
}

// bare is a device that joins.
const bare = `{"lorawan_version":"MAC_V1_0_3","supports_join":true,` +
	`"root_keys":{"app_key":{"key":"11111111111111111111111111111111"}},` +
	`"ids":{"device_id":"dev1","dev_eui":"0102030405060708","join_eui":"0102030405060708"}}`

// A table and single fields have the same bounds.
func TestBoundsOfTables(t *testing.T) {
	long := strings.Repeat("n", 51)
	_, err := Parse([]byte("id;dev_eui;join_eui;app_key;lorawan_version;name\n"+
		"dev1;0102030405060708;0102030405060708;11111111111111111111111111111111;MAC_V1_0_3;"+long), opts)
	if !errors.Is(err, ErrTooLong) {
		t.Errorf("a row: %v", err)
	}
	entries, err := Parse([]byte(bare), opts)
	if err != nil {
		t.Fatal(err)
	}
	d := entries[0].Device
	for field, text := range map[string]string{
		"name": long, "description": strings.Repeat("d", 2001), "brand_id": strings.Repeat("b", 37),
		"frequency_plan_id": strings.Repeat("p", 65),
	} {
		changed := *d
		if _, err := SetFields(&changed, map[string]string{field: text}, opts); !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := SetFields(d, map[string]string{"name": long[1:]}, opts); err != nil || d.Name != long[1:] {
		t.Errorf("%v, %q", err, d.Name)
	}
}
