// Package sessions is what is kept of MQTT sessions and of their messages while the
// program does not run, and how that becomes records.
package sessions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Subscription is a subscription of a session.
type Subscription struct {
	Filter     string `json:"filter"`
	QoS        byte   `json:"qos,omitempty"`
	Identifier int    `json:"id,omitempty"`
}

// Session is what is kept of a session.
type Session struct {
	ID            string         `json:"-"` // application, "/", the client's own id
	KeyID         string         `json:"key"`
	Tenant        string         `json:"tenant,omitempty"`
	Version       byte           `json:"version"` // level of the client's protocol
	Expiry        time.Duration  `json:"expiry"`
	LastID        uint16         `json:"last_id,omitempty"`  // packet id, rounded down
	Received      []uint16       `json:"received,omitempty"` // packet ids of QoS 2 that the client has not released
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
}

// Message is a message that waits for a session or is on its way to it. Seq orders
// those of a session.
type Message struct {
	Session  string `json:"-"` // ID of the session
	Seq      uint64 `json:"-"`
	Device   string `json:"device"`
	Suffix   string `json:"suffix"`
	UID      string `json:"uid"` // how its topic calls the application
	Share    string `json:"share,omitempty"`
	QoS      byte   `json:"qos"`
	IDs      []int  `json:"ids,omitempty"`     // subscription identifiers
	PacketID uint16 `json:"packet,omitempty"`  // 0: it is not on its way
	Released bool   `json:"release,omitempty"` // QoS 2: PUBREL is out
	Payload  []byte `json:"-"`
}

// Kind is what a record holds.
type Kind uint8

// Kinds.
const (
	KindSession Kind = iota
	KindMessage
)

// Record is what a store is to keep of a session or of a message. Without Data it is
// to be forgotten.
type Record struct {
	Kind Kind
	Key  string
	Data []byte
}

// ErrRecord is the reason for a record that cannot be understood.
var ErrRecord = errors.New("unusable record of an MQTT session")

// Record returns the record of a session.
func (s *Session) Record() (Record, error) {
	b, err := json.Marshal(s)
	return Record{KindSession, s.ID, b}, err
}

// Record returns the record of a message: a line of JSON, and behind it the payload.
func (m *Message) Record() (Record, error) {
	b, err := json.Marshal(m)
	return Record{KindMessage, MessageKey(m.Session, m.Seq), append(append(b, '\n'), m.Payload...)}, err
}

// MessageKey returns the key of the record of a message. The order of the keys is
// that of the messages.
func MessageKey(session string, seq uint64) string { return fmt.Sprintf("%s/%016x", session, seq) }

// ParseSession reads the record of a session.
func ParseSession(key string, data []byte) (s Session, err error) {
	err = json.Unmarshal(data, &s)
	for _, sub := range s.Subscriptions {
		if sub.QoS > 2 || sub.Identifier < 0 || sub.Identifier > maxIdentifier {
			err = ErrRecord
		}
	}
	if err != nil || !strings.Contains(key, "/") || s.Version < 3 || s.Version > 5 || s.Expiry < 0 {
		return Session{}, fmt.Errorf("%w: %.80q", ErrRecord, key)
	}
	s.ID = key
	return s, nil
}

// maxIdentifier is the largest subscription identifier (MQTT 5.0, 3.8.2.1.2).
const maxIdentifier = 268_435_455

// size is what a message counts for, in bytes.
func (m *Message) size() int {
	return len(m.Payload) + len(m.Device) + len(m.Session) + len(m.UID) + len(m.Share) + 8*len(m.IDs) + 120
}

// inOrder compares messages of a session: first comes what is on its way.
func inOrder(x, y Message) int {
	if onWay := x.PacketID != 0; onWay != (y.PacketID != 0) {
		if onWay {
			return -1
		}
		return 1
	}
	return cmp.Compare(x.Seq, y.Seq)
}

// parseKey takes the key of the record of a message apart.
func parseKey(key string) (session string, seq uint64, err error) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 || len(key)-i != 17 {
		return "", 0, fmt.Errorf("%w: %.80q", ErrRecord, key)
	}
	if seq, err = strconv.ParseUint(key[i+1:], 16, 64); err != nil || MessageKey(key[:i], seq) != key {
		return "", 0, fmt.Errorf("%w: %.80q", ErrRecord, key)
	}
	return key[:i], seq, nil
}

// ParseMessage reads the record of a message.
func ParseMessage(key string, data []byte) (m Message, err error) {
	session, seq, err := parseKey(key)
	if err != nil {
		return Message{}, err
	}
	head, payload, ok := bytes.Cut(data, []byte("\n"))
	if !ok || json.Unmarshal(head, &m) != nil || m.QoS < 1 || m.QoS > 2 ||
		slices.ContainsFunc(m.IDs, func(id int) bool { return id < 1 || id > maxIdentifier }) {
		return Message{}, fmt.Errorf("%w: %.80q", ErrRecord, key)
	}
	m.Session, m.Seq, m.Payload = session, seq, bytes.Clone(payload)
	return m, nil
}
