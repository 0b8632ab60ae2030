package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"lorawand/radio/gwmp"
)

// quietClient is an MQTT client that counts what comes, with QoS 0, and
// allocates nothing while it does: what is allocated beside it is the daemon's.
type quietClient struct {
	conn   net.Conn
	ups    atomic.Int64
	downs  atomic.Int64  // down/queued, down/sent and the like
	stored atomic.Int64  // PUBACKs
	up     chan struct{} // has one while an uplink came since it was last read
	wg     sync.WaitGroup
}

func newQuietClient(b testing.TB, addr, key string) *quietClient {
	b.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connect.ProtocolName, connect.ProtocolVersion, connect.CleanSession, connect.Keepalive = "MQTT", 4, true, 0
	connect.UsernameFlag, connect.Username, connect.PasswordFlag, connect.Password = true, "app1", true, []byte(key)
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 1, []string{"v3/+/devices/#"}, []byte{0}
	r := bufio.NewReader(c)
	for _, p := range []packets.ControlPacket{connect, subscribe} {
		if err := p.Write(c); err != nil {
			b.Fatal(err)
		}
		answer, err := packets.ReadPacket(r)
		if err != nil {
			b.Fatal(err)
		}
		if ack, ok := answer.(*packets.ConnackPacket); ok && ack.ReturnCode != 0 {
			b.Fatal(ack)
		}
	}
	q := &quietClient{conn: c, up: make(chan struct{}, 1)}
	q.wg.Go(func() { q.read(r) })
	b.Cleanup(q.close)
	return q
}

// read counts until the connection ends.
func (q *quietClient) read(r *bufio.Reader) {
	var topic [256]byte
	for {
		first, err := r.ReadByte()
		if err != nil {
			return
		}
		length := 0
		for shift := 0; ; shift += 7 {
			c, err := r.ReadByte()
			if err != nil {
				return
			}
			if length |= int(c&0x7f) << shift; c < 0x80 {
				break
			}
		}
		if first>>4 != packets.Publish {
			q.stored.Add(1)
		} else {
			high, _ := r.ReadByte()
			low, _ := r.ReadByte()
			n := int(high)<<8 | int(low)
			if _, err := io.ReadFull(r, topic[:n]); err != nil {
				return
			}
			if length -= 2 + n; string(topic[n-3:n]) == "/up" {
				q.ups.Add(1)
				select {
				case q.up <- struct{}{}:
				default:
				}
			} else {
				q.downs.Add(1)
			}
		}
		if _, err := r.Discard(length); err != nil {
			return
		}
	}
}

// pushes are PUBLISH packets with QoS 1 that queue 10 bytes for each device.
func pushes(b testing.TB, devices int) [][]byte {
	b.Helper()
	out := make([][]byte, devices)
	for i := range out {
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.Qos, p.MessageID, p.TopicName = 1, uint16(i+1), fmt.Sprintf("v3/app1/devices/dev%d/down/push", i)
		p.Payload = []byte(`{"downlinks":[{"f_port":15,"frm_payload":"AAECAwQFBgcICQ==","priority":"NORMAL"}]}`)
		var w writerFunc = func(text []byte) (int, error) { out[i] = append(out[i], text...); return len(text), nil }
		if err := p.Write(w); err != nil {
			b.Fatal(err)
		}
	}
	return out
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (q *quietClient) close() {
	_ = q.conn.Close()
	q.wg.Wait()
}

// quietForwarder is a packet forwarder that takes every downlink, and allocates
// nothing.
type quietForwarder struct {
	conn  net.Conn
	began time.Time // of the counter
	taken atomic.Int64
	wg    sync.WaitGroup
}

// firstCounter is where a quietForwarder's counter begins. It has ten digits, and wraps 55 minutes
// later.
const firstCounter = 1_000_000_000

func newQuietForwarder(b testing.TB, addr string) *quietForwarder {
	b.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Write(gwmp.Packet{Version: gwmp.Version2, Type: gwmp.PullData, EUI: testEUI}.Append(nil)); err != nil {
		b.Fatal(err)
	}
	f := &quietForwarder{conn: c, began: time.Now()}
	f.wg.Go(f.read)
	b.Cleanup(f.close)
	return f
}

func (f *quietForwarder) read() {
	buf := make([]byte, gwmp.MaxSize)
	ack := gwmp.Packet{Version: gwmp.Version2, Type: gwmp.TxAck, EUI: testEUI}.Append(nil)
	for {
		n, err := f.conn.Read(buf)
		switch {
		case err != nil:
			return
		case n >= 4 && gwmp.Type(buf[3]) == gwmp.PullResp:
			copy(ack[1:3], buf[1:3]) // the token
			_, _ = f.conn.Write(ack)
			f.taken.Add(1)
		}
	}
}

// send writes a datagram with the counter of now, from the goroutine of the test.
func (f *quietForwarder) send(b testing.TB, datagram []byte) {
	if err := f.write(datagram); err != nil {
		b.Fatal(err)
	}
}

// write is send for any goroutine.
func (f *quietForwarder) write(datagram []byte) error {
	const before, digits = `"tmst":`, 10
	i := bytes.Index(datagram, []byte(before)) + len(before)
	field := datagram[i : i+digits]
	rest := uint32(firstCounter + time.Since(f.began).Microseconds())
	for at := digits - 1; at >= 0; at-- { // behind the wrap there are fewer digits, and white space
		if field[at] = ' '; rest > 0 || at == digits-1 {
			field[at] = byte('0' + rest%10)
		}
		rest /= 10
	}
	_, err := f.conn.Write(datagram)
	return err
}

// sendAt writes datagrams at so many a second. One that is late is sent at once,
// and none is left out.
func (f *quietForwarder) sendAt(b testing.TB, datagrams [][]byte, rate int) {
	began := time.Now()
	for i, p := range datagrams {
		if wait := time.Duration(i)*time.Second/time.Duration(rate) - time.Since(began); wait > 0 {
			time.Sleep(wait)
		}
		f.send(b, p)
	}
}

func (f *quietForwarder) close() {
	_ = f.conn.Close()
	f.wg.Wait()
}

// reach waits until a count has come so far.
func reach(b testing.TB, what string, count *atomic.Int64, n int64) {
	b.Helper()
	for end := time.Now().Add(patience); count.Load() < n; runtime.Gosched() {
		if time.Now().After(end) {
			b.Fatalf("%d %s in %v, want %d", count.Load(), what, patience, n)
		}
	}
}
