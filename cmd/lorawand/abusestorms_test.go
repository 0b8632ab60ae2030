package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/sys/unix"

	"lorawand/radio/gwmp"
)

const (
	mutatorSeed = 20_261_128
	attackers   = 8 // connections at a time where the number does not matter
	stormLength = 2 * time.Second
)

// attack runs a function in several threads of the lowest priority: an attacker on the
// network has a processor of its own, and does not take that of the gateway.
func attack(n int, run func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
			run(i)
		})
	}
	wg.Wait()
}

// loopback is an address of this host, one for each number. None is 127.0.0.1.
func loopback(n int) string {
	return fmt.Sprintf("127.%d.%d.%d", 1+n>>16&0x7f, n>>8&0xff, 1+n%250)
}

// mutatedBeforeLogin sends each packet, or two of them, on a connection of its own.
func (a *abused) mutatedBeforeLogin() {
	attack(attackers, func(i int) {
		seeds := connectSeeds("app2", "NNSXS.WRONG")
		m := newMutator(mutatorSeed+uint64(i), append(append(seeds, seeds...), sessionSeeds(false)...))
		for n := range a.packets / 2 / attackers {
			c, err := a.connection(loopback(n/3*attackers + i))
			if err != nil {
				a.Error(err)
				return
			}
			_, _ = c.Write(m.next())
			_ = c.(*net.TCPConn).CloseWrite()
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // an answer to a wrong key is held back
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	})
}

// mutatedAfterLogin logs in again whenever it is disconnected.
func (a *abused) mutatedAfterLogin() {
	attack(attackers, func(i int) {
		connects := connectSeeds("app2", a.key2)
		m3 := newMutator(mutatorSeed+uint64(i), sessionSeeds(false))
		m5 := newMutator(mutatorSeed-uint64(i), sessionSeeds(true))
		rnd := rand.New(rand.NewPCG(mutatorSeed, uint64(i)))
		for most := a.packets / 2 / attackers; most > 0; {
			connect := connects[rnd.IntN(len(connects))]
			m := m3
			if connect[8] == 5 {
				m = m5
			}
			c, err := a.connection(loopback(i))
			if err != nil {
				a.Error(err)
				return
			}
			most -= a.mutatedSession(c, connect, m, most)
		}
	})
}

// mutatedSession sends packets until the connection ends, and returns how many.
func (a *abused) mutatedSession(c net.Conn, connect []byte, m *mutator, most int) (n int) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(connect); err != nil {
		return 0
	}
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, c)
	}()
	defer func() { _ = c.Close(); <-over }()
	for n < most {
		n++
		if _, err := c.Write(m.next()); err != nil {
			break
		}
		if n%2 == 0 { // it has time to take notice
			time.Sleep(100 * time.Microsecond)
		}
		select {
		case <-over:
			return n
		default:
		}
	}
	return n
}

// halfOpen holds connections that say nothing, or begin and say no more.
func (a *abused) halfOpen() {
	const many = 1000
	begin := packetOf(0x10, text("MQTT"), []byte{4, 0xc2, 0, 60}, text("half"))
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for i := range many {
		c, err := a.connection(loopback(i))
		if err != nil {
			a.Error(err)
			return
		}
		conns = append(conns, c)
		_, _ = c.Write(begin[:i%len(begin)])
	}
	time.Sleep(stormLength)
}

// slowReaders lets readers of app2 take a few bytes a second of much traffic.
func (a *abused) slowReaders(qos byte) {
	a.readers(func(c net.Conn, stop <-chan struct{}) {
		if subscribePacket(qos, "#").Write(c) != nil {
			return
		}
		for buf := make([]byte, 16); ; {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}

// noAcknowledgements lets readers of app2 read all, acknowledge nothing, and come
// back for more.
func (a *abused) noAcknowledgements() {
	a.readers(func(c net.Conn, _ <-chan struct{}) {
		if subscribePacket(2, "#").Write(c) == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	})
}

// readers connects 100 readers of app2, again where one is disconnected, while
// app2 gets ten times the traffic of app1. Their connections end when stop is closed.
func (a *abused) readers(read func(c net.Conn, stop <-chan struct{})) {
	ctx, end := context.WithCancel(context.Background())
	stop := ctx.Done()
	f := newQuietForwarder(a, a.udp)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 100 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				c, err := a.dial(loopback(i), fmt.Sprint("reader", i), "app2", a.key2)
				if err != nil {
					continue // beyond the number of clients
				}
				_ = c.(*net.TCPConn).SetReadBuffer(4096)
				undo := context.AfterFunc(ctx, func() { _ = c.Close() })
				read(c, stop)
				undo()
				_ = c.Close()
			}
		})
	}
	wg.Go(func() { a.uplinks(f, 1, 10*abuseRate, stop, func(int) {}) })
	time.Sleep(2 * stormLength)
	end()
}

// storm repeats something until the storm is over.
func (a *abused) storm(run func(i, n int) error) { a.stormFor(stormLength, run) }

func (a *abused) stormFor(length time.Duration, run func(i, n int) error) {
	var done atomic.Int64
	began := time.Now()
	attack(attackers, func(i int) {
		for n := 0; time.Since(began) < length; n++ {
			if err := run(i, n); err != nil && !errors.Is(err, io.EOF) {
				a.Error(err)
				return
			}
			done.Add(1)
		}
	})
	a.Logf("%d of them, %.0f/s", done.Load(), float64(done.Load())/length.Seconds())
}

// logins connects with a good key and leaves, from many addresses.
func (a *abused) logins() {
	a.storm(func(i, n int) error {
		c, err := a.dial(loopback(n*attackers+i), fmt.Sprint("login", n%300), "app2", a.key2)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// subscriptions asks for the longest filters that are taken, and gives them back.
func (a *abused) subscriptions() {
	var filters []string
	for i := range 64 {
		filters = append(filters, fmt.Sprintf("v3/app2/devices/%s/+/+/+/+/+/+/+/+/+/+/%d", strings.Repeat("x", 200), i))
	}
	conns := make([]net.Conn, attackers)
	for i := range conns {
		c, err := a.dial(loopback(i), fmt.Sprint("subscriber", i), "app2", a.key2)
		if err != nil {
			a.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		conns[i] = c
	}
	a.storm(func(i, _ int) error {
		back := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
		back.MessageID, back.Topics = 2, filters
		for _, p := range []packets.ControlPacket{subscribePacket(1, filters...), back} {
			if err := p.Write(conns[i]); err != nil {
				return err
			}
			if _, err := packets.ReadPacket(conns[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// guessesEnv says how long wrong keys are tried, such as "1m".
const guessesEnv = "LORAWAND_GUESSES"

// wrongKeys guesses keys from many addresses, and waits for no answer.
func (a *abused) wrongKeys() {
	length, err := time.ParseDuration(os.Getenv(guessesEnv))
	if err != nil {
		length = stormLength
	}
	a.stormFor(length, func(i, n int) error {
		c, err := a.connection(loopback(n%500*attackers + i))
		if err != nil {
			return err
		}
		defer c.Close()
		_ = connectPacket("guess", "app1", "NNSXS.WRONG").Write(c)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		_, _ = c.Read(make([]byte, 4))
		return nil
	})
}

// hostileDatagrams sends the packet forwarders' port what was mutated, cut, nested without end, is as
// large as a datagram can be, or claims to be another gateway. Now and then it waits until the daemon has
// caught up: a kernel drops what finds no room in a socket, that of others too.
func (a *abused) hostileDatagrams() {
	seeds := a.datagramSeeds()
	large := gwmp.Packet{
		Version: gwmp.Version2, Type: gwmp.PushData, EUI: testEUI, Body: []byte(strings.Repeat(`[{"rxpk":`, 7000)),
	}.Append(nil)
	attack(attackers, func(i int) {
		m := newMutator(mutatorSeed+uint64(i), seeds)
		c, err := net.Dial("udp", a.udp)
		if err != nil {
			a.Error(err)
			return
		}
		defer c.Close()
		for n := range a.datagrams / attackers {
			datagram := m.change(m.next())
			if len(datagram) > 11 && m.IntN(4) == 0 {
				binary.BigEndian.PutUint64(datagram[4:], m.Uint64()) // the EUI of another gateway
			}
			if i == 0 && n%1000 == 0 {
				datagram = large
			}
			if _, err := c.Write(datagram); err != nil {
				a.Error(err)
				return
			}
			if n%16 == 0 {
				caughtUp(c, uint16(n))
			}
		}
	})
	a.Logf("%d hostile datagrams", a.datagrams)
}

// caughtUp waits until the daemon has read what was sent so far: it answers in turn.
func caughtUp(c net.Conn, token uint16) {
	nothing := gwmp.Packet{Version: gwmp.Version2, Token: token, Type: gwmp.PushData, EUI: testEUI, Body: []byte("{}")}
	_, _ = c.Write(nothing.Append(nil))
	_ = c.SetReadDeadline(time.Now().Add(time.Second)) // an answer can be lost
	for buf := make([]byte, 1024); ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if p, err := gwmp.ParsePacket(buf[:n]); err == nil && p.Type == gwmp.PushAck && p.Token == token {
			return
		}
	}
}

// datagramSeeds are one of each kind of datagram, and some that are nested deeply.
func (a *abused) datagramSeeds() [][]byte {
	of := func(kind gwmp.Type, body string) []byte {
		return gwmp.Packet{Version: gwmp.Version2, Type: kind, EUI: testEUI, Body: []byte(body)}.Append(nil)
	}
	good := a.datagramOf(0, 0)
	return [][]byte{
		good, good, good, good,
		of(gwmp.PushData, `{"stat":{"time":"2026-11-29 12:00:00 GMT","rxnb":2,"rxok":2,"ackr":100.0}}`),
		of(gwmp.PushData, `{"rxpk":[`+strings.Repeat(`{"rsig":[`, 100)),
		of(gwmp.PushData, `{"rxpk":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+"}"),
		of(gwmp.PullData, ""), of(gwmp.TxAck, `{"txpk_ack":{"error":"TOO_LATE"}}`), of(gwmp.PullResp, `{"txpk":{}}`),
	}
}

// unreadAnswers asks for an answer to each packet, and reads none.
func (a *abused) unreadAnswers() {
	many := [][]byte{
		bytes.Repeat(packetOf(0xc0), 2000),
		bytes.Repeat(packetOf(0x62, []byte{0, 7}), 1000),
		bytes.Repeat(packetOf(0x50, []byte{0, 7}), 1000),
		bytes.Repeat(packetOf(0x82, []byte{0, 1}, text("v3/app2/devices/+/up"), []byte{1}), 200),
		bytes.Repeat(packetOf(0x32, text("x"), []byte{0, 1}), 500),
	}
	conns := a.crowd("asks", 90)
	for _, c := range conns {
		defer c.Close()
	}
	began := time.Now()
	attack(attackers, func(i int) {
		for n := i; time.Since(began) < stormLength; n += attackers {
			c := conns[n%len(conns)]
			_ = c.(net.Conn).SetWriteDeadline(time.Now().Add(5 * time.Millisecond)) // it may be cut off
			_, _ = c.Write(many[n%len(many)])
		}
	})
}
