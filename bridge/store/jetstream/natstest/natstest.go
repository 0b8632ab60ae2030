// Package natstest has NATS servers with JetStream for tests, in the process of the test or in
// processes of their own, and ways to them that can be cut.
package natstest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is some servers, of which each can be ended and started again.
type Cluster struct {
	t       testing.TB
	nodes   []*addresses
	start   func(*addresses) node
	mu      sync.Mutex
	running []node // nil: it has ended
}

// node is a server that runs.
type node interface {
	is(q question, stream string) bool
	shutDown()
}

// question is what a node can be asked.
type question string

const (
	isReady         question = "ready"
	isLeader        question = "leader"         // of the servers
	isStreamLeader  question = "stream-leader"  // of a stream
	isStreamCurrent question = "stream-current" // its copy of a stream has all
)

// addresses says where a server is, and the others.
type addresses struct {
	Name       string
	Port       int
	Dir        string
	Routes     string // of all servers; "": there is one
	RoutesPort int
}

func (a *addresses) options() *server.Options {
	o := &server.Options{
		ServerName: a.Name, Host: "127.0.0.1", Port: a.Port, JetStream: true, StoreDir: a.Dir, NoSigs: true, NoLog: true,
		JetStreamMaxMemory: 256 << 20, JetStreamMaxStore: 1 << 30, SyncInterval: time.Second,
	}
	if a.Routes != "" {
		o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: a.RoutesPort}
		o.Routes = server.RoutesFromStr(a.Routes)
	}
	return o
}

// inside is a server in this process.
type inside struct{ *server.Server }

func (n inside) is(q question, stream string) bool {
	switch q {
	case isReady:
		return n.ReadyForConnections(100*time.Millisecond) && n.JetStreamIsCurrent()
	case isLeader:
		return !n.JetStreamIsClustered() || n.JetStreamIsLeader()
	case isStreamLeader:
		return n.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream)
	case isStreamCurrent:
		return n.JetStreamIsStreamCurrent(server.DEFAULT_GLOBAL_ACCOUNT, stream)
	}
	return false
}

func (n inside) shutDown() {
	n.Shutdown()
	n.WaitForShutdown()
}

// Start starts n servers on loopback, in this process, which end with the test. free returns an
// address of loopback that nobody listens at, and that the kernel gives to nobody: a server takes it
// later, and again when it has ended and is back.
func Start(t testing.TB, n int, free func(testing.TB) string) *Cluster {
	t.Helper()
	return start(t, n, free, func(a *addresses) node {
		s, err := server.NewServer(a.options())
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		return inside{s}
	})
}

// StartProcesses is Start, but for the servers, which are processes: they can die without a word, and
// be frozen.
func StartProcesses(t testing.TB, n int, free func(testing.TB) string) *Cluster {
	t.Helper()
	return start(t, n, free, func(a *addresses) node { return startProcess(t, a) })
}

func start(t testing.TB, n int, free func(testing.TB) string, run func(*addresses) node) *Cluster {
	t.Helper()
	c := &Cluster{t: t, start: run, running: make([]node, n)}
	var routes []string
	for i := range n {
		a := &addresses{Name: fmt.Sprint("node", i), Port: port(t, free(t)), RoutesPort: port(t, free(t)), Dir: t.TempDir()}
		c.nodes = append(c.nodes, a)
		routes = append(routes, fmt.Sprintf("nats-route://127.0.0.1:%d", a.RoutesPort))
	}
	for _, a := range c.nodes {
		if n > 1 {
			a.Routes = strings.Join(routes, ",")
		}
	}
	t.Cleanup(func() {
		for i := range n {
			c.Stop(i)
		}
	})
	for i := range n {
		c.Revive(i)
	}
	c.Ready()
	return c
}

func port(t testing.TB, address string) int {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

// Stop shuts a server down. Its files stay.
func (c *Cluster) Stop(i int) {
	if n := c.take(i); n != nil {
		n.shutDown()
	}
}

// Kill ends the process of a server as kill -9 does, so that nobody is told. Its files stay.
func (c *Cluster) Kill(i int) {
	if n := c.take(i); n != nil {
		n.(*process).die()
	}
}

// Freeze stops the process of a server, or lets it go on. Meanwhile its connections stay open and
// nothing comes through them, as where its machine has lost its power.
func (c *Cluster) Freeze(i int, yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[i].(*process).freeze(yes)
}

func (c *Cluster) take(i int) node {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.running[i]
	c.running[i] = nil
	return n
}

// Revive starts a server that has ended.
func (c *Cluster) Revive(i int) {
	n := c.start(c.nodes[i])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[i] = n
}

// Ready waits until the servers serve JetStream, and every copy of the streams named has all.
func (c *Cluster) Ready(streams ...string) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !c.ready(streams); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatal("the NATS servers are not ready")
		}
	}
}

func (c *Cluster) ready(streams []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	leads := false
	for _, n := range c.running {
		if n == nil {
			continue
		}
		if !n.is(isReady, "") {
			return false
		}
		leads = leads || n.is(isLeader, "")
		for _, s := range streams {
			if !n.is(isStreamCurrent, s) {
				return false
			}
		}
	}
	return leads
}

// Address returns the address of a server.
func (c *Cluster) Address(i int) string {
	return fmt.Sprintf("127.0.0.1:%d", c.nodes[i].Port)
}

// Dir returns the folder of a server's files.
func (c *Cluster) Dir(i int) string { return c.nodes[i].Dir }

// StreamLeader returns which server leads a stream, or -1.
func (c *Cluster) StreamLeader(stream string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range c.running {
		if n != nil && n.is(isStreamLeader, stream) {
			return i
		}
	}
	return -1
}

// Proxy is a way to a server that can be cut: then nothing passes, and no connection is closed, as
// where a cable is pulled.
type Proxy struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	open  *sync.Cond
	cut   bool
	slow  time.Duration
	ended bool
	conns map[net.Conn]bool
}

// NewProxy returns a way to an address, which ends with the test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{l: l, to: to, conns: map[net.Conn]bool{}}
	p.open = sync.NewCond(&p.mu)
	go p.serve()
	t.Cleanup(p.close)
	return p
}

// Address returns where the proxy listens.
func (p *Proxy) Address() string { return p.l.Addr().String() }

// Cut cuts the way, or mends it. What was sent meanwhile arrives then, unless the connection was
// given up.
func (p *Proxy) Cut(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = yes
	p.open.Broadcast()
}

// Slow has whatever comes wait for some time.
func (p *Proxy) Slow(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = by
}

func (p *Proxy) close() {
	_ = p.l.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.open.Broadcast()
	for c := range p.conns {
		_ = c.Close()
	}
}

// pass waits while the way is cut, and where it is slow. It reports whether the test goes on.
func (p *Proxy) pass() bool {
	p.mu.Lock()
	slow := p.slow
	p.mu.Unlock()
	time.Sleep(slow)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.cut && !p.ended {
		p.open.Wait()
	}
	return !p.ended
}

func (p *Proxy) serve() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		go func() {
			if !p.pass() {
				_ = in.Close()
				return
			}
			out, err := net.Dial("tcp", p.to)
			if err != nil {
				_ = in.Close()
				return
			}
			p.mu.Lock()
			p.conns[in], p.conns[out] = true, true
			p.mu.Unlock()
			go p.copy(in, out)
			p.copy(out, in)
		}()
	}
}

func (p *Proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if !p.pass() {
			return
		}
		if _, fault := to.Write(b[:n]); err != nil || fault != nil {
			if err == io.EOF || err != nil || fault != nil {
				return
			}
		}
	}
}
