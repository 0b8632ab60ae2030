package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/gwmp"
)

// benchDaemon is a daemon in a process of its own, so that the work of the
// forwarder, the subscriber and the application beside it does not count.
type benchDaemon struct {
	*site
	cmd       *exec.Cmd
	stop      func()
	udp, mqtt string
	key       string
	devices   int
	fPort     uint8
	payload   []byte // of uplinks
	next      int    // uplink, of all devices
	keys      frame.SessionKeys
}

// newBenchDaemon makes a site with so many devices, which listen so many seconds
// after their uplinks.
func newBenchDaemon(b testing.TB, devices, rx1Delay int) *benchDaemon {
	b.Helper()
	d := &benchDaemon{
		site: newSite(b, "enforce_duty_cycle = false"), devices: devices, fPort: 15,
		payload: make([]byte, 20), keys: testKeys(b),
	}
	var list strings.Builder
	for i := range devices {
		// what it is asked first is no uplink's cost
		text := settledDevice(fmt.Sprintf("dev%d", i), benchAddr(i).String(), rx1Delay)
		fmt.Fprintln(&list, strings.Replace(text, "0102030405060708", fmt.Sprintf("01020304%08X", i), 1))
	}
	d.must(list.String(), "device", "import", "-", "--application", "app1")
	d.key = strings.TrimSpace(d.must("", "api-key", "create", "--application", "app1"))
	return d
}

func benchAddr(i int) radio.DevAddr { return radio.DevAddr{0x01, 0, byte(i >> 8), byte(i)} }

// build compiles the daemon for a target, as it is shipped: amd64, or GOARCH with its
// settings.
func (d *benchDaemon) build(b testing.TB, env ...string) (binary string) {
	b.Helper()
	binary = filepath.Join(d.dir, "lorawand")
	args := []string{"build", "-trimpath", "-o", binary, "."}
	cmd := exec.Command("go", args...)
	cmd.Env = slices.Concat(os.Environ(), []string{"CGO_ENABLED=0"}, shipped(b), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return binary
}

var listening = regexp.MustCompile(`msg="listening for (packet forwarders|MQTT clients)" address=(\S+)`)

// start runs the daemon by a command line, which may be that of an emulator,
// and waits until it listens.
func (d *benchDaemon) start(b testing.TB, env []string, files []*os.File, line ...string) {
	b.Helper()
	d.cmd = exec.Command(line[0], append(line[1:], "run", "-c", d.conf)...)
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.ExtraFiles = files
	log, err := d.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		heard := sync.OnceFunc(func() { close(ready) })
		for lines := bufio.NewScanner(log); lines.Scan(); {
			m := listening.FindStringSubmatch(lines.Text())
			switch {
			case m == nil || strings.HasSuffix(lines.Text(), "over=websocket"):
				continue
			case m[1] == "MQTT clients":
				d.mqtt = m[2]
			default:
				d.udp = m[2]
			}
			if d.mqtt != "" && d.udp != "" {
				heard()
			}
		}
	}()
	d.stop = sync.OnceFunc(func() {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { _ = d.cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		_ = d.cmd.Wait()
	})
	b.Cleanup(d.stop)
	select {
	case <-ready:
	case <-ended:
		b.Fatal("the daemon ends at once")
	case <-time.After(2 * time.Minute):
		b.Fatal("the daemon does not listen")
	}
}

// uplink is the frame of a device.
func (d *benchDaemon) uplink(b testing.TB, device int, fCnt uint32) radio.Uplink {
	b.Helper()
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.UnconfirmedUp, ADR: true, DevAddr: benchAddr(device), HasFPort: true, FPort: d.fPort,
		FRMPayload: d.payload,
	}, fCnt, d.keys)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	return radio.Uplink{
		PHYPayload: phy, Frequency: 868_500_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Time: radio.ConcentratorTime(uint32(now.UnixMicro())), GatewayTime: now,
		Receptions: []radio.Reception{{Channel: 2, RSSI: -3500, SNR: 500}},
	}
}

// datagrams are PUSH_DATA with one uplink each, of one device after the other,
// for a quietForwarder, which puts its counter in.
func (d *benchDaemon) datagrams(b testing.TB, count int) [][]byte {
	b.Helper()
	out := make([][]byte, count)
	for i := range out {
		up := d.uplink(b, d.next%d.devices, uint32(d.next/d.devices))
		up.Time = firstCounter
		body := gwmp.AppendPush(nil, []radio.Uplink{up}, nil)
		out[i] = gwmp.Packet{
			Version: gwmp.Version2, Token: uint16(i), Type: gwmp.PushData, EUI: testEUI,
			Body: body,
		}.Append(nil)
		d.next++
	}
	return out
}

// cpu returns the processor time that the daemon has used.
func (d *benchDaemon) cpu(b testing.TB) time.Duration { return processCPU(b, d.cmd.Process.Pid) }

func processCPU(b testing.TB, pid int) time.Duration {
	b.Helper()
	// CPUCLOCK_SCHED of a process, include/linux/posix-timers.h.
	clock := int32(^pid)<<3 | 2
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// resident returns the daemon's resident memory in bytes.
func (d *benchDaemon) resident(b testing.TB) int64 { return d.status(b, "VmRSS:") }

// status returns a size in bytes of the daemon's status (proc_pid_status(5)).
func (d *benchDaemon) status(b testing.TB, name string) int64 {
	return processStatus(b, d.cmd.Process.Pid, name)
}

func processStatus(b testing.TB, pid int, name string) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kB, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kB << 10
		}
	}
	b.Fatalf("no %s", name)
	return 0
}
