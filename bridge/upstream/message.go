package upstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"lorawand/bridge/upstream/client"
	"lorawand/bridge/v3"
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

// appendRecord writes a message as it is in the journal.
func appendRecord(dst []byte, m *v3.Message) []byte {
	for _, s := range [...]string{m.Application, m.Device, m.Suffix} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return append(dst, m.Payload...)
}

var errRecord = errors.New("malformed record")

func parseRecord(b []byte) (m v3.Message, err error) {
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

// frame returns the session and the frame counter of an uplink, such as
// "AYfg8rhha5n+FWx0ZaAprA==:17"; with ABP the session is its DevAddr. It is "" for other
// messages. It looks only at what stands before the payload: what comes later may have
// fields of these names.
func frame(m *v3.Message) string {
	if m.Suffix != v3.Up && m.Suffix != v3.Normalized {
		return ""
	}
	head := m.Payload
	for _, end := range []string{`"frm_payload":`, `"decoded_payload":`, `"normalized_payload":`, `"rx_metadata":`} {
		if i := bytes.Index(head, []byte(end)); i >= 0 {
			head = head[:i]
		}
	}
	session := value(head, `"session_key_id":"`, `"`)
	if session == "" {
		session = value(head, `"dev_addr":"`, `"`)
	}
	if session == "" {
		return "" // of a simulated message
	}
	counter := value(head, `"f_cnt":`, `,`)
	if _, err := strconv.ParseUint(counter, 10, 32); err != nil {
		counter = "0" // which is left out
	}
	return session + ":" + counter
}

// value returns what stands between two texts.
func value(b []byte, before, behind string) string {
	_, rest, ok := bytes.Cut(b, []byte(before))
	if !ok {
		return ""
	}
	v, _, _ := bytes.Cut(rest, []byte(behind))
	return string(bytes.TrimRight(v, "}"))
}

const correlationIDs = `"correlation_ids":[`

// marked returns a payload with more correlation ids. They stand before the first of the
// message's own: an id of a device has no quotation mark.
func marked(payload []byte, ids []string) []byte {
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

// mark returns what a message is marked with in a lane.
func mark(m *v3.Message, lane Lane) (user []client.Property, ids []string) {
	user = append(user, client.Property{Key: LaneProperty, Val: string(lane)})
	if f := frame(m); f != "" {
		user = append(user, client.Property{Key: FrameProperty, Val: f})
		ids = append(ids, frameID+f)
	}
	if lane == Backfill {
		ids = append(ids, laneID+string(lane))
	}
	return user, ids
}
