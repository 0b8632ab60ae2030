package v3

import "lorawand/bridge/session"

// AppendItem appends an item of a downlink queue as the application has asked for
// it. "down/queued" shows the same fields.
func (e *Encoder) AppendItem(dst []byte, it *session.Item) []byte {
	w := writer{b: append(dst, '{'), zero: e.Zero}
	w.downlink(DownQueued, &Downlink{Item: it})
	return append(w.b, '}')
}
