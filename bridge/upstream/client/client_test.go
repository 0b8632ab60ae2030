package client

import (
	"bytes"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/radio/fuzztest"
)

// Whatever a server sends, reading it ends with a packet or an error.
func FuzzServer(f *testing.F) {
	for _, b := range [][]byte{
		{0x20, 2, 0, 0},
		{0x20, 3, 0, 0, 0},
		{0x40, 2, 0, 1},
		{0x40, 4, 0, 1, 0x87, 0},
		{0x90, 4, 0, 1, 0, 1},
		{0xd0, 0},
		{0xe0, 2, 0x8e, 0},
		{0x32, 11, 0, 3, 'a', '/', 'b', 0, 7, 0, 'x', 'y', 'z'},
		{0x32, 0xff, 0xff, 0xff, 0x7f},
	} {
		f.Add(b)
	}
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		for _, version := range []byte{V311, V5} {
			r := newReader(bytes.NewReader(b), version)
			for range len(b) + 1 {
				if _, err := r.packet(); err != nil {
					break
				}
			}
		}
	}))
}

// Why a login is refused reads the same in both versions.
func TestLoginError(t *testing.T) {
	for _, tt := range []struct {
		version, code byte
		want          string
	}{
		{V311, 1, "the server does not speak this version of MQTT"},
		{V5, 0x84, "the server does not speak this version of MQTT"},
		{V311, 2, "the server refuses the login: the client id is not valid"},
		{V311, 4, "the server refuses the login: wrong user name or password"},
		{V5, 0x86, "the server refuses the login: wrong user name or password"},
		{V311, 5, "the server refuses the login: not authorized"},
		{V5, 0x87, "the server refuses the login: not authorized"},
		{V311, 200, "the server refuses the login: not authorized"},
		{V311, 3, "the server is not available or busy"},
		{V5, 0x9a, "the server takes no retained messages, or no QoS 1: set notifications to false"},
		{V5, 0x8f, `the server refuses the login: reason 0x8f "why"`},
	} {
		p := &packets.Packet{ReasonCode: tt.code, Properties: packets.Properties{ReasonString: "why"}}
		if got := loginError(tt.version, p); got.Error() != tt.want {
			t.Errorf("version %d, code %d: %v, want %s", tt.version, tt.code, got, tt.want)
		}
	}
}
