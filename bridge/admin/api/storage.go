//go:build !small

package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/registry"
	"lorawand/bridge/v3"
)

// storageTimeouts are how many times longer than others the answer with stored messages
// may take: there can be 2.5 MB.
const storageTimeouts = 4

// selection is which of the stored messages a client wants.
type selection struct {
	last          time.Duration // 0: any age
	after, before time.Time
	fPort         string
	newestFirst   bool
	limit         int // 0: all
	paths         []string
}

// selection reads the query of a request for stored messages.
func (c *call) selection() (s selection, err error) {
	query := c.r.URL.Query()
	if text := query.Get("last"); text != "" {
		if s.last, err = time.ParseDuration(text); err != nil || s.last <= 0 {
			return s, plain(codeInvalidArgument, "last: a duration such as 30m or 3600s")
		}
	}
	for name, into := range map[string]*time.Time{"after": &s.after, "before": &s.before} {
		if text := query.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return s, plain(codeInvalidArgument, name+": a time such as 2026-11-29T01:02:03Z")
			}
		}
	}
	switch query.Get("order") {
	case "", "received_at":
	case "-received_at":
		s.newestFirst = true
	default:
		return s, plain(codeInvalidArgument, "order: received_at or -received_at")
	}
	if text := query.Get("limit"); text != "" {
		if s.limit, err = strconv.Atoi(text); err != nil || s.limit < 0 {
			return s, plain(codeInvalidArgument, "limit: a number")
		}
	}
	s.fPort = query.Get("f_port")
	s.paths = c.mask()
	if len(s.paths) > maxPaths {
		return s, plain(codeInvalidArgument, "more than "+strconv.Itoa(maxPaths)+" paths in the field mask")
	}
	for i, p := range s.paths {
		s.paths[i] = strings.TrimPrefix(p, "up.")
	}
	return s, nil
}

// storage answers with stored messages, a line each: {"result":…}. This is what The
// Things Stack's storage integration does, here from memory.
func (c *call) storage() error {
	suffix, known := activity.Suffixes[c.params["t"]]
	if !known {
		return plain(codeInvalidArgument, "no such type of messages")
	}
	s, err := c.selection()
	if err != nil {
		return err
	}
	var found []json.RawMessage
	args := admin.MessagesArgs{Application: c.params["a"], Device: c.params["d"], Kind: suffix}
	err = c.do("message.list", args, func(raw json.RawMessage) error {
		var m admin.Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		if s.takes(&m, suffix) {
			found = append(found, m.Payload)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.newestFirst {
		slices.Reverse(found)
	}
	if s.limit > 0 {
		found = found[:min(s.limit, len(found))]
	}
	out := c.lines()
	out.patience(storageTimeouts * c.api.o.Timeout)
	for _, m := range found {
		if err := out.write(s.cut(m)); err != nil {
			return nil // the client is gone
		}
	}
	return nil
}

// takes reports whether a message is selected.
func (s *selection) takes(m *admin.Message, suffix string) bool {
	if s.last > 0 && m.Age > s.last.Seconds() {
		return false
	}
	if s.fPort == "" && s.after.IsZero() && s.before.IsZero() {
		return true
	}
	var read struct {
		ReceivedAt time.Time `json:"received_at"`
		Up         struct {
			FPort uint8 `json:"f_port"`
		} `json:"uplink_message"`
	}
	if json.Unmarshal(m.Payload, &read) != nil {
		return false
	}
	return (s.fPort == "" || suffix == v3.Up && strconv.Itoa(int(read.Up.FPort)) == s.fPort) &&
		(s.after.IsZero() || read.ReceivedAt.After(s.after)) && (s.before.IsZero() || read.ReceivedAt.Before(s.before))
}

// cut leaves the fields of the mask, and whose and when the message is.
func (s *selection) cut(m json.RawMessage) json.RawMessage {
	if len(s.paths) == 0 {
		return m
	}
	tree, err := registry.Parse(m)
	if err != nil {
		return m
	}
	out := registry.Select(tree, append([]string{"end_device_ids", "received_at"}, s.paths...))
	delete(out, "ids")
	raw, err := json.Marshal(out)
	if err != nil {
		return m
	}
	return raw
}

// lines writes an answer of several parts.
type lines struct {
	c             *call
	ctl           *http.ResponseController
	begin, behind string // of each part
}

// lines begins the answer. The form is that of the gateway of gRPC: an object with
// result a line, with an empty line behind it for those who ask for an event stream.
func (c *call) lines() *lines {
	l := &lines{c: c, ctl: http.NewResponseController(c.w), begin: `{"result":`, behind: "}\n"}
	if strings.Contains(c.r.Header.Get("Accept"), "text/event-stream") {
		l.behind = "}\n\n"
		c.w.Header().Set("Content-Type", "text/event-stream")
	}
	return l
}

func (l *lines) write(part json.RawMessage) error {
	var b bytes.Buffer
	b.WriteString(l.begin)
	b.Write(part)
	b.WriteString(l.behind)
	_, err := l.c.w.Write(b.Bytes())
	return err
}

// patience is how long a client may take for what follows: one that takes nothing must
// not hold its place.
func (l *lines) patience(d time.Duration) { _ = l.ctl.SetWriteDeadline(time.Now().Add(d)) }
