//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"lorawand/bridge/admin"
	"lorawand/radio/frame"
)

// This file accounts for every item that was answered: it ends in one event, or waits at the machine
// that leads.

// span is some time.
type span struct{ from, to time.Time }

// toldOf is what the application was told of an item.
type toldOf struct {
	kind  string // the end of the topic
	fCnt  uint32
	login paho.Client // where it was told
	at    time.Time

	marked bool // by a machine without a lease, so that another one may tell it too
}

// mayMiss notes that the application, which is just being logged in or out, may have missed something
// since some time ago: what is published to nobody does not come later.
func (p *twins) mayMiss(since time.Duration) {
	p.items.Lock()
	defer p.items.Unlock()
	now := time.Now()
	p.away = append(p.away, span{now.Add(-since), now.Add(time.Second)})
}

// isMarked reports whether a machine without a lease has published a message.
func isMarked(m paho.Message) bool {
	return strings.Contains(string(m.Payload()), "lorawand:lease:none")
}

// note notes what a message tells of an item.
func (p *twins) note(c paho.Client, m paho.Message) {
	_, kind, isDown := strings.Cut(m.Topic(), "/down/")
	if !isDown {
		return
	}
	type downlink struct {
		Payload []byte `json:"frm_payload"`
		FCnt    uint32 `json:"f_cnt"`
	}
	var text struct {
		Sent   *downlink `json:"downlink_sent"`
		Ack    *downlink `json:"downlink_ack"`
		Failed *struct {
			Downlink downlink `json:"downlink"`
		} `json:"downlink_failed"`
	}
	if err := json.Unmarshal(m.Payload(), &text); err != nil { // the test may be over
		p.items.Lock()
		defer p.items.Unlock()
		p.wrong = append(p.wrong, fmt.Sprintf("%s: %v", m.Topic(), err))
		return
	}
	d := text.Sent
	switch {
	case text.Ack != nil:
		d = text.Ack
	case text.Failed != nil:
		d = &text.Failed.Downlink
	}
	if d == nil { // queued, and nack, which ends nothing
		return
	}
	p.items.Lock()
	defer p.items.Unlock()
	item := string(d.Payload)
	p.told[item] = append(p.told[item], toldOf{kind, d.FCnt, c, time.Now(), isMarked(m)})
}

// ends returns the events that end an item.
func (p *twins) ends(item string) (out []toldOf) {
	p.items.Lock()
	defer p.items.Unlock()
	for _, o := range p.told[item] {
		if o.kind != "sent" || !isConfirmed(item) {
			out = append(out, o)
		}
	}
	return out
}

// unended returns the items that were answered and have no event that ends them, by device.
func (p *twins) unended() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]string{}
	for item, device := range p.answered {
		if len(p.ends(item)) == 0 {
			out[device] = append(out[device], item)
		}
	}
	return out
}

// waiting returns which of the items that are not ended are in the queues of the machine that leads,
// and which are not.
func (p *twins) waiting(leader *twin) (there, gone []string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for device, items := range p.unended() {
		var queue strings.Builder
		args := admin.DeviceArgs{Application: "app1", Device: device}
		err := ask(ctx, leader.config, "downlink.list", args, func(d admin.Downlink) error {
			_, err := fmt.Fprintln(&queue, string(d.Downlink))
			return err
		})
		if err != nil {
			p.Fatal(err)
		}
		for _, item := range items {
			if strings.Contains(queue.String(), base64.StdEncoding.EncodeToString([]byte(item))) {
				there = append(there, item)
			} else {
				gone = append(gone, item)
			}
		}
	}
	slices.Sort(gone)
	return there, gone
}

// drain lets traffic go on without new items until nothing waits any more, and then ends it.
func (p *twins) drain() {
	p.Helper()
	close(p.enough)
	leader := p.settle()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if there, _ := p.waiting(leader); len(there) == 0 {
			break
		}
	}
	p.halt()
	p.account(leader)
}

// mostUnheard is how many items, for each time that the application was logged out, may have come to an
// end that it was not told of.
const mostUnheard = 2

// account checks that no item is lost, and that none has two ends, but for one that another machine
// has sent again, with another frame counter, as it cannot know that it was sent; and for one whose end
// was told while something failed, so that it may not have been stored.
func (p *twins) account(leader *twin) {
	p.Helper()
	there, gone := p.waiting(leader)
	unheard, again := 0, 0
	for _, item := range gone {
		if len(p.ends(item)) > 0 { // meanwhile
			continue
		}
		if why := p.unheard(item); why != "" {
			p.Errorf("%s for %s, pushed at %v, is lost: %s\n%s", item, p.answered[item], p.pushed[item], why,
				p.history(p.answered[item]))
		}
		unheard++
	}
	for item := range p.answered {
		ends := p.ends(item)
		for i, o := range ends {
			for _, other := range ends[:i] {
				sameFrame := o.fCnt == other.fCnt && !o.marked && !other.marked
				if o.login == other.login || sameFrame && !inOne(p.faults, other.at) {
					p.Errorf("%s for %s has ended more than once: %+v\n%s", item, p.answered[item], ends,
						p.history(p.answered[item]))
				}
			}
		}
		again += max(0, len(ends)-1)
	}
	p.Logf("%d items answered: %d wait, %d were sent while the application was logged out, %d were sent once more",
		len(p.answered), len(there), unheard, again)
	if len(there) > len(p.answered)/20 {
		p.Errorf("%d of %d items wait: that tests little", len(there), len(p.answered))
	}
	p.items.Lock()
	defer p.items.Unlock()
	if most := mostUnheard * len(p.away); unheard > most {
		p.Errorf("%d items have no end, at most %d may", unheard, most)
	}
}

func inOne(spans []span, at time.Time) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return at.After(s.from) && at.Before(s.to) })
}

// unheard returns why an item that is gone is lost: it was not sent just when the application may have
// missed that; "": it was.
func (p *twins) unheard(item string) (why string) {
	times := append(p.onAir(item), p.failed(p.answered[item])...)
	if len(times) == 0 {
		return "it was never on the air, and has not failed"
	}
	later := time.Second
	if isConfirmed(item) { // the next uplink ends it
		later = p.every * 3 / 2
	}
	p.items.Lock()
	defer p.items.Unlock()
	for _, at := range times {
		if slices.ContainsFunc(p.away, func(s span) bool { return at.Add(later).After(s.from) && at.Before(s.to) }) {
			return ""
		}
	}
	return fmt.Sprintf("it was on the air or failed at %v, when the application was logged in", times)
}

// failed returns when items of a device have failed: no gateway could send them any more, as where a
// machine had just woken up.
func (p *twins) failed(device string) (out []time.Time) {
	for _, m := range p.machines {
		text, err := os.ReadFile(filepath.Join(m.dir, "log"))
		if err != nil {
			p.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, `msg="downlink failed"`) || !strings.Contains(line, " device_id="+device+" ") {
				continue
			}
			clock, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
			if at, err := time.Parse(time.RFC3339, clock); err == nil {
				out = append(out, at)
			}
		}
	}
	return out
}

// history returns what the machines have logged of a device.
func (p *twins) history(device string) string {
	var out strings.Builder
	for _, m := range p.machines {
		text, _ := os.ReadFile(filepath.Join(m.dir, "log"))
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, " device_id="+device+" ") {
				fmt.Fprintf(&out, "%s: %s", m.name, line)
			}
		}
	}
	return out.String()
}

// onAir returns when an item was sent.
func (p *twins) onAir(item string) (out []time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	session, _ := p.devices[killNumber(p.answered[item])].Session()
	c := frame.NewCipher(session.Keys, false)
	for _, tx := range p.sent {
		d, err := frame.ParseData(tx.PHYPayload)
		if err != nil || d.DevAddr != session.DevAddr {
			continue
		}
		if string(c.AppendFRMPayload(nil, d, uint32(d.FCnt))) == item {
			out = append(out, tx.End)
		}
	}
	return out
}

// check checks the air, and what the machines have published.
func (p *twins) check() {
	p.Helper()
	p.items.Lock()
	if len(p.wrong) > 0 {
		p.Errorf("messages that are none: %v", p.wrong)
	}
	p.items.Unlock()
	sent := p.transmissions()
	for _, rest := range p.rests {
		for _, tx := range sent {
			if tx.End.After(rest.from.Add(airSlack)) && tx.Begin.Before(rest.to) {
				p.Errorf("sent from %v to %v, where nobody has a lease from %v to %v", tx.Begin, tx.End, rest.from, rest.to)
			}
		}
	}
	p.checkTraffic()
}

// airSlack is how much later than asked the air may send, on a machine under load.
const airSlack = 100 * time.Millisecond
