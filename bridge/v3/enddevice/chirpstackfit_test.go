package enddevice

import (
	"fmt"
	"strings"
	"testing"
)

// What ChirpStack lets people write and what does not fit here costs no device: it is cut or
// left out, and told.
func TestChirpStackFits(t *testing.T) {
	tags := `"Building_No":"7","a":"short","big":"` + strings.Repeat("v", 201) + `"`
	for i := range 12 {
		tags += fmt.Sprintf(`,"tag.%02d":"x"`, i)
	}
	entries, err := Parse([]byte(`{"device":{"devEui":"0102030405060708","joinEui":"0101010102020203",`+
		`"name":"`+strings.Repeat("ü", 100)+`","description":"`+strings.Repeat("d", 2500)+`","tags":{`+tags+`}}}`+
		`{"deviceKeys":{"devEui":"0102030405060708","nwkKey":"11111111111111111111111111111111"}}`),
		Options{Application: "app1", Plan: "EU_863_870", Version: "MAC_V1_0_3"})
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d devices, %v", len(entries), err)
	}
	d, notes := entries[0].Device, strings.Join(entries[0].Warnings, "\n")
	if d.Name != strings.Repeat("ü", 50) || len(d.Description) != 2000 {
		t.Errorf("name %q, description of %d bytes", d.Name, len(d.Description))
	}
	if len(d.Attributes) != 10 || d.Attributes["building-no"] != "7" || d.Attributes["tag-08"] != "x" {
		t.Errorf("%v", d.Attributes)
	}
	for _, want := range []string{
		"its name is cut: it has 100 characters, of which 50 fit", "its description is cut",
		`5 of its tags are left out, "a" among them`,
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s\nis not in\n%s", want, notes)
		}
	}
}
