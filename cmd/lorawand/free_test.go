package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// What freeTCP and freeUDP give out begins at firstFreePort: below those that
// the kernel gives to connections and to listeners without a port, so that
// nothing takes a port between its choice and its use.
const firstFreePort, freePorts = 12_000, 20_000

// lastFreePort is counted up from somewhere else in each process.
var lastFreePort = rand.Uint32N(freePorts)

func freeTCP(t testing.TB) string {
	t.Helper()
	return free(t, func(address string) (io.Closer, error) { return net.Listen("tcp", address) })
}

func freeUDP(t testing.TB) string {
	t.Helper()
	return free(t, func(address string) (io.Closer, error) { return net.ListenPacket("udp", address) })
}

// free returns an address of loopback that can be listened at.
func free(t testing.TB, listen func(address string) (io.Closer, error)) string {
	t.Helper()
	for range freePorts {
		address := fmt.Sprintf("127.0.0.1:%d", firstFreePort+atomic.AddUint32(&lastFreePort, 1)%freePorts)
		if l, err := listen(address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// What is given out stays free while others take ports.
func TestFree(t *testing.T) {
	address := freeTCP(t)
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Addr().String() == address || freeTCP(t) == address {
			t.Fatalf("%s was given out twice", address)
		}
	}
}
