package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lorawand/cmd/lorawand/config"
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
