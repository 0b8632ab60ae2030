//go:build !small

package admin

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
)

// An Admin works on parts that must be there; the others have stand-ins.
func TestNew(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		name string
		drop func(*Options)
		want string // "": no error
	}{
		{"bridge", func(o *Options) { o.Bridge = nil }, "no bridge"},
		{"keys", func(o *Options) { o.Keys = nil }, "no keys"},
		{"store", func(o *Options) { o.Store = nil }, "no store"},
		{"applications", func(o *Options) { o.Applications = nil }, "no applications"},
		{"codecs", func(o *Options) { o.Codecs = nil }, "no codecs"},
		{"resolver", func(o *Options) { o.Resolver = nil }, "no resolver"},
		{"the rest", func(o *Options) { o.Logger, o.Links, o.Drivers, o.Changed = nil, nil, nil, nil }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := h.admin.o
			tt.drop(&o)
			a, err := New(o)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			with := &house{T: t, admin: a}
			with.steps([]step{
				{name: "status", op: "status", args: `{}`, parts: 1},
				{name: "gateways", op: "gateway.list", args: `{}`, parts: 1, with: []string{"gw1"}},
			})
		})
	}
}

// A door that was opened and never run leaves nothing behind: the next one opens at the
// same place.
func TestCloseDoors(t *testing.T) {
	h := newHouse(t)
	for range 2 {
		s, err := Listen(h.admin, h.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(h.path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
	if _, err := h.call("status", nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("%v, want %v", err, ErrNotRunning)
	}
	addr := "127.0.0.1:0"
	for range 2 {
		s, err := ListenHTTP(h.admin, addr)
		if err != nil {
			t.Fatal(err)
		}
		addr = s.Addr().String()
		if c, err := net.Dial("tcp", addr); err != nil {
			t.Errorf("it does not listen: %v", err)
		} else {
			_ = c.Close()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			t.Error("it listens after it was closed")
		}
	}
	if _, err := ListenHTTP(h.admin, "no address"); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("%v, want the address in it", err)
	}
}
