package v3

import (
	"io"
	"slices"
	"time"
)

// NoLease is among the correlation ids of an uplink that a machine has published while another one
// may have taken its place: that one may publish the same uplink.
const NoLease = "lorawand:lease:none"

// Leased returns correlation ids, with NoLease among them where there is none.
func Leased(ids []string, held bool) []string {
	if held {
		return ids
	}
	return JoinIDs(ids, NoLease)
}

// Names makes correlation ids, and the ids of session keys and errors. An id is
// made of a time and random bytes. Where the calendar is not known the time in it
// is wrong, but the id is unique all the same.
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

// Uplink returns the correlation ids of a frame, sorted: one for the connection of
// its gateway, unless that is "", and one each for gateway server, network server
// and application server.
func (n *Names) Uplink(connection string, t time.Time) []string {
	var buf [128]byte // for the three ids, which share one string
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

// SessionKeyID returns a new id of session keys: a ULID.
func (n *Names) SessionKeyID(t time.Time) []byte {
	_, _ = io.ReadFull(n.Entropy, n.entropy[:])
	id := ULID(t, n.entropy)
	return id[:]
}

// Error gives an error a correlation id, by which it is found in the log, and
// returns the error.
func (n *Names) Error(e *Error) *Error {
	var b [16]byte
	_, _ = io.ReadFull(n.Entropy, b[:])
	e.CorrelationID = ErrorCorrelationID(b)
	return e
}

// JoinIDs returns a new sorted list of correlation ids without duplicates.
func JoinIDs(ids []string, more ...string) []string {
	out := append(slices.Clone(ids), more...)
	slices.Sort(out)
	return slices.Compact(out)
}
