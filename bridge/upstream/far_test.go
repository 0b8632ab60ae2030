package upstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/store/storetest"
	"lorawand/bridge/upstream/client"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// far is the other broker, in memory: it notes what it gets and acknowledges it.
type far struct {
	mu     sync.Mutex
	off    bool // nobody can connect
	only   byte // the version of MQTT that it speaks; 0: both
	hung   bool // it reads and says nothing: a half-open connection
	twice  bool // each PUBACK is sent twice
	delay  time.Duration
	code   byte // of PUBACKs
	got    []arrival
	conns  []*farConn
	logins int
	wills  []string
	subs   []string
	down   []client.Received // for the next connection, until they are acknowledged
}

// arrival is a message that far has got.
type arrival struct {
	topic, payload string
	user           map[string]string
	at             time.Time
	retain         bool
}

type farConn struct {
	f       *far
	nc      net.Conn
	version byte
	will    string
	clean   bool // it has taken leave
}

func (f *far) dial(context.Context) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off {
		return nil, errors.New("no route to host")
	}
	ours, theirs := net.Pipe()
	c := &farConn{f: f, nc: theirs}
	f.conns = append(f.conns, c)
	go c.serve()
	return ours, nil
}

// cut ends all connections.
func (f *far) cut(off bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = off
	for _, c := range f.conns {
		_ = c.nc.Close()
	}
	f.conns = nil
}

func (f *far) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *far) arrivals() []arrival {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]arrival(nil), f.got...)
}

func (c *farConn) serve() {
	r := bufio.NewReader(c.nc)
	for {
		p, err := c.read(r)
		if err != nil {
			break
		}
		c.f.mu.Lock()
		hung, delay := c.f.hung, c.f.delay
		c.f.mu.Unlock()
		if hung {
			_, _ = io.Copy(io.Discard, r)
			break
		}
		time.Sleep(delay)
		if !c.handle(p) {
			break
		}
	}
	_ = c.nc.Close()
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if !c.clean && c.will != "" {
		c.f.wills = append(c.f.wills, c.will)
	}
}

func (c *farConn) read(r *bufio.Reader) (*packets.Packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	p := &packets.Packet{ProtocolVersion: c.version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, err
	}
	length, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	p.FixedHeader.Remaining = len(body)
	switch p.FixedHeader.Type {
	case packets.Connect:
		err = p.ConnectDecode(body)
		c.version = p.ProtocolVersion
	case packets.Publish:
		err = p.PublishDecode(body)
	case packets.Puback:
		err = p.PubackDecode(body)
	case packets.Subscribe:
		err = p.SubscribeDecode(body)
	}
	return p, err
}

// handle answers a packet.
func (c *farConn) handle(p *packets.Packet) bool {
	f := c.f
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := &packets.Packet{ProtocolVersion: c.version, PacketID: p.PacketID}
	times := 1
	switch p.FixedHeader.Type {
	case packets.Connect:
		answer.FixedHeader.Type = packets.Connack
		f.logins++
		if f.only != 0 && f.only != c.version {
			answer.ReasonCode, answer.ProtocolVersion = 1, 4 // as a server for 3.1.1 says
		}
		if answer.ReasonCode == 0 {
			c.will = p.Connect.WillTopic + " " + string(p.Connect.WillPayload)
		}
	case packets.Subscribe:
		answer.FixedHeader.Type = packets.Suback
		for _, s := range p.Filters {
			f.subs = append(f.subs, s.Filter)
			answer.ReasonCodes = append(answer.ReasonCodes, 1)
		}
		for _, m := range f.down {
			go c.send(&packets.Packet{
				ProtocolVersion: c.version, PacketID: m.ID, TopicName: m.Topic, Payload: m.Payload,
				FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Dup: m.Again},
			}, 1)
		}
	case packets.Publish:
		a := arrival{p.TopicName, string(p.Payload), map[string]string{}, time.Now(), p.FixedHeader.Retain}
		for _, u := range p.Properties.User {
			a.user[u.Key] = u.Val
		}
		f.got = append(f.got, a)
		answer.FixedHeader.Type, answer.ReasonCode = packets.Puback, f.code
		if f.twice {
			times = 2
		}
	case packets.Puback:
		f.down = nil
		return true
	case packets.Pingreq:
		answer.FixedHeader.Type = packets.Pingresp
	case packets.Disconnect:
		c.clean = true
		return false
	}
	// The other end reads at all times, so this does not wait for long.
	go c.send(answer, times)
	return answer.FixedHeader.Type != packets.Connack || answer.ReasonCode == 0
}

func (c *farConn) send(p *packets.Packet, times int) {
	var b bytes.Buffer
	switch p.FixedHeader.Type {
	case packets.Connack:
		_ = p.ConnackEncode(&b)
	case packets.Suback:
		_ = p.SubackEncode(&b)
	case packets.Puback:
		_ = p.PubackEncode(&b)
	case packets.Publish:
		_ = p.PublishEncode(&b)
	case packets.Pingresp:
		_ = p.PingrespEncode(&b)
	}
	for range times {
		_, _ = c.nc.Write(b.Bytes())
	}
}

// stand is an Upstream with its far broker, in fake time.
type stand struct {
	*testing.T
	*Upstream
	far    *far
	disk   *storetest.Disk
	o      Options
	stop   func()
	sent   int
	pushes []string
}

func newStand(t *testing.T) *stand {
	s := &stand{T: t, far: &far{}, disk: storetest.NewDisk(nil)}
	s.o = Options{
		Name: "far", Applications: []string{"app1"}, Prefix: "site1/", Rate: 10, Dial: s.far.dial, Commit: 15 * time.Second,
		Journal: journal.Options{Bytes: 8 << 20}, Calendar: time.Now, Logger: slog.New(slog.DiscardHandler),
		Client: client.Options{
			ClientID: "lorawand.test", KeepAlive: time.Minute, Expiry: time.Hour,
			Birth: &client.Message{Topic: "site1/lorawand/status", Payload: []byte("on"), Retain: true},
			Will:  &client.Message{Topic: "site1/lorawand/status", Payload: []byte("off"), Retain: true},
		},
		Push: func(_ context.Context, application, device string, replace bool, payload []byte) error {
			s.pushes = append(s.pushes, fmt.Sprint(application, "/", device, " ", replace, " ", string(payload)))
			return nil
		},
	}
	return s
}

// start begins to work.
func (s *stand) start() {
	s.Helper()
	s.o.Folder = s.disk
	u, err := New(s.o)
	if err != nil {
		s.Fatal(err)
	}
	s.Upstream = u
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = u.Run(ctx) }()
	s.stop = func() {
		cancel()
		<-ended
		s.wait(time.Second) // for the goroutines of the other broker
	}
}

// wait waits until so much later nothing is left to do.
func (s *stand) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// up publishes the next uplink.
func (s *stand) up() {
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: upPayload(s.sent)})
	s.sent++
}

// upPayload is the uplink with a frame counter.
func upPayload(n int) []byte {
	counter := ""
	if n > 0 {
		counter = fmt.Sprintf(`"f_cnt":%d,`, n)
	}
	return []byte(`{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},` +
		`"dev_addr":"00BB0001"},"correlation_ids":["as:up:01"],"uplink_message":{"session_key_id":"AYfg8g==","f_port":1,` + counter +
		`"frm_payload":"AQ==","decoded_payload":{"f_cnt":7},"rx_metadata":[]}}`)
}

// counts returns how often each uplink has arrived.
func (s *stand) counts() []int {
	s.Helper()
	out := make([]int, s.sent)
	for _, a := range s.far.arrivals() {
		if a.retain {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(a.user[record.FrameProperty], "AYfg8g==:%d", &n); err != nil || n >= s.sent {
			s.Errorf("arrived: %+v", a)
			continue
		}
		out[n]++
	}
	return out
}

// expectAll expects that each uplink has arrived once, and that nothing is left.
func (s *stand) expectAll() {
	s.Helper()
	for n, times := range s.counts() {
		if times != 1 {
			s.Errorf("uplink %d has arrived %d times", n, times)
		}
	}
	s.expectEmpty()
}

func (s *stand) expectEmpty() {
	s.Helper()
	st := s.Status()
	if st.Waiting != 0 || st.Journal.Messages != 0 || len(s.disk.Files()) != 0 || st.Lost+st.Refused != 0 {
		s.Errorf("left: %+v, %d files", st, len(s.disk.Files()))
	}
}

// pushing makes a function for Options.Push.
func pushing(f func() error) func(context.Context, string, string, bool, []byte) error {
	return func(context.Context, string, string, bool, []byte) error { return f() }
}
