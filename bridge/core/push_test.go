package core

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

var errDisk = errors.New("disk full")

// past is an hour before the clock of a new stand.
var past = time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)

var pushRefusals = []struct {
	name   string
	device string
	change func(*stand)
	items  []session.Item
	err    *v3.Error
	told   []string
}{
	{
		"unknown device", "dev9", nil,
		[]session.Item{item("a"), item("b")},
		nil,
		[]string{"dev9 failed a: device_not_found app1.dev9", "dev9 failed b: device_not_found app1.dev9"},
	},
	{"malformed id", "Dev 1", nil, []session.Item{item("a")}, nil, nil},
	{
		"not served", "unserved", nil,
		[]session.Item{item("a")},
		nil,
		[]string{"unserved failed a: not_served not served by this version: frequency plan \"none\""},
	},
	{
		"never joined", "dev1", func(s *stand) { s.devices["dev1"].Session = nil },
		[]session.Item{item("a")},
		nil,
		[]string{"dev1 failed a: no_device_session"},
	},
	{"no port", "dev1", nil, []session.Item{item("a")}, v3.NoFPort(), []string{"dev1 failed a: no_f_port"}},
	{"not JSON", "dev1", nil, nil, v3.NotDecoded("why"), []string{"dev1 failed : decode_downlinks why"}},
	{
		"too many retries", "dev1", nil,
		[]session.Item{item("a")},
		v3.TooManyRetries(),
		[]string{"dev1 failed a: downlink_max_retries_invalid 32"},
	},
	{
		"no frm_payload", "dev1", nil,
		[]session.Item{item("", func(it *session.Item) { it.Decoded = []byte("{}") })},
		v3.FormatterNotConfigured("FORMATTER_NONE"),
		[]string{"dev1 failed : formatter_not_configured FORMATTER_NONE"},
	},
	{
		"encoded to nothing", "dev1", nil,
		[]session.Item{item("", func(it *session.Item) { it.Decoded = []byte("{}") })},
		nil,
		[]string{"dev1 queued "},
	},
	{
		"the longest", "dev1", nil,
		[]session.Item{item(strings.Repeat("x", 242))},
		nil,
		[]string{"dev1 queued xxxxxxxxxxxxxxxx"},
	},
	{
		"too long for the band", "dev1", nil,
		[]session.Item{item("a"), item(strings.Repeat("x", 243))},
		nil,
		[]string{
			"dev1 failed a: application_downlink_too_long 243 242",
			"dev1 failed xxxxxxxxxxxxxxxx: application_downlink_too_long 243 242",
		},
	},
	{"expired", "dev1", nil, []session.Item{item("a", func(it *session.Item) {
		it.ClassBC = &session.ClassBC{AbsoluteTime: past}
	})}, nil, []string{"dev1 failed a: downlink_expired"}},
	{
		"class B and C", "dev1", nil,
		[]session.Item{item("a", func(it *session.Item) {
			it.ClassBC = &session.ClassBC{AbsoluteTime: past.Add(2 * time.Hour)}
		})},
		nil,
		[]string{"dev1 failed a: not_served class_b_c is for devices of Class B or C, " +
			"and this one is not registered for either"},
	},
}

// Every reason for not taking a push is told in the form of v3, and its client
// gets the PUBACK; one bad item fails them all, and nothing changes.
func TestPushRefused(t *testing.T) {
	for _, tt := range pushRefusals {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			if tt.change != nil {
				tt.change(s)
			}
			s.step(Pushed{Ticket: 1, Device: session.ID{Application: "app1", Device: tt.device}, Items: tt.items, Err: tt.err})
			s.tells(tt.told...)
			if tt.told != nil && strings.Contains(tt.told[0], "queued") {
				s.answered("")
				return
			}
			// The client gets its PUBACK: Push tells a refusal from a fault.
			var refusal *v3.Error
			if len(s.answers) != 1 || !errors.As(s.answers[0].Err, &refusal) {
				t.Errorf("answers %+v", s.answers)
			}
			s.event(event.DownlinkFailed, 0)
			if len(s.commits) != 0 || s.devices["dev1"].Queue.Len() != 0 {
				t.Errorf("kept %+v, %d items", s.commits, s.devices["dev1"].Queue.Len())
			}
			for i := range s.ups {
				m := s.message(i)
				if m.IDs.DevAddr != "" || m.ReceivedAt == "" || !strings.HasPrefix(m.CorrelationIDs[0], "as:downlink:") {
					t.Errorf("%s", s.ups[i].Payload)
				}
			}
		})
	}
}

// A push without items is good for nothing, and a replace without items empties
// the queue; neither tells anything.
func TestPushNothing(t *testing.T) {
	s := newStand(t)
	s.push("dev1")
	s.replace("dev1")
	s.push("dev1", item("one"), item("two"))
	s.replace("dev1")
	s.tells("dev1 queued one", "dev1 queued two")
	s.answered("", "", "", "")
	s.onDisk("dev1")
	if s.devices["dev1"].Queue.Len() != 0 {
		t.Error("the queue is not empty")
	}
}

// Nothing is told, and no client answered, before the items are stored.
func TestPushIsStored(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.slow = true
	s.push("dev1", item("one"), item("two"))
	s.wait(time.Second)
	s.tells()
	s.answered()
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.wait(time.Second)
	s.stored()
	s.tells("dev1 up 0", "dev1 queued one", "dev1 queued two")
	s.answered("")
	s.onDisk("dev1", "one", "two")
	s.wait(5 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 pending 15:one")
}

// A push that cannot be stored is not in the queue, nor in the store when that works again;
// the items that a replace was to remove are still there.
func TestPushIsNotStored(t *testing.T) {
	s := newStand(t)
	s.push("dev1", item("one"), item("two"))
	s.fails = errDisk
	s.push("dev1", item("three"))
	s.replace("dev1", item("four"))
	s.replace("dev1")
	want := "bridge: push for app1/dev1: disk full"
	s.answered("", want, want, want)
	s.tells("dev1 queued one", "dev1 queued two")
	s.onDisk("dev1", "one", "two")
	if n := s.devices["dev1"].Queue.Len(); n != 2 {
		t.Errorf("%d items", n)
	}
	s.fails = nil
	s.push("dev1", item("five"))
	s.onDisk("dev1", "one", "two", "five")
	s.restart(s.disk.firm)
	if n := s.devices["dev1"].Queue.Len(); n != 3 {
		t.Errorf("%d items after a restart", n)
	}
}

// The queue has a limit, which what is still on its way to the store counts for.
func TestQueueLimit(t *testing.T) {
	s := newStand(t)
	some := func(n int) (out []session.Item) {
		for i := range n {
			out = append(out, item(fmt.Sprint(i)))
		}
		return out
	}
	s.push("dev1", some(500)...)
	s.slow = true
	s.push("dev1", some(500)...)
	s.told = len(s.ups)
	s.push("dev1", item("one more"))
	s.tells("dev1 failed one more: downlink_queue_capacity")
	s.stored()
	s.told = len(s.ups)
	s.push("dev1", item("one more"))
	s.tells("dev1 failed one more: downlink_queue_capacity")
	s.replace("dev1", some(512)...)
	if n := s.devices["dev1"].Queue.Len(); n != 512 {
		t.Errorf("%d items after a replace", n)
	}
	s.push("dev1", some(488)...)
	if n := s.devices["dev1"].Queue.Len(); n != session.MaxQueue {
		t.Errorf("%d items", n)
	}
}

// Queues have a limit in bytes, each and all those of the only application together, which what is on
// its way to the store counts for, and what waits for an acknowledgement.
func TestQueueBytes(t *testing.T) {
	long := func(n int, change ...func(*session.Item)) (out []session.Item) {
		for i := range n {
			it := item(fmt.Sprint(i), change...)
			for k := range 30 {
				it.CorrelationIDs = append(it.CorrelationIDs, fmt.Sprintf("%0100d", k))
			}
			out = append(out, it)
		}
		return out
	}
	s := newStand(t)
	s.push("dev1", long(40)...)
	s.slow = true
	s.push("dev1", long(40)...)
	s.told = len(s.ups)
	s.push("dev1", long(1)...)
	s.tells("dev1 failed 0: downlink_queue_size 262144")
	s.stored()
	s.told = len(s.ups)
	s.push("dev1", long(1)...)
	s.tells("dev1 failed 0: downlink_queue_size 262144")
	s.replace("dev1", long(80)...)
	if n := s.devices["dev1"].Queue.Len(); n != 80 {
		t.Errorf("%d items after a replace", n)
	}
	for i := range 20 {
		s.add(abp(fmt.Sprintf("more%02d", i), byte(i)))
	}
	for i := range 15 {
		s.push(fmt.Sprintf("more%02d", i), long(80)...)
	}
	s.told = len(s.ups)
	s.push("more16", long(80)...)
	if got := s.line(s.told); got != "more16 failed 0: downlink_queues_size 4194304" || len(s.ups) != s.told+80 {
		t.Errorf("told %s", got)
	}
	s.replace("dev1", item("x"))
	s.push("more16", long(80)...)
	s.told = len(s.ups)
	s.push("more17", long(80)...)
	if got := s.line(s.told); got != "more17 failed 0: downlink_queues_size 4194304" {
		t.Errorf("told %s", got)
	}
	sum := 0
	for _, d := range s.c.opts.Devices.All() {
		sum += d.Queue.Bytes()
	}
	if own, all := s.c.opts.Devices.QueueBytes("app1"); sum != own || sum != all {
		t.Errorf("%d bytes in all, %d and %d counted", sum, own, all)
	}
	bytes := 0
	for _, r := range s.disk.firm {
		bytes += len(r.Data)
	}
	if bytes > 6<<20 {
		t.Errorf("%d bytes in the store", bytes)
	}
}

// decoded_payload is in down/queued, and is not kept beside the payload.
func TestDecodedIsNotKept(t *testing.T) {
	s := newStand(t)
	long := []byte(`{"x":"` + strings.Repeat("y", 60_000) + `"}`)
	s.push("dev1", item("one", func(it *session.Item) { it.Decoded = long }))
	if it := s.devices["dev1"].Queue.Head(); it == nil || it.Decoded != nil {
		t.Errorf("item %+v", it)
	}
	for id, r := range s.disk.firm {
		if len(r.Data) > 2000 {
			t.Errorf("%s takes %d bytes", id.key, len(r.Data))
		}
	}
	if told := s.ups[len(s.ups)-1].Payload; !bytes.Contains(told, long) {
		t.Errorf("told as %.500s", told)
	}
	if n := s.devices["dev1"].Queue.Bytes(); n > 2000 {
		t.Errorf("the queue counts %d bytes", n)
	}
}

// A store that hangs does not let pushes pile up.
func TestPushesAreBounded(t *testing.T) {
	s := newStand(t)
	s.push("dev1", item("one"))
	s.slow, s.keeps.seldom = true, true
	for range 10 * maxUnstored {
		s.replace("dev1")
	}
	if n := len(s.c.onStored); n > maxUnstored {
		t.Errorf("%d wait for the store", n)
	}
	if n := len(s.answers); n != 1+9*maxUnstored || s.answers[n-1].Err == nil {
		t.Errorf("%d answers, the last %v", n, s.answers[n-1].Err)
	}
	s.stored()
	s.push("dev1", item("two"))
	if s.answers[len(s.answers)-1].Err != nil || s.devices["dev1"].Queue.Len() != 1 {
		t.Errorf("%v, %d items", s.answers[len(s.answers)-1], s.devices["dev1"].Queue.Len())
	}
}

// A replace while an item waits, holds a place, is on its way, or waits for its
// acknowledgement.
func TestReplaceWaiting(t *testing.T) {
	s := newStand(t)
	s.push("dev1", item("one"), item("two"))
	s.replace("dev1", item("three"), item("four"))
	s.tells("dev1 queued one", "dev1 queued two", "dev1 queued three", "dev1 queued four")
	s.onDisk("dev1", "three", "four")
}

func TestReplaceHoldingAPlace(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.late("dev2")
	s.answering(gwA)
	s.online(gwA)
	s.push("dev1", item("one", prio(radio.PriorityHigh)))
	s.hear(gwA, s.phy("dev2", 0, payload("y")))
	s.wait(10 * ms)
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.replace("dev1") // gives RX1 back
	s.push("dev2", item("two"))
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 15:two")
}

func TestReplaceOnItsWay(t *testing.T) {
	for _, r := range []radio.TxResult{radio.TxOK, radio.TxNoPath, radio.TxTooLate} {
		s := oneDown(t, confirm)
		s.replace("dev1", item("two"))
		s.onDisk("dev1", "two")
		s.ack(r)
		told := []string{"dev1 queued two"}
		if r == radio.TxOK {
			told = append(told, "dev1 sent one #1")
		} else {
			s.ack(r) // RX2
		}
		s.tells(told...)
		s.onDisk("dev1", "two")
		s.read = len(s.sent)
		s.wait(10 * time.Second)
		s.hear(gwA, s.phy("dev1", 1, payload("no")))
		s.wait(10 * time.Second)
		s.tells("dev1 up 1", "dev1 sent two #2")
		s.downs("gw-a " + rx1 + ", 150ms ahead: #2 15:two")
		s.onDisk("dev1")
	}
}

func TestReplaceWhileTheStoreIsSlow(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.push("dev1", item("one", confirm))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.wait(time.Second)
	s.slow = true
	s.replace("dev1")
	s.wait(4 * time.Second)
	s.ack(radio.TxOK) // it is sent while it is still there
	s.stored()
	s.onDisk("dev1")
	if s.devices["dev1"].Queue.Awaiting() != nil {
		t.Error("it is waited for")
	}
}

func TestReplaceAwaitingItsAcknowledgement(t *testing.T) {
	s := oneDown(t, confirm)
	s.ack(radio.TxOK)
	s.replace("dev1")
	s.onDisk("dev1")
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, acked("yes")))
	s.wait(10 * time.Second)
	s.tells("dev1 sent one #1", "dev1 up 1")
}

// A device that is removed while its push is stored.
func TestPushForRemovedDevice(t *testing.T) {
	s := newStand(t)
	s.slow = true
	s.push("dev1", item("one"))
	s.c.opts.Devices.Remove(session.ID{Application: "app1", Device: "dev1"})
	s.stored()
	s.answered("bridge: push for app1/dev1: the device was removed meanwhile")
	s.tells()
	s.onDisk("dev1")
}
