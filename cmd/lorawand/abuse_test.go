package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/gwmp"
)

// These ask for more packets, and for more datagrams, than a usual test run sends: see TestAbuse.
const (
	abusePacketsEnv   = "LORAWAND_ABUSE_PACKETS"
	abuseDatagramsEnv = "LORAWAND_ABUSE_DATAGRAMS"
)

// These limits hold while clients abuse the broker.
const (
	abuseMemory  = 32 << 20              // bytes of RSS, at most, ever
	starvedExtra = 100 * 40_000          // more bytes where the collector of garbage has to wait as all others
	starvedFrom  = 10 * time.Millisecond // what another program takes for a byte then; in peace 0.5 ms
	abuseLatency = 50 * time.Millisecond
	abuseFactor  = 10        // times the latency of the same run without abuse
	floodFactor  = 3         // the same for frames of nobody, which are on each gateway's air
	abuseRate    = 50        // uplinks a second for the good client
	abuseRound   = 1_000_000 // the numbers of a round's uplinks begin at a multiple of it
)

// abuse is one way to abuse the broker, or the port for packet forwarders. run returns when it is over.
type abuse struct {
	name string
	run  func(a *abused)
	// of uplinks a second for the good client, of which one in a thousand may be lost; 0: abuseRate, and none
	rate    int
	factor  int             // times the latency without abuse; 0: abuseFactor
	prepare func(a *abused) // nil: nothing is to be prepared
}

var abuses = []abuse{
	{"pushes that are refused", (*abused).refusedPushes, 0, 0, nil},
	{"pushes that are refused, long", (*abused).longPushes, 0, 0, nil},
	{"pushes that are taken, long", (*abused).takenPushes, 0, 0, nil},
	{"pushes over HTTP, long", (*abused).longRequests, 0, 0, nil},
	{"faulty bodies over HTTP", (*abused).faultyBodies, 0, 0, nil},
	{"frequency plans over HTTP", (*abused).plans, 0, 0, nil},
	{"metrics", (*abused).scrapes, 0, 0, nil},
	{"mutated packets before the login", (*abused).mutatedBeforeLogin, 0, 0, nil},
	{"mutated packets after the login", (*abused).mutatedAfterLogin, 0, 0, nil},
	{"half-open connections", (*abused).halfOpen, 0, 0, nil},
	{"readers of QoS 0 that are slow", func(a *abused) { a.slowReaders(0) }, 0, 0, nil},
	{"readers of QoS 1 that are slow", func(a *abused) { a.slowReaders(1) }, 0, 0, nil},
	{"readers that do not acknowledge", (*abused).noAcknowledgements, 0, 0, nil},
	{"logins without end", (*abused).logins, 0, 0, nil},
	{"subscriptions without end", (*abused).subscriptions, 0, 0, nil},
	{"wrong keys", (*abused).wrongKeys, 0, 0, nil},
	{"answers that are not read", (*abused).unreadAnswers, 0, 0, nil},
	{"packets that are never finished", (*abused).unfinished, 0, 0, nil},
	{"publishes that are never released", (*abused).unreleased, 0, 0, nil},
	{"WebSocket frames without MQTT", (*abused).idleFrames, 0, 0, nil},
	{"hostile datagrams", (*abused).hostileDatagrams, 300, 0, nil},
	{"2000 frames of nobody a second", (*abused).framesOfNobody, 0, floodFactor, (*abused).withFlood},
	{"lists over HTTP", (*abused).lists, 0, 0, (*abused).withDevices},
}

// TestAbuse abuses a daemon in a process of its own, in one way after the other.
// Meanwhile its memory stays small, an application that behaves loses nothing and
// hardly waits longer than before, and what the abuse took comes back.
func TestAbuse(t *testing.T) {
	a := newAbused(t)
	quiet := a.watched(abuse{name: "nobody", run: func(*abused) { time.Sleep(3 * time.Second) }})
	for _, way := range abuses {
		t.Run(way.name, func(t *testing.T) {
			a.TB = t
			if way.prepare != nil {
				way.prepare(a)
			}
			goroutines, descriptors := a.holds()
			// The machine may be held up by something else: once, but not always. What
			// it takes itself meanwhile is not the daemon's.
			for tries := 3; ; tries-- {
				why := a.watched(way).exceeds(quiet.p99, time.Duration(cmp.Or(way.factor, abuseFactor)))
				if tries == 1 && why != "" {
					t.Error(why)
				}
				if tries == 1 || why == "" {
					break
				}
			}
			a.returns(goroutines, descriptors)
		})
	}
	a.TB = t
}

// abused is a daemon that is abused by the application app2, or by strangers,
// while app1 behaves.
type abused struct {
	*benchDaemon
	testing.TB
	http       string
	api        string
	webSockets string
	key2       string
	rounds     int // of abuse so far
	packets    int // that are mutated, half of them before the login
	datagrams  int // that are hostile

	mu    sync.Mutex
	fCnts map[radio.DevAddr]uint32
}

const abusedDevices = 10 // of each application

func newAbused(t *testing.T) *abused {
	t.Helper()
	a := &abused{TB: t, packets: 100_000, datagrams: 100_000, fCnts: map[radio.DevAddr]uint32{}}
	a.http, a.api, a.webSockets = freeTCP(t), freeTCP(t), freeTCP(t)
	for name, many := range map[string]*int{abusePacketsEnv: &a.packets, abuseDatagramsEnv: &a.datagrams} {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			*many = n
		}
	}
	a.benchDaemon = newBenchDaemon(t, abusedDevices, 1)
	conf, err := os.ReadFile(a.conf)
	if err != nil {
		t.Fatal(err)
	}
	http := fmt.Sprintf("[http]\napi_listen = %q\nlisten = %q", a.api, a.http)
	a.write("lorawand.toml", strings.NewReplacer("[http]\nlisten = \"\"", http,
		"[mqtt]\n", fmt.Sprintf("[mqtt]\nwebsocket_listen = [%q]\n", a.webSockets)).Replace(string(conf)))
	var list strings.Builder
	for i := range abusedDevices {
		text := deviceJSON(fmt.Sprintf("dev%d", i), benchAddr(abusedDevices+i).String())
		fmt.Fprintln(&list, strings.Replace(text, "0102030405060708", fmt.Sprintf("02020304%08X", i), 1))
	}
	a.must(list.String(), "device", "import", "-", "--application", "app2")
	a.key2 = strings.TrimSpace(a.must("", "api-key", "create", "--application", "app2", "--rights", "all"))
	a.start(t, nil, nil, a.build(t))
	return a
}

// shipped returns the settings that build the daemon as it is shipped, if make
// has made the copies of libraries for that; else it takes 1 MB more. The daemon is
// built without the race detector in any case, which would take some ten times as much;
// and where it is emulated its memory is that of the emulator, so this is for programs
// of the machine's own kind.
func shipped(t testing.TB) (env []string) {
	t.Helper()
	file, err := filepath.Abs("../../.build/engine/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		env = append(env, "GOFLAGS=-modfile="+file)
	}
	return env
}

// uplinks sends uplinks of an application, 0 or 1, at a rate until stop is
// closed. sending is told each one's number before it goes. f is closed then.
func (a *abused) uplinks(f *quietForwarder, application, rate int, stop <-chan struct{}, sending func(n int)) {
	defer f.close()
	began := time.Now()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate)))):
		}
		datagram := a.datagramOf(application*abusedDevices+n%abusedDevices, a.rounds*abuseRound+n)
		sending(n)
		if err := f.write(datagram); err != nil {
			a.Error(err)
			return
		}
	}
}

// datagramOf is PUSH_DATA with an uplink of a device, whose payload is a number.
func (a *abused) datagramOf(device, number int) []byte {
	a.mu.Lock()
	addr := benchAddr(device)
	fCnt := a.fCnts[addr]
	a.fCnts[addr]++
	a.mu.Unlock()
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.UnconfirmedUp, DevAddr: addr, HasFPort: true, FPort: 15, FRMPayload: fmt.Appendf(nil, "%09d", number),
	}, fCnt, a.keys)
	if err != nil {
		a.Error(err)
	}
	up := radio.Uplink{
		PHYPayload: phy, Frequency: 868_500_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
		Time: firstCounter, GatewayTime: time.Now(), Receptions: []radio.Reception{{Channel: 2, RSSI: -3500, SNR: 500}},
	}
	body := gwmp.AppendPush(nil, []radio.Uplink{up}, nil)
	return gwmp.Packet{
		Version: gwmp.Version2, Token: uint16(number), Type: gwmp.PushData, EUI: testEUI,
		Body: body,
	}.Append(nil)
}

// watched is what was seen during an abuse.
type watched struct {
	p99     time.Duration // 99th percentile of the time from gateway to application
	machine time.Duration // the same of what a byte takes meanwhile that passes another program
	peak    int64         // bytes of RSS
}

// exceeds returns which limit was exceeded; "": none.
func (w watched) exceeds(quiet, factor time.Duration) string {
	most := int64(abuseMemory)
	if w.machine > starvedFrom {
		most += starvedExtra
	}
	limit := max(min(abuseLatency, factor*quiet), factor*w.machine)
	switch {
	case w.p99 > limit:
		return fmt.Sprintf("the 99th percentile of the good client is %v, over %v", w.p99, limit)
	case w.peak > most:
		return fmt.Sprintf("%d bytes of RSS, over %d", w.peak, most)
	}
	return ""
}

// watched runs an abuse while an application that behaves gets uplinks, pushes and
// logs in.
func (a *abused) watched(way abuse) watched {
	a.Helper()
	a.forgetPeak()
	a.rounds++
	c := newGoodClient(a)
	rate := abuseRate
	if way.rate > 0 {
		rate, c.lossy = way.rate, true
	}
	stop, f := make(chan struct{}), newQuietForwarder(a, a.udp)
	var wg sync.WaitGroup
	over := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer over() // where the abuse gives up
	wg.Go(func() { a.uplinks(f, 0, rate, stop, c.sending) })
	wg.Go(func() { c.pushes(stop) })
	var slowest time.Duration
	wg.Go(func() { slowest = a.visits(stop) })
	var echoes []time.Duration
	wg.Go(func() { echoes = a.echoes(stop) })
	began, used := time.Now(), a.cpu(a)
	way.run(a)
	took := time.Since(began)
	used = a.cpu(a) - used
	over()
	latencies := c.close()
	slices.Sort(latencies)
	slices.Sort(echoes)
	w := watched{latencies[len(latencies)*99/100], echoes[len(echoes)*99/100], a.peak()}
	a.Logf("%-34s %5.1f s, %3d %% of a CPU, p50 %6v, p99 %6v of %4d/%d (machine %6v), login %6v, RSS %4.1f MB", way.name,
		took.Seconds(), 100*used/took,
		latencies[len(latencies)/2].Round(10*time.Microsecond), w.p99.Round(10*time.Microsecond), len(latencies), len(c.sent),
		w.machine.Round(10*time.Microsecond), slowest.Round(100*time.Microsecond), float64(w.peak)/1e6)
	return w
}

// echoes has another program answer, as often as the good client gets an uplink,
// and returns what each answer took.
func (a *abused) echoes(stop <-chan struct{}) (took []time.Duration) {
	cat := exec.Command("cat")
	in, err1 := cat.StdinPipe()
	out, err2 := cat.StdoutPipe()
	if err := errors.Join(err1, err2, cat.Start()); err != nil {
		a.Error(err)
		return []time.Duration{0}
	}
	defer func() { _ = in.Close(); _ = cat.Wait() }()
	for buf := make([]byte, 1); ; {
		began := time.Now()
		_, err1 := in.Write(buf)
		_, err2 := out.Read(buf)
		if err := errors.Join(err1, err2); err != nil {
			a.Error(err)
			return append(took, 0)
		}
		took = append(took, time.Since(began))
		select {
		case <-stop:
			return took
		case <-time.After(time.Second / abuseRate):
		}
	}
}

// visits logs in as app1 now and then, and returns the longest that it took.
func (a *abused) visits(stop <-chan struct{}) (slowest time.Duration) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return slowest
		case <-time.After(200 * time.Millisecond):
		}
		began := time.Now()
		if err := a.visit(fmt.Sprint("visitor", n%3)); err != nil {
			a.Errorf("a good login fails after %v: %v", time.Since(began), err)
			return slowest
		}
		slowest = max(slowest, time.Since(began))
	}
}

// visit logs in as app1, again where its place was lost, as clients do. That
// happens where the machine is held up for as long as others take to connect.
func (a *abused) visit(id string) (err error) {
	for range 3 {
		c, failed := a.dial("127.0.0.1", id, "app1", a.benchDaemon.key)
		if failed == nil {
			return c.Close()
		}
		err = failed
	}
	return err
}

// holds returns how many goroutines and descriptors the daemon has.
func (a *abused) holds() (goroutines, descriptors int) {
	a.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + a.http + "/metrics")
	if err != nil {
		a.Fatal(err)
	}
	defer answer.Body.Close()
	goroutines = int(metric(a, answer.Body, "lorawand_goroutines"))
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", a.cmd.Process.Pid))
	if err != nil {
		a.Fatal(err)
	}
	return goroutines, len(entries)
}

// returns waits until the daemon has no more goroutines and descriptors than before.
func (a *abused) returns(goroutines, descriptors int) {
	a.Helper()
	var g, d int
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		// The connection that asks is among them, or is not yet gone.
		if g, d = a.holds(); g <= goroutines+2 && d <= descriptors+2 {
			return
		}
	}
	a.Errorf("%d goroutines and %d descriptors are left; there were %d and %d", g, d, goroutines, descriptors)
}

// forgetPeak begins anew with the highest RSS (proc_pid_clear_refs(5)).
func (a *abused) forgetPeak() {
	a.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", a.cmd.Process.Pid), []byte("5"), 0o600); err != nil {
		a.Fatal(err)
	}
}

// peak returns the highest RSS in bytes: VmHWM.
func (a *abused) peak() int64 { return a.status(a, "VmHWM:") }
