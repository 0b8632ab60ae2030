package core

import (
	"errors"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// weather is a stand on which everything happens that can, at random.
type weather struct {
	*stand
	rnd   *rand.Rand
	nodes []*node
	acks  []dueAck
	items map[string]*fate // by payload
	order map[string][]string
	asked map[uint64]asked // by ticket
	n     int              // of items
	again uint64           // frames that were sent once more
	calm  bool             // nothing goes wrong any more

	crashes bool // which make things come twice

	ticket uint64
	calmer int // rounds since
}

// node is an end device.
type node struct {
	name    string
	joins   bool
	session *session.Session
	fCnt    uint32
	nonce   uint16
	phys    [][]byte // what it has sent
	at      radio.HostTime
	conf    *frame.Data // the confirmed downlink that it has to acknowledge
	confFor uint16
}

type dueAck struct {
	at     radio.HostTime
	i      int
	result radio.TxResult
}

type asked struct {
	device  string
	replace bool
	items   []string
}

// fate is what was told of an item.
type fate struct {
	device    string
	confirmed bool
	told      []string
	replaced  bool
}

func newWeather(t *testing.T, seed int64) *weather {
	t.Helper()
	w := &weather{
		stand: newStand(t), rnd: rand.New(rand.NewSource(seed)), items: map[string]*fate{},
		order: map[string][]string{}, asked: map[uint64]asked{},
	}
	w.late("dev1")
	w.keeps.seldom = true
	w.otaa("dev3", session.V1_0_4)
	w.otaa("dev4", session.V1_1)
	w.nodes = []*node{{name: "dev1"}, {name: "dev2"}, {name: "dev3", joins: true}, {name: "dev4", joins: true}}
	for _, n := range w.nodes {
		n.session = w.devices[n.name].Session
	}
	w.trace = w.oracle
	w.gateways()
	return w
}

// gateways has all of them come: one on this host, one that never answers, one
// behind a network.
func (w *weather) gateways() {
	w.answering(gwA)
	w.gateway(gwC).Answered(40 * ms)
	w.online(gwA, gwB, gwC)
}

// oracle follows what is told of each item.
func (w *weather) oracle(e Effect) {
	switch e := e.(type) {
	case Publish:
		w.ups = append(w.ups, e.Message)
		m := w.message(len(w.ups) - 1)
		w.ups = w.ups[:len(w.ups)-1]
		for kind, d := range map[string]*downMessage{"queued": m.Queued, "sent": m.Sent, "ack": m.Ack, "nack": m.Nack} {
			if d != nil {
				w.tellOf(string(d.Payload), kind)
			}
		}
		if m.Failed != nil {
			w.tellOf(string(m.Failed.Downlink.Payload), "failed:"+m.Failed.Error.Name)
		}
	case Answer:
		a := w.asked[e.Ticket]
		delete(w.asked, e.Ticket)
		if refusal := (*v3.Error)(nil); errors.As(e.Err, &refusal) {
			e.Err = nil // which MQTT has told
		}
		for _, text := range a.items {
			if f := w.items[text]; !w.crashes && (e.Err == nil) != (len(f.told) > 0) {
				w.Errorf("%s: its client was told %v, and of it %v", text, e.Err, f.told)
			}
		}
		if !a.replace || e.Err != nil || len(a.items) > 0 && w.items[a.items[0]].told[0] != "queued" {
			return
		}
		w.replacedBy(&a)
	}
}

// replacedBy notes that what was asked has replaced the items before it.
func (w *weather) replacedBy(a *asked) {
	for text, f := range w.items {
		if f.device == a.device && len(f.told) > 0 && !f.final() && !slices.Contains(a.items, text) {
			f.replaced = true
		}
	}
}

func (f *fate) last() string {
	if len(f.told) == 0 {
		return ""
	}
	return f.told[len(f.told)-1]
}

// final reports whether no more is to come.
func (f *fate) final() bool {
	switch last := f.last(); {
	case last == "ack", last == "sent" && !f.confirmed:
		return true
	case last == "nack":
		return slices.Contains(f.told, "failed:max_retries_reached")
	default:
		return strings.HasPrefix(last, "failed") && last != "failed:max_retries_reached"
	}
}

func (w *weather) tellOf(text, kind string) {
	f := w.items[text]
	before := f.last()
	good := false
	switch {
	case f.final() || f.replaced && (kind != "sent" || before == "sent"):
	case kind == "queued":
		good = before == ""
	case kind == "sent" || strings.HasPrefix(kind, "failed") && kind != "failed:max_retries_reached":
		good = before == "queued" || before == "nack" || before == "" && kind != "sent"
	case kind == "ack", kind == "failed:max_retries_reached":
		good = before == "sent"
	case kind == "nack":
		good = before == "sent" || before == "failed:max_retries_reached"
	}
	f.told = append(f.told, kind)
	if !good && !w.crashes {
		w.Errorf("%s (confirmed %v, replaced %v): %v", text, f.confirmed, f.replaced, f.told)
	}
	if kind == "sent" && !f.replaced && !slices.Contains(f.told[:len(f.told)-1], "sent") {
		w.order[f.device] = append(w.order[f.device], text)
	}
}

// pass lets time pass; gateways answer meanwhile.
func (w *weather) pass(d time.Duration) {
	for end := w.now.Host.Add(d); ; {
		w.plan()
		i := -1
		for k := range w.acks {
			if w.acks[k].at <= end && (i < 0 || w.acks[k].at < w.acks[i].at) {
				i = k
			}
		}
		if i < 0 {
			before := len(w.sent)
			if next := w.arm; next != 0 && next < end {
				w.wait(max(next.Sub(w.now.Host), 0))
				continue
			}
			w.wait(end.Sub(w.now.Host))
			if len(w.sent) == before {
				return
			}
			continue
		}
		a := w.acks[i]
		w.acks = slices.Delete(w.acks, i, i+1)
		if w.arm != 0 && w.arm < a.at {
			w.acks = append(w.acks, a)
			w.wait(max(w.arm.Sub(w.now.Host), 0))
			continue
		}
		w.wait(max(a.at.Sub(w.now.Host), 0))
		w.ackOf(&w.sent[a.i], a.result)
	}
}

// plan decides how the gateways are going to answer.
func (w *weather) plan() {
	for ; w.read < len(w.sent); w.read++ {
		h := &w.sent[w.read]
		a := dueAck{w.now.Host.Add(time.Duration(1+w.rnd.Intn(60)) * ms), w.read, radio.TxOK}
		if !w.calm {
			switch w.rnd.Intn(12) {
			case 0:
				a.result = radio.TxTooLate
			case 1:
				a.result = radio.TxCollisionPacket
			case 2:
				a.result, a.at = radio.TxNoPath, w.now.Host
			case 3:
				a.result, a.at = radio.TxNoAck, w.now.Host.Add(3*time.Second)
			case 4:
				a.at = w.now.Host.Add(h.ahead + time.Duration(w.rnd.Intn(600))*ms)
			}
		}
		if h.Gateway != gwB || a.result == radio.TxNoPath {
			w.acks = append(w.acks, a)
		}
	}
}
