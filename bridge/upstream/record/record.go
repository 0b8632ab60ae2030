// Package record has what messages are as they wait for another server: how they are
// written to a journal, and the marks by which one that comes again is recognised.
package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Lane is the way that a message takes.
type Lane string

// Lanes.
const (
	Live     Lane = "live"
	Backfill Lane = "backfill" // from the journal, after an outage
)

// Names of user properties, and beginnings of the correlation ids that say the same. The
// frame is the session and FCntUp of an uplink: two messages with the same one are the
// same uplink.
const (
	FrameProperty = "lorawand-frame"
	LaneProperty  = "lorawand-lane"
	frameID       = "lorawand:frame:"
	laneID        = "lorawand:lane:"
)

// Append writes a message as it is in a journal.
func Append(dst []byte, m *v3.Message) []byte {
	for _, s := range [...]string{m.Application, m.Device, m.Suffix} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return append(dst, m.Payload...)
}

var errRecord = errors.New("malformed record")

// Application returns that of a record; "": it is malformed.
func Application(b []byte) string {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return ""
	}
	return string(b[n : n+int(length)])
}

// Parse reads what Append has written. The payload is a part of b.
func Parse(b []byte) (m v3.Message, err error) {
	for _, s := range [...]*string{&m.Application, &m.Device, &m.Suffix} {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return m, errRecord
		}
		end := n + int(length)
		*s, b = string(b[n:end]), b[end:]
	}
	m.Payload = b
	return m, nil
}

// Frame returns the session and the frame counter of an uplink, such as
// "AYfg8rhha5n+FWx0ZaAprA==:17"; with ABP the session is its DevAddr. It is "" for other
// messages.
func Frame(m *v3.Message) string {
	head := headOf(m)
	session := value(head, `"session_key_id":"`, `"`)
	if session == "" {
		session = value(head, `"dev_addr":"`, `"`)
	}
	if session == "" {
		return "" // of a simulated message
	}
	return session + ":" + strconv.FormatUint(counter(head), 10)
}

// Sender returns the DevAddr and FCntUp of an uplink; ok is false for other messages.
func Sender(m *v3.Message) (addr radio.DevAddr, fCnt uint32, ok bool) {
	head := headOf(m)
	if err := addr.UnmarshalText([]byte(value(head, `"dev_addr":"`, `"`))); err != nil {
		return addr, 0, false
	}
	return addr, uint32(counter(head)), true
}

// DevEUI returns that of the device, in hexadecimal; "": it has none.
func DevEUI(m *v3.Message) string { return value(m.Payload, `"dev_eui":"`, `"`) }

// headOf returns the part of an uplink before its payload: what comes later may have fields
// of the same names. It is nil for other messages.
func headOf(m *v3.Message) []byte {
	if m.Suffix != v3.Up && m.Suffix != v3.Normalized {
		return nil
	}
	head := m.Payload
	for _, end := range []string{`"frm_payload":`, `"decoded_payload":`, `"normalized_payload":`, `"rx_metadata":`} {
		if i := bytes.Index(head, []byte(end)); i >= 0 {
			head = head[:i]
		}
	}
	return head
}

// counter returns FCntUp, which is left out if it is 0.
func counter(head []byte) uint64 {
	n, err := strconv.ParseUint(value(head, `"f_cnt":`, `,`), 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// value returns what stands between two texts; "" if the first is not there.
func value(b []byte, before, behind string) string {
	_, rest, ok := bytes.Cut(b, []byte(before))
	if !ok {
		return ""
	}
	v, _, _ := bytes.Cut(rest, []byte(behind))
	return string(bytes.TrimRight(v, "}"))
}

const correlationIDs = `"correlation_ids":[`

// Marked returns a payload with more correlation ids. They stand before the first of the
// message's own: an id of a device has no quotation mark.
func Marked(payload []byte, ids []string) []byte {
	i := bytes.Index(payload, []byte(correlationIDs))
	if i < 0 || len(ids) == 0 {
		return payload
	}
	i += len(correlationIDs)
	out := make([]byte, 0, len(payload)+128)
	out = append(out, payload[:i]...)
	out = append(out, `"`+strings.Join(ids, `","`)+`"`...)
	if i < len(payload) && payload[i] != ']' {
		out = append(out, ',')
	}
	return append(out, payload[i:]...)
}

// IDs returns the correlation ids that a message is marked with in a lane, and its Frame.
func IDs(m *v3.Message, lane Lane) (ids []string, frame string) {
	if frame = Frame(m); frame != "" {
		ids = append(ids, frameID+frame)
	}
	if lane == Backfill {
		ids = append(ids, laneID+string(lane))
	}
	return ids, frame
}
