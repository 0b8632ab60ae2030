package mac

import (
	"fmt"
	"testing"

	"lorawand/bridge/session/macstate"
	"lorawand/radio/fuzztest"
)

// Each ForceRejoinReq is read as it was written, and says in words what it asks for.
func TestForceRejoin(t *testing.T) {
	for _, tt := range []struct {
		f     ForceRejoin
		hex   string
		words string
	}{
		{ForceRejoin{}, "0e0000", "ForceRejoinReq type 0 at DR0, 0 more each 32 s"},
		{
			ForceRejoin{Period: 1, Retries: 2, Type: 2, DataRate: 5},
			"0e250a",
			"ForceRejoinReq type 2 at DR5, 2 more each 64 s",
		},
		{
			ForceRejoin{Period: 7, Retries: 7, Type: 2, DataRate: 15},
			"0e2f3f",
			"ForceRejoinReq type 2 at DR15, 7 more each 4096 s",
		},
	} {
		c := tt.f.Command()
		if got := fmt.Sprintf("%x", c.Append(nil)); got != tt.hex || Words(c) != tt.words {
			t.Errorf("%+v: %s, %q; want %s, %q", tt.f, got, Words(c), tt.hex, tt.words)
		}
		if f, ok := ParseForceRejoin(c.Bytes()); !ok || f != tt.f {
			t.Errorf("%s is read as %+v, %v", tt.hex, f, ok)
		}
	}
}

// Type 1 means type 0; what is cut off, too long or of a type that is not laid down is none.
func TestBadForceRejoin(t *testing.T) {
	if f, ok := ParseForceRejoin([]byte{0x13, 0xc0}); !ok || f != (ForceRejoin{DataRate: 3}) {
		t.Errorf("%+v, %v", f, ok)
	}
	for _, b := range [][]byte{nil, {0}, {0, 0, 0}, {0x30, 0}, {0x7f, 0xff}} {
		if f, ok := ParseForceRejoin(b); ok {
			t.Errorf("% x is read as %+v", b, f)
		}
	}
}

// A device answers with a rejoin-request and not with a command. Until it does, it is asked
// six times, ever more seldom, and what comes after the request in its uplinks is its own.
func TestForceRejoinAsked(t *testing.T) {
	c := ForceRejoin{Retries: 1, DataRate: 2}.Command()
	var s *macstate.State
	var after []uint32
	for fCnt := range uint32(100) {
		if due := s.Due([]macstate.Command{c}, fCnt, cidLinkADR); len(due) > 0 {
			after, s = append(after, fCnt), s.Sent(due, fCnt, replaces)
		}
	}
	if got := fmt.Sprint(after); got != "[0 1 3 7 15 31]" {
		t.Errorf("asked after uplinks %s", got)
	}
	if s = s.Answered(c, true); len(s.Asked) != 0 || len(s.Refused) != 0 {
		t.Errorf("%+v after the rejoin-request", s)
	}
	if _, _, ok := next([]byte{cidForceRejoin, 2, 8}); ok {
		t.Error("a command that devices do not send is taken for one")
	}
}

// A newer ForceRejoinReq takes the place of an older one.
func TestForceRejoinReplaced(t *testing.T) {
	first, second := ForceRejoin{}.Command(), ForceRejoin{Type: 2}.Command()
	s := (*macstate.State)(nil).Sent([]macstate.Command{first}, 1, replaces).Sent([]macstate.Command{second}, 2, replaces)
	if len(s.Asked) != 1 || s.Asked[0].Command != second {
		t.Errorf("%+v", s.Asked)
	}
}

func FuzzForceRejoin(f *testing.F) {
	f.Add([]byte{0x25, 0x0a})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		if r, ok := ParseForceRejoin(b); ok {
			c := r.Command()
			if again, ok := ParseForceRejoin(c.Bytes()); !ok || again != r {
				t.Errorf("% x: %+v, then %+v", b, r, again)
			}
		}
	}))
}
