//go:build !small

package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/httpclient"
)

// Limits of what waits, and of the deliveries.
const (
	maxMessages = 64        // of an application
	maxBytes    = 256 << 10 // of an application
	maxTotal    = 1 << 20   // bytes of all
	maxQueues   = 16        // applications that wait at a time

	timeout      = 10 * time.Second // of a delivery
	firstPause   = time.Second      // before the second try
	longestPause = 5 * time.Minute
)

// Sender posts messages.
type Sender struct {
	o     Options
	log   *slog.Logger
	pause time.Duration // firstPause
	wake  chan struct{}

	mu     sync.Mutex
	queues map[string]*queue // of applications with messages that wait
	total  int               // bytes
}

// queue is the messages of an application that wait. The first is on its way while
// there is a worker.
type queue struct {
	application string
	messages    []Message
	bytes       int
	removed     uint64 // since it began
	worker      bool
	lost        uint64 // since the last that was delivered
}

// New returns a Sender. Run does the work.
func New(o Options) *Sender {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Sender{o: o, log: o.Logger, pause: firstPause, wake: make(chan struct{}, 1), queues: map[string]*queue{}}
	return s
}

// Publish takes a message, if its application has a webhook. It never blocks.
func (s *Sender) Publish(m Message) {
	if m.IsStatus() || !s.wants(&m) {
		return
	}
	s.mu.Lock()
	q := s.queues[m.Application]
	if q == nil {
		if len(s.queues) >= maxQueues || len(m.Payload) > maxBytes {
			s.mu.Unlock()
			return
		}
		q = &queue{application: m.Application}
		s.queues[m.Application] = q
	}
	q.messages = append(q.messages, m)
	q.bytes += len(m.Payload)
	s.total += len(m.Payload)
	for len(q.messages) > maxMessages || q.bytes > maxBytes || s.total > maxTotal && len(q.messages) > 0 {
		s.removeFirst(q)
		q.lost++
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// wants reports whether a message is to be posted.
func (s *Sender) wants(m *Message) bool {
	hook := s.o.Hook(m.Application)
	_, ok := hook.Path(kinds[m.Suffix])
	return ok && hook.URL != ""
}

// removeFirst removes the oldest message. mu is held.
func (s *Sender) removeFirst(q *queue) {
	n := len(q.messages[0].Payload)
	q.bytes -= n
	s.total -= n
	q.messages[0] = Message{}
	q.messages = q.messages[1:]
	q.removed++
}

// Run delivers until ctx ends, and waits for what it started.
func (s *Sender) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			for _, q := range s.idle() {
				wg.Go(func() { s.work(ctx, q) })
			}
		}
	}
}

// idle returns the queues without a worker, which they have from now on.
func (s *Sender) idle() (out []*queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		if !q.worker {
			q.worker = true
			out = append(out, q)
		}
	}
	return out
}

// work delivers the messages of a queue until there are none.
func (s *Sender) work(ctx context.Context, q *queue) {
	pause := s.pause
	down := false
	for m, at, ok := s.first(q); ok; m, at, ok = s.first(q) {
		hook := s.o.Hook(q.application)
		err := s.deliver(ctx, &hook, &m)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if down {
				s.log.Info("webhook delivers again", "application_id", q.application, "lost", s.lost(q))
			}
			pause, down = s.pause, false
			s.delivered(q, at)
			continue
		case errors.Is(err, errRefused):
			s.log.Warn("webhook refuses a message, which is lost", "application_id", q.application, "error", err)
			s.delivered(q, at)
			continue
		case !down:
			s.log.Warn("webhook cannot be delivered; it is tried again", "application_id", q.application, "error", err)
			down = true
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

func sleep(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// first returns the message that is next, and its number. Where there is none, or no webhook any more,
// the queue ends.
func (s *Sender) first(q *queue) (m Message, at uint64, ok bool) {
	none := s.o.Hook(q.application).URL == ""
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(q.messages) > 0 && !none {
		return q.messages[0], q.removed, true
	}
	s.total -= q.bytes
	delete(s.queues, q.application)
	return Message{}, 0, false
}

// delivered removes a message, unless it had to go for later ones meanwhile.
func (s *Sender) delivered(q *queue, at uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.removed == at {
		s.removeFirst(q)
	}
}

// lost returns how many messages were dropped since the last call.
func (s *Sender) lost(q *queue) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, q.lost = q.lost, 0
	return n
}

// errRefused says that the receiver does not want a message, ever.
var errRefused = errors.New("refused")

// deliver posts a message.
func (s *Sender) deliver(ctx context.Context, hook *access.Webhook, m *Message) error {
	address, err := addressOf(hook, m)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(m.Payload))
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	s.setHeaders(req, hook, m)
	answer, err := post(ctx, req)
	if err != nil {
		return err
	}
	switch code := answer.Code; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		return fmt.Errorf("the receiver answers %s", answer.Status)
	default:
		return fmt.Errorf("%w: the receiver answers %s", errRefused, answer.Status)
	}
}

// post sends a request on a connection of its own.
func post(ctx context.Context, req *http.Request) (httpclient.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial(ctx, req.URL)
	if err != nil {
		return httpclient.Answer{}, err
	}
	c := httpclient.New(conn)
	defer c.Close()
	req.Close = true
	a, _, err := c.Do(ctx, req, 0) // the body does not matter
	return a, err
}

// dial connects to the host of a URL.
func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	if u.Scheme == "https" {
		d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}
		return d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")))
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")))
}

// setHeaders sets those of The Things Stack's webhooks, and those of the owner.
func (s *Sender) setHeaders(req *http.Request, hook *access.Webhook, m *Message) {
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "lorawand/"+s.o.Version+" ("+runtime.GOOS+"/"+runtime.GOARCH+")")
	if hook.DownlinkKey != "" {
		base := strings.TrimSuffix(hook.DownlinkURL, "/") + "/api/v3/as/applications/" + m.Application +
			"/webhooks/lorawand/devices/" + m.Device
		h.Set("X-Downlink-Apikey", hook.DownlinkKey)
		h.Set("X-Downlink-Push", base+"/down/push")
		h.Set("X-Downlink-Replace", base+"/down/replace")
	}
	for header := range hook.EachHeader {
		if strings.EqualFold(header[0], "Host") {
			req.Host = header[1]
			continue
		}
		h.Set(header[0], header[1])
	}
}
