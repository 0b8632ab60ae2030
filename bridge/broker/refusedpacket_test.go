package broker

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// refusals are what a broker tells of what it refuses.
type refusals struct {
	mu   sync.Mutex
	told []string
}

func (f *refusals) add(r Refused) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, fmt.Sprintf("%d %s %s %s %s", r.What, r.Why, r.Address, r.Application, r.Client))
}

func (f *refusals) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told)
}

// A connection that ends because of what it sends, or of how many others there are, is
// told of with the reason.
func TestRefusedPacketsAreTold(t *testing.T) {
	stranger := func(b ...byte) func(*bench) {
		return func(s *bench) { dialRaw(s.T, s.addr).bytes(b...) }
	}
	client := func(version byte, b ...byte) func(*bench) {
		return func(s *bench) { s.loginAs(version, "dev", "app1", s.key1).bytes(b...) }
	}
	connect := func(level byte, rest ...byte) []byte {
		body := append([]byte{0, 4, 'M', 'Q', 'T', 'T', level}, rest...)
		return append([]byte{packets.Connect << 4, byte(len(body))}, body...)
	}
	for _, tt := range []struct {
		name string
		do   func(*bench)
		want string
	}{
		{"no CONNECT", stranger(0xc0, 0), "3 no_connect 127.0.0.1  "},
		{"a length without end", stranger(0x10, 0xff, 0xff, 0xff, 0xff, 0xff), "3 malformed_packet 127.0.0.1  "},
		{"a length of 256 MiB", stranger(0x10, 0xff, 0xff, 0xff, 0x7f), "3 packet_too_large 127.0.0.1  "},
		{"a will without a will flag", stranger(connect(4, 0x20, 0, 0, 0, 0)...), "3 malformed_packet 127.0.0.1  "},
		{"level 6", stranger(connect(6, 2, 0, 0, 0, 0)...), "3 unsupported_protocol_version 127.0.0.1  "},
		{
			"an authentication method", stranger(connect(5, 2, 0, 0, 4, 0x15, 0, 1, 'x', 0, 1, 'x')...),
			"3 bad_authentication_method 127.0.0.1  ",
		},
		{"after the login", client(4, 0x80, 2, 0, 1), "3 malformed_packet 127.0.0.1 app1 dev"},
		{"after the login, MQTT 5", client(5, 0x82, 3, 0, 1, 0), "3 protocol_error 127.0.0.1 app1 dev"},
		{"a topic with a wildcard", client(5, 0x30, 4, 0, 1, '#', 0), "3 topic_name_invalid 127.0.0.1 app1 dev"},
		{"a second CONNECT", client(4, connect(4, 2, 0, 0, 0, 1, 'x')...), "3 protocol_error 127.0.0.1 app1 dev"},
		{"too many connections", func(s *bench) {
			dialRaw(s.T, s.addr)
			dialRaw(s.T, s.addr)
		}, "0 too_many_connections 127.0.0.1  "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f refusals
			s := startWith(t, func(o *Options) { o.Limits.PerAddress, o.Refused = 1, f.add })
			tt.do(s)
			s.eventually("it is told", func() bool { return len(f.all()) > 0 })
			if got := f.all(); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("told %q, want %q", got, tt.want)
			}
		})
	}
}

// A client that sends malformed packets without end is reported now and then, and hides no
// other.
func TestRefusedPacketsAreToldSeldom(t *testing.T) {
	var f refusals
	s := startWith(t, func(o *Options) { o.Refused = f.add })
	began := time.Now()
	for range 100 {
		r := dialRaw(t, s.addr)
		r.bytes(0xc0, 0)
		if err := r.closed(patience); err != nil {
			t.Fatal(err)
		}
	}
	s.login("dev").bytes(0x80, 2, 0, 1)
	own := func() bool { return slices.Contains(f.all(), "3 malformed_packet 127.0.0.1 app1 dev") }
	s.eventually("the client is told of", own)
	n := 0 // of that reason: where connections end late, there can be too many of them too
	for _, told := range f.all() {
		if strings.Contains(told, "no_connect") {
			n++
		}
	}
	if n < 1 || n > 1+int(time.Since(began)/time.Second) {
		t.Errorf("strangers are told of %d times in %v", n, time.Since(began))
	}
}
