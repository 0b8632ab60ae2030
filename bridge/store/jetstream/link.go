package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Codes of errors that JetStream answers with (server/errors.json of nats-server 2.14).
const (
	codeNoMessage      = 10037
	codeNoStream       = 10059
	codeWrongLast      = 10071 // another last sequence than the expected one
	codeWrongLastConst = 10164 // the same, where it does not tell which
)

// apiError is an error that JetStream has answered with.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error implements error.
func (e *apiError) Error() string { return "JetStream: " + e.Description }

// isCode reports whether an error has one of the codes.
func isCode(err error, codes ...int) bool {
	var e *apiError
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.ErrCode == c {
			return true
		}
	}
	return false
}

// wrongLast returns the last sequence that an answer tells, if the expected one was wrong.
func wrongLast(err error) (last uint64, wrong bool) {
	if !isCode(err, codeWrongLast, codeWrongLastConst) {
		return 0, false
	}
	_, text, _ := strings.Cut(err.Error(), "sequence: ")
	last, fault := strconv.ParseUint(text, 10, 64)
	if fault != nil {
		last = ^uint64(0)
	}
	return last, true
}

// link is a connection to the servers, and the stream of a bucket there.
type link struct {
	nc      *nats.Conn
	bucket  string
	attempt time.Duration // how long one question may take
	forced  atomic.Int64  // when the connection was given up last
}

// dial connects. It returns when it is connected or ctx ends; from then on the connection is made
// again whenever it is lost.
func dial(ctx context.Context, o *Options) (*link, error) {
	opts := []nats.Option{
		nats.Name("lorawand " + o.Name), nats.Timeout(o.attempt()), nats.MaxReconnects(-1),
		nats.PingInterval(o.attempt()), nats.MaxPingsOutstanding(2),
		nats.ReconnectWait(o.TTL / 40), nats.ReconnectJitter(o.TTL/80, o.TTL/80),
		// A message that waits for a connection would be sent when nobody knows of it any more.
		nats.ReconnectBufSize(-1),
		nats.IgnoreDiscoveredServers(), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
	}
	if o.Credentials != "" {
		opts = append(opts, nats.UserCredentials(o.Credentials))
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
	}
	nc, err := nats.Connect(strings.Join(o.Servers, ","), opts...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	for !nc.IsConnected() {
		o.waits(nc.LastError())
		select {
		case <-ctx.Done():
			defer nc.Close()
			return nil, fmt.Errorf("no server of %s answers: %w", o.where(), errors.Join(nc.LastError(), ctx.Err()))
		case <-time.After(o.TTL / 200):
		}
	}
	return &link{nc: nc, bucket: o.Bucket, attempt: o.attempt()}, nil
}

// subject returns the subject of a kind of message.
func (l *link) subject(k kind) string { return subjectPrefix(l.bucket) + "log." + subjects[k] }

func subjectPrefix(bucket string) string { return "lorawand." + bucket + "." }

// ask sends a question, and decodes the answer. An answer may tell an error in its field "error".
func (l *link) ask(ctx context.Context, m *nats.Msg, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, l.attempt)
	defer cancel()
	got, err := l.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		l.suspect(ctx)
		return err
	}
	var fault struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(got.Data, &fault); err != nil {
		return fmt.Errorf("answer of JetStream: %w", err)
	}
	if fault.Error != nil {
		return fault.Error
	}
	return json.Unmarshal(got.Data, answer)
}

// suspect gives the connection up, and connects to another server, where one does not answer.
// Else the kernel would notice a cut cable much later. It does so once in a while.
func (l *link) suspect(ctx context.Context) {
	now, last := monotonic(), l.forced.Load()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !l.nc.IsConnected() || now-last < int64(l.attempt) {
		return
	}
	if l.forced.CompareAndSwap(last, now) {
		_ = l.nc.ForceReconnect()
	}
}

// api asks a question of JetStream's own about the stream. body is nil or becomes JSON.
func (l *link) api(ctx context.Context, what string, body, answer any) error {
	m := nats.NewMsg("$JS.API.STREAM." + what + "." + l.bucket)
	if body != nil {
		m.Data = jsonBody(body)
	}
	return l.ask(ctx, m, answer)
}

// publish stores a message behind the one with the sequence last. An error does not say that it is
// not stored.
func (l *link) publish(ctx context.Context, m *message, last uint64) (seq uint64, err error) {
	out := nats.NewMsg(l.subject(m.kind))
	out.Header.Set("Nats-Expected-Last-Sequence", strconv.FormatUint(last, 10))
	out.Header.Set("Nats-Expected-Stream", l.bucket)
	out.Data = m.encode()
	var ack struct {
		Stream string `json:"stream"`
		Seq    uint64 `json:"seq"`
	}
	if err := l.ask(ctx, out, &ack); err != nil {
		return 0, err
	}
	if ack.Seq != last+1 || ack.Stream != l.bucket {
		return 0, fmt.Errorf("message %d of stream %.40q was expected to be %d", ack.Seq, ack.Stream, last+1)
	}
	return ack.Seq, nil
}

// query says which message is asked for.
type query struct {
	Seq  uint64 `json:"seq,omitempty"`          // the first one from here on
	Next string `json:"next_by_subj,omitempty"` // with this subject
	Last string `json:"last_by_subj,omitempty"` // the last one with this subject
}

// get returns a message; nil: there is none. One that is none of ours has the kind 0. The leader of
// the stream answers.
func (l *link) get(ctx context.Context, q query) (*message, error) {
	var answer struct {
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
			Time string `json:"time"`
		} `json:"message"`
	}
	err := l.api(ctx, "MSG.GET", q, &answer)
	if isCode(err, codeNoMessage) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &message{seq: answer.Message.Seq, at: answer.Message.Time}
	if err := m.decode(answer.Message.Data); errors.Is(err, errMessage) {
		return &message{seq: m.seq}, nil
	} else if err != nil {
		return nil, fmt.Errorf("message %d: %w", m.seq, err)
	}
	return m, nil
}

// after returns the first message behind a sequence; nil: there is none.
func (l *link) after(ctx context.Context, seq uint64) (*message, error) {
	return l.get(ctx, query{Seq: seq + 1, Next: ">"})
}

// purge deletes messages: those before a sequence, or all of a kind but the last one.
func (l *link) purge(ctx context.Context, before uint64, of kind) error {
	body := map[string]any{"seq": before}
	if before == 0 {
		body = map[string]any{"filter": l.subject(of), "keep": 1}
	}
	return l.api(ctx, "PURGE", body, &struct{}{})
}
