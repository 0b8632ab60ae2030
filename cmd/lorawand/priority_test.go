package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// askedForPriority is set for the child of TestPrefer.
const askedForPriority = "LORAWAND_TEST_PRIORITY"

// TestPrefer: with a radio on board all threads get the priority of the service, for root;
// others keep what they have, and so does a program without a radio.
func TestPrefer(t *testing.T) {
	if asked, child := os.LookupEnv(askedForPriority); child {
		preferAndTell(t, asked)
		return
	}
	now, err := exec.Command("nice").Output()
	if err != nil {
		t.Fatal(err)
	}
	higher, err := exec.Command("nice", "-n", "-1", "nice").Output()
	root := err == nil && string(higher) != string(now)
	for name, tt := range map[string]struct {
		asked   string // driver, device and user
		prefers bool
	}{
		"a radio on board":   {"sx1302 /dev/spidev0.0 0", root},
		"but not root":       {"sx1302 /dev/spidev0.0 65534", false},
		"a model of it":      {"sx1302 sim 0", false},
		"a packet forwarder": {"udp - 0", false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestPrefer$", "-test.v")
			cmd.Env = append(os.Environ(), askedForPriority+"="+tt.asked)
			out, err := cmd.CombinedOutput()
			want := "none changed"
			if tt.prefers {
				want = "all at -10"
			}
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, %s, want %q", err, out, want)
			}
		})
	}
}

// preferAndTell runs in a child with a few threads, and says what became of them.
func preferAndTell(t *testing.T, asked string) {
	t.Helper()
	const threads = 4
	held, end := make(chan int), make(chan struct{})
	defer close(end)
	for range threads {
		go func() {
			runtime.LockOSThread()
			held <- syscall.Gettid()
			<-end
		}()
	}
	ids := []int{os.Getpid()}
	for range threads {
		ids = append(ids, <-held)
	}
	before, err := niceOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var driver, device string
	var user int
	if _, err := fmt.Sscan(asked, &driver, &device, &user); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := syscall.Setuid(user); err != nil {
			t.Fatal(err)
		}
	}
	c := config.Config{Gateways: []config.Gateway{{Driver: driver, SX1302: &config.SX1302{Device: device}}}}
	prefer(&c)
	same, low := 0, 0
	for _, id := range ids {
		nice, err := niceOf(id)
		if err != nil {
			t.Fatal(err)
		}
		if nice == before {
			same++
		}
		if nice == daemonNice {
			low++
		}
	}
	switch len(ids) {
	case low:
		fmt.Println("all at", daemonNice)
	case same:
		fmt.Println("none changed")
	}
}

// TestDoctorPriority: what a daemon that was started by hand may lack is said.
func TestDoctorPriority(t *testing.T) {
	for name, tt := range map[string]struct {
		nice int
		err  error
		says string
	}{
		"as a service": {-10, nil, "ok    priority: the daemon runs at nice -10\n"},
		"higher":       {-20, nil, "ok    priority: the daemon runs at nice -20\n"},
		"by hand": {
			0, nil, "info  priority: the daemon runs at nice 0: other programs may make downlinks late; " +
				"start it as its service does, or with: nice -n -10\n",
		},
		"not to be known": {0, errors.New("no"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doctor{nice: func(string) (int, error) { return tt.nice, tt.err }}
			d.problems = func(context.Context) ([]problems.Problem, error) { return nil, nil }
			d.software(t.Context(), &config.Config{})
			var out strings.Builder
			for _, f := range d.found {
				if f.Check == "priority" {
					_ = f.print(&out, false)
				}
			}
			if out.String() != tt.says {
				t.Errorf("%q, want %q", out.String(), tt.says)
			}
		})
	}
}

// TestNiceBehind: the priority of a daemon is found by its control socket.
func TestNiceBehind(t *testing.T) {
	s := newSite(t, "")
	r := s.start()
	defer r.stop()
	own, err := niceOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	group, _ := os.ReadFile(autogroup)
	contains(t, "doctor", s.must("", "doctor"),
		fmt.Sprintf("priority: the daemon runs at nice %d", max(own, niceOfGroup(string(group)))))
	if _, err := niceBehind("/none"); err == nil {
		t.Error("nobody listens")
	}
}

func TestNiceOfGroup(t *testing.T) {
	for text, want := range map[string]int{
		"/autogroup-137 nice 0\n": 0, "/autogroup-1 nice -10\n": -10, "/autogroup-1 nice 19": 19, "": math.MinInt,
		"/autogroup-1 nice": math.MinInt, "nice x": math.MinInt,
	} {
		if got := niceOfGroup(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
