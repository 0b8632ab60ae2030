package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// metric returns the value of a metric without labels.
func metric(t testing.TB, text io.Reader, name string) float64 {
	t.Helper()
	for lines := bufio.NewScanner(text); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// dial logs in over MQTT 3.1.1 from an address of this host.
func (a *abused) dial(from, id, user, password string) (net.Conn, error) {
	c, err := a.connection(from)
	if err != nil {
		return nil, err
	}
	if err := login(c, id, user, password); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func login(c net.Conn, id, user, password string) error {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if err := connectPacket(id, user, password).Write(c); err != nil {
		return err
	}
	answer, err := packets.ReadPacket(c)
	if err != nil {
		return err
	}
	if ack, ok := answer.(*packets.ConnackPacket); !ok || ack.ReturnCode != 0 {
		return fmt.Errorf("answered with %v", answer)
	}
	return c.SetDeadline(time.Time{})
}

func connectPacket(id, user, password string) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.ClientIdentifier = "MQTT", 4, true, id
	p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, user, true, []byte(password)
	return p
}

func subscribePacket(qos byte, filters ...string) *packets.SubscribePacket {
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics = 1, filters
	for range filters {
		p.Qoss = append(p.Qoss, qos)
	}
	return p
}

// connection connects to the broker from an address of this host.
func (a *abused) connection(from string) (net.Conn, error) {
	d := net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.Dial("tcp", a.mqtt)
}

// goodClient is an application that behaves: it reads, acknowledges and pushes.
type goodClient struct {
	*abused
	conn  net.Conn
	wg    sync.WaitGroup
	lossy bool // one in a thousand uplinks may be lost

	writing sync.Mutex // of packets

	mu        sync.Mutex
	sent      []time.Time // uplinks, by their number
	got       map[int]bool
	latencies []time.Duration
	pushed    int
	answered  int
	err       error
}

func newGoodClient(a *abused) *goodClient {
	a.Helper()
	conn, err := a.dial("127.0.0.1", "good", "app1", a.benchDaemon.key)
	if err != nil {
		a.Fatal(err)
	}
	c := &goodClient{abused: a, conn: conn, got: map[int]bool{}}
	a.Cleanup(func() { _ = conn.Close(); c.wg.Wait() }) // where the abuse gives up
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	if err := subscribePacket(1, "v3/app1/devices/+/up").Write(conn); err != nil {
		a.Fatal(err)
	}
	if p, err := packets.ReadPacket(r); err != nil {
		a.Fatal(p, err)
	}
	_ = conn.SetDeadline(time.Time{})
	c.wg.Go(func() {
		err := c.read(r)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.err = err
	})
	return c
}

func (c *goodClient) sending(int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, time.Now())
}

func (c *goodClient) write(p packets.ControlPacket) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return p.Write(c.conn)
}

// read reads until the connection ends.
func (c *goodClient) read(r io.Reader) error {
	for {
		p, err := packets.ReadPacket(r)
		now := time.Now()
		if err != nil {
			return err
		}
		switch p := p.(type) {
		case *packets.PubackPacket:
			c.mu.Lock()
			c.answered++
			c.mu.Unlock()
		case *packets.PublishPacket:
			if err := c.uplink(p, now); err != nil {
				return err
			}
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = p.MessageID
			if err := c.write(ack); err != nil {
				return err
			}
		}
	}
}

func (c *goodClient) uplink(p *packets.PublishPacket, now time.Time) error {
	var up struct {
		Message struct {
			Payload []byte `json:"frm_payload"`
		} `json:"uplink_message"`
	}
	if err := json.Unmarshal(p.Payload, &up); err != nil {
		return fmt.Errorf("%s: %w", base64.StdEncoding.EncodeToString(p.Payload), err)
	}
	n, err := strconv.Atoi(string(up.Message.Payload))
	if err != nil {
		return err
	}
	if n -= c.rounds * abuseRound; n < 0 {
		return nil // of a round that was over
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.got[n] || n >= len(c.sent) {
		return fmt.Errorf("uplink %d comes twice, or was not sent", n)
	}
	c.got[n] = true
	c.latencies = append(c.latencies, now.Sub(c.sent[n]))
	return nil
}

// pushes replaces the queue of a device by none, some times a second.
func (c *goodClient) pushes(stop <-chan struct{}) {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.TopicName, p.Payload = 1, "v3/app1/devices/dev0/down/replace", []byte(`{"downlinks":[]}`)
	for {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		c.mu.Lock()
		c.pushed++
		p.MessageID = uint16(c.pushed)
		c.mu.Unlock()
		if err := c.write(p); err != nil {
			return // the reader knows why
		}
	}
}

// close waits until everything has come, ends the client, and returns how long
// each uplink took.
func (c *goodClient) close() []time.Duration {
	c.Helper()
	complete := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.got) == len(c.sent) && c.answered == c.pushed || c.err != nil
	}
	for end := time.Now().Add(30 * time.Second); !complete() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	c.mu.Lock()
	early := c.err
	c.mu.Unlock()
	_ = c.conn.Close()
	c.wg.Wait()
	if early == nil && !errors.Is(c.err, net.ErrClosed) {
		early = c.err
	}
	mayLose := 0
	if c.lossy {
		mayLose = max(1, len(c.sent)/1000)
	}
	if len(c.sent)-len(c.got) > mayLose || c.answered != c.pushed || early != nil || len(c.got) < 10 {
		c.Errorf("the good client has %d of %d uplinks and %d of %d PUBACKs; %v", len(c.got), len(c.sent), c.answered,
			c.pushed, early)
	}
	if len(c.latencies) == 0 {
		c.Fatal("no uplink at all")
	}
	return c.latencies
}
