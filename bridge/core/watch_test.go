package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// transmit takes a downlink for a gateway.
func (s *stand) transmit(d radio.Downlink) {
	s.Helper()
	airtime, err := radio.TimeOnAir(radio.Packet{DataRate: d.DataRate, Size: len(d.PHYPayload), NoCRC: true})
	if err != nil {
		s.Fatal(err)
	}
	h := sentDown{Downlink: d, ahead: radio.HostTime(d.Time * 1000).Sub(s.now.Host), airtime: airtime}
	h.text = s.text(&h)
	s.watch(&h)
	s.sent = append(s.sent, h)
}

// watch looks for what must never happen: two transmissions of a gateway at
// once, two plaintexts with one counter, and a counter that a crash would make
// the network use again.
func (s *stand) watch(h *sentDown) {
	s.Helper()
	if h.ahead < 0 {
		s.Errorf("a downlink is handed over %v late", -h.ahead)
	}
	for i := range s.sent {
		o := &s.sent[i]
		if o.Gateway == h.Gateway && !o.over && o.Time < h.Time.Add(h.airtime) && h.Time < o.Time.Add(o.airtime) {
			s.Errorf("%s and %s are on the air together", o.text, h.text)
		}
	}
	m, err := frame.TypeOf(h.PHYPayload)
	if err != nil || !m.Data() {
		return
	}
	d, in, fCnt := s.open(h.PHYPayload)
	app := d.HasFPort && d.FPort > 0
	key := fmt.Sprintf("%v %d %v", d.DevAddr, fCnt, app && in.version >= session.V1_1)
	if before := s.ends[key]; before != nil && string(before) != string(h.PHYPayload) {
		s.Errorf("two frames with FCntDown %d of %v", fCnt, d.DevAddr)
	}
	s.ends[key] = h.PHYPayload
	for name, disk := range map[string]map[recordID]store.Record{"power cut": s.disk.firm, "crash": s.disk.soft} {
		dev, err := stored(disk[recordID{state.KindDevice, in.device.ID.String()}],
			disk[recordID{state.KindCounters, in.device.ID.String()}])
		if err != nil {
			s.Fatalf("after a %s: %v", name, err)
		}
		after := dev.Session
		if after == nil || after.DevAddr != d.DevAddr {
			after = dev.Pending
		}
		if after == nil || after.DevAddr != d.DevAddr {
			s.Errorf("after a %s the session of %v is lost", name, d.DevAddr)
			continue
		}
		if next, _ := after.NextFCntDown(in.version, app); next <= fCnt {
			s.Errorf("after a %s FCntDown %d of %v comes again", name, next, d.DevAddr)
		}
	}
}

// opened is the session of a frame.
type opened struct {
	device  *session.Device
	session *session.Session
	version session.Version
}

// open finds the session of a downlink and its full counter.
func (s *stand) open(phy []byte) (*frame.Data, opened, uint32) {
	s.Helper()
	d, err := frame.ParseData(phy)
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.devices)) {
		dev := s.devices[name]
		for _, in := range []*session.Session{dev.Session, dev.Pending} {
			if in == nil || in.DevAddr != d.DevAddr {
				continue
			}
			used := in.NFCntDown
			if dev.Version >= session.V1_1 && d.HasFPort && d.FPort > 0 {
				used = in.AFCntDown
			}
			fCnt := used - uint32(uint16(used)-d.FCnt)
			ctx := frame.Context{ConfFCnt: uint16(in.FCntUp)}
			if !frame.NewCipher(in.Keys, dev.Version >= session.V1_1).CheckDownlinkMIC(d, fCnt, ctx) {
				s.Errorf("wrong MIC of a downlink for %s with FCntDown %d", name, fCnt)
			}
			return d, opened{dev, in, dev.Version}, fCnt
		}
	}
	s.Fatalf("a downlink for %v, which no session has", d.DevAddr)
	return nil, opened{}, 0
}

// text tells a downlink: "gw-a +1s 868.3 MHz SF7BW125 14 dBm, 800ms ahead: #1
// ack 15:hello". The delay is from the end of the gateway's last uplink.
func (s *stand) text(h *sentDown) string {
	s.Helper()
	from := s.last[string(h.Gateway[:])+address(h.PHYPayload)]
	head := fmt.Sprintf("%s +%v %v %v %v dBm, %v ahead: ", s.gateway(h.Gateway).ID, h.Time.Sub(from), h.Frequency,
		h.DataRate, h.Power, h.ahead.Round(time.Millisecond))
	if m, err := frame.TypeOf(h.PHYPayload); err != nil || !m.Data() {
		return head + m.String()
	}
	d, in, fCnt := s.open(h.PHYPayload)
	c := frame.NewCipher(in.session.Keys, in.version >= session.V1_1)
	parts := []string{fmt.Sprintf("#%d", fCnt)}
	add := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	add(d.ACK, "ack")
	add(d.FPending, "pending")
	add(d.MType == frame.ConfirmedDown, "confirmed")
	add(len(d.FOpts) > 0, fmt.Sprintf("fopts % x", c.AppendFOpts(nil, d, fCnt)))
	add(d.HasFPort, fmt.Sprintf("%d:%.16s", d.FPort, c.AppendFRMPayload(nil, d, fCnt)))
	return head + strings.Join(parts, " ")
}

// downs compares the downlinks since the last call.
func (s *stand) downs(lines ...string) {
	s.Helper()
	var got []string
	for i := s.read; i < len(s.sent); i++ {
		got = append(got, s.sent[i].text)
	}
	s.read = len(s.sent)
	s.compare("sent", got, lines)
}

// message is a message of the v3 API about a downlink, or an uplink.
type message struct {
	IDs struct {
		DevAddr string `json:"dev_addr"`
	} `json:"end_device_ids"`
	CorrelationIDs []string     `json:"correlation_ids"`
	ReceivedAt     string       `json:"received_at"`
	Up             *downMessage `json:"uplink_message"`
	Join           *downMessage `json:"join_accept"`
	Queued         *downMessage `json:"downlink_queued"`
	Sent           *downMessage `json:"downlink_sent"`
	Ack            *downMessage `json:"downlink_ack"`
	Nack           *downMessage `json:"downlink_nack"`
	Failed         *struct {
		Downlink downMessage `json:"downlink"`
		Error    struct {
			Name       string         `json:"name"`
			Attributes map[string]any `json:"attributes"`
		} `json:"error"`
	} `json:"downlink_failed"`
}

type downMessage struct {
	SessionKeyID   []byte   `json:"session_key_id"`
	FCnt           uint32   `json:"f_cnt"`
	Payload        []byte   `json:"frm_payload"`
	Priority       string   `json:"priority"`
	CorrelationIDs []string `json:"correlation_ids"`
	Retry          struct {
		Attempt uint32 `json:"attempt"`
	} `json:"confirmed_retry"`
}

func (s *stand) message(i int) (m message) {
	s.Helper()
	if err := json.Unmarshal(s.ups[i].Payload, &m); err != nil {
		s.Fatalf("%s: %v", s.ups[i].Payload, err)
	}
	return m
}

// line tells a message: "dev1 up 3", "dev1 sent x #1".
func (s *stand) line(i int) string {
	s.Helper()
	m := s.message(i)
	head := s.ups[i].Device + " " + strings.TrimPrefix(s.ups[i].Suffix, "down/")
	switch {
	case m.Up != nil:
		return fmt.Sprintf("%s %d", head, m.Up.FCnt)
	case m.Queued != nil:
		return fmt.Sprintf("%s %.16s", head, m.Queued.Payload)
	case m.Sent != nil:
		return fmt.Sprintf("%s %.16s #%d", head, m.Sent.Payload, m.Sent.FCnt)
	case m.Ack != nil:
		return fmt.Sprintf("%s %.16s #%d", head, m.Ack.Payload, m.Ack.FCnt)
	case m.Nack != nil:
		return fmt.Sprintf("%s %.16s #%d attempt %d", head, m.Nack.Payload, m.Nack.FCnt, m.Nack.Retry.Attempt)
	case m.Failed != nil:
		line := fmt.Sprintf("%s %.16s: %s", head, m.Failed.Downlink.Payload, m.Failed.Error.Name)
		for _, name := range slices.Sorted(maps.Keys(m.Failed.Error.Attributes)) {
			line += fmt.Sprintf(" %v", m.Failed.Error.Attributes[name])
		}
		return line
	}
	return head
}

// tells compares the messages since the last call.
func (s *stand) tells(lines ...string) {
	s.Helper()
	var got []string
	for ; s.told < len(s.ups); s.told++ {
		got = append(got, s.line(s.told))
	}
	s.compare("told", got, lines)
}

// answered compares what the clients were told: "" is a PUBACK.
func (s *stand) answered(errs ...string) {
	s.Helper()
	var got []string
	for i, a := range s.answers {
		if a.Ticket != uint64(i+1) {
			s.Errorf("answer %d is to push %d", i+1, a.Ticket)
		}
		got = append(got, reason(a.Err))
	}
	s.compare("answers", got, errs)
}

// onDisk tells which downlinks the store has, in the order of their queue.
func (s *stand) onDisk(device string, want ...string) {
	s.Helper()
	var got []string
	for _, id := range slices.SortedFunc(maps.Keys(s.disk.firm),
		func(a, b recordID) int { return strings.Compare(a.key, b.key) }) {
		if id.kind != state.KindDownlink || !strings.HasPrefix(id.key, "app1/"+device+"/") {
			continue
		}
		it, err := session.UnmarshalItem(s.disk.firm[id].Data)
		if err != nil {
			s.Fatal(err)
		}
		got = append(got, string(it.FRMPayload))
	}
	s.compare("on disk", got, want)
}
