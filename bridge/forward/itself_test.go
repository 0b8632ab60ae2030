package forward

import (
	"context"
	"errors"
	"net"
	"testing"
)

// Frames that come back would go round for ever: the port at which this program takes them is no server.
func TestItself(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	port := uint16(conn.LocalAddr().(*net.UDPAddr).Port)
	for listens, want := range map[uint16]error{port: errItself, port + 1: nil, 0: nil} {
		o := Options{Listens: listens, dial: dialUDP}
		c, err := o.socket(context.Background(), conn.LocalAddr().String())
		if !errors.Is(err, want) {
			t.Errorf("listening on %d: %v, want %v", listens, err, want)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("nobody plans the downlinks")
	}
}
