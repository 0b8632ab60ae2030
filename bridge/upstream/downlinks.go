package upstream

import (
	"context"
	"hash/maphash"
	"strings"

	"lorawand/bridge/upstream/client"
	"lorawand/bridge/v3"
)

// received takes a downlink. What is no push of an application that is handed on is
// passed over: topics that we publish to are never subscribed to, so nothing of ours
// comes back.
func (u *Upstream) received(ctx context.Context, m client.Received) error {
	rest, ok := strings.CutPrefix(m.Topic, u.o.Prefix+"v3/")
	application, _, _ := strings.Cut(rest, "/")
	if !ok || !u.wanted[application] {
		return nil
	}
	device, suffix, ok := v3.ParsePush("v3/"+rest, application, "")
	if !ok || u.heard.contains(m) {
		return nil
	}
	if err := u.o.Push(ctx, application, device, suffix == v3.DownReplace, m.Payload); err != nil {
		return err
	}
	u.heard.add(m)
	u.mu.Lock()
	u.status.Downlinks++
	u.mu.Unlock()
	return nil
}

// remembered is how many messages may come once more, see client.received.
const remembered = 64

// repeats remembers messages whose PUBACK may be lost: the other broker sends them once
// more, with the same ID, over the next connection.
type repeats struct {
	seed maphash.Seed
	last []repeat
}

type repeat struct {
	id   uint16
	hash uint64
}

func (r *repeats) of(m client.Received) repeat {
	if r.seed == (maphash.Seed{}) {
		r.seed = maphash.MakeSeed()
	}
	return repeat{m.ID, maphash.String(r.seed, m.Topic) ^ maphash.Bytes(r.seed, m.Payload)}
}

// contains reports whether a message is marked as sent again, and was taken before.
func (r *repeats) contains(m client.Received) bool {
	if !m.Again {
		return false
	}
	is := r.of(m)
	for _, before := range r.last {
		if before == is {
			return true
		}
	}
	return false
}

func (r *repeats) add(m client.Received) {
	if m.ID == 0 {
		return
	}
	if len(r.last) == remembered {
		r.last = append(r.last[:0], r.last[1:]...)
	}
	r.last = append(r.last, r.of(m))
}
