package concentrator_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// server answers each frame one second after its end, and says what it is told.
type server struct {
	driver concentrator.Driver
	told   chan struct{}
}

func (s *server) Uplink(up radio.Uplink) {
	fmt.Printf("heard %x on %v\n", up.PHYPayload, up.Frequency)
	err := s.driver.Transmit(radio.Downlink{
		ID: 1, Gateway: up.Gateway, PHYPayload: []byte{0x60, 0x01}, Frequency: up.Frequency, DataRate: up.DataRate,
		Power: 1400, Time: up.Time.Add(time.Second),
	})
	if err != nil {
		fmt.Println(err) // and no TxAck follows
	}
}

func (s *server) TxAck(a radio.TxAck) {
	fmt.Println("downlink", a.ID, "sent:", a.Result == radio.TxOK)
	s.told <- struct{}{}
}

func (s *server) GatewayEvent(e radio.GatewayEvent) { fmt.Println("gateway", e.Gateway) }

// A driver hears frames, which its sink is told of, and sends what Transmit is given;
// what became of that the sink is told too. Fake is a driver for tests.
func Example() {
	eui := radio.EUI64{0x02, 0x42, 0x02, 0, 0, 0x24, 0x78, 0x03}
	driver := concentrator.NewFake(eui)
	s := &server{driver: driver, told: make(chan struct{})}

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- driver.Run(ctx, s) }()
	driver.Hear(radio.Uplink{
		PHYPayload: []byte{0x40, 0x01}, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), Time: 5_000_000,
	})
	<-s.told
	stop()
	fmt.Println("ended:", <-ended)
	// Output:
	// gateway 0242020000247803
	// heard 4001 on 868.1 MHz
	// downlink 1 sent: true
	// ended: <nil>
}

// A queue arms each packet shortly before its time, and the transmitter that it is
// armed with answers for it.
func ExampleJIT() {
	q := concentrator.NewJIT(concentrator.JITOptions{})
	now := radio.ConcentratorTime(5_000_000)
	packet := radio.Downlink{
		ID: 1, PHYPayload: make([]byte, 20), DataRate: radio.LoRaDataRate(7, 125_000), Time: now.Add(time.Second),
	}
	fmt.Println("taken:", q.Add(packet, now) == radio.TxOK)
	fmt.Println("another at the same time:", q.Add(packet, now))
	at, _ := q.Next(now)
	fmt.Println("armed", packet.Time.Sub(at), "ahead")
	q.Poll(at, transmitter{}, func(d radio.Downlink, why radio.TxResult) { fmt.Println("not armed:", d.ID, why) })
	// Output:
	// taken: true
	// another at the same time: COLLISION_PACKET
	// armed 40ms ahead
	// not armed: 1 UNKNOWN_ERROR
}

// transmitter is one whose bus is broken.
type transmitter struct{}

func (transmitter) Busy(int) (bool, error)   { return false, nil }
func (transmitter) Arm(radio.Downlink) error { return errors.New("no answer") }
func (transmitter) Abort(int) error          { return nil }
