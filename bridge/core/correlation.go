package core

import (
	"io"
	"slices"

	"lorawand/bridge/v3"
	"lorawand/radio"
)

// correlationID returns a new correlation id. Without a calendar its time is
// wrong and it is unique all the same.
func (c *Core) correlationID(kind string) string {
	var b [64]byte
	return string(c.appendCorrelationID(b[:0], kind))
}

func (c *Core) appendCorrelationID(dst []byte, kind string) []byte {
	_, _ = io.ReadFull(c.opts.Entropy, c.entropy[:])
	return v3.AppendCorrelationID(dst, kind, c.now.Wall.Time, c.entropy)
}

// sessionKeyID returns a new name for a session: a ULID.
func (c *Core) sessionKeyID() []byte {
	var b [v3.ULIDEntropy]byte
	_, _ = io.ReadFull(c.opts.Entropy, b[:])
	id := v3.ULID(c.now.Wall.Time, b)
	return id[:]
}

// uplinkCorrelation names a frame: its gateway's connection, and its way
// through gateway, network and application server, in the order of the alphabet.
func (c *Core) uplinkCorrelation(up *radio.Uplink) []string {
	var buf [128]byte // for three of them, which share one string
	b := c.appendCorrelationID(buf[:0], v3.ApplicationUp)
	app := len(b)
	b = c.appendCorrelationID(b, v3.GatewayUplink)
	gtw := len(b)
	text := string(c.appendCorrelationID(b, v3.NetworkUplink))
	if conn := c.gateway(up.Gateway).Connection; conn != "" {
		return []string{text[:app], conn, text[app:gtw], text[gtw:]}
	}
	return []string{text[:app], text[app:gtw], text[gtw:]}
}

// appendSorted returns a new list with more in it, sorted, each once.
func appendSorted(ids []string, more ...string) []string {
	out := append(slices.Clone(ids), more...)
	slices.Sort(out)
	return slices.Compact(out)
}

// failure gives an error its correlation id, by which it is found in the log.
func (c *Core) failure(e *v3.Error) *v3.Error {
	var b [16]byte
	_, _ = io.ReadFull(c.opts.Entropy, b[:])
	e.CorrelationID = v3.ErrorCorrelationID(b)
	return e
}
