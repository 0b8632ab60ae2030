//go:build !small

package homeassistant

import (
	"slices"
	"time"

	"lorawand/bridge/v3"
)

// device is one that is told of.
type device struct {
	Device
	values  []value
	expire  time.Duration
	uplinks int // read since the start
	message v3.Message
}

// cost is what a device counts for, in bytes: what it has yet to say has room.
func (d *device) cost() int {
	if d == nil {
		return 0
	}
	return max(perDevice, len(d.message.Payload))
}

func (d *device) written(version string) v3.Message {
	return messageOf(&d.Device, d.values, d.expire, version)
}

// learn takes what an uplink has of values that are not known yet, as long as the message
// has not more bytes than limit. all is false if it had to leave something out.
func (d *device) learn(payload []byte, limit int) (news, all bool) {
	size, all := len(d.message.Payload), true
	d.values = slices.Clone(d.values)
	for _, v := range valuesOf(payload) {
		v.seen = d.uplinks
		i := slices.IndexFunc(d.values, func(old value) bool { return old.same(&v) })
		switch {
		case i >= 0 && (d.values[i].kind != text || v.kind == text):
			d.values[i].seen = v.seen
			continue
		case i < 0 && len(d.values) >= maxValues:
			i = d.unseen()
			if i < 0 {
				continue
			}
		}
		more := sizeOf(nameOf(d.ID), &v)
		if i >= 0 {
			more -= sizeOf(nameOf(d.ID), &d.values[i])
		}
		if size += more; size > limit && more > 0 {
			size, all = size-more, false
			continue
		}
		if news = true; i >= 0 {
			d.values[i] = v
		} else {
			d.values = append(d.values, v)
		}
	}
	return news, all
}

// unseen returns the value that was not seen for longest, or -1 if all were seen lately.
func (d *device) unseen() int {
	i := -1
	for k := range d.values {
		if d.values[k].seen+outdated <= d.uplinks && (i < 0 || d.values[k].seen < d.values[i].seen) {
			i = k
		}
	}
	return i
}

// gone returns the values that a device has not any more, or has as ones of another kind.
func (d *device) gone(now *device) (out []value) {
	for i := range d.values {
		v := &d.values[i]
		is := func(n value) bool { return n.same(v) && n.component().Platform == v.component().Platform }
		if !slices.ContainsFunc(now.values, is) {
			out = append(out, *v)
		}
	}
	return out
}
