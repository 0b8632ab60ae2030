//go:build !small

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	paho5 "github.com/eclipse/paho.golang/paho"
	paho "github.com/eclipse/paho.mqtt.golang"
)

// houseOptions are how a client logs in.
type houseOptions struct {
	app   int
	id    string
	clean bool
	will  string // topic, or ""
}

// houseClient is a client of one of two makes, depending on the version of MQTT.
type houseClient struct {
	house   *house
	app     int
	present bool // a session was kept
	tap     *tap
	lost    atomic.Bool
	v3      paho.Client
	v5      *paho5.Client
}

// tap is a connection that remembers every byte that comes.
type tap struct {
	net.Conn
	mu  sync.Mutex
	all bytes.Buffer
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Write(p[:n])
	return n, err
}

func (c *houseClient) heard() []byte {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	return bytes.Clone(c.tap.all.Bytes())
}

const houseTimeout = 5 * time.Second

func (h *house) connect(o houseOptions) (*houseClient, error) {
	nc, err := net.Dial("tcp", h.d.mqttAddr().String())
	if err != nil {
		return nil, err
	}
	c := &houseClient{house: h, app: o.app, tap: &tap{Conn: nc}}
	h.Cleanup(func() { _ = nc.Close() })
	if h.version == 5 {
		return c, c.connect5(o)
	}
	return c, c.connect3(o)
}

func (c *houseClient) connect3(o houseOptions) error {
	opts := paho.NewClientOptions().AddBroker("tcp://x").SetClientID(o.id).
		SetUsername(houseApps[o.app]).SetPassword(c.house.keys[o.app]).
		SetCleanSession(o.clean).SetAutoReconnect(false).SetConnectTimeout(houseTimeout).SetWriteTimeout(houseTimeout).
		SetDefaultPublishHandler(func(paho.Client, paho.Message) {}).
		SetConnectionLostHandler(func(paho.Client, error) { c.lost.Store(true) }).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return c.tap, nil })
	if o.will != "" {
		opts.SetBinaryWill(o.will, []byte(secret(o.app)+" app1"), 1, true)
	}
	c.v3 = paho.NewClient(opts)
	token := c.v3.Connect().(*paho.ConnectToken)
	err := waited(token)
	c.present = token.SessionPresent()
	return err
}

func waited(token paho.Token) error {
	if !token.WaitTimeout(houseTimeout) {
		return errors.New("no answer")
	}
	return token.Error()
}

func (c *houseClient) connect5(o houseOptions) error {
	c.v5 = paho5.NewClient(paho5.ClientConfig{
		Conn: packets.NewThreadSafeConn(c.tap), ClientID: o.id, // its PINGREQ must not come into another packet
		OnClientError:      func(error) { c.lost.Store(true) },
		OnServerDisconnect: func(*paho5.Disconnect) { c.lost.Store(true) },
	})
	c.v5.SetErrorLogger(log.New(io.Discard, "", 0))
	cp := &paho5.Connect{
		ClientID: o.id, KeepAlive: 30, CleanStart: o.clean, Username: houseApps[o.app], UsernameFlag: true,
		Password: []byte(c.house.keys[o.app]), PasswordFlag: true, Properties: &paho5.ConnectProperties{},
	}
	if !o.clean {
		hour := uint32(3600)
		cp.Properties.SessionExpiryInterval = &hour
	}
	if o.will != "" {
		cp.WillMessage = &paho5.WillMessage{Topic: o.will, Payload: []byte(secret(o.app) + " app1"), QoS: 1, Retain: true}
	}
	ctx, cancel := context.WithTimeout(context.Background(), houseTimeout)
	defer cancel()
	ack, err := c.v5.Connect(ctx, cp)
	if err == nil {
		c.present = ack.SessionPresent
	}
	return err
}

func (c *houseClient) subscribe(filter string) {
	c.house.Helper()
	if err := c.trySubscribe(filter); err != nil {
		c.house.Fatalf("%s: %v", filter, err)
	}
}

// trySubscribe subscribes with QoS 1. The broker may refuse, or disconnect.
func (c *houseClient) trySubscribe(filter string) error {
	if c.v3 != nil {
		return waited(c.v3.Subscribe(filter, 1, nil))
	}
	ctx, cancel := context.WithTimeout(context.Background(), houseTimeout)
	defer cancel()
	_, err := c.v5.Subscribe(ctx, &paho5.Subscribe{Subscriptions: []paho5.SubscribeOptions{{Topic: filter, QoS: 1}}})
	return err
}

func (c *houseClient) publish(topic string, payload []byte, retain bool) {
	c.house.Helper()
	if err := c.tryPublish(topic, payload, retain); err != nil {
		c.house.Fatalf("%s: %v", topic, err)
	}
}

// tryPublish publishes with QoS 1. A client of MQTT 5 whose library refuses to
// retain, because the broker does not, publishes without.
func (c *houseClient) tryPublish(topic string, payload []byte, retain bool) error {
	if c.v3 != nil {
		return waited(c.v3.Publish(topic, 1, retain, payload))
	}
	ctx, cancel := context.WithTimeout(context.Background(), houseTimeout)
	defer cancel()
	_, err := c.v5.Publish(ctx, &paho5.Publish{Topic: topic, QoS: 1, Payload: payload})
	return err
}

// alive reports whether the connection lives.
func (c *houseClient) alive() bool { return !c.lost.Load() }

// close says goodbye and waits until the broker has taken notice.
func (c *houseClient) close() {
	c.end(func() {
		if c.v3 != nil {
			c.v3.Disconnect(50)
		} else {
			_ = c.v5.Disconnect(&paho5.Disconnect{})
		}
	})
}

// cut ends the connection without a goodbye.
func (c *houseClient) cut() { c.end(func() {}) }

func (c *houseClient) end(goodbye func()) {
	alive, before := c.alive(), c.house.d.broker.Stats().Clients
	goodbye()
	_ = c.tap.Conn.Close()
	for end := time.Now().Add(time.Second); alive && time.Now().Before(end) &&
		c.house.d.broker.Stats().Clients >= before; {
		time.Sleep(time.Millisecond)
	}
}
