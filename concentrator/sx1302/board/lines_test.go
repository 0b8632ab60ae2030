package board

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestParsePin(t *testing.T) {
	// A Raspberry Pi 4, and a Pi 5 with an early and a later kernel.
	pi4 := []gpioChip{{"gpiochip0", "pinctrl-bcm2711"}, {"gpiochip1", "raspberrypi-exp-gpio"}}
	pi3 := []gpioChip{{"gpiochip0", "pinctrl-bcm2835"}, {"gpiochip1", "raspberrypi-exp-gpio"}}
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
		{"header:17", pi3, "gpiochip0"},
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
	// A gateway with an MT7628, whose lines of the same number are others.
	mt7628 := []gpioChip{{"gpiochip0", "10000600.gpio-0"}, {"gpiochip1", "10000600.gpio-1"}}
	_, _, err := parsePin("header:17", func() []gpioChip { return mt7628 })
	if !errors.Is(err, ErrPin) || !strings.Contains(err.Error(), "no 40-pin header of a Raspberry Pi") ||
		!strings.Contains(err.Error(), "10000600.gpio-0, 10000600.gpio-1") {
		t.Errorf("a header that is not there: %v", err)
	}
	_, _, err = parsePin("pinctrl-rp1:17", func() []gpioChip { return pi4 })
	if !errors.Is(err, ErrPin) || !strings.Contains(err.Error(), "those are: pinctrl-bcm2711, raspberrypi-exp-gpio") {
		t.Errorf("a label of no chip: %v", err)
	}
	for _, name := range []string{
		"", "17", "/dev/gpiochip0", "/dev/gpiochip0:", "/dev/gpiochip0:-1", "/dev/gpiochip0:x",
		":3",
	} {
		if _, err := OpenLine(name, false); !errors.Is(err, ErrPin) {
			t.Errorf("OpenLine(%q): %v", name, err)
		}
	}
}

// A board of a maker's slot is reset without the other slot, which may be empty.
func TestResetSteps(t *testing.T) {
	slot := func(ap string) []Step {
		return []Step{
			{ap + "/creset", "1"},
			{ap + "/creset", "0"},
			{ap + "/lbtreset", "0"},
			{ap + "/lbtreset", "1"},
			{ap + "/reset", "0"},
			{ap + "/reset", "1"},
		}
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

// TestOffHeader: a number that is not the one of the header's chip is found on hosts that
// have a header.
func TestOffHeader(t *testing.T) {
	early := []gpioChip{{"gpiochip0", "gpio-brcmstb@107d508500"}, {"gpiochip4", "pinctrl-rp1"}}
	mt7628 := []gpioChip{{"gpiochip0", "10000600.gpio-0"}}
	for _, tt := range []struct {
		name  string
		chips []gpioChip
		want  string
	}{
		{"gpiochip0:17", early, "header:17"},
		{"/dev/gpiochip0:17", early, "header:17"},
		{"gpiochip4:17", early, ""},
		{"header:17", early, ""},
		{"pinctrl-rp1:17", early, ""},
		{"exec:/etc/reset.sh", early, ""},
		{"", early, ""},
		{"gpiochip0:17", mt7628, ""},
		{"gpiochip0:17", nil, ""},
	} {
		if got := offHeader(tt.name, tt.chips); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLineError(t *testing.T) {
	exported := []string{"/sys/class/gpio/gpio529", "/sys/class/gpio/gpio530"}
	for name, tt := range map[string]struct {
		consumer string
		exported []string
		err      error
		says     string
	}{
		"left by a script": {
			"sysfs", exported, syscall.EBUSY,
			"reset_lgw.sh has left lines in /sys/class/gpio: echo N >/sys/class/gpio/unexport, where N is 529 or 530",
		},
		"nobody is named":   {"", exported[:1], syscall.EBUSY, "where N is 529"},
		"held by a program": {"gpioset", exported, syscall.EBUSY, `"gpioset" holds it`},
		"held by who knows": {"", nil, syscall.EBUSY, "another program holds it"},
		"not for this user": {
			"", nil, &os.PathError{Op: "open", Path: "/dev/gpiochip0", Err: syscall.EACCES},
			"permission denied; the user must be in the group that the device belongs to",
		},
		"a line of no chip": {"", exported, syscall.EINVAL, "check that the line is right"},
	} {
		t.Run(name, func(t *testing.T) {
			err := lineError("gpiochip0:17", tt.consumer, tt.exported, tt.err)
			if !errors.Is(err, tt.err) || !strings.HasPrefix(err.Error(), "sx1302: GPIO gpiochip0:17: ") ||
				!strings.HasSuffix(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}
