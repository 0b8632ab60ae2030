//go:build !small

package main

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"lorawand/radio"
)

// refusals bounds what is told of those who do not come in as extenders: strangers can cause as many
// events as they like. The zero value is ready.
type refusals struct {
	mu   sync.Mutex
	told [2][]refusal // of who has a key, of strangers; oldest first
	left int          // not told of since the last one that was
}

// refusal is what is told of once in refusedAgain.
type refusal struct {
	source netip.Addr // see pace.SourceOf
	eui    radio.EUI64
	why    string // not of a stranger without an EUI, who may say anything
	at     time.Time
}

// Limits of what is told within refusedAgain, of strangers and again of who has a key.
const (
	refusedAgain     = 10 * time.Minute
	maxRefused       = 64
	maxRefusedSource = 8
)

// take reports whether a refusal is to be told, and how many were not since the last that was.
func (r *refusals) take(n refusal, stranger bool) (left int, ok bool) {
	if n.eui.IsZero() {
		n.why = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	told := &r.told[0]
	if stranger {
		told = &r.told[1]
	}
	*told = slices.DeleteFunc(*told, func(o refusal) bool { return n.at.Sub(o.at) >= refusedAgain })
	same := 0
	for _, o := range *told {
		if o.source != n.source {
			continue
		}
		if same++; o.eui == n.eui && o.why == n.why {
			same = maxRefusedSource
		}
	}
	if same >= maxRefusedSource || len(*told) >= maxRefused {
		r.left++
		return 0, false
	}
	*told = append(*told, n)
	left, r.left = r.left, 0
	return left, true
}
