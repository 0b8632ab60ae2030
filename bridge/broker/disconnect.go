package broker

import (
	"context"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
)

// Disconnect ends the connections and the kept sessions of logins that match, and returns how many there were. It waits
// until they are gone. Who logs in meanwhile is refused if his key was taken out of the registry before.
func (b *Broker) Disconnect(match func(access.Login) bool) (n int) {
	conns := b.gate.matching(match)
	for _, c := range conns {
		if !c.isOver() { // else its session counts alone
			n++
		}
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for _, c := range conns {
			if c.version == 5 {
				_ = b.server.DisconnectClient(c.client.Load(), packets.ErrNotAuthorized)
			}
		}
	}()
	select {
	case <-told:
	case <-time.After(goodbyeTime): // one that does not read holds it up
	}
	// The longest that they can be held up.
	late, cancel := context.WithTimeout(context.Background(), b.limits.PushTimeout+2*b.limits.WriteDeadline+time.Second)
	defer cancel()
	for _, c := range conns {
		_ = c.Close()
	}
	for _, c := range conns {
		select {
		case <-c.gone: // only then its session is one that somebody is away from
		case <-late.Done():
			b.log.Warn("an MQTT connection does not end", "address", c.addr.String())
		}
	}
	<-told
	return n + b.endAway(func(s *session) bool { return match(s.login) })
}
