package board

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/warthog618/go-gpiocdev"
)

// ErrPin is the reason for refusing a text that does not name a GPIO line.
var ErrPin = errors.New("sx1302: no GPIO line")

// Line is a GPIO line of the kernel's character device.
type Line struct {
	name string
	line *gpiocdev.Line
}

var _ Pin = (*Line)(nil)

// headerChip stands for the GPIO chip with the lines of a Raspberry Pi's 40-pin
// header, into which HATs are plugged.
const headerChip = "header"

// headerLabels are the labels of that chip: on a Raspberry Pi 5, on a 4, and on
// earlier ones. Its number depends on the model and the kernel.
var headerLabels = []string{"pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835"}

// unseenHeader is tried as the header's chip if this process may open no GPIO chip
// at all; the error then says how to get the permission.
const unseenHeader = "gpiochip0"

// gpioChip is a GPIO chip of this host.
type gpioChip struct{ name, label string }

// gpioChips returns the chips that this process may open.
func gpioChips() []gpioChip {
	var all []gpioChip
	for _, name := range gpiocdev.Chips() {
		c, err := gpiocdev.NewChip(name)
		if err != nil {
			continue
		}
		all = append(all, gpioChip{name, c.Label})
		c.Close()
	}
	return all
}

// parsePin splits "/dev/gpiochip0:17". In place of the device there may be the
// label of the chip, as in "pinctrl-rp1:17", or "header".
func parsePin(name string, list func() []gpioChip) (chip string, offset int, err error) {
	chip, number, ok := strings.Cut(name, ":")
	offset, err = strconv.Atoi(number)
	if !ok || err != nil || offset < 0 || chip == "" {
		return "", 0, fmt.Errorf("%w: %q; it is named as in gpiochip0:17", ErrPin, name)
	}
	chip = strings.TrimPrefix(chip, "/dev/")
	if _, err := strconv.Atoi(strings.TrimPrefix(chip, "gpiochip")); err == nil {
		return chip, offset, nil
	}
	wanted := []string{chip}
	if chip == headerChip {
		wanted = headerLabels
	}
	var labels []string
	for _, c := range list() {
		if slices.Contains(wanted, c.label) {
			return c.name, offset, nil
		}
		labels = append(labels, c.label)
	}
	switch {
	case chip != headerChip:
		err = fmt.Errorf("%w: %q: no GPIO chip that this user may open has that label; those are: %s", ErrPin, name,
			strings.Join(labels, ", "))
	case len(labels) > 0:
		err = fmt.Errorf("%w: %q: this host has no 40-pin header of a Raspberry Pi; name the line by one of its GPIO "+
			"chips, as in gpiochip0:%d, or choose the board that is this gateway; the chips are: %s",
			ErrPin, name, offset, strings.Join(labels, ", "))
	default:
		return unseenHeader, offset, nil
	}
	return "", 0, err
}

// OffHeader returns how a line of a Raspberry Pi's 40-pin header is named on any model, if
// the name of a line has the number of another chip, as after a change to a Pi 5; else "".
func OffHeader(name string) string { return offHeader(name, gpioChips()) }

func offHeader(name string, chips []gpioChip) string {
	chip, line, _ := strings.Cut(strings.TrimPrefix(name, "/dev/"), ":")
	if _, err := strconv.Atoi(strings.TrimPrefix(chip, "gpiochip")); err != nil {
		return ""
	}
	for _, c := range chips {
		if slices.Contains(headerLabels, c.label) && filepath.Base(c.name) != chip {
			return headerChip + ":" + line
		}
	}
	return ""
}

// OpenLine opens a line as an output with this level. Its name is the device of the
// chip and the number of the line: "gpiochip0:17". In place of the device there may
// be the label of the chip, or "header" for the chip with the lines of a Raspberry
// Pi's 40-pin header.
func OpenLine(name string, high bool) (*Line, error) {
	chip, offset, err := parsePin(name, gpioChips)
	if err != nil {
		return nil, err
	}
	l, err := gpiocdev.RequestLine(chip, offset, gpiocdev.AsOutput(level(high)), gpiocdev.WithConsumer("lorawand"))
	name = fmt.Sprintf("%s:%d", chip, offset)
	if err != nil {
		exported, _ := filepath.Glob("/sys/class/gpio/gpio[0-9]*")
		return nil, lineError(name, consumer(chip, offset), exported, err)
	}
	return &Line{name, l}, nil
}

// sysfsConsumer is the consumer of a line that was exported to /sys/class/gpio.
const sysfsConsumer = "sysfs"

// consumer returns the consumer of a line, or "".
func consumer(chip string, offset int) string {
	c, err := gpiocdev.NewChip(chip)
	if err != nil {
		return ""
	}
	defer c.Close()
	info, err := c.LineInfo(offset)
	if err != nil {
		return ""
	}
	return info.Consumer
}

// lineError adds advice to an error of opening a line. consumer uses the line, or
// is ""; exported are the lines in /sys/class/gpio.
func lineError(name, consumer string, exported []string, err error) error {
	advice := "check that the line is right"
	switch {
	case errors.Is(err, syscall.EBUSY) && (consumer == sysfsConsumer || consumer == "") && len(exported) > 0:
		var n []string
		for _, e := range exported {
			n = append(n, strings.TrimPrefix(filepath.Base(e), "gpio"))
		}
		advice = "a script such as reset_lgw.sh has left lines in /sys/class/gpio: echo N >/sys/class/gpio/unexport, " +
			"where N is " + strings.Join(n, " or ")
	case errors.Is(err, syscall.EBUSY) && consumer != "":
		advice = fmt.Sprintf("%q holds it", consumer)
	case errors.Is(err, syscall.EBUSY):
		advice = "another program holds it"
	case errors.Is(err, os.ErrPermission):
		advice = "the user must be in the group that the device belongs to"
	}
	return fmt.Errorf("sx1302: GPIO %s: %w; %s", name, err, advice)
}

func level(high bool) int {
	if high {
		return 1
	}
	return 0
}

// Set implements Pin.
func (l *Line) Set(high bool) error {
	if err := l.line.SetValue(level(high)); err != nil {
		return fmt.Errorf("GPIO %s: %w", l.name, err)
	}
	return nil
}

// Close releases the line. The kernel decides its level then.
func (l *Line) Close() error { return l.line.Close() }
