//go:build !small

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/cmd/lorawand/demo"
)

// scriptsEnv says for how long TestScripts runs, such as "30m".
const scriptsEnv = "LORAWAND_SCRIPTS"

// scriptKind is a payload formatter and what becomes of an uplink with it.
type scriptKind struct {
	name, script string // "": the name is that of a formatter
	decoded      bool   // else there is a warning
	devices      int
}

// Most devices have a script as a maker writes it; some have one that is wrong in one way or the other.
var scriptKinds = []scriptKind{
	{"weather", "", true, 24},
	{"cayennelpp", "", true, 6},
	{"writes", `
		function decodeUplink(i) { console.log("x".repeat(1e5)); return {data: {a: i.bytes, t: new Date()}}; }
		function encodeDownlink(i) { return {fPort: 7, bytes: [i.data.n & 255, i.data.n >> 8]}; }`, true, 4},
	{"throws", `function decodeUplink() { throw new Error("no"); }`, false, 2},
	{"complains", `function decodeUplink() { return {errors: ["too cold"]}; }`, false, 2},
	{"never ends", `function decodeUplink() { for (;;) {} }`, false, 1},
	{"takes all memory", `function decodeUplink() { var s = "x"; for (;;) { s += s; } }`, false, 1},
}

// TestScripts has a daemon with its real child decode uplinks by good and by bad scripts, and encode
// downlinks. Each uplink comes, with what its script says or a warning, and neither process grows.
//
// TestMonth is without scripts: time that is simulated stands still while another process works.
func TestScripts(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(scriptsEnv))
	if err != nil {
		length = 8 * time.Second
	}
	s := newScripted(t)
	uplinks, pushed := s.runs(length)
	if n := s.count(); n != uplinks {
		t.Errorf("%d of %d uplinks came: %v", n, uplinks, s.came)
	}
	if len(s.wrong) > 0 {
		t.Errorf("%d messages are not as their scripts say: %s", len(s.wrong), s.wrong[0])
	}
	if s.queued != pushed {
		t.Errorf("%d of %d downlinks are encoded and queued", s.queued, pushed)
	}
	s.checkFlat(length, uplinks)
}

// scripted is a daemon whose devices have scripts, and an application.
type scripted struct {
	*benchDaemon
	http  string
	kinds []*scriptKind // by device
	login demo.Login

	mu      sync.Mutex
	came    []int // uplinks by device
	queued  int   // downlinks that were encoded
	wrong   []string
	samples []scriptSample
}

// scriptSample is what the daemon and its child hold.
type scriptSample struct {
	daemon, child           int64 // bytes of resident memory; 0: there is no child now
	goroutines, descriptors int   // of the daemon
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	s := &scripted{http: freeTCP(t)}
	for i := range scriptKinds {
		s.kinds = append(s.kinds, slices.Repeat([]*scriptKind{&scriptKinds[i]}, scriptKinds[i].devices)...)
	}
	s.came = make([]int, len(s.kinds))
	d := newDecodingDaemon(t, len(s.kinds))
	s.benchDaemon = d
	conf, err := os.ReadFile(d.conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), "[http]\nlisten = \"\"", fmt.Sprintf("[http]\nlisten = %q", s.http), 1)
	d.write("lorawand.toml", "[formatter]\nwait = \"1m\"\n"+text)
	for i, k := range s.kinds {
		if formatter := k.name; formatter != "weather" { // that is the one of the application
			if k.script != "" {
				formatter = d.write("script.js", k.script)
			}
			d.must("", "device", "set", s.device(i), "--up-formatter", formatter, "--down-formatter", downOf(formatter))
		}
	}
	d.start(t, nil, nil, d.build(t))
	s.login = demo.Login{Broker: d.mqtt, User: "app1", Password: d.key}
	return s
}

func downOf(up string) string {
	if strings.HasSuffix(up, ".js") {
		return up
	}
	return "none"
}

func (s *scripted) device(i int) string { return fmt.Sprintf("app1/dev%d", i) }

// runs sends uplinks, pushes and looks at what the processes hold.
func (s *scripted) runs(length time.Duration) (uplinks, pushed int) {
	const rate = 10 // uplinks a second
	stop := s.watch()
	f := newQuietForwarder(s, s.udp)
	uplinks = int(length/time.Second) * rate
	began, look := time.Now(), uplinks/30
	for n := range uplinks {
		if wait := time.Until(began.Add(time.Duration(n) * time.Second / rate)); wait > 0 {
			time.Sleep(wait)
		}
		f.send(s, s.datagrams(s, 1)[0])
		if n%rate == 0 {
			pushed++
			s.push(pushed)
		}
		if n%max(look, 1) == 0 && n > uplinks/10 {
			s.look()
		}
	}
	for end := time.Now().Add(time.Minute); s.count() < uplinks && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return uplinks, pushed
}

// push has a downlink be encoded, which takes the place of the one before.
func (s *scripted) push(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	i := slices.IndexFunc(s.kinds, func(k *scriptKind) bool { return k.name == "writes" })
	body := fmt.Sprintf(`{"downlinks":[{"f_port":7,"decoded_payload":{"n":%d}}]}`, n)
	if err := s.login.Publish(ctx, fmt.Sprintf("v3/app1/devices/dev%d/down/replace", i), []byte(body)); err != nil {
		s.Error(err)
	}
}

// watch takes what comes until the function that it returns is called.
func (s *scripted) watch() (stop func()) {
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.login.Watch(ctx, "v3/app1/devices/+/#", func() { close(ready) }, s.message)
	})
	stop = func() { cancel(); wg.Wait() }
	s.Cleanup(stop)
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		s.Fatal("no subscription")
	}
	return stop
}

// message looks whether an uplink has what its script says.
func (s *scripted) message(topic string, payload []byte) {
	var i int
	var kind string
	if _, err := fmt.Sscanf(strings.ReplaceAll(topic, "/", " "), "v3 app1 devices dev%d %s", &i, &kind); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == "down" && strings.HasSuffix(topic, "/queued") {
		s.queued++
	}
	if !strings.HasSuffix(topic, "/up") {
		return
	}
	s.came[i]++
	text := string(payload)
	decoded, warned := strings.Contains(text, `"decoded_payload":{`), strings.Contains(text, `"decoded_payload_warnings":[`)
	if decoded != s.kinds[i].decoded || !decoded && !warned {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %s", s.kinds[i].name, text))
	}
}

func (s *scripted) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.came {
		n += c
	}
	return n
}

// look takes a sample. The child is gone for a moment after a script that takes all memory.
func (s *scripted) look() {
	a := &abused{benchDaemon: s.benchDaemon, TB: s.TB, http: s.http}
	x := scriptSample{daemon: s.resident(s)}
	x.goroutines, x.descriptors = a.holds()
	if pid, ok := s.scripts(s); ok {
		x.child = processStatus(s, pid, "VmRSS:")
	}
	s.samples = append(s.samples, x)
}

// thirdOf is the mean, and for goroutines and descriptors the most, of a third of the samples.
func (s *scripted) thirdOf(n int) (sum scriptSample) {
	part, children := s.samples[n*len(s.samples)/3:(n+1)*len(s.samples)/3], int64(0)
	for _, x := range part {
		sum.daemon += x.daemon / int64(len(part))
		sum.goroutines, sum.descriptors = max(sum.goroutines, x.goroutines), max(sum.descriptors, x.descriptors)
		if x.child > 0 {
			sum.child += x.child
			children++
		}
	}
	sum.child /= max(children, 1)
	return sum
}

// checkFlat wants the last third of the samples to be as the first one.
func (s *scripted) checkFlat(length time.Duration, uplinks int) {
	s.Helper()
	const MB = 1 << 20
	a, z := s.thirdOf(0), s.thirdOf(2)
	s.Logf("%v: %d uplinks, %d downlinks encoded; first and last third: daemon %.1f and %.1f MB, child %.1f and %.1f MB, "+
		"goroutines %d and %d, descriptors %d and %d", length, uplinks, s.queued, float64(a.daemon)/MB, float64(z.daemon)/MB,
		float64(a.child)/MB, float64(z.child)/MB, a.goroutines, z.goroutines, a.descriptors, z.descriptors)
	if len(s.samples) < 12 || a.child == 0 || z.child == 0 {
		s.Fatalf("that tests little: %+v", s.samples)
	}
	if z.daemon > a.daemon+2*MB || z.child > a.child+a.child/4+2*MB || z.goroutines > a.goroutines+4 ||
		z.descriptors > a.descriptors+4 {
		s.Errorf("it grows: %+v", s.samples)
	}
}
