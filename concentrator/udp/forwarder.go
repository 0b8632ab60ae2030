package udp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// ForwarderOptions configures a Forwarder.
type ForwarderOptions struct {
	Server    string // UDP address of the server; required
	EUI       radio.EUI64
	KeepAlive time.Duration // between PULL_DATA; default 5 s
	Status    time.Duration // between status reports; default 30 s

	// Transmit sends a frame and returns whether it will be sent. Time is the
	// 32-bit counter. nil: the forwarder only listens, and answers every downlink
	// with TX_FREQ.
	Transmit func(radio.Downlink) radio.TxResult
	NoAck    bool // send no TX_ACK
	GPS      bool // the gateway knows GPS time: Transmit gets downlinks with GPS in place of Time

	// Delay returns how long the network takes for a datagram, up to the server or
	// down from it. nil: no time.
	Delay func(up bool) time.Duration
}

// Forwarder is a packet forwarder, the gateway's end of the protocol, for the
// demonstration and for tests. It speaks version 2.
type Forwarder struct {
	opts ForwarderOptions
	conn *net.UDPConn
	end  chan struct{} // closed at the end of Run

	mu      sync.Mutex
	status  radio.Status
	ended   bool
	delayed sync.WaitGroup // datagrams that are under way
}

// NewForwarder opens a socket towards the server.
func NewForwarder(o ForwarderOptions) (*Forwarder, error) {
	setDefault(&o.KeepAlive, 5*time.Second)
	setDefault(&o.Status, 30*time.Second)
	addr, err := net.ResolveUDPAddr("udp", o.Server)
	if err != nil {
		return nil, fmt.Errorf("udp: forwarder: %w", err)
	}
	conn, err := net.DialUDP("udp", nil, addr)
	if err != nil {
		return nil, fmt.Errorf("udp: forwarder: %w", err)
	}
	return &Forwarder{opts: o, conn: conn, end: make(chan struct{})}, nil
}

// Uplink forwards a frame. A frame that cannot be sent is lost, as on real
// gateways.
func (f *Forwarder) Uplink(up radio.Uplink) {
	f.mu.Lock()
	f.status.Received++
	f.status.ReceivedOK++
	f.status.Forwarded++
	f.mu.Unlock()
	f.send(gwmp.PushData, uint16(rand.Uint32()), gwmp.AppendPush(nil, []radio.Uplink{up}, nil))
}

func (f *Forwarder) send(t gwmp.Type, token uint16, body []byte) {
	p := gwmp.Packet{Version: gwmp.Version2, Token: token, Type: t, EUI: f.opts.EUI, Body: body}
	b := p.Append(nil)
	f.delay(true, func() { _, _ = f.conn.Write(b) })
}

// delay calls do when the network has delivered a datagram.
func (f *Forwarder) delay(up bool, do func()) {
	var d time.Duration
	if f.opts.Delay != nil {
		d = f.opts.Delay(up)
	}
	if d <= 0 {
		do()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.delayed.Go(func() {
		select {
		case <-f.end:
		case <-time.After(d):
			do()
		}
	})
}

// stop drops the datagrams under way, and closes the socket.
func (f *Forwarder) stop() {
	f.mu.Lock()
	f.ended = true
	close(f.end)
	f.mu.Unlock()
	f.delayed.Wait()
	_ = f.conn.Close()
}

// Run keeps the downlink path open and sends the server's downlinks, until ctx
// ends. Then it closes the socket.
func (f *Forwarder) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { f.keepAlive(ctx) })
	defer f.stop()
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = f.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, gwmp.MaxSize)
	for ctx.Err() == nil {
		n, err := f.conn.Read(buf)
		switch {
		case err == nil:
			b := slices.Clone(buf[:n])
			f.delay(false, func() { f.datagram(b) })
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("udp: forwarder: %w", err)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			time.Sleep(50 * time.Millisecond) // the server is not there yet
		}
	}
	return nil
}

func (f *Forwarder) keepAlive(ctx context.Context) {
	pull, status := time.NewTicker(f.opts.KeepAlive), time.NewTicker(f.opts.Status)
	defer pull.Stop()
	defer status.Stop()
	f.send(gwmp.PullData, uint16(rand.Uint32()), nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-pull.C:
			f.send(gwmp.PullData, uint16(rand.Uint32()), nil)
		case <-status.C:
			f.mu.Lock()
			s := f.status
			f.mu.Unlock()
			f.send(gwmp.PushData, uint16(rand.Uint32()), gwmp.AppendPush(nil, nil, &s))
		}
	}
}

func (f *Forwarder) datagram(b []byte) {
	p, err := gwmp.ParsePacket(b)
	if err != nil || p.Type != gwmp.PullResp {
		return
	}
	d, err := gwmp.ParseTx(p.Body)
	if err != nil {
		return
	}
	d.Gateway = f.opts.EUI
	result := radio.TxFreq
	switch {
	case d.GPS != 0 && !f.opts.GPS:
		result = radio.TxGPSUnlocked // it has no receiver
	case f.opts.Transmit != nil:
		result = f.opts.Transmit(d)
	}
	f.mu.Lock()
	f.status.Downlinks++
	if result == radio.TxOK {
		f.status.Transmitted++
	}
	f.mu.Unlock()
	if !f.opts.NoAck {
		f.send(gwmp.TxAck, p.Token, gwmp.AppendAck(nil, result))
	}
}
