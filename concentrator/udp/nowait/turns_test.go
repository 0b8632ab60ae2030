package nowait

import (
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// hog is how long one goes on and on; a turn is how long the runtime lets it (10 ms), with room for a busy machine.
const hog, turn = 450 * time.Millisecond, 200 * time.Millisecond

// Where there is more to do than for one uplink, others get their turns.
func TestOthersGetTheirTurns(t *testing.T) {
	for name, test := range map[string]struct {
		sends string // by a shell, after a rest
		count int    // datagrams that these are
	}{
		"datagrams in a row": {"echo 1 >&3; echo 2 >&3; echo 3 >&3", 3},
		"a long datagram":    {"printf '%3000s' >&3", 1},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				waited := othersWait(t, test.sends, test.count)
				if waited < turn {
					return
				}
				t.Logf("others wait for %v", waited)
			}
			t.Errorf("nobody else gets a turn within %v", turn)
		})
	}
}

// othersWait returns how long others wait while one goes on and on, on one processor, because of what came.
func othersWait(t *testing.T, sends string, count int) time.Duration {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	d, to := listen(t, "udp", "127.0.0.1:0", "127.0.0.1")
	arrived := make(chan struct{}, count)
	go func() {
		b := make([]byte, 4000)
		for {
			if _, _, err := d.ReadFromUDPAddrPort(b); err != nil {
				return
			}
			arrived <- struct{}{}
		}
	}()
	waited := make(chan time.Duration)
	go func() {
		for range count {
			<-arrived
		}
		began := time.Now()
		var other atomic.Int64
		go func() { other.Store(int64(time.Since(began))) }()
		for time.Since(began) < hog {
		}
		for other.Load() == 0 {
			runtime.Gosched()
		}
		waited <- time.Duration(other.Load())
	}()
	// Another process sends: this one is to rest.
	shell := exec.Command("bash", "-c", "exec 3>/dev/udp/127.0.0.1/"+strconv.Itoa(int(to.Port()))+"; sleep 0.3; "+sends)
	shell.Dir = t.TempDir()
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	w := <-waited
	if err := shell.Wait(); err != nil {
		t.Fatal(err)
	}
	return w
}
