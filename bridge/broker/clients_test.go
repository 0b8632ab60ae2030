package broker

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
	"time"

	paho5 "github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"
)

// The clients here know nothing of the library that the broker rests on.

func TestPahoMQTT3(t *testing.T) {
	s := start(t, Limits{})
	got := make(chan paho3.Message, 1000)
	lost := make(chan error, 10)
	o := paho3.NewClientOptions().AddBroker("tcp://" + s.addr).SetClientID("paho").SetUsername("app1").SetPassword(s.key1).
		SetCleanSession(false).SetOrderMatters(true).SetAutoReconnect(false).
		SetConnectionLostHandler(func(_ paho3.Client, err error) { lost <- err }).
		SetDefaultPublishHandler(func(_ paho3.Client, m paho3.Message) { got <- m })
	wait := func(what string, token paho3.Token) {
		t.Helper()
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("%s: %v", what, token.Error())
		}
	}
	c := paho3.NewClient(o)
	wait("connect", c.Connect())
	for qos := byte(0); qos <= 2; qos++ {
		wait("subscribe", c.Subscribe("#", qos, nil))
		for i := range 200 {
			s.up(fmt.Sprint(i))
		}
		expectNumbers(t, got, 0, 200, qos)
	}
	wait("push", c.Publish("v3/app1/devices/dev1/down/push", 2, false, `{"downlinks":[]}`))
	if p := <-s.pushes; p.Device != "dev1" || p.Replace || string(p.Payload) != `{"downlinks":[]}` {
		t.Errorf("push %+v", p)
	}
	c.Disconnect(100)
	s.eventually("it is gone", func() bool { return s.Stats().Clients == 0 })
	for i := range 100 {
		s.up(fmt.Sprint(i))
	}
	c = paho3.NewClient(o)
	wait("connect again", c.Connect())
	expectNumbers(t, got, 0, 100, 2)
	wait("unsubscribe", c.Unsubscribe("#"))
	s.up("nobody's")
	s.dispatched()
	select {
	case m := <-got:
		t.Errorf("after UNSUBSCRIBE: %s", m.Payload())
	case err := <-lost:
		t.Errorf("the connection was lost: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	c.Disconnect(100)
	wrong := paho3.NewClient(paho3.NewClientOptions().AddBroker("tcp://" + s.addr).
		SetUsername("app1").SetPassword("wrong").SetConnectRetry(false))
	if token := wrong.Connect(); !token.WaitTimeout(patience) || token.Error() == nil {
		t.Error("a wrong password is taken")
	}
}

// expectNumbers receives n messages with the numbers from first on.
func expectNumbers(t *testing.T, got <-chan paho3.Message, first, n int, qos byte) {
	t.Helper()
	for i := range n {
		select {
		case m := <-got:
			if string(m.Payload()) != fmt.Sprint(first+i) || m.Topic() != upTopic || m.Qos() != qos {
				t.Fatalf("got %s %q with QoS %d, want %d with QoS %d", m.Topic(), m.Payload(), m.Qos(), first+i, qos)
			}
		case <-time.After(patience):
			t.Fatalf("message %d does not come", first+i)
		}
	}
}

// client5 is a Paho client for MQTT 5.
type client5 struct {
	*testing.T
	*paho5.Client
	got  chan *paho5.Publish
	errs chan error // of the connection at hand; an earlier one reports its own end, as it should
	id   int        // of its subscription
}

// dial connects to the broker, which must say whether it has the session.
func (c *client5) dial(ctx context.Context, s *bench, present bool) {
	c.Helper()
	lost := make(chan error, 10)
	c.errs = lost
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		c.Fatal(err)
	}
	c.Client = paho5.NewClient(paho5.ClientConfig{
		Conn: nc, ClientID: "paho5",
		OnPublishReceived: []func(paho5.PublishReceived) (bool, error){func(p paho5.PublishReceived) (bool, error) {
			c.got <- p.Packet
			return true, nil
		}},
		OnClientError: func(err error) { lost <- err },
	})
	c.SetErrorLogger(log.New(io.Discard, "", 0))
	expiry, window := uint32(3600), uint16(5)
	ack, err := c.Connect(ctx, &paho5.Connect{
		ClientID: "paho5", KeepAlive: 30, Username: "app1", UsernameFlag: true, Password: []byte(s.key1), PasswordFlag: true,
		Properties: &paho5.ConnectProperties{SessionExpiryInterval: &expiry, ReceiveMaximum: &window},
	})
	if err != nil {
		c.Fatal(err)
	}
	if ack.SessionPresent != present {
		c.Errorf("session present %v", ack.SessionPresent)
	}
}

// expect receives n messages with the numbers from first on.
func (c *client5) expect(ctx context.Context, first, n int, qos byte) {
	c.Helper()
	for i := range n {
		select {
		case m := <-c.got:
			if string(m.Payload) != fmt.Sprint(first+i) || m.Topic != upTopic || m.QoS != qos ||
				m.Properties.SubscriptionIdentifier == nil || *m.Properties.SubscriptionIdentifier != c.id {
				c.Fatalf("got %s %q with QoS %d, %+v; want %d with QoS %d", m.Topic, m.Payload, m.QoS, m.Properties, first+i, qos)
			}
		case err := <-c.errs:
			c.Fatal(err)
		case <-ctx.Done():
			c.Fatalf("message %d does not come", first+i)
		}
	}
}

func TestPahoMQTT5(t *testing.T) {
	s := start(t, Limits{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := &client5{T: t, got: make(chan *paho5.Publish, 1000), id: 7}
	c.dial(ctx, s, false)
	for qos := byte(0); qos <= 2; qos++ {
		if _, err := c.Subscribe(ctx, &paho5.Subscribe{
			Subscriptions: []paho5.SubscribeOptions{{Topic: "v3/+/devices/+/up", QoS: qos}},
			Properties:    &paho5.SubscribeProperties{SubscriptionIdentifier: &c.id},
		}); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			s.up(fmt.Sprint(i))
		}
		c.expect(ctx, 0, 200, qos)
	}
	if _, err := c.Publish(ctx, &paho5.Publish{
		Topic: "v3/app1/devices/dev1/down/replace", QoS: 1, Payload: []byte("{}"),
	}); err != nil {
		t.Error(err)
	}
	if p := <-s.pushes; !p.Replace {
		t.Errorf("push %+v", p)
	}
	if err := c.Disconnect(&paho5.Disconnect{}); err != nil {
		t.Error(err)
	}
	s.eventually("it is gone", func() bool { return s.Stats().Clients == 0 })
	for i := range 100 {
		s.up(fmt.Sprint(i))
	}
	c.dial(ctx, s, true)
	c.expect(ctx, 0, 100, 2)
	_ = c.Disconnect(&paho5.Disconnect{})
}
