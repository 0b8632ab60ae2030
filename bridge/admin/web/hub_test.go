//go:build !small

package web

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// hubStand is a hub with what it follows.
type hubStand struct {
	hub
	now radio.HostTime // of the last that has happened
}

func (h *hubStand) up(application string) {
	h.now++
	h.activity.Message(v3.Message{
		Application: application, Device: fmt.Sprint("dev", h.now%20), Suffix: v3.Up,
		Payload: []byte(`{"uplink_message":{}}`),
	}, h.now)
}

func (h *hubStand) failed(application string) {
	h.now++
	h.events.Write(&event.Event{
		Kind: event.DownlinkFailed, Host: h.now, Device: session.ID{Application: application, Device: fmt.Sprint(h.now)},
	})
}

// flood is what app2 does, and a client that names one application after the other.
func (h *hubStand) flood() {
	for range 2 * ringSize {
		h.up("app2")
		h.failed("app2")
		h.now++
		h.events.Write(&event.Event{
			Kind: event.ClientRefused, Host: h.now, Client: event.Client{Application: fmt.Sprint("made-up", h.now)},
		})
		synctest.Wait() // who follows misses nothing
	}
}

// What a busy application does, or a client that names applications, does not drive out what
// the hub remembers of a quiet one: neither what was before it began to work nor afterwards.
func TestApplicationsShareHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubStand{hub: hub{events: event.NewLog(slog.New(slog.DiscardHandler)), activity: activity.New(0)}}
		defer h.close()
		h.up("app1")
		h.failed("app1")
		h.flood()
		w, release, err := h.hold()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		check := func(when string, want int) {
			entries, id := w.recent()
			counts, last := map[string]int{}, uint64(0)
			for _, e := range entries {
				if counts[e.owner()]++; e.n <= last {
					t.Fatalf("%s: entry %d behind %d", when, e.n, last)
				}
				last = e.n
			}
			if counts["app1"] != want || len(entries) != ringSize {
				t.Errorf("%s: %v", when, counts)
			}
			if n, known := w.position(id); n != w.last || !known {
				t.Errorf("%s: the newest is not known", when)
			}
			if _, known := w.position(w.id(last - ringSize)); known {
				t.Errorf("%s: what is forgotten is known", when)
			}
		}
		check("before", 2)
		h.up("app1")
		h.failed("app1")
		h.flood()
		check("afterwards", 4)
	})
}
