package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// Options configures a Listener.
type Options struct {
	Listener net.Listener // of TCP connections; Close closes it
	TLS      *tls.Config

	// Turn waits until the TLS handshake of an address may begin. It reports false if over was
	// closed before, or if too many others wait. Nil: each begins at once.
	Turn func(from netip.Addr, over <-chan struct{}) bool
	// Source returns what an address counts as where connections of one address are counted.
	// Nil: itself.
	Source func(netip.Addr) netip.Addr
	// Admit says whether a gateway with a key may come in, and under which id Holds is asked
	// whether it still may. The text of the error is told to the other end.
	Admit func(eui radio.EUI64, key string) (id string, err error)
	// Holds says why a gateway may not stay; nil: it may. It is asked at each datagram and each
	// KeepAlive, and must not call the Listener.
	Holds func(eui radio.EUI64, id string) error
	// Refused is told who did not come in or was put out, and why. eui is zero if the other
	// end has not got so far. It returns how long the other end is to wait for its answer.
	Refused func(eui radio.EUI64, from netip.AddrPort, why error) time.Duration
	Logger  *slog.Logger // default slog.Default()
}

// Limits.
const (
	maxPeers          = 64 // gateways
	maxStrangers      = 32 // connections that have not logged in
	maxStrangersOfOne = 4  // of one address
	inboxSize         = 64 // datagrams; when it is full gateways wait, and TCP holds them
	outboxSize        = 64 // datagrams to one gateway; when it is full they are refused
)

// aliveFor is how long after its last datagram a gateway keeps out another connection of its EUI
// that comes from another IP. From its own IP it may come again at once.
const aliveFor = 2 * KeepAlive

// Listener is the server's end. It is a udp.Socket: each gateway has the address of its connection.
type Listener struct {
	o      Options
	inbox  chan datagram
	closed chan struct{}
	close  sync.Once

	mu        sync.Mutex // guards the fields below
	deadline  time.Time
	moved     chan struct{} // closed when deadline changes
	conns     map[net.Conn]bool
	strangers map[netip.Addr]int
	peers     map[radio.EUI64]*peer
	byAddress map[netip.AddrPort]*peer
}

// datagram is one of a gateway.
type datagram struct {
	bytes []byte
	from  *peer
}

// peer is a gateway that has logged in.
type peer struct {
	raw  net.Conn // below TLS
	conn net.Conn
	in   *bufio.Reader
	eui  radio.EUI64
	id   string
	from netip.AddrPort
	out  chan []byte
	over chan struct{}

	// The Listener's lock guards these.
	heard time.Time // of the last datagram
	why   error     // it may not stay
}

// New returns a Listener. Run does the work.
func New(o Options) (*Listener, error) {
	if o.Listener == nil || o.TLS == nil || o.Admit == nil || o.Holds == nil || o.Refused == nil {
		return nil, errors.New("stream: no listener, no TLS, or nobody who admits gateways")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Turn == nil {
		o.Turn = func(netip.Addr, <-chan struct{}) bool { return true }
	}
	if o.Source == nil {
		o.Source = func(a netip.Addr) netip.Addr { return a }
	}
	return &Listener{
		o: o, inbox: make(chan datagram, inboxSize), closed: make(chan struct{}), moved: make(chan struct{}),
		conns: map[net.Conn]bool{}, strangers: map[netip.Addr]int{}, peers: map[radio.EUI64]*peer{},
		byAddress: map[netip.AddrPort]*peer{},
	}, nil
}

// Run takes connections until ctx ends or the Listener is closed, and waits for what it has started.
func (l *Listener) Run(ctx context.Context) error {
	l.o.Logger.Info("listening for extenders", "address", l.LocalAddr().String())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	wg.Go(func() { l.watch(ctx) })
	for {
		c, err := l.o.Listener.Accept()
		switch {
		case l.isClosed():
			if err == nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("stream: %w", err)
		case err != nil:
			l.o.Logger.Warn("cannot take a connection of an extender", "error", err)
			time.Sleep(100 * time.Millisecond) // such as no file descriptor left: it passes
			continue
		}
		from := addressOf(c)
		source := l.o.Source(from.Addr())
		if !l.enter(c, source) {
			_ = c.Close()
			continue
		}
		wg.Go(func() { l.serve(ctx, c, from, source) })
	}
}

func addressOf(c net.Conn) netip.AddrPort {
	a, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// enter reports whether there is room for one more stranger.
func (l *Listener) enter(c net.Conn, source netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for _, n := range l.strangers {
		total += n
	}
	if total >= maxStrangers || l.strangers[source] >= maxStrangersOfOne || l.isClosed() {
		return false
	}
	l.strangers[source]++
	l.conns[c] = true
	return true
}

// known frees the room of a stranger, who has logged in or goes.
func (l *Listener) known(source netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.strangers[source]--; l.strangers[source] <= 0 {
		delete(l.strangers, source)
	}
}

// serve serves a connection until it ends.
func (l *Listener) serve(ctx context.Context, raw net.Conn, from netip.AddrPort, source netip.Addr) {
	defer func() {
		_ = raw.Close()
		l.mu.Lock()
		delete(l.conns, raw)
		l.mu.Unlock()
	}()
	hasten(raw)
	p := &peer{raw: raw, from: from, out: make(chan []byte, outboxSize), over: make(chan struct{})}
	err := l.login(ctx, p)
	l.known(source)
	if err != nil {
		return
	}
	var writing sync.WaitGroup
	writing.Go(p.write)
	err = l.read(p)
	l.mu.Lock()
	l.drop(p)
	why := p.why
	l.mu.Unlock()
	writing.Wait()
	if why != nil {
		err = why
	}
	l.o.Logger.Info("the connection of an extender has ended", "gateway_eui", p.eui.String(), "address", from.String(),
		"reason", err)
	if errors.Is(err, ErrProtocol) || why != nil {
		l.o.Refused(p.eui, from, err)
	}
}

// admit reads the first line of a gateway, and registers it.
func (l *Listener) admit(p *peer, line string) (err error) {
	rest, ok := strings.CutPrefix(line, greeting+" ")
	eui, key, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || p.eui.UnmarshalText([]byte(eui)) != nil {
		p.eui = radio.EUI64{}
		return fmt.Errorf("%w: the line %.40q", ErrProtocol, line)
	}
	if p.id, err = l.o.Admit(p.eui, key); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.peers[p.eui]; old != nil {
		if quiet := time.Since(old.heard); old.from.Addr() != p.from.Addr() && quiet < aliveFor {
			return fmt.Errorf("a gateway with this EUI is connected from %v", old.from.Addr())
		}
		l.drop(old)
	}
	if len(l.peers) >= maxPeers {
		return fmt.Errorf("%d gateways are connected already", maxPeers)
	}
	p.heard = time.Now()
	l.peers[p.eui], l.byAddress[p.from] = p, p
	return nil
}

// drop ends a connection. What comes over it from now on is not read. The caller holds the lock.
func (l *Listener) drop(p *peer) {
	if l.byAddress[p.from] != p {
		return
	}
	delete(l.byAddress, p.from)
	if l.peers[p.eui] == p {
		delete(l.peers, p.eui)
	}
	close(p.over)
	_ = p.raw.Close()
}

// watch puts out who may not stay, also if nothing comes from there, until ctx ends.
func (l *Listener) watch(ctx context.Context) {
	t := time.NewTicker(KeepAlive)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		l.mu.Lock()
		for _, p := range l.peers {
			l.stays(p)
		}
		l.mu.Unlock()
	}
}

// stays reports whether a gateway may stay. It ends the connection if not. The caller holds the lock.
func (l *Listener) stays(p *peer) bool {
	if p.why = l.o.Holds(p.eui, p.id); p.why != nil {
		l.drop(p)
	}
	return p.why == nil
}

// read takes the datagrams of a gateway until its connection ends.
func (l *Listener) read(p *peer) error {
	buf := make([]byte, MaxSize)
	for {
		if err := p.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		n, err := read(p.in, buf)
		if err != nil {
			return err
		}
		d, err := gwmp.ParsePacket(buf[:n])
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		case d.EUI != p.eui:
			return fmt.Errorf("%w: a datagram of the gateway %v", ErrProtocol, d.EUI)
		}
		l.mu.Lock()
		p.heard = time.Now()
		ok := l.stays(p)
		l.mu.Unlock()
		if !ok {
			return net.ErrClosed
		}
		select {
		case l.inbox <- datagram{slices.Clone(buf[:n]), p}:
		case <-p.over:
			return net.ErrClosed
		case <-l.closed:
			return net.ErrClosed
		}
	}
}

// write writes datagrams to a gateway until its connection is over.
func (p *peer) write() {
	var out []byte
	for {
		select {
		case <-p.over:
			return
		case b := <-p.out:
			out = appendDatagram(out[:0], b)
			_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := p.conn.Write(out); err != nil {
				_ = p.raw.Close() // half a datagram may be on its way; read ends
				return
			}
		}
	}
}
