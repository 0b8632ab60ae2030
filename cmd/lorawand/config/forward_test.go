package config

import (
	"slices"
	"testing"

	"lorawand/radio"
)

// A server that frames go to: what it takes, and that another one needs a restart.
func TestForward(t *testing.T) {
	const one = "[[forward]]\nserver = \"eu1.cloud.example:1700\"\n"
	first, err := Parse([]byte(one))
	if err != nil || len(first.Forwards) != 1 || first.Forwards[0].Frames != ForeignFrames {
		t.Fatalf("%+v, %v", first.Forwards, err)
	}
	c, err := Parse([]byte(one + "frames = \"all\"\ndev_addrs = [\"26000000/7\", \"01020304\"]\n" +
		"join_euis = [\"70b3d57ed0000000/36\"]\n[[forward]]\nserver = \"[2001:db8::1]:1700\""))
	if err != nil {
		t.Fatal(err)
	}
	addrs, euis, err := c.Forwards[0].Prefixes()
	want := []radio.DevAddrPrefix{
		{DevAddr: radio.DevAddr{0x26}, Length: 7}, {DevAddr: radio.DevAddr{1, 2, 3, 4}, Length: 32},
	}
	if err != nil || !slices.Equal(addrs, want) {
		t.Errorf("%v, %v; want %v", addrs, err, want)
	}
	if want := []radio.EUIPrefix{{EUI: radio.EUI64{0x70, 0xb3, 0xd5, 0x7e, 0xd0}, Length: 36}}; !slices.Equal(euis, want) {
		t.Errorf("%v, want %v", euis, want)
	}
	if keys := first.Restart(&c); !slices.Equal(keys, []string{"forward"}) {
		t.Errorf("%q need a restart", keys)
	}
	if keys := c.Restart(&c); len(keys) != 0 {
		t.Errorf("%q need a restart", keys)
	}
}
