package sessions

import (
	"cmp"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/order"
)

// Client is what is known of a client that is connected, or whose session is kept.
type Client struct {
	ID        string // as the client calls itself
	Login     access.Login
	Connected bool
	Address   string        // while it is connected
	Over      string        // the same: "tcp", "tls" or "websocket"
	Version   byte          // the same: the level of its protocol; 4 is MQTT 3.1.1
	Since     time.Duration // it has been connected, or away, for so long
	Queue     int           // messages that wait for it or are on their way to it
	Dropped   uint64        // messages that its session has lost
}

// Sorted returns clients sorted by application and id. It changes them.
func Sorted(clients []Client) []Client {
	order.By(clients, func(x, y Client) int {
		return cmp.Or(cmp.Compare(x.Login.Application, y.Login.Application), cmp.Compare(x.ID, y.ID))
	})
	return clients
}
