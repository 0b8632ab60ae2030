package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// crowd connects clients of app2, whose ids begin with a name.
func (a *abused) crowd(name string, n int) (conns []io.ReadWriteCloser) {
	a.Helper()
	for i := range n {
		c, err := a.dial(loopback(i), fmt.Sprint(name, i), "app2", a.key2)
		if err != nil {
			a.Fatal(err)
		}
		conns = append(conns, c)
	}
	return conns
}

// refusedPushes pushes to a device that is not there, as soon as the push before is acknowledged:
// each one makes a message, which no client gets, though each has as many filters as it may.
func (a *abused) refusedPushes() {
	var filters []string
	for i := range 64 {
		filters = append(filters, fmt.Sprintf("v3/app2/devices/nobody/down/failed/%s/%d", strings.Repeat("x", 150), i))
	}
	for _, c := range a.crowd("subscriber", 60) {
		defer c.Close()
		if err := subscribePacket(1, filters...).Write(c); err != nil {
			a.Error(err)
			return
		}
		go func() { _, _ = io.Copy(io.Discard, c) }()
	}
	push := packetOf(0x30, text("v3/app2/devices/nobody/down/push"), []byte(`{"downlinks":[]}`))
	a.pushAgainAndAgain(bytes.Repeat(push, 100), attackers) // else the writing takes the processors
}

// pushAgainAndAgain has so many clients push, and wait for nothing. One that is disconnected comes back.
func (a *abused) pushAgainAndAgain(push []byte, clients int) {
	conns := a.crowd("pusher", clients)
	a.storm(func(i, n int) (err error) {
		own := (clients - i + attackers - 1) / attackers // of each attacker, which no other one uses
		i += n % own * attackers
		if conns[i] != nil {
			if _, err = conns[i].Write(push); err == nil {
				return nil
			}
			_ = conns[i].Close()
		}
		if conns[i], err = a.dial(loopback(i), fmt.Sprint("pusher", i), "app2", a.key2); err != nil {
			conns[i] = nil // its place was lost to others
		}
		return nil
	})
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// unreleased leaves as many publishes of QoS 2 unfinished as MQTT 3 lets a client have.
func (a *abused) unreleased() {
	const each, atATime = 1024, 64
	conns := a.crowd("publisher", 90)
	for _, c := range conns {
		defer c.Close()
	}
	attack(attackers, func(i int) {
		for ; i < len(conns); i += attackers {
			for id := 0; id < each; id += atATime {
				var many []byte
				for k := range atATime {
					id := id + k + 1
					many = append(many, packetOf(0x34, text("v3/app2/devices/dev0/down/push"), []byte{byte(id >> 8), byte(id)},
						[]byte(`{"downlinks":[]}`))...)
				}
				_, err := conns[i].Write(many)
				if err == nil {
					_, err = io.CopyN(io.Discard, conns[i], 4*atATime) // a PUBREC for each
				}
				if err != nil {
					a.Error(err)
					return
				}
			}
		}
	})
	time.Sleep(stormLength / 2)
}

// unfinished leaves the longest packet that there may be unfinished on each connection.
func (a *abused) unfinished() {
	body := text("v3/app2/devices/nobody/down/push")
	packet := packetOf(0x30, body, make([]byte, 64<<10-len(body)-4))
	for _, c := range a.crowd("unfinished", 90) {
		defer c.Close()
		if _, err := c.Write(packet[:len(packet)-1]); err != nil {
			a.Error(err)
			return
		}
	}
	time.Sleep(stormLength)
}

// longPushes pushes what is refused and makes the longest message about it, and waits for nothing.
func (a *abused) longPushes() {
	push := packetOf(0x30, text("v3/app2/devices/nobody/down/push"), []byte(fmt.Sprintf(
		`{"downlinks":[{"f_port":1,"frm_payload":"AQ==","decoded_payload":{"x":%q}}]}`, strings.Repeat("x", 60_000))))
	a.pushAgainAndAgain(push, 90)
}

// takenPushes replaces the longest queue again and again, and waits for nothing: each of its downlinks makes two
// messages and a record.
func (a *abused) takenPushes() {
	many := strings.TrimSuffix(strings.Repeat(`{"f_port":1,"frm_payload":"AQ=="},`, 90), ",")
	push := packetOf(0x30, text("v3/app2/devices/dev0/down/replace"), []byte(`{"downlinks":[`+many+`]}`))
	a.pushAgainAndAgain(bytes.Repeat(push, 10), 90)
}
