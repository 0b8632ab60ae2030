package intake

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// room has packets come and go, and writes down what becomes of each.
type room struct {
	Intake
	t     *testing.T
	mu    sync.Mutex
	told  []string
	taken map[string]*Place
	ends  map[string]chan struct{}
}

// do carries out a line of commands. "a1" is a packet of application a: a quarter of the room;
// "a1!" has come completely; "-a1" has been carried out; "~a1" is closed while it waits; "." is
// the time after which a packet gives way, "," half of it.
func (r *room) do(line string) string {
	for _, word := range strings.Fields(line) {
		switch {
		case word == ".":
			time.Sleep(waiting)
		case word == ",":
			time.Sleep(waiting / 2)
		case word[0] == '-':
			r.place(word[1:]).Leave()
		case word[0] == '~':
			close(r.ends[word[1:]])
		case strings.HasSuffix(word, "!"):
			r.place(word[:len(word)-1]).Complete()
		default:
			r.come(word)
		}
		synctest.Wait()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.told = nil }()
	return strings.Join(r.told, " ")
}

func (r *room) place(name string) *Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken[name] == nil {
		r.t.Fatalf("%s has no room", name)
	}
	return r.taken[name]
}

func (r *room) tell(what, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, what+name)
}

func (r *room) come(name string) {
	end := make(chan struct{})
	r.ends[name] = end
	go func() {
		p := &Place{}
		if !p.Enter(&r.Intake, name[:1], most/4, func() { r.tell("x", name) }, end) {
			r.tell("~", name)
			return
		}
		r.mu.Lock()
		r.taken[name] = p
		r.mu.Unlock()
		r.tell("+", name)
	}()
}

// "+a1" has room, "xa1" has given way, "~a1" was closed while it waited.
func TestIntake(t *testing.T) {
	for _, tt := range []struct {
		name, do, want string
	}{
		{"one application has half of the room", "a1 a2 a3", "+a1 +a2"},
		{"and others the other half", "a1 a2 a3 b1 b2 c1", "+a1 +a2 +b1 +b2"},
		{"what is carried out gives its room back", "a1 a2 a3 a1! -a1", "+a1 +a2 +a3"},
		{"in order", "a1 a2 a3 a4 -a2 -a1", "+a1 +a2 +a3 +a4"},
		{"who waits for itself holds up no other", "a1 a2 a3 a4 a5 b1", "+a1 +a2 +b1"},
		{"the oldest gives way", "a1 a2 a3 .", "+a1 +a2 xa1 +a3"},
		{"but not what has come", "a1 a2 a1! a3 .", "+a1 +a2 xa2 +a3"},
		{"nothing gives way", "a1 a1! a2 a2! a3 . . . -a2", "+a1 +a2 +a3"},
		{"nor what another holds, where that helps nobody", "a1 a1! a2 a2! b1 a3 . .", "+a1 +a2 +b1"},
		{"of the application that holds the most", "b1 a1 a2 c1 d1 .", "+b1 +a1 +a2 +c1 xa1 +d1"},
		{"a client that leaves", "a1 a2 a3 a4 ~a3 -a1", "+a1 +a2 ~a3 +a4"},
		{"one gives way for each that waits", "a1 a2 a3 , a4 . .", "+a1 +a2 xa1 +a3 xa2 +a4"},
		{"room that was given back twice", "a1 a2 a3 -a1 -a1 a4", "+a1 +a2 +a3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &room{t: t, taken: map[string]*Place{}, ends: map[string]chan struct{}{}}
				got := r.do(tt.do)
				if got != tt.want {
					t.Errorf("%q\ngot  %q\nwant %q", tt.do, got, tt.want)
				}
				r.empty()
			})
		})
	}
}

// empty ends all packets; nothing may be left.
func (r *room) empty() {
	r.mu.Lock()
	taken := r.taken
	r.taken = map[string]*Place{}
	r.mu.Unlock()
	for _, p := range taken {
		p.Leave()
	}
	for name, end := range r.ends {
		select {
		case <-end:
		default:
			close(r.ends[name])
		}
	}
	synctest.Wait()
	r.mu.Lock()
	late := r.taken
	r.mu.Unlock()
	for _, p := range late {
		p.Leave()
	}
	if len(r.held)+len(r.queue) > 0 {
		r.t.Errorf("%d packets hold room, %d wait", len(r.held), len(r.queue))
	}
}

// A packet that is longer than all the room of an application has it for itself.
func TestIntakeOfOneThatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in Intake
		var p Place
		p.Enter(&in, "a", 10*most, func() { t.Error("it gives way") }, nil)
		p.Complete()
		second := false
		go func() {
			var p Place
			p.Enter(&in, "a", Long+1, nil, nil)
			p.Leave()
			second = true
		}()
		var other Place
		other.Enter(&in, "b", ofOne, nil, nil)
		other.Leave()
		synctest.Wait()
		if second {
			t.Error("another one of the application is let in beside it")
		}
		p.Leave()
		synctest.Wait()
		if !second {
			t.Error("the other one is not let in after it")
		}
	})
}

// Many clients at a time never hold more than there is room.
func TestIntakeOfMany(t *testing.T) {
	var in Intake
	var mu sync.Mutex
	var wg sync.WaitGroup
	now, worst := map[string]int{}, map[string]int{}
	for i := range 40 {
		wg.Go(func() {
			app := fmt.Sprint(i % 3)
			var p Place
			for n := range 200 {
				bytes := Long + 1 + (i*7919+n*104_729)%(60<<10)
				p.Enter(&in, app, bytes, func() { t.Error("one gives way though all go on") }, nil)
				mu.Lock()
				now[app] += bytes
				now["all"] += bytes
				worst[app], worst["all"] = max(worst[app], now[app]), max(worst["all"], now["all"])
				mu.Unlock()
				p.Complete()
				mu.Lock()
				now[app] -= bytes
				now["all"] -= bytes
				mu.Unlock()
				p.Leave()
			}
		})
	}
	wg.Wait()
	for name, n := range worst {
		if limit := map[bool]int{true: most, false: ofOne}[name == "all"]; n > limit || n == 0 {
			t.Errorf("%s: %d bytes, limit %d", name, n, limit)
		}
	}
}

// Two applications that flood with short packets without end do not keep a longer one of a third out: what becomes
// free is kept for it.
func TestLateGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var in Intake
		stop := make(chan struct{})
		var wg sync.WaitGroup
		flood := func(application string, after time.Duration) {
			time.Sleep(after)
			for {
				var p Place
				gone := make(chan struct{})
				if !p.Enter(&in, application, 6<<10, sync.OnceFunc(func() { close(gone) }), stop) {
					return
				}
				select {
				case <-gone:
					p.Leave()
				case <-stop:
					p.Leave()
					return
				}
				time.Sleep(5 * time.Millisecond) // it connects again
			}
		}
		for i := range 96 {
			wg.Go(func() { flood([]string{"x", "y"}[i%2], time.Duration(i)*7*time.Millisecond) })
		}
		time.Sleep(5 * time.Second)
		began := time.Now()
		var p Place
		ok := p.Enter(&in, "good", 60<<10, func() { t.Error("it gives way") }, stop)
		if took := time.Since(began); !ok || took > 2*time.Second {
			t.Errorf("it has room after %v: %v", took, ok)
		}
		p.Leave()
		close(stop)
		wg.Wait()
		if len(in.held)+len(in.queue) != 0 {
			t.Errorf("%d packets hold room, %d wait", len(in.held), len(in.queue))
		}
	})
}
