package v3

import (
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// MaxRetries limits how often an application may ask for a confirmed downlink to be
// sent. It is the limit in The Things Stack's configuration.
const MaxRetries = 32

// JoinAccept is a join_accept with its envelope. An unknown time is the zero time.
type JoinAccept struct {
	DeviceIDs      DeviceIDs // with the new DevAddr
	CorrelationIDs []string  // sorted
	ReceivedAt     time.Time

	SessionKeyID    []byte
	FrameReceivedAt time.Time // when the network server got the join-request
}

// AppendJoin appends the payload of a "join" message.
func (e *Encoder) AppendJoin(dst []byte, j *JoinAccept) []byte {
	w := writer{b: append(dst, '{'), zero: e.Zero}
	w.envelope(&j.DeviceIDs, j.CorrelationIDs, j.ReceivedAt)
	w.open("join_accept", '{')
	w.bytes("session_key_id", j.SessionKeyID)
	w.time("received_at", j.FrameReceivedAt)
	w.attributes(e, &j.DeviceIDs)
	w.b = append(w.b, "}}"...)
	return w.b
}

// Downlink is a downlink_queued, _sent, _ack, _nack or _failed with its envelope.
type Downlink struct {
	// DeviceIDs have no DevAddr in DownQueued, nor in the failures that the
	// application server of The Things Stack finds: a refused push, and
	// MaxRetriesReached.
	DeviceIDs      DeviceIDs
	CorrelationIDs []string  // of the envelope, sorted
	ReceivedAt     time.Time // zero: not known

	// Item is the item as it is now: after a DownNack its Attempt already counts
	// the attempt that failed. nil stands for an empty item, because none could be
	// read.
	Item *session.Item
	// ItemCorrelationIDs are the correlation ids in the item, sorted. nil: those of
	// the Item. DownSent, and a failed transmission, have more of them.
	ItemCorrelationIDs []string

	// SessionKeyID and FCnt are those of the frame. DownQueued shows those of the
	// Item, which have no effect, and so does DownFailed with FCnt 0, because there
	// was no frame.
	SessionKeyID []byte
	FCnt         uint32

	// Transmission says that DownFailed is about a frame that was handed to a
	// gateway. The message then has the fields of DownSent.
	Transmission bool
	// Priority is that of the frame, in DownSent and with Transmission. Other
	// messages show the priority of the Item.
	Priority radio.Priority

	Err *Error // of DownFailed

	Decoded int // where decoded_payload belongs, set by AppendDownlink: see Places
}

// AppendDownlink appends the payload of a message about a downlink. kind is the
// suffix of its topic: DownQueued, DownSent, DownAck, DownNack or DownFailed.
func (e *Encoder) AppendDownlink(dst []byte, kind string, d *Downlink) []byte {
	w := writer{b: append(dst, '{'), begin: len(dst), zero: e.Zero}
	w.envelope(&d.DeviceIDs, d.CorrelationIDs, d.ReceivedAt)
	w.open(downlinkMember(kind), '{')
	if kind == DownFailed {
		w.open("downlink", '{')
		w.downlink(kind, d)
		w.close('}')
		w.error("error", d.Err)
	} else {
		w.downlink(kind, d)
	}
	w.attributes(e, &d.DeviceIDs)
	w.b = append(w.b, "}}"...)
	return w.b
}

func downlinkMember(kind string) string {
	switch kind {
	case DownQueued:
		return "downlink_queued"
	case DownSent:
		return "downlink_sent"
	case DownAck:
		return "downlink_ack"
	case DownNack:
		return "downlink_nack"
	}
	return "downlink_failed"
}

// downlink writes the fields of an ApplicationDownlink, in the order of its
// generated marshaler (pkg/ttnpb/messages_json.pb.go of v3.32).
func (w *writer) downlink(kind string, d *Downlink) {
	it := d.Item
	if it == nil {
		it = new(session.Item)
	}
	asked := kind == DownQueued || kind == DownFailed && d.FCnt == 0
	frame := kind == DownSent || kind == DownFailed && d.Transmission
	keyID, fCnt, priority, ids := d.SessionKeyID, d.FCnt, it.Priority, d.ItemCorrelationIDs
	if asked {
		keyID, fCnt = it.SessionKeyID, it.FCnt
	}
	if frame {
		priority = d.Priority
	}
	if ids == nil {
		ids = it.CorrelationIDs
	}
	if len(keyID) > 0 {
		w.bytes("session_key_id", keyID)
	}
	w.uint("f_port", uint64(it.FPort))
	if fCnt > 0 || !asked {
		w.uint("f_cnt", uint64(fCnt))
	}
	w.bytes("frm_payload", it.FRMPayload)
	d.Decoded = len(w.b) - w.begin
	w.decoded(it.Decoded, it.DecodedWarnings)
	w.bool("confirmed", it.Confirmed)
	if it.ClassBC != nil && !frame {
		w.classBC(it.ClassBC)
	}
	if priority != radio.PriorityLowest || w.zero {
		w.text("priority", priority.String())
	}
	w.texts("correlation_ids", ids)
	if !frame {
		w.retry(it)
	}
}

func (w *writer) classBC(c *session.ClassBC) {
	w.open("class_b_c", '{')
	if len(c.Gateways) > 0 {
		w.open("gateways", '[')
		for i := range c.Gateways {
			w.item()
			w.gatewayAntenna(&c.Gateways[i])
			w.close('}')
		}
		w.close(']')
	}
	w.time("absolute_time", c.AbsoluteTime)
	w.close('}')
}

func (w *writer) gatewayAntenna(g *session.GatewayAntenna) {
	w.open("gateway_ids", '{')
	w.text("gateway_id", g.GatewayID)
	if !g.EUI.IsZero() {
		w.hex("eui", g.EUI[:])
	}
	w.close('}')
	w.uint("antenna_index", uint64(g.Antenna))
	w.uint("group_index", uint64(g.Group))
}

// retry writes how often the item is to be sent. A confirmed item always has the
// field.
func (w *writer) retry(it *session.Item) {
	if !it.Confirmed && it.Attempt == 0 && it.MaxAttempts == 0 {
		return
	}
	w.open("confirmed_retry", '{')
	w.uint("attempt", uint64(it.Attempt))
	if it.MaxAttempts > 0 {
		w.uint("max_attempts", uint64(it.MaxAttempts))
	}
	w.close('}')
}
