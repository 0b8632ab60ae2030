package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
)

// What an owner has made outlives an upgrade of OpenWrt: configuration, store and
// firmware.
func TestKeepOnOpenWrt(t *testing.T) {
	text, err := os.ReadFile("../../packaging/openwrt/keep")
	if err != nil {
		t.Fatal(err)
	}
	kept := strings.Fields(string(text))
	for _, folder := range []string{"/etc/lorawand/", config.DefaultFirmware + "/"} {
		if !slices.Contains(kept, folder) {
			t.Errorf("%s is lost with an upgrade of the system; kept are %v", folder, kept)
		}
	}
}

// The service may use the devices of every board of the table.
func TestUnitDevices(t *testing.T) {
	unit, err := os.ReadFile("../../systemd/lorawand.service")
	if err != nil {
		t.Fatal(err)
	}
	postinst, err := os.ReadFile("../../packaging/linux/postinst")
	if err != nil {
		t.Fatal(err)
	}
	_, groups, _ := strings.Cut(string(postinst), "for group in ")
	groups, _, _ = strings.Cut(groups, ";")
	boards, err := sx1302.Boards()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]struct{ class, group string }{
		"/dev/spidev": {"char-spi", "spi"}, "/dev/gpiochip": {"char-gpiochip", "gpio"}, "/dev/i2c-": {"char-i2c", "i2c"}, "/dev/ttyACM": {"char-ttyACM", "dialout"},
	}
	for _, b := range boards {
		for _, device := range []string{b.Device, b.Reset, b.Power, b.SX1261Reset, b.DACReset, b.I2C, "/dev/ttyACM0"} {
			device = strings.Replace(device, "header:", "/dev/gpiochip0:", 1)
			kind := kinds[strings.TrimRight(strings.Split(device, ":")[0], "0123456789.")]
			switch {
			case !strings.HasPrefix(device, "/dev/"):
			case kind.class == "":
				t.Errorf("%s: what is %s?", b.Name, device)
			case !strings.Contains(string(unit), "\nDeviceAllow="+kind.class+" rw\n"):
				t.Errorf("%s: the unit does not allow %s for %s", b.Name, kind.class, device)
			case !slices.Contains(strings.Fields(groups), kind.group):
				t.Errorf("%s: the user is not in the group %s for %s", b.Name, kind.group, device)
			}
		}
	}
}
