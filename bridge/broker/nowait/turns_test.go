package nowait

import (
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// After a long write others get their turns from a goroutine that goes on and on: the runtime lets it for 10 ms.
func TestOthersGetTheirTurns(t *testing.T) {
	const turn = 200 * time.Millisecond // with room for a busy machine
	for range 3 {
		waited := othersWait(t, make([]byte, 3000))
		if waited < turn {
			return
		}
		t.Logf("others wait for %v", waited)
	}
	t.Errorf("nobody else gets a turn within %v", turn)
}

// othersWait returns how long others wait on one processor, when p was written after a rest.
func othersWait(t *testing.T, p []byte) time.Duration {
	t.Helper()
	const hog = 450 * time.Millisecond
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s, _ := pair(t)
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	raw, err := udp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan time.Duration)
	go func() {
		_ = raw.Read(func(fd uintptr) bool { // of which the runtime is not told
			var b [10]byte
			_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), uintptr(len(b)), 0, 0, 0)
			return errno != unix.EAGAIN
		})
		_, _ = s.Write(p)
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
	port := strconv.Itoa(udp.LocalAddr().(*net.UDPAddr).Port)
	shell := exec.Command("bash", "-c", "exec 3>/dev/udp/127.0.0.1/"+port+"; sleep 0.3; echo 1 >&3")
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
