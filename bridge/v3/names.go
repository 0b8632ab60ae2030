package v3

import (
	"io"
	"slices"
	"time"
)

// Names makes the names of what happens: correlation ids, and the ids of session
// keys and of errors. They are made of a time and of random bytes. Without a
// calendar their time is wrong, and they are unique all the same.
type Names struct {
	Entropy io.Reader

	entropy [ULIDEntropy]byte
}

func (n *Names) appendCorrelationID(dst []byte, kind string, t time.Time) []byte {
	_, _ = io.ReadFull(n.Entropy, n.entropy[:])
	return AppendCorrelationID(dst, kind, t, n.entropy)
}

// CorrelationID returns a new correlation id.
func (n *Names) CorrelationID(kind string, t time.Time) string {
	var b [64]byte
	return string(n.appendCorrelationID(b[:0], kind, t))
}

// Uplink returns the correlation ids of a frame: the connection of its gateway,
// unless that is "", and its ways through gateway, network and application server,
// sorted.
func (n *Names) Uplink(connection string, t time.Time) []string {
	var buf [128]byte // for three of them, which share one string
	b := n.appendCorrelationID(buf[:0], ApplicationUp, t)
	app := len(b)
	b = n.appendCorrelationID(b, GatewayUplink, t)
	gtw := len(b)
	text := string(n.appendCorrelationID(b, NetworkUplink, t))
	if connection != "" {
		return []string{text[:app], connection, text[app:gtw], text[gtw:]}
	}
	return []string{text[:app], text[app:gtw], text[gtw:]}
}

// SessionKeyID returns a new id for the keys of a session: a ULID.
func (n *Names) SessionKeyID(t time.Time) []byte {
	_, _ = io.ReadFull(n.Entropy, n.entropy[:])
	id := ULID(t, n.entropy)
	return id[:]
}

// Error gives an error its correlation id, by which it is found in the log, and
// returns it.
func (n *Names) Error(e *Error) *Error {
	var b [16]byte
	_, _ = io.ReadFull(n.Entropy, b[:])
	e.CorrelationID = ErrorCorrelationID(b)
	return e
}

// JoinIDs returns a new list of correlation ids: sorted, each once.
func JoinIDs(ids []string, more ...string) []string {
	out := append(slices.Clone(ids), more...)
	slices.Sort(out)
	return slices.Compact(out)
}
