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

// Plus returns both loads together.
func (l Load) Plus(o Load) Load { return Load{l.Items + o.Items, l.Bytes + o.Bytes} }

// Minus returns what is left without o.
func (l Load) Minus(o Load) Load { return Load{l.Items - o.Items, l.Bytes - o.Bytes} }
