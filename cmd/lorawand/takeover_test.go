//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/bridge/store/jetstream"
	"lorawand/bridge/store/jetstream/natstest"
	"lorawand/cmd/lorawand/config"
)

const (
	// takeoversEnv asks for more rounds than the few that every test run does, and takeoverSeedEnv for
	// the same ones again.
	takeoversEnv    = "LORAWAND_TAKEOVERS"
	takeoverSeedEnv = "LORAWAND_TAKEOVER_SEED"
)

const (
	// takeoverDevices are the devices, of which each hundredth joins over the air.
	takeoverDevices = 500
	// takeoverGateways hear them, each one its part. One alone could not answer all of them: it sends one
	// frame at a time, and needs 42 ms before each.
	takeoverGateways = 4
)

// TestTakeover lets two machines lead in turn, in real traffic: the leader is killed, stopped and
// woken, cut from the servers that have the state, and servers fail. No frame counter may carry
// two plaintexts, nothing that was answered may be lost, nothing may be sent without a lease, and each
// uplink is published once, unless it says that another machine may have published it too.
func TestTakeover(t *testing.T) {
	t.Parallel()
	rounds := 5
	if n, err := strconv.Atoi(os.Getenv(takeoversEnv)); err == nil {
		rounds = n
	}
	seed, err := strconv.ParseUint(os.Getenv(takeoverSeedEnv), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	p := newTwins(t)
	p.rnd = rand.New(rand.NewPCG(seed, 1))
	for _, m := range p.machines {
		m.start()
	}
	p.traffic()
	p.joined()
	p.wg.Go(p.application)
	kinds := slices.Clone(faultKinds)
	for i := range rounds {
		if n := i % len(kinds); n == 0 && rounds > len(kinds) {
			p.rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		p.round(i, &kinds[i%len(kinds)])
	}
	p.drain()
	p.check()
	p.report(seed)
}

// twins are two machines with one state on three servers, and what goes on around them.
type twins struct {
	*killed
	nats     *natstest.Cluster
	machines [2]*twin
	rnd      *rand.Rand
	rests    []span                     // in which nobody may have a lease
	faults   []span                     // in which what is told may not be stored
	gaps     map[string][]time.Duration // by kind of fault: the longest time without downlinks

	items sync.Mutex          // guards the fields below
	told  map[string][]toldOf // by payload: what the application was told of an item
	away  []span              // in which it may have missed something
	wrong []string            // messages that are none
}

// twin is one of the two.
type twin struct {
	p      *twins
	name   string
	conf   string
	config config.Config
	dir    string
	mqtt   string
	ways   []*natstest.Proxy // to each server
	cmd    *exec.Cmd
	logins sync.WaitGroup // what keeps the application logged in

	login  time.Time   // of the application, guarded by killed.mu; zero: it is not logged in
	logout time.Time   // of the application, guarded by killed.mu
	client paho.Client // with login
}

const takeoverBucket = "state"

func newTwins(t *testing.T) *twins {
	t.Helper()
	k := newTraffic(t, takeoverDevices)
	k.joining, k.every, k.pause = takeoverDevices/5, 30*time.Second, 50*time.Millisecond
	k.gateways, k.settled = takeoverGateways, true
	p := &twins{
		killed: k, nats: natstest.StartProcesses(t, 3, freeTCP), gaps: map[string][]time.Duration{},
		told: map[string][]toldOf{},
	}
	k.site = newSite(t, "")
	k.also = []string{freeUDP(t)}
	k.binary = filepath.Join(k.dir, "lorawand")
	if out, err := exec.Command("go", "build", "-o", k.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, udp := range []string{k.port, k.also[0]} {
		p.machines[i] = p.twin(fmt.Sprint("machine", i+1), udp)
	}
	k.conf = p.machines[0].conf
	p.importDevices()
	k.key = strings.TrimSpace(k.must("", "api-key", "create", "--application", "app1"))
	return p
}

// twin makes the configuration of a machine.
func (p *twins) twin(name, udp string) *twin {
	p.Helper()
	s := newSite(p.TB, "")
	m := &twin{p: p, name: name, conf: s.conf, dir: s.dir, mqtt: freeTCP(p.TB)}
	var urls []string
	for i := range 3 {
		m.ways = append(m.ways, natstest.NewProxy(p.TB, p.nats.Address(i)))
		urls = append(urls, "nats://"+m.ways[i].Address())
	}
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		p.Fatal(err)
	}
	text := strings.Replace(string(conf), `listen = ["127.0.0.1:0"]`, fmt.Sprintf("listen = [%q]", m.mqtt), 1)
	text = strings.Replace(text, `listen = "127.0.0.1:0"`, fmt.Sprintf("listen = %q", udp), 1)
	text += "enforce_duty_cycle = false\n" + p.otherGateways()
	text = strings.Replace(text, "[store]", fmt.Sprintf("[network]\nrx1_delay = \"1s\"\n[store]\n"+
		"commit_interval = \"500ms\"\nurl = %q\nbucket = %q\nname = %q", strings.Join(urls, ","), takeoverBucket, name), 1)
	s.write("lorawand.toml", text)
	if m.config, err = config.Load(m.conf, true); err != nil {
		p.Fatal(err)
	}
	return m
}

// start starts the process of a machine, and an application that logs in there whenever it can.
func (m *twin) start() {
	m.p.Helper()
	m.logins.Wait() // of a process that has ended: it has noted that by then
	m.cmd = exec.Command(m.p.binary, "run", "-c", m.conf)
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.p.Fatal(err)
	}
	defer log.Close()
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		m.p.Fatal(err)
	}
	cmd, ended := m.cmd, make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	m.p.Cleanup(func() { _ = cmd.Process.Kill(); <-ended; m.logins.Wait() })
	m.p.logIn(m, ended)
}

// logIn keeps an application logged in at a machine until its process has ended.
func (p *twins) logIn(m *twin, ended <-chan struct{}) {
	o := paho.NewClientOptions().AddBroker("tcp://" + m.mqtt).SetClientID("app-" + m.name).
		SetUsername("app1").SetPassword(p.key).SetAutoReconnect(false).SetOrderMatters(false).
		SetConnectTimeout(time.Second).SetWriteTimeout(time.Second).SetKeepAlive(time.Second).SetPingTimeout(time.Second)
	m.logins.Go(func() {
		for ; !isClosed(ended); time.Sleep(20 * time.Millisecond) {
			c := paho.NewClient(o)
			if token := c.Connect(); token.WaitTimeout(2*time.Second) && token.Error() == nil {
				if token := c.Subscribe("#", 1, p.message); token.WaitTimeout(2*time.Second) && token.Error() == nil {
					p.loggedIn(m, c)
					for c.IsConnectionOpen() && !isClosed(ended) {
						time.Sleep(20 * time.Millisecond)
					}
					p.loggedOut(m)
				}
			}
			c.Disconnect(0)
		}
	})
}

// loggedIn has the application push to a machine, unless that has just ended its connection while the other one
// serves: one that is cut off from the servers takes logins, but stores no push.
func (p *twins) loggedIn(m *twin, c paho.Client) {
	p.mu.Lock()
	m.login, m.client = time.Now(), c
	if p.client == nil || time.Since(m.logout) > 5*time.Second {
		p.client = c
	}
	p.mu.Unlock()
	p.mayMiss(3 * time.Second)
}

// loggedOut leaves the application logged in at the other machine, if it is: one that wakes up serves
// for a moment before it knows that another one leads.
func (p *twins) loggedOut(m *twin) {
	p.mu.Lock()
	m.login, m.client, m.logout = time.Time{}, nil, time.Now()
	p.client = nil
	for _, other := range p.machines {
		if other.client != nil {
			p.client = other.client
		}
	}
	p.mu.Unlock()
	p.mayMiss(5 * time.Second) // as the keep-alive is noticed late
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// message is that of a daemon that is killed, but for uplinks that another machine may have
// published too, and for downlinks.
func (p *twins) message(c paho.Client, m paho.Message) {
	if strings.HasSuffix(m.Topic(), "/up") && isMarked(m) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.marked++
		return
	}
	p.note(c, m)
	p.killed.message(c, m)
}

// settle waits until every server has the whole state, a machine leads and serves, and the other one
// follows. It returns which one leads.
func (p *twins) settle() *twin {
	p.Helper()
	p.nats.Ready(takeoverBucket)
	var last [2]jetstream.State
	for end := time.Now().Add(takeoverPatience); ; time.Sleep(20 * time.Millisecond) {
		for i, m := range p.machines {
			last[i] = m.state()
			follows := func(o jetstream.Other) bool { return o.Name == p.machines[1-i].name && o.Silence < 1.5 }
			if last[i].Leads && slices.ContainsFunc(last[i].Standbys, follows) && !p.loginOf(m).IsZero() {
				return m
			}
		}
		if time.Now().After(end) {
			p.Fatalf("no machine leads and has another one that follows: %+v\n%s", last, p.logs())
		}
	}
}

// state returns what a machine tells of the lead.
func (m *twin) state() jetstream.State {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if st, err := askLead(ctx, m.config); err == nil {
		return st.State
	}
	return jetstream.State{}
}

func (p *twins) loginOf(m *twin) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return m.login
}

// takeoverPatience is how long the test waits for anything, on a machine under load.
const takeoverPatience = 2 * time.Minute

// awaitLogin waits until the application has logged in at the other machine, which leads then.
func (p *twins) awaitLogin(not *twin, after time.Time) {
	p.Helper()
	for end := time.Now().Add(takeoverPatience); ; time.Sleep(5 * time.Millisecond) {
		for _, m := range p.machines {
			if m != not && p.loginOf(m).After(after) {
				return
			}
		}
		if time.Now().After(end) {
			p.Fatalf("nobody leads but %s\n%s", not.name, p.logs())
		}
	}
}

func (p *twins) logs() string {
	var out strings.Builder
	for _, m := range p.machines {
		text, _ := os.ReadFile(filepath.Join(m.dir, "log"))
		fmt.Fprintf(&out, "%s:\n%s\n", m.name, text[max(0, len(text)-4000):])
	}
	return out.String()
}

// round lets something go wrong, and mends it when a machine leads, or when nobody has a lease any more.
func (p *twins) round(n int, f *fault) {
	p.Helper()
	leader := p.settle()
	p.wait(2 * time.Second)
	begin := time.Now()
	mend := f.do(p, leader)
	done := time.Now()
	switch {
	case f.other:
		p.awaitLogin(leader, begin)
		p.awaitAnswer(time.Now())
	case f.rest:
		over := done.Add(jetstream.DefaultTTL)
		time.Sleep(time.Until(over))
		p.awaitLeaseless()
		p.wait(3 * time.Second)
		p.rests = append(p.rests, span{over, time.Now()})
	default:
		p.awaitAnswer(done)
	}
	took := time.Since(begin)
	mend()
	p.awaitAnswer(time.Now())
	p.faults = append(p.faults, span{begin.Add(-time.Second), time.Now()})
	p.awaitDownlink(time.Now())
	gap := p.longestGap(begin.Add(-time.Second))
	p.gaps[f.name] = append(p.gaps[f.name], gap)
	if n < roundsTold {
		p.Logf("round %d at %s: %s, %s led: mended after %v; %v without downlinks", n, begin.Format("15:04:05.000"),
			f.name, leader.name, took.Round(10*time.Millisecond), gap.Round(10*time.Millisecond))
	}
}

// roundsTold is how many rounds have a line of their own.
const roundsTold = 200

// awaitLeaseless waits for an uplink that a machine without a lease publishes.
func (p *twins) awaitLeaseless() {
	p.Helper()
	marked := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.marked
	}
	before := marked()
	for end := time.Now().Add(takeoverPatience); marked() == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("no machine has lost its lease\n%s", p.logs())
		}
	}
}

// awaitAnswer waits until an item is answered that was pushed behind a time: so a machine serves, and most
// of the servers have stored it.
func (p *twins) awaitAnswer(after time.Time) {
	p.Helper()
	asked := func() time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.asked
	}
	for end := time.Now().Add(takeoverPatience); !asked().After(after); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("no push is answered for %v\n%s", takeoverPatience, p.logs())
		}
	}
}

// awaitDownlink waits for one that begins behind a time.
func (p *twins) awaitDownlink(after time.Time) {
	p.Helper()
	for end := time.Now().Add(takeoverPatience); ; time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		n := len(p.sent)
		late := n > 0 && p.sent[n-1].Begin.After(after)
		p.mu.Unlock()
		if late {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("no downlink for %v\n%s", takeoverPatience, p.logs())
		}
	}
}

// longestGap returns the longest time without downlinks since then.
func (p *twins) longestGap(since time.Time) (gap time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := since
	for _, tx := range p.sent {
		if tx.Begin.After(since) {
			gap, last = max(gap, tx.Begin.Sub(last)), tx.Begin
		}
	}
	return gap
}

// takeoverLimit is how long nothing may be sent when a machine has failed: where a test runs under
// load it may take longer than the 5 s and 10 s that are promised.
const takeoverLimit = 20 * time.Second

func (p *twins) report(seed uint64) {
	p.Helper()
	p.mu.Lock()
	p.Logf("seed %d; %d items answered, %d downlinks on the air, %d uplinks, %d more marked", seed,
		len(p.answered), len(p.sent), len(p.ups), p.marked)
	p.mu.Unlock()
	var all []time.Duration
	line := func(name string, gaps []time.Duration) {
		slices.Sort(gaps)
		p.Logf("%-24s %3d rounds; without downlinks: median %v, at most %v", name, len(gaps),
			gaps[len(gaps)/2].Round(10*time.Millisecond), gaps[len(gaps)-1].Round(10*time.Millisecond))
	}
	for _, f := range faultKinds {
		gaps := p.gaps[f.name]
		if len(gaps) == 0 {
			continue
		}
		all = append(all, gaps...)
		if line(f.name, gaps); f.other && gaps[len(gaps)-1] > takeoverLimit {
			p.Errorf("%s: %v without downlinks", f.name, gaps[len(gaps)-1])
		}
	}
	line("all", all)
}
