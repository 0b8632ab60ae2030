package broker

import (
	"bufio"
	"bytes"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A client that hears something all the time has to send pings all the same.
func TestWatchPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		heard, ended := 0, make(chan error, 1)
		go func() { ended <- watch(client, "app1", "secret", "#", nil, func(string, []byte) { heard++ }) }()
		pings := make(chan int)
		go func() {
			n := 0
			for r := bufio.NewReader(server); ; {
				pk, err := readPacket(r)
				if err != nil {
					pings <- n
					return
				}
				if pk.FixedHeader.Type == packets.Pingreq {
					n++
				}
			}
		}()
		message := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, ProtocolVersion: 4, TopicName: "t", Payload: []byte("x")}
		var b bytes.Buffer
		if err := message.PublishEncode(&b); err != nil {
			t.Fatal(err)
		}
		const minutes = 10
		for range minutes * 60 / 4 {
			if _, err := server.Write(b.Bytes()); err != nil {
				t.Fatalf("%v; the client: %v", err, <-ended)
			}
			time.Sleep(4 * time.Second)
		}
		_ = client.Close()
		if n := <-pings; n < minutes*60/watchKeepalive {
			t.Errorf("%d pings in %d minutes, with a keep-alive of %d s", n, minutes, watchKeepalive)
		}
		if <-ended; heard != minutes*60/4 {
			t.Errorf("%d messages heard", heard)
		}
	})
}
