//go:build !small

package web

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"lorawand/bridge/admin/web/door"
)

// Limits of streams.
const (
	beatEvery     = 20 * time.Second
	writePatience = 10 * time.Second // for a client to take what was sent
)

var errStreams = refused(http.StatusTooManyRequests, "Too many pages follow the events already: close one.")

// live answers with the last events, newest first, and the id from which a stream goes on.
func (c *call) live(string) error {
	w, release, err := c.site.hub.hold()
	if err != nil {
		return errStreams
	}
	defer release()
	entries, id := w.recent()
	events := []shown{}
	for _, e := range slices.Backward(entries) {
		if len(events) < liveEvents && e.isOf(c.scope()) {
			events = append(events, w.show(&e))
		}
	}
	return c.answer(struct {
		moment
		ID     string  `json:"id"`
		Events []shown `json:"events"`
	}{c.moment(), id, events})
}

// stream is one browser that follows what happens.
type stream struct {
	*call
	work       *work
	place      *door.Stream
	at         uint64 // number of the last entry that was sent
	noiseAt    uint64
	neighbours bool
}

// events sends what happens until the client goes or its session ends.
func (c *call) events(string) error {
	if c.r.Method == http.MethodHead {
		return errMethod
	}
	place := c.site.sessions.OpenStream(c.session)
	if place == nil {
		return c.full()
	}
	c.site.streams.Add(1)
	defer c.site.streams.Add(-1)
	defer func() { c.site.sessions.CloseStream(place, time.Now()) }()
	w, release, err := c.site.hub.hold()
	if err != nil {
		return errStreams
	}
	defer release()
	query := c.r.URL.Query()
	s := &stream{call: c, work: w, place: place, neighbours: query.Get("neighbours") == "1"}
	news, last, end := w.listen()
	defer end()
	known := true
	s.at, s.noiseAt = last, last
	if since := cmp.Or(c.r.Header.Get("Last-Event-ID"), query.Get("since")); since != "" {
		s.at, known = w.position(since)
	}
	_ = c.ctl.SetReadDeadline(time.Time{}) // the request has come; its end is when the client goes
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.Header().Set("X-Accel-Buffering", "no")
	first := ": hello\n\n"
	if !known {
		first = "event: reset\ndata: {}\n\n"
	}
	if s.write([]byte(first)) == nil {
		s.follow(news)
	}
	return nil
}

// fullEvent says that other pages have the place of a stream.
const fullEvent = "event: full\ndata: {}\n\n"

// full refuses a stream. The EventSource of a browser shows no status to the page: there an
// event says it.
func (c *call) full() error {
	if c.r.Header.Get("Accept") != "text/event-stream" {
		return errStreams
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	_, err := c.w.Write([]byte(fullEvent))
	return err
}

// follow sends until it cannot any more.
func (s *stream) follow(news <-chan struct{}) {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		if s.catchUp() != nil {
			return
		}
		select {
		case <-s.r.Context().Done():
			return
		case <-s.session.Ended:
			_ = s.write([]byte("event: end\ndata: {}\n\n"))
			return
		case <-s.place.Gone: // another session has its turn
			_ = s.write([]byte(fullEvent))
			return
		case <-beat.C:
			s.site.sessions.Expire(time.Now()) // this one among them, which is seen next
			if !s.site.stillMay(s.session) {
				_ = s.write([]byte("event: end\ndata: {}\n\n"))
				return
			}
			if s.write([]byte(": beat\n\n")) != nil {
				return
			}
		case <-news:
		}
	}
}

// catchUp sends what was not sent yet. A client for which entries were forgotten before
// it took them is told to fetch anew.
func (s *stream) catchUp() error {
	entries, noise, last, whole := s.work.after(s.at, s.noiseAt)
	if !s.neighbours || s.scope() != "" { // neighbours are of no application
		noise = nil
	}
	if !whole {
		s.at, s.noiseAt = last, last
		return s.write([]byte("event: reset\ndata: {}\n\n"))
	}
	for i := range entries {
		s.at = entries[i].n
		if !entries[i].isOf(s.scope()) {
			continue
		}
		if err := s.send(&entries[i], true); err != nil {
			return err
		}
	}
	for i := range noise {
		s.noiseAt = noise[i].n
		if err := s.send(&noise[i], false); err != nil {
			return err
		}
	}
	return nil
}

// send sends an entry, with its id if it can be asked for again.
func (s *stream) send(e *entry, again bool) error {
	data, err := encode(struct {
		moment
		shown
	}{s.moment(), s.work.show(e)})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if again {
		fmt.Fprintf(&b, "id: %s\n", s.work.id(e.n))
	}
	fmt.Fprintf(&b, "data: %s\n\n", bytes.TrimRight(data, "\n"))
	return s.write(b.Bytes())
}

// write sends bytes at once. Who does not take them in time is cut off.
func (s *stream) write(b []byte) error {
	if err := s.ctl.SetWriteDeadline(time.Now().Add(s.site.slow)); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// counter is how many streams there are.
type counter = atomic.Int32
