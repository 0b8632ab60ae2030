package v3

import "lorawand/bridge/session"

// AppendItem appends an item of a downlink queue as the application has asked
// for it: what "down/queued" shows of it.
func (e *Encoder) AppendItem(dst []byte, it *session.Item) []byte {
	w := writer{b: append(dst, '{'), zero: e.Zero}
	w.downlink(DownQueued, &Downlink{Item: it})
	return append(w.b, '}')
}
