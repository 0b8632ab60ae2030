package main

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/concentrator/air"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// killClients are the applications that push, each to its own part of the devices.
const killClients = 8

// pusher pushes one item after the other, or replaces what waits, and logs in anew now and then. It keeps
// what it has a PUBACK for.
func (k *killed) pusher(i int) {
	var c paho.Client
	leave := func() {
		if c != nil {
			c.Disconnect(0)
		}
		c = nil
	}
	defer leave()
	for n := 1; ; n++ {
		select {
		case <-k.stop:
			return
		case <-time.After(time.Duration(300+rand.IntN(200)) * time.Millisecond):
		}
		if n%20 == 0 || c != nil && !c.IsConnectionOpen() {
			leave()
		}
		if c == nil {
			if c = k.dial(fmt.Sprint("pusher", i)); c == nil {
				continue
			}
		}
		if len(k.missing()) <= k.most { // else more than the air can carry between kills
			k.push(c, killName(i+killClients*rand.IntN(k.count/killClients)), n%10 == 0)
		}
	}
}

// dial logs in. nil: the daemon does not serve.
func (k *killed) dial(id string) paho.Client {
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + k.mqtt).SetClientID(id).SetUsername("app1").
		SetPassword(k.key).SetAutoReconnect(false).SetConnectTimeout(time.Second).SetWriteTimeout(time.Second))
	if token := c.Connect(); token.WaitTimeout(2*time.Second) && token.Error() == nil {
		return c
	}
	c.Disconnect(0)
	return nil
}

// push pushes an item. Whatever the answer, one that replaces may have replaced what waited before.
func (k *killed) push(c paho.Client, device string, replaces bool) {
	verb := "push"
	k.mu.Lock()
	k.pushes++
	payload := fmt.Sprintf("item %d", k.pushes)
	if replaces {
		verb = "replace"
		for item, to := range k.answered {
			if to == device && !k.heard[item] {
				k.excused[item] = true
			}
		}
	}
	k.mu.Unlock()
	body := fmt.Sprintf(`{"downlinks":[{"f_port":5,"frm_payload":%q,"confirmed":%v}]}`,
		base64.StdEncoding.EncodeToString([]byte(payload)), isConfirmed(payload))
	token := c.Publish("v3/app1/devices/"+device+"/down/"+verb, 1, false, body)
	if token.WaitTimeout(3*time.Second) && token.Error() == nil {
		k.mu.Lock()
		k.answered[payload] = device
		k.mu.Unlock()
	}
}

// missing returns the items that were answered and that no device has heard.
func (k *killed) missing() (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for payload, device := range k.answered {
		if !k.heard[payload] && !k.excused[payload] {
			out = append(out, device+" "+payload)
		}
	}
	slices.Sort(out)
	return out
}

// lost returns the items that were answered and neither heard nor failed, but for as
// many of a device as it missed on the air: a frame that asks for no acknowledgement
// is sent once, and whether it is heard depends on how fast the machine is.
func (k *killed) lost() (out []string) {
	k.mu.Lock()
	missed := maps.Clone(k.missed)
	k.mu.Unlock()
	for _, item := range k.missing() {
		device, payload, _ := strings.Cut(item, " ")
		if isConfirmed(payload) || missed[device] == 0 {
			out = append(out, item)
			continue
		}
		missed[device]--
	}
	return out
}

// numberOf is the number of an item; 0: it is none.
func numberOf(payload string) (n int) {
	_, _ = fmt.Sscanf(payload, "item %d", &n)
	return n
}

// isConfirmed reports whether an item asks for an acknowledgement.
func isConfirmed(payload string) bool { return numberOf(payload)%4 == 0 }

// itemEnd is what was told last of an item that asks for no acknowledgement: down/sent or down/failed.
type itemEnd struct {
	life  int // of the daemon
	times int
	twice bool // in one life
}

// ended notes the end of an item. A daemon that was killed before that was stored comes to one again.
// mu is held.
func (k *killed) ended(life int, payload string) {
	if numberOf(payload) == 0 || isConfirmed(payload) {
		return
	}
	e := k.ends[payload]
	if e == nil {
		e = &itemEnd{}
		k.ends[payload] = e
	}
	e.twice = e.twice || e.times > 0 && e.life == life
	e.life = life
	e.times++
}

// inTurn looks whether an item that asks for no acknowledgement, which a device hears for the first time, comes behind
// those that were pushed before it. mu is held.
func (k *killed) inTurn(device, payload string) {
	n := numberOf(payload)
	if n == 0 || isConfirmed(payload) {
		return
	}
	if k.hearings[payload] = time.Now(); k.heard[payload] {
		return
	}
	if n < k.order[device] {
		k.unturned = append(k.unturned, fmt.Sprintf("%s hears item %d behind %d", device, n, k.order[device]))
	}
	k.order[device] = max(n, k.order[device])
}

// unheard reports whether an item can have come to its end while the application was not subscribed yet. mu is held.
func (k *killed) unheard(payload string) bool {
	at, known := k.hearings[payload]
	return slices.ContainsFunc(k.deaf, func(d [2]time.Time) bool {
		return !known || at.After(d[0]) && at.Before(d[1].Add(time.Second))
	})
}

// untold returns the items that were answered and of whose end nobody was told who could have heard it.
func (k *killed) untold() (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for payload, device := range k.answered {
		if !isConfirmed(payload) && !k.excused[payload] && k.ends[payload] == nil && !k.unheard(payload) {
			out = append(out, device+" "+payload)
		}
	}
	slices.Sort(out)
	return out
}

// awaitEnds waits until all ends are told.
func (k *killed) awaitEnds() {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && len(k.untold()) > 0; {
		time.Sleep(50 * time.Millisecond)
	}
}

// gatewayEUI returns the EUI of a gateway.
func gatewayEUI(i int) radio.EUI64 {
	eui := testEUI
	eui[len(eui)-1] += byte(i)
	return eui
}

// otherGateways is the configuration of all gateways but the first.
func (k *killed) otherGateways() (tables string) {
	for i := range k.gateways - 1 {
		tables += fmt.Sprintf("[[gateway]]\neui = %q\nenforce_duty_cycle = false\n", gatewayEUI(i+1))
	}
	return tables
}

// gateway puts a gateway on the air, which hears each so many of the devices. It returns its packet
// forwarders, one to each server.
func (k *killed) gateway(ether *air.Air, plan *region.Plan, i int) (servers []*udp.Forwarder) {
	hear := func(up radio.Uplink) {
		for _, f := range servers {
			f.Uplink(up)
		}
	}
	receiver := ether.Listen(air.ReceiverOptions{
		EUI: gatewayEUI(i), Plan: plan,
		Loss: func(dev string) bool { return killNumber(dev)%k.gateways != i },
		Hear: func(up radio.Uplink) { hear(up); k.catch(up) },
	})
	k.again = func(up radio.Uplink) {
		up.Time = radio.ConcentratorTime(receiver.Counter(time.Now()).Counter())
		hear(up)
	}
	for _, server := range append([]string{k.port}, k.also...) {
		f, err := udp.NewForwarder(udp.ForwarderOptions{
			Server: server, EUI: gatewayEUI(i), KeepAlive: 100 * time.Millisecond, Transmit: receiver.Transmit,
		})
		if err != nil {
			k.Fatal(err)
		}
		servers = append(servers, f)
	}
	return servers
}

// caughtFrame is one that somebody else has heard.
type caughtFrame struct {
	up radio.Uplink
	at time.Time
}

// killLag is how long before a kill a frame must have come, that it may not be taken again: its counter is stored.
const killLag = killCommit + 800*time.Millisecond

// catch keeps some of the frames that come, and each join-request. What no daemon has heard is new when it comes
// again: it could be taken then, and once more behind a kill.
func (k *killed) catch(up radio.Uplink) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client == nil {
		return
	}
	if m, err := frame.TypeOf(up.PHYPayload); err == nil && m == frame.TypeJoinRequest || len(k.caught) < 256 {
		k.caught = append(k.caught, caughtFrame{up, time.Now()})
	} else if i := rand.IntN(len(k.caught)); k.caught[i].up.PHYPayload[0] != 0 {
		k.caught[i] = caughtFrame{up, time.Now()}
	}
}

// replay has the gateway hear some frames again, and forgets those that did not come before a time: the daemon
// may have forgotten them too.
func (k *killed) replay(rnd *rand.Rand, before time.Time) {
	k.mu.Lock()
	k.caught = slices.DeleteFunc(k.caught, func(c caughtFrame) bool { return !c.at.Before(before) })
	var again []radio.Uplink
	for range min(8, len(k.caught)) {
		again = append(again, k.caught[rnd.IntN(len(k.caught))].up)
	}
	k.replayed += len(again)
	k.mu.Unlock()
	for _, up := range again {
		k.again(up)
	}
}

// An end that nobody has told is forgiven only where nobody listened, and a frame that no daemon has heard is not kept.
func TestKillForgives(t *testing.T) {
	start := time.Now()
	k := killed{
		answered: map[string]string{"item 1": "a", "item 2": "b", "item 3": "c", "item 4": "d", "item 5": "e"},
		hearings: map[string]time.Time{"item 1": start.Add(time.Second), "item 2": start.Add(9 * time.Second)},
		ends:     map[string]*itemEnd{"item 5": {times: 1}},
	}
	if got := k.untold(); !slices.Equal(got, []string{"a item 1", "b item 2", "c item 3"}) {
		t.Errorf("where somebody always listened: %q", got)
	}
	k.deaf = [][2]time.Time{{start, start.Add(2 * time.Second)}}
	if got := k.untold(); !slices.Equal(got, []string{"b item 2"}) {
		t.Errorf("where nobody listened for 2 s: %q", got)
	}
	if k.catch(radio.Uplink{PHYPayload: []byte{0x40}}); len(k.caught) > 0 {
		t.Error("a frame that no daemon has heard is kept")
	}
}
