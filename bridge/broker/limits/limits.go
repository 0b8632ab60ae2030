// Package limits has what bounds the broker's clients.
package limits

import (
	"cmp"
	"time"
)

// Limits bound what clients can make the broker hold. Zero takes the default.
type Limits struct {
	Clients         int           // connected at a time; default 100
	Unauthenticated int           // connections that have not logged in; default 32
	PerAddress      int           // of these from one address; default 8
	ConnectTimeout  time.Duration // until CONNECT has come; default 10 s
	PacketSize      int           // bytes; default 64 KiB
	Inflight        int           // messages on their way to one client; default 64
	ReceiveMaximum  int           // messages on their way from one client; default 32
	WritesPending   int           // messages that wait for one client; default 1024
	WriteDeadline   time.Duration // for one write to a client; default 500 ms
	Subscriptions   int           // of one client; default 64
	OfflineMessages int           // kept for one client that is away; default 1000
	OfflineBytes    int           // kept for one client that is away; default 256 KiB
	OfflineTotal    int           // kept for all clients, away or slow, bytes; default 4 MiB
	KeptTotal       int           // with Options.Keep: of it and of sessions over a restart, bytes; default 1 MiB
	SessionExpiry   time.Duration // how long a session is kept; default 24 h
	PushTimeout     time.Duration // for a client's push to be stored; default 2 s
}

// Default returns the limits for a gateway with 64 MB of memory.
func Default() Limits {
	return Limits{
		Clients: 100, Unauthenticated: 32, PerAddress: 8, ConnectTimeout: 10 * time.Second,
		PacketSize: 64 << 10, Inflight: 64, ReceiveMaximum: 32, WritesPending: 1024, WriteDeadline: 500 * time.Millisecond,
		Subscriptions: 64, OfflineMessages: 1000, OfflineBytes: 256 << 10, OfflineTotal: 4 << 20, KeptTotal: 1 << 20,
		SessionExpiry: 24 * time.Hour, PushTimeout: 2 * time.Second,
	}
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	d := Default()
	l.Clients = cmp.Or(l.Clients, d.Clients)
	l.Unauthenticated = cmp.Or(l.Unauthenticated, d.Unauthenticated)
	l.PerAddress = cmp.Or(l.PerAddress, d.PerAddress)
	l.PacketSize = cmp.Or(l.PacketSize, d.PacketSize)
	l.Inflight = cmp.Or(l.Inflight, d.Inflight)
	l.ReceiveMaximum = cmp.Or(l.ReceiveMaximum, d.ReceiveMaximum)
	l.WritesPending = cmp.Or(l.WritesPending, d.WritesPending)
	l.Subscriptions = cmp.Or(l.Subscriptions, d.Subscriptions)
	l.OfflineMessages = cmp.Or(l.OfflineMessages, d.OfflineMessages)
	l.OfflineBytes = cmp.Or(l.OfflineBytes, d.OfflineBytes)
	l.OfflineTotal = cmp.Or(l.OfflineTotal, d.OfflineTotal)
	l.KeptTotal = cmp.Or(l.KeptTotal, d.KeptTotal)
	l.ConnectTimeout = cmp.Or(l.ConnectTimeout, d.ConnectTimeout)
	l.WriteDeadline = cmp.Or(l.WriteDeadline, d.WriteDeadline)
	l.SessionExpiry = cmp.Or(l.SessionExpiry, d.SessionExpiry)
	l.PushTimeout = cmp.Or(l.PushTimeout, d.PushTimeout)
	return l
}
