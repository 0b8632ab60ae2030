package outbox

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"lorawand/bridge/v3"
)

// put adds messages, each named by its application and a number: "a1 b1". "a1:50" has 50 bytes.
func put(o *Outbox, messages string) {
	for _, m := range strings.Fields(messages) {
		name, bytes, _ := strings.Cut(m, ":")
		n, _ := strconv.Atoi(bytes)
		o.Put(v3.Message{Application: name[:1], Device: name[1:], Payload: make([]byte, n)})
	}
}

// rest takes everything out.
func rest(o *Outbox) string {
	var out []string
	for m, ok := o.Take(); ok; m, ok = o.Take() {
		out = append(out, m.Application+m.Device)
	}
	return strings.Join(out, " ")
}

// An application that floods the outbox loses its own oldest messages, and the others do
// not wait for it.
func TestOutbox(t *testing.T) {
	tests := []struct {
		name, put, want string
	}{
		{"nothing", "", ""},
		{"in order", "a1 a2 a3 a4", "a1 a2 a3 a4"},
		{"the oldest goes", "a1 a2 a3 a4 a5 a6", "a3 a4 a5 a6"},
		{"in turn", "a1 a2 a3 b1", "a1 b1 a2 a3"},
		{"one that floods", "b1 a1 a2 a3 a4 a5 a6", "b1 a4 a5 a6"},
		{"one that floods before", "a1 a2 a3 a4 b1 c1", "a3 b1 c1 a4"},
		{"it floods on", "a1 a2 a3 a4 b1 a5 a6 b2 a7", "a6 b1 a7 b2"},
		{"the same for all", "a1 b1 c1 d1 e1", "b1 c1 d1 e1"},
		{"more than there are places", "a1 a2 b1 c1 d1", "a2 b1 c1 d1"},
		{"too many bytes", "a1:40 a2:40 a3:40", "a2 a3"},
		{"as many bytes as there may be", "a1:40 a2:60", "a1 a2"},
		{"long ones of one that floods", "a1:60 b1:10 b2:20 a2:60 a3:60", "a3 b1 b2"},
		{"short ones beside a long one", "b1 b2 a1:90 b3:20", "b1 b2 b3"},
		{"one that is too long alone", "a1:101", "a1"},
		{"one that is too long beside others", "a1 b1:1 a2:200", "b1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := New(4, 100)
			put(o, tt.put)
			if got := rest(o); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			all, left := len(strings.Fields(tt.put)), len(strings.Fields(tt.want))
			if published, dropped := o.Counts(); published != uint64(all) || dropped != uint64(all-left) {
				t.Errorf("%d published, %d dropped", published, dropped)
			}
			put(o, "z1 z2")
			if got := rest(o); got != "z1 z2" {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
}

// Messages of applications that come and go cost no memory.
func TestLanes(t *testing.T) {
	o := New(4, 100)
	for i := range 10_000 {
		o.Put(v3.Message{Application: fmt.Sprint(i)})
		if i%3 == 0 {
			rest(o)
		}
	}
	if n := len(o.lanes); n > 200 {
		t.Errorf("%d lanes are kept", n)
	}
}

// A message that comes and goes is not allocated for.
func TestAllocations(t *testing.T) {
	o := New(1024, 1<<20)
	put(o, "a1 b1")
	rest(o)
	if n := testing.AllocsPerRun(100, func() {
		o.Put(v3.Message{Application: "a"})
		o.Put(v3.Message{Application: "b"})
		for _, ok := o.Take(); ok; _, ok = o.Take() {
		}
	}); n != 0 {
		t.Errorf("%.1f allocations", n)
	}
}

// The number behind the last message is known when all were dealt with.
func TestNext(t *testing.T) {
	var last atomic.Uint64
	last.Store(7)
	o := New(4, 100)
	for _, tt := range []struct {
		does string
		do   func()
		want uint64
	}{
		{"nothing", func() {}, 8},
		{"one waits", func() { put(o, "a1") }, 0},
		{"it is dealt with", func() { o.Take() }, 0},
		{"it was", func() { o.Take() }, 8},
	} {
		if tt.do(); o.Next(&last) != tt.want {
			t.Errorf("%s: %d, want %d", tt.does, o.Next(&last), tt.want)
		}
	}
}
