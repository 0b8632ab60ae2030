package session

// Downlinks is a copy of the downlink queue of a device.
type Downlinks struct {
	Waiting  []Item // first the next
	Sending  *Item  // on its way out; nil: none
	Awaiting *Item  // sent, and not acknowledged yet; nil: none
}

// Copy returns a copy of the queue, with the item that is on its way out, or nil.
func (q *Queue) Copy(sending *Item) (out Downlinks) {
	for _, it := range q.items {
		out.Waiting = append(out.Waiting, *it)
	}
	if q.awaiting != nil {
		awaiting := *q.awaiting
		out.Awaiting = &awaiting
	}
	if sending != nil {
		copied := *sending
		out.Sending = &copied
	}
	return out
}
