package sx1302

import (
	"errors"
	"testing"
)

func TestParsePin(t *testing.T) {
	if chip, offset, err := parsePin("/dev/gpiochip4:17"); chip != "gpiochip4" || offset != 17 || err != nil {
		t.Errorf("parsePin = %q, %d, %v", chip, offset, err)
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
