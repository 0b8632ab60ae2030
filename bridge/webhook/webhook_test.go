//go:build !small

package webhook

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// receiver is a server that posts go to.
type receiver struct {
	*httptest.Server
	got chan *http.Request // with its body in the header "Body"

	mu      sync.Mutex
	answers []int // the next statuses; 200 when there are none
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{got: make(chan *http.Request, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Header.Set("Body", string(body))
		r.mu.Lock()
		status := 200
		if len(r.answers) > 0 {
			status, r.answers = r.answers[0], r.answers[1:]
		}
		r.mu.Unlock()
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		r.got <- req
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) will(answer ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = answer
}

func (r *receiver) next(t *testing.T) *http.Request {
	t.Helper()
	select {
	case req := <-r.got:
		return req
	case <-time.After(time.Minute):
		t.Fatal("nothing is posted")
		return nil
	}
}

// hooks are the webhooks of applications.
type hooks struct {
	mu sync.Mutex
	of map[string]access.Webhook
}

func (h *hooks) set(application string, w access.Webhook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of[application] = w
}

func (h *hooks) hook(application string) access.Webhook {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of[application]
}

func newSender(t *testing.T) (*Sender, *hooks) {
	h := &hooks{of: map[string]access.Webhook{}}
	s := New(Options{Hook: h.hook, Version: "1.2.3", Logger: slog.New(slog.DiscardHandler)})
	s.pause = time.Millisecond
	return s, h
}

func run(t *testing.T, s *Sender) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

func message(application string, n int) Message {
	return Message{Application: application, Device: "dev1", Suffix: v3.Up, Payload: []byte(fmt.Sprintf(`{"n":%d}`, n))}
}

// The messages come in their order, with the headers of The Things Stack and those of
// the owner; what failed is tried again, what is refused is not.
func TestDelivery(t *testing.T) {
	r := newReceiver(t)
	s, h := newSender(t)
	h.set("app1", access.Webhook{
		URL: r.URL + "/hook?x=1", Headers: "Authorization: Bearer x\nX-Mine: v", DownlinkURL: "http://gw:8081/",
		DownlinkKey: "NNSXS.KEY",
	})
	run(t, s)
	s.Publish(v3.Message{Suffix: "lorawand/status", Payload: []byte("{}")})
	s.Publish(message("app2", 0))
	s.Publish(message("app1", 1))
	req := r.next(t)
	for name, want := range map[string]string{
		"Body": `{"n":1}`, "Content-Type": "application/json", "Authorization": "Bearer x", "X-Mine": "v", "X-Downlink-Apikey": "NNSXS.KEY",
		"X-Downlink-Push":    "http://gw:8081/api/v3/as/applications/app1/webhooks/lorawand/devices/dev1/down/push",
		"X-Downlink-Replace": "http://gw:8081/api/v3/as/applications/app1/webhooks/lorawand/devices/dev1/down/replace",
	} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if req.Method != "POST" || req.URL.String() != "/hook?x=1" {
		t.Errorf("%s %s", req.Method, req.URL)
	}
	r.will(500, 503, 429, 408, 200, 400, 302, 404, 200)
	for n := 2; n <= 6; n++ {
		s.Publish(message("app1", n))
	}
	var bodies []string
	for range 9 {
		bodies = append(bodies, r.next(t).Header.Get("Body"))
	}
	want := []string{`{"n":2}`, `{"n":2}`, `{"n":2}`, `{"n":2}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`, `{"n":6}`}
	if fmt.Sprint(bodies) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", bodies, want)
	}
}

// A host that is down holds up no other application, and when it is back it gets the
// latest messages.
func TestHostIsDown(t *testing.T) {
	r := newReceiver(t)
	gone := httptest.NewServer(nil)
	s, h := newSender(t)
	h.set("app1", access.Webhook{URL: gone.URL})
	h.set("app2", access.Webhook{URL: r.URL})
	gone.Close()
	run(t, s)
	const n = 3 * maxMessages
	for i := range n {
		s.Publish(message("app1", i))
	}
	s.Publish(message("app2", 7))
	if body := r.next(t).Header.Get("Body"); body != `{"n":7}` {
		t.Errorf("%s", body)
	}
	h.set("app1", access.Webhook{URL: r.URL})
	for i := n - maxMessages; i < n; i++ {
		if body := r.next(t).Header.Get("Body"); body != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("%s, want %d", body, i)
		}
	}
}

// The messages that wait are bounded: messages and bytes of an application, bytes of all,
// applications. They go with their webhook.
func TestBounds(t *testing.T) {
	s, h := newSender(t) // nobody delivers
	big := make([]byte, 100<<10)
	for a := range maxQueues + 4 {
		app := fmt.Sprintf("app%d", a)
		h.set(app, access.Webhook{URL: "http://127.0.0.1:9"})
		for range maxMessages {
			s.Publish(Message{Application: app, Device: "dev1", Suffix: v3.Up, Payload: big})
		}
		s.Publish(Message{Application: app, Device: "dev1", Suffix: v3.Up, Payload: make([]byte, maxBytes+1)})
	}
	sum := 0
	for app, q := range s.queues {
		if q.bytes > maxBytes || len(q.messages) > maxMessages {
			t.Errorf("%s has %d messages of %d bytes", app, len(q.messages), q.bytes)
		}
		sum += q.bytes
	}
	if len(s.queues) > maxQueues || s.total != sum || s.total > maxTotal {
		t.Errorf("%d queues with %d bytes, counted as %d", len(s.queues), sum, s.total)
	}
	for a := range maxQueues {
		h.set(fmt.Sprintf("app%d", a), access.Webhook{})
	}
	run(t, s)
	s.wake <- struct{}{}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n, total := len(s.queues), s.total
		s.mu.Unlock()
		if n == 0 && total == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d queues with %d bytes are left", n, total)
		}
	}
}
