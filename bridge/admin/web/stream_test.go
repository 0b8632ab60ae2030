//go:build !small

package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// feed is an open stream.
type feed struct {
	*testing.T
	r     *http.Response
	lines *bufio.Reader
	last  int // number of the last id
}

func (w *world) follow(query string) *feed {
	w.Helper()
	r := w.open(ask{method: "GET", path: "/api/page/events" + query, cookie: w.token})
	w.Cleanup(func() { _ = r.Body.Close() })
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/event-stream" {
		w.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	return &feed{T: w.T, r: r, lines: bufio.NewReader(r.Body)}
}

// message is one of a stream.
type message struct {
	id, event, comment string
	data               map[string]any
}

// next returns the next message; a comment is one too.
func (f *feed) next() (m message, err error) {
	f.Helper()
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return m, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			if err := json.Unmarshal([]byte(value), &m.data); err != nil {
				f.Fatal(err, line)
			}
		case "":
			if line == "\n" {
				return m, nil
			}
			m.comment = value
		}
	}
}

// wants returns the next message of a kind, or with the word of an event; others may come
// before it, as the core decides when it likes. None comes twice or in the wrong order.
func (f *feed) wants(word string) message {
	f.Helper()
	for {
		m, err := f.next()
		if err != nil {
			f.Fatalf("%v, want %s", err, word)
		}
		if m.id != "" {
			n := number(f.T, m.id)
			if n <= f.last {
				f.Fatalf("%d comes after %d", n, f.last)
			}
			f.last = n
		}
		if m.event == word || m.data["word"] == word {
			return m
		}
	}
}

// number is that of an id.
func number(t *testing.T, id any) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(fmt.Sprint(id)[8:], "-%d", &n); err != nil {
		t.Fatalf("%v: %v", id, err)
	}
	return n
}

func (w *world) happen(kind event.Kind, dev session.ID) {
	w.Events().Write(&event.Event{Kind: kind, Host: w.Now().Host, Device: dev})
}

// A stream goes on where the list of the last events ended, without a gap or a double,
// and again where it was cut.
func TestStream(t *testing.T) {
	w := newWorld(t)
	live := w.read("live")
	first := at(live, "events.0.id")
	if first != live["id"] {
		t.Errorf("the last is %v, the stream goes on after %v", first, live["id"])
	}
	w.happen(event.DownlinkQueued, w.dev)
	f := w.follow("?since=" + live["id"].(string))
	m := f.wants("Queued")
	if m.id == "" || m.id == first || m.data["id"] != m.id || m.data["now"] == nil || m.data["dev"] != "dev1" ||
		m.data["app"] != "farm" {
		t.Errorf("%+v", m)
	}
	w.hear(w.addr, w.dev, 4, "\x03\x67\x01\x12")
	for m = f.wants("Data"); at(m.data, "up.fcnt") != 4.0 || at(m.data, "raw.uplink_message.f_cnt") != 4.0; {
		t.Fatalf("%+v", m.data)
	}
	_ = f.r.Body.Close()
	w.happen(event.DownlinkSent, w.dev)
	w.happen(event.DownlinkAcked, w.dev)
	f = w.follow("?since=" + m.id)
	if next, err := f.next(); err != nil || next.comment == "" {
		t.Errorf("%+v, %v", next, err)
	}
	if next, err := f.next(); err != nil || number(t, next.id) != number(t, m.id)+1 {
		t.Errorf("after %s comes %+v, %v", m.id, next, err)
	}
	f.wants("Acknowledged")
	again := w.open(ask{
		method: "GET", path: "/api/page/events?since=0-0", cookie: w.token,
		change: func(r *http.Request) { r.Header.Set("Last-Event-ID", m.id) },
	})
	defer again.Body.Close()
	f = &feed{T: t, r: again, lines: bufio.NewReader(again.Body)}
	f.wants("Sent")
	f.wants("Acknowledged")
	for _, since := range []string{"0-0", "nonsense", "-1", "ffffffff-1", live["id"].(string) + "00000000"} {
		f := w.follow("?since=" + since)
		f.wants("reset")
		_ = f.r.Body.Close()
		w.until("it is closed", func() bool { return w.site.streams.Load() <= 3 })
	}
}

// Frames of neighbours are for who asks for them.
func TestNeighbours(t *testing.T) {
	w := newWorld(t)
	plain, curious := w.follow(""), w.follow("?neighbours=1")
	for range 2 {
		w.Events().Write(&event.Event{
			Kind: event.UplinkDropped, Reason: event.DropDevAddr, Host: w.Now().Host,
			DevAddr: radio.DevAddr{0x26, 1},
		})
	}
	m := curious.wants("Neighbour")
	if m.id != "" || m.data["kind"] != "drop" {
		t.Errorf("%+v", m)
	}
	curious.wants("Neighbour")
	w.happen(event.DownlinkSent, w.dev)
	curious.wants("Sent")
	plain.wants("Sent")
	if n := at(w.read("status"), "status.droppedHour"); n != 2.0 {
		t.Errorf("%v frames were dropped", n)
	}
	_, key := w.key("farm", "all")
	w.token = w.login(key)
	limited := w.follow("?neighbours=1")
	w.Events().Write(&event.Event{Kind: event.UplinkDropped, Reason: event.DropDevAddr, Host: w.Now().Host})
	curious.wants("Neighbour")
	w.happen(event.DownlinkSent, w.dev)
	for {
		m, err := limited.next()
		if err != nil || m.data["kind"] == "drop" {
			t.Fatalf("an API key is told of neighbours: %+v, %v", m, err)
		}
		if m.data["word"] == "Sent" {
			return
		}
	}
}

// A session has few streams, and makes room for others when all are open; they end with
// their session.
func TestStreamLimits(t *testing.T) {
	w := newWorld(t)
	var feeds []*feed
	for range door.PerSession {
		feeds = append(feeds, w.follow(""))
	}
	if r := w.get(w.token, "/api/page/events"); r.status != http.StatusTooManyRequests {
		t.Errorf("one more: %d %s", r.status, r.body)
	}
	first := w.token
	for w.token = w.login(secret); len(feeds) < door.MaxStreams; w.token = w.login(secret) {
		for range door.PerSession {
			feeds = append(feeds, w.follow(""))
		}
	}
	more := w.follow("")
	var last message
	for { // the oldest stream of all ends, without the end of its session
		m, err := feeds[0].next()
		if err != nil {
			break
		}
		last = m
	}
	if last.event != "full" {
		t.Errorf("the session that makes room is told %q last", last.event)
	}
	if r := w.get(first, "/api/page/events"); r.status != http.StatusTooManyRequests {
		t.Errorf("it takes its place back: %d %s", r.status, r.body)
	}
	browser := func(r *http.Request) { r.Header.Set("Accept", "text/event-stream") }
	r := w.ask(ask{method: "GET", path: "/api/page/events", cookie: first, change: browser})
	if r.status != http.StatusOK || r.body != fullEvent {
		t.Errorf("a browser takes its place back: %d %q", r.status, r.body)
	}
	feeds = append(feeds[1:], more)
	w.post(first, "/api/page/logout", "{}")
	w.op(SetPassword, `{"password":"another password"}`)
	for _, f := range feeds {
		f.wants("end")
		if _, err := f.next(); err == nil {
			t.Error("the stream goes on")
		}
	}
	w.until("all have ended", func() bool { return w.site.streams.Load() == 0 })
}

// A client that does not read is cut off; it holds up nobody.
func TestSlowReader(t *testing.T) {
	w := newWorld(t)
	w.site.slow = 500 * time.Millisecond
	c, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(1024)
	fmt.Fprintf(c, "GET /api/page/events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: %s=%s\r\n\r\n", cookieName, w.token)
	w.until("it follows", func() bool { return w.site.streams.Load() == 1 })
	good, seen := w.follow(""), make(chan struct{})
	go func() { // takes all that comes, which may be the news that some are missing
		defer close(seen)
		for {
			if m, err := good.next(); err != nil || m.data["word"] == "Acknowledged" {
				return
			}
		}
	}()
	tell := func(kind event.Kind) {
		w.Events().Write(&event.Event{Kind: kind, Host: w.Now().Host, Device: w.dev, Hint: strings.Repeat("x", 8000)})
		time.Sleep(time.Millisecond / 4)
	}
	for end := time.Now().Add(30 * time.Second); w.site.streams.Load() > 1; tell(event.DownlinkSent) {
		if time.Now().After(end) {
			t.Fatal("it is not cut off")
		}
	}
	for waiting := true; waiting; {
		select {
		case <-seen:
			waiting = false
		default:
			tell(event.DownlinkAcked)
		}
	}
	if w.site.streams.Load() != 1 {
		t.Error("the one that reads is cut off too")
	}
	work, release, err := w.site.hub.hold()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if entries, _ := work.recent(); len(entries) > ringSize {
		t.Errorf("%d entries are remembered, at most %d", len(entries), ringSize)
	}
}

// The hub works while somebody looks, and some time longer; then nothing is left of it.
func TestHubRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		events, acts := event.NewLog(log), activity.New(0)
		h := &hub{events: events, activity: acts}
		events.Write(&event.Event{Kind: event.DownlinkSent, Host: 5})
		acts.Message(v3.Message{Application: "a", Device: "d", Suffix: v3.Up, Payload: []byte(`{"uplink_message":{}}`)}, 3)
		work, release, err := h.hold()
		if err != nil {
			t.Fatal(err)
		}
		entries, id := work.recent()
		if len(entries) != 2 || entries[0].event != nil || entries[1].event == nil {
			t.Errorf("%+v", entries)
		}
		release()
		time.Sleep(lingering - time.Second)
		again, release, err := h.hold()
		if err != nil || again != work {
			t.Errorf("it has begun anew: %v", err)
		}
		time.Sleep(10 * lingering)
		events.Write(&event.Event{Kind: event.DownlinkSent, Host: 6})
		synctest.Wait()
		if n, known := work.position(id); n != 2 || !known {
			t.Errorf("%d %v", n, known)
		}
		if entries, _, last, whole := work.after(2, 0); len(entries) != 1 || last != 3 || !whole {
			t.Errorf("%v %d %v", entries, last, whole)
		}
		release()
		time.Sleep(lingering + time.Second)
		synctest.Wait() // its goroutine has ended, else the bubble never does
		if h.work != nil {
			t.Error("it works on")
		}
		for range 20 { // no follower is left behind
			_, release, err := h.hold()
			if err != nil {
				t.Fatal(err)
			}
			release()
			time.Sleep(lingering + time.Second)
		}
		if _, _, err := h.hold(); err != nil {
			t.Fatal(err)
		}
		h.close() // whoever holds it
		h.close()
		if _, _, err := h.hold(); !errors.Is(err, errClosed) {
			t.Errorf("it begins anew: %v", err)
		}
	})
}

func TestRing(t *testing.T) {
	r := newRing(3)
	if len(r.after(0)) != 0 {
		t.Error("an empty ring has entries")
	}
	for n := range 5 {
		r.add(entry{n: uint64(2 * (n + 1))}) // 2, 4 … 10: in between are neighbours'
	}
	for after, want := range map[uint64]string{0: "6 8 10", 5: "6 8 10", 6: "8 10", 7: "8 10", 10: "", 99: ""} {
		var got []string
		for _, e := range r.after(after) {
			got = append(got, fmt.Sprint(e.n))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("after %d: %v, want %s", after, got, want)
		}
	}
}
