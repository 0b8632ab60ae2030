package board

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The README has every board that can be driven, as it is in the table.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	regions := map[string][]string{}
	seen := map[string]Board{}
	for _, b := range boards(t) {
		if _, ok := seen[b.Name]; !ok {
			want = append(want, b.Name)
		}
		if b.USB {
			b.UseUSB("")
			b.I2C = ""
		}
		seen[b.Name] = b
		regions[b.Name] = append(regions[b.Name], b.Regions...)
	}
	code := func(s string) string {
		if s == "" {
			return " "
		}
		return " `" + s + "` "
	}
	for _, name := range want {
		b := seen[name]
		reset, device := code(b.Reset), code(b.Device)
		if b.Bridge && !b.USB {
			device += "or `usb` "
		}
		if b.USB {
			reset = " by the bridge "
		} else if _, byTool := b.ResetSteps(); byTool {
			reset = code(MakersTool)
		} else if b.Reset == "" {
			reset = " not known "
		}
		row := fmt.Sprintf("| `%s` |%s|%s|%s|%s|%s| %s |",
			name, device, reset, code(b.Power), code(b.SX1261Reset), code(b.I2C),
			strings.Join(regions[name], " "))
		if !strings.Contains(string(text), row+"\n") {
			t.Errorf("no row %s", row)
		}
	}
	if n := strings.Count(string(text), "\n| `") - 4; n != len(want) { // four packages
		t.Errorf("%d boards in the README, want %d", n, len(want))
	}
}
