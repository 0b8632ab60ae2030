package sx1302

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParsePin(t *testing.T) {
	// A Raspberry Pi 4, and a Pi 5 with an early and a later kernel.
	pi4 := []gpioChip{{"gpiochip0", "pinctrl-bcm2711"}, {"gpiochip1", "raspberrypi-exp-gpio"}}
	early := []gpioChip{{"gpiochip0", "gpio-brcmstb@107d508500"}, {"gpiochip4", "pinctrl-rp1"}}
	later := []gpioChip{{"gpiochip0", "pinctrl-rp1"}, {"gpiochip10", "gpio-brcmstb@107d508500"}}
	for _, tt := range []struct {
		name  string
		chips []gpioChip
		chip  string
	}{
		{"/dev/gpiochip4:17", nil, "gpiochip4"},
		{"gpiochip0:17", early, "gpiochip0"},
		{"header:17", pi4, "gpiochip0"},
		{"header:17", early, "gpiochip4"},
		{"header:17", later, "gpiochip0"},
		{"header:17", nil, "gpiochip0"},
		{"pinctrl-rp1:17", early, "gpiochip4"},
		{"raspberrypi-exp-gpio:17", pi4, "gpiochip1"},
		{"gpio-brcmstb@107d508500:17", later, "gpiochip10"},
	} {
		chip, offset, err := parsePin(tt.name, func() []gpioChip { return tt.chips })
		if chip != tt.chip || offset != 17 || err != nil {
			t.Errorf("parsePin(%q) = %q, %d, %v; want %q", tt.name, chip, offset, err, tt.chip)
		}
	}
	_, _, err := parsePin("pinctrl-rp1:17", func() []gpioChip { return pi4 })
	if !errors.Is(err, ErrPin) || !strings.Contains(err.Error(), "there are: pinctrl-bcm2711, raspberrypi-exp-gpio") {
		t.Errorf("a label of no chip: %v", err)
	}
	for _, name := range []string{"", "17", "/dev/gpiochip0", "/dev/gpiochip0:", "/dev/gpiochip0:-1", "/dev/gpiochip0:x", ":3"} {
		if _, err := OpenLine(name, false); !errors.Is(err, ErrPin) {
			t.Errorf("OpenLine(%q): %v", name, err)
		}
	}
}

// TestOpenPins has no GPIO chip that it could know of, so it asks for one that
// does not exist.
func TestOpenPins(t *testing.T) {
	b := Board{Reset: "/dev/gpiochip250:1", Power: "/dev/gpiochip250:2"}
	if _, _, err := b.OpenPins(); err == nil {
		t.Error("a chip that does not exist was opened")
	}
	b = Board{Reset: "command: ap1/creset=1"}
	p, closeAll, err := b.OpenPins()
	if err != nil || p.Reset != nil || closeAll() != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// A board of a maker's slot is reset without the other slot, which may be empty.
func TestResetSteps(t *testing.T) {
	slot := func(ap string) []Step {
		return []Step{{ap + "/creset", "1"}, {ap + "/creset", "0"}, {ap + "/lbtreset", "0"}, {ap + "/lbtreset", "1"}, {ap + "/reset", "0"}, {ap + "/reset", "1"}}
	}
	for _, tt := range []struct {
		board, region, device string
		want                  []Step
		byTool                bool
	}{
		{"mtac_003e00", "EU868", "", slot("ap1"), true},
		{"mtac_003e00", "EU868", "/dev/spidev1.0", slot("ap2"), true},
		{"mtac_003u00", "US915", "/dev/spidev1.0", slot("ap2"), true},
		{"mtac_003e00", "EU868", "/dev/spidev2.0", nil, true},
		{"mtcap3_003e00", "EU868", "", []Step{{"lora/reset", "0"}, {"lora/reset", "1"}}, true},
		{"mtcap3_003e00", "EU868", "/dev/spidev0.0", []Step{{"lora/reset", "0"}, {"lora/reset", "1"}}, true},
		{"rak2287", "EU868", "", nil, false},
	} {
		b, err := FindBoard(tt.board, tt.region)
		if err != nil {
			t.Fatal(err)
		}
		b.Device = cmp.Or(tt.device, b.Device)
		if steps, byTool := b.ResetSteps(); byTool != tt.byTool || !slices.Equal(steps, tt.want) {
			t.Errorf("%s on %s: %v, %v; want %v", tt.board, b.Device, steps, byTool, tt.want)
		}
	}
}
