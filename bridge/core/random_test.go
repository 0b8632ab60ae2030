package core

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// receive has a device hear what was sent in the windows of its last frame.
func (w *weather) receive(n *node) {
	d := w.devices[n.name]
	n.conf = nil
	for i := range w.sent {
		h := &w.sent[i]
		if h.over || radio.HostTime(h.Time*1000) <= n.at || radio.HostTime(h.Time*1000) > w.now.Host || !w.calm &&
			w.rnd.Intn(4) == 0 {
			continue
		}
		m, err := frame.TypeOf(h.PHYPayload)
		if err != nil {
			w.Fatal(err)
		}
		if m == frame.TypeJoinAccept && n.joins {
			req := &frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: n.nonce}
			if a, err := frame.ParseJoinAccept(h.PHYPayload, d.RootKeys, req); err == nil {
				keys, err := frame.DeriveSessionKeys(*a, d.RootKeys, req)
				if err != nil {
					w.Fatal(err)
				}
				n.session, n.fCnt, n.conf = &session.Session{DevAddr: a.DevAddr, Keys: keys}, 0, nil
			}
			continue
		}
		if down, err := frame.ParseData(h.PHYPayload); err == nil && n.session != nil &&
			down.DevAddr == n.session.DevAddr && down.MType == frame.ConfirmedDown {
			n.conf, n.confFor = down, down.FCnt
		}
	}
}

// send has a device send its next frame.
func (w *weather) send(n *node) {
	w.receive(n)
	d := w.devices[n.name]
	if n.joins && (n.session == nil || w.rnd.Intn(60) == 0) {
		n.nonce++
		w.air(n, w.joinRequest(d, n.nonce))
		return
	}
	f := payload(fmt.Sprint(n.fCnt))
	if w.rnd.Intn(3) == 0 {
		f.MType = frame.ConfirmedUp
	}
	f.ACK = n.conf != nil
	switch {
	case d.Version >= session.V1_1 && n.fCnt < 3:
		f.FOpts = []byte{0x0b, 1}
	case w.rnd.Intn(4) == 0:
		f.FOpts = []byte{0x02, 0x0d}
	}
	ctx := frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: n.confFor}
	n.fCnt += uint32(w.rnd.Intn(2))
	w.air(n, w.phyIn(n.session, d.Version, n.fCnt, f, ctx))
	n.fCnt++
}

// air brings a frame to some of the gateways.
func (w *weather) air(n *node, phy []byte) {
	n.at = w.now.Host
	n.phys = append(n.phys, phy)
	w.heardBySome(phy)
}

func (w *weather) heardBySome(phy []byte) {
	late := time.Duration(0)
	if w.rnd.Intn(10) == 0 {
		late = time.Duration(w.rnd.Intn(7000)) * ms
	}
	for _, g := range []radio.EUI64{gwA, gwB, gwC} {
		if w.rnd.Intn(2) == 0 || w.calm {
			d := time.Duration(w.rnd.Intn(150)) * ms
			w.pass(d)
			late += d
			w.hear(g, phy, delayed(late), at(radio.Decibel(-120+w.rnd.Intn(80))), func(up *radio.Uplink) {
				up.Receptions[0].NoDownlink = w.rnd.Intn(15) == 0 && !w.calm
			})
		}
	}
}

// ask pushes some items.
func (w *weather) ask() {
	a := asked{device: w.nodes[w.rnd.Intn(len(w.nodes))].name, replace: w.rnd.Intn(8) == 0}
	var items []session.Item
	for range w.rnd.Intn(4) {
		w.n++
		text := fmt.Sprintf("i%d", w.n)
		if w.rnd.Intn(20) == 0 {
			text += strings.Repeat("-", w.rnd.Intn(260))
		}
		it := item(text, prio(radio.Priority(w.rnd.Intn(7))))
		if w.rnd.Intn(2) == 0 {
			confirm(&it)
			it.MaxAttempts = uint32(w.rnd.Intn(3))
		}
		w.items[text] = &fate{device: a.device, confirmed: it.Confirmed}
		items, a.items = append(items, it), append(a.items, text)
	}
	w.ticket++
	w.asked[w.ticket] = a
	w.step(Pushed{
		Ticket: w.ticket, Device: session.ID{Application: "app1", Device: a.device}, Replace: a.replace,
		Items: items,
	})
	if w.rnd.Intn(10) == 0 { // its client gives up; the store may have it already
		w.step(Withdrawn{Ticket: w.ticket})
	}
}

// happen does one thing.
func (w *weather) happen() {
	n := w.nodes[w.rnd.Intn(len(w.nodes))]
	switch w.rnd.Intn(20) {
	default:
		w.send(n)
	case 10, 11, 12, 13, 14:
		w.ask()
	case 15:
		if len(n.phys) > 0 { // once more, by the device or by somebody else
			w.again++
			w.heardBySome(n.phys[max(len(n.phys)-1-w.rnd.Intn(3), 0)])
		}
	case 16:
		g := []radio.EUI64{gwA, gwB, gwC}[w.rnd.Intn(3)]
		w.gatewayEvent(g, []radio.GatewayEventKind{
			radio.GatewayConnected, radio.GatewayDisconnected,
			radio.GatewayCounterReset,
		}[w.rnd.Intn(3)])
	case 17:
		w.gatewayEvent(gwA, radio.GatewayConnected)
		w.gatewayEvent(gwB, radio.GatewayConnected)
	case 18:
		w.fails = []error{nil, errDisk}[w.rnd.Intn(2)]
	case 19:
		if w.slow = !w.slow; !w.slow {
			w.stored()
		}
	}
	w.pass(time.Duration(w.rnd.Intn(4)*w.rnd.Intn(4)*w.rnd.Intn(1000)) * ms)
}

// settleDown has everything work until nothing is left.
func (w *weather) settleDown() {
	w.calm, w.fails = true, nil
	w.stored()
	w.online(gwA, gwB, gwC)
	for left := true; left; {
		for _, n := range w.nodes {
			w.send(n)
			w.pass(12 * time.Second)
		}
		left = false
		for _, f := range w.items {
			left = left || len(f.told) > 0 && !f.final() && !f.replaced
		}
		if w.calmer++; w.calmer == 1000 {
			w.Error("there is no end")
			return
		}
	}
	w.wait(time.Minute)
}

// In any course of events each item comes to one end, and its client is told.
func TestEachItemEndsOnce(t *testing.T) {
	w := newWeather(t, 1)
	for range fewer(3000) {
		w.happen()
		if t.Failed() {
			t.FailNow()
		}
	}
	w.settleDown()
	ends := map[string]int{}
	for text, f := range w.items {
		if len(f.told) == 0 {
			ends["not stored"]++
			continue
		}
		if !f.final() && !f.replaced {
			t.Errorf("%s of %s has come to no end: %v", text, f.device, f.told)
		}
		if f.replaced {
			ends["replaced"]++
		} else {
			ends[f.last()]++
		}
	}
	t.Logf("%d downlinks, ends %v", len(w.sent), ends)
	for _, n := range w.nodes {
		w.onDisk(n.name)
		last := 0
		for _, text := range w.order[n.name] {
			var i int
			if _, err := fmt.Sscanf(text, "i%d", &i); err != nil || i < last {
				t.Errorf("%s: %s after i%d", n.name, text, last)
			}
			last = i
		}
	}
	c := w.c
	if st := c.Stats(); st.Repeated > w.again {
		t.Errorf("%d repetitions, and only %d frames were sent once more", st.Repeated, w.again)
	}
	if len(c.opportunities)+len(c.inFlight)+len(c.attempts)+len(c.onStored)+c.pendingPushes.Len()+c.agenda.Len()+
		len(c.receptions)+len(c.waiting) != 0 {
		t.Errorf("left over: %d opportunities, %d in flight, %d attempts, %d unstored, %d pending, %d on the agenda, %d "+
			"receptions, %d waiting",
			len(c.opportunities), len(c.inFlight), len(c.attempts), len(c.onStored), c.pendingPushes.Len(), c.agenda.Len(),
			len(c.receptions), len(c.waiting))
	}
}

// The same inputs have the same effects, byte for byte.
func TestEqualEffects(t *testing.T) {
	run := func() uint64 {
		w := newWeather(t, 2)
		sum := fnv.New64a()
		w.trace = func(e Effect) {
			w.oracle(e)
			if r, ok := e.(Report); ok {
				text, err := r.Event.MarshalJSON()
				fmt.Fprintf(sum, "%s %v\n", text, err)
				return
			}
			fmt.Fprintf(sum, "%T %v\n", e, e)
		}
		for range fewer(500) {
			w.happen()
		}
		return sum.Sum64()
	}
	if a, b := run(), run(); a != b {
		t.Error("two runs of the same inputs differ")
	}
}

// However often the power fails, in any course of events: no counter comes twice (see
// watch), and no item that its client was told of is lost.
func TestPowerFails(t *testing.T) {
	w := newWeather(t, 3)
	w.crashes = true
	for i := range fewer(2000) {
		w.happen()
		if i%20 == 19 {
			w.powerCut()
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	w.settleDown()
	n := 0
	for text, f := range w.items {
		if !f.final() && !f.replaced && len(f.told) > 0 {
			t.Errorf("%s of %s has come to no end: %v", text, f.device, f.told)
		}
		if f.final() {
			n++
		}
	}
	t.Logf("%d downlinks, %d items ended", len(w.sent), n)
	for _, n := range w.nodes {
		w.onDisk(n.name)
	}
}

// powerCut begins anew with what was written for sure, or after a clean stop
// with all. Gateways forget what they were to send.
func (w *weather) powerCut() {
	disk := w.disk.firm
	if w.rnd.Intn(3) == 0 {
		w.step(Stopping{})
		for _, k := range w.queued {
			w.write(k)
		}
		disk = w.disk.soft
		for ticket, a := range w.asked { // written, and its client was not told
			if delete(w.asked, ticket); a.replace {
				w.replacedBy(&a)
			}
		}
	}
	w.fails, w.acks = nil, nil
	w.restart(disk)
	w.gateways()
}
