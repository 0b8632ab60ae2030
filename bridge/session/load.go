package session

// Load is how much room items take in a queue.
type Load struct {
	Items int
	Bytes int // Item.Size of all of them
}

// LoadOf returns the load of items.
func LoadOf(items []*Item) Load {
	l := Load{Items: len(items)}
	for _, it := range items {
		l.Bytes += it.Size()
	}
	return l
}

// Fill returns the load of all that waits, to be sent or acknowledged.
func (q *Queue) Fill() Load { return Load{q.Len(), q.Bytes()} }

// share is what the devices of an application have in a Registry.
type share struct{ devices, bytes int }

// QueueBytes returns Queue.Bytes of the devices of an application, and of all devices, together.
func (r *Registry) QueueBytes(application string) (own, all int) {
	for name, s := range r.shares {
		if all += s.bytes; name == application {
			own = s.bytes
		}
	}
	return own, all
}

// Applications returns how many applications have devices.
func (r *Registry) Applications() int { return len(r.shares) }

// countIn counts a device that comes to its application.
func (r *Registry) countIn(d *Device) {
	s := r.shares[d.ID.Application]
	if s == nil {
		s = new(share)
		r.shares[d.ID.Application] = s
	}
	s.devices++
	d.Queue.countIn(&s.bytes)
}

// countOut counts it no more.
func (r *Registry) countOut(d *Device) {
	d.Queue.countIn(nil)
	s := r.shares[d.ID.Application]
	if s.devices--; s.devices == 0 {
		delete(r.shares, d.ID.Application)
	}
}

// Plus returns both loads together.
func (l Load) Plus(o Load) Load { return Load{l.Items + o.Items, l.Bytes + o.Bytes} }

// Minus returns what is left without o.
func (l Load) Minus(o Load) Load { return Load{l.Items - o.Items, l.Bytes - o.Bytes} }
