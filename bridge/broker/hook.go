package broker

import (
	"crypto/rand"
	"log/slog"
	"math"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/packet"
	"lorawand/bridge/broker/status"
	"lorawand/bridge/v3"
)

// hook is what the library asks.
type hook struct {
	mqtt.HookBase
	b *Broker
}

// provided lists the hooks that are ours; the library calls no other.
var provided = [...]byte{
	mqtt.OnPacketRead, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnACLCheck,
	mqtt.OnPublish, mqtt.OnPacketEncode,
}

// ID implements mqtt.Hook.
func (h *hook) ID() string { return "lorawand" }

// Provides implements mqtt.Hook.
func (h *hook) Provides(b byte) bool {
	for _, p := range provided {
		if p == b {
			return true
		}
	}
	return false
}

// connOf returns the connection of a client.
func connOf(cl *mqtt.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// OnPacketRead implements mqtt.Hook. It sees each packet before the library acts on it, and makes of it what the
// library takes well. An error closes the connection.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil {
		return pk, packets.ErrRejectPacket
	}
	pk.Properties.User = nil // the library would echo them
	switch pk.FixedHeader.Type {
	case packets.Connect:
		return h.connect(c, pk)
	case packets.Publish:
		return h.publish(c, cl, pk)
	case packets.Subscribe:
		return packet.Nothing(pk), h.subscribe(c, cl, pk)
	case packets.Unsubscribe:
		return packet.Nothing(pk), h.unsubscribe(c, cl, pk)
	case packets.Pubrel:
		h.b.released(cl, pk.PacketID)
		return packet.Nothing(pk), nil
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		return h.b.acknowledged(cl, pk), nil
	case packets.Disconnect:
		h.disconnect(c, &pk)
	}
	return pk, nil
}

// maxKeepalive is the longest keep-alive of which the library can take one and a half in 16 bits.
const maxKeepalive = math.MaxUint16 * 2 / 3

// forever keeps the library from ending a session by the calendar; see expire.
const forever = math.MaxUint32

// connect makes a CONNECT such as the library takes well, and keeps what it must not know.
func (h *hook) connect(c *conn, pk packets.Packet) (packets.Packet, error) {
	if c.client.Load() != nil {
		return pk, packets.ErrProtocolViolationSecondConnect
	}
	switch pk.ProtocolVersion {
	case 3:
		pk.Connect.ProtocolName = []byte("MQIsdp") // the name is not held against the level
	case 4, 5:
		pk.Connect.ProtocolName = []byte("MQTT")
	default:
		h.b.refuses(c, PacketRefused, packet.WrongVersion.Word(), "")
		_, _ = c.Conn.Write(packet.RefusedConnack(3, packets.Err3UnsupportedProtocolVersion))
		return pk, packets.ErrRejectPacket
	}
	c.version = pk.ProtocolVersion
	k := &pk.Connect
	if k.WillFlag && (k.WillQos > 2 || !v3.ValidFilter(k.WillTopic) || strings.ContainsAny(k.WillTopic, "+#")) {
		return pk, packets.ErrRejectPacket
	}
	// A will is taken and has no effect, as with The Things Stack. The library would publish it past every check.
	k.WillFlag, k.WillRetain, k.WillQos = false, false, 0
	k.WillTopic, k.WillPayload, k.WillProperties = "", nil, packets.Properties{}
	k.PasswordFlag = len(k.Password) > 0
	k.Keepalive = min(k.Keepalive, maxKeepalive)
	c.rounded = time.Duration(k.Keepalive%2) * time.Second / 2
	if len(k.ClientIdentifier) > clientIDLength {
		_, _ = c.Conn.Write(packet.RefusedConnack(c.version, packets.Err3ClientIdentifierNotValid))
		return pk, packets.ErrRejectPacket
	}
	if k.ClientIdentifier == "" && pk.ProtocolVersion < 5 {
		if !k.Clean { // MQTT 3.1.1, 3.1.3.1
			_, _ = c.Conn.Write(packet.RefusedConnack(c.version, packets.Err3ClientIdentifierNotValid))
			return pk, packets.ErrRejectPacket
		}
		k.ClientIdentifier, k.Clean = rand.Text(), true // nobody can come back to it
	}
	k.ClientIdentifier = strings.Clone(k.ClientIdentifier) // no part of the packet, which may be long
	h.window(c, &pk)
	c.most = int(min(pk.Properties.MaximumPacketSize, math.MaxInt32))
	h.expiry(c, &pk)
	pk.Properties.TopicAliasMaximum = 0 // an alias whose message was dropped would never be learnt
	return pk, nil
}

// window takes the client's receive maximum into our hands: once it has been
// reached, the library forgets to count acknowledgements, and can deadlock.
func (h *hook) window(c *conn, pk *packets.Packet) {
	c.window = h.b.limits.Inflight
	if r := int(pk.Properties.ReceiveMaximum); r > 0 {
		c.window = min(c.window, r)
	}
	pk.Properties.ReceiveMaximum = 0
}

func (h *hook) expiry(c *conn, pk *packets.Packet) {
	if pk.ProtocolVersion < 5 {
		c.persistent, c.expiry = !pk.Connect.Clean, h.b.limits.SessionExpiry
		return
	}
	asked := time.Duration(pk.Properties.SessionExpiryInterval) * time.Second
	c.persistent, c.expiry = asked > 0, min(asked, h.b.limits.SessionExpiry)
	c.shortened = asked > c.expiry
	if c.persistent {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = forever, true
	}
}

// disconnect notes that a client leaves, and that with MQTT 5 it changes how long its session lives.
func (h *hook) disconnect(c *conn, pk *packets.Packet) {
	c.raw.LastWord() // the client's TLS or WebSocket may say goodbye after it, which a reset would answer
	if !pk.Properties.SessionExpiryIntervalFlag || !c.persistent {
		return
	}
	asked := time.Duration(pk.Properties.SessionExpiryInterval) * time.Second
	c.persistent, c.expiry = asked > 0, min(asked, h.b.limits.SessionExpiry)
	if c.persistent {
		pk.Properties.SessionExpiryInterval = forever
	}
}

// OnConnectAuthenticate implements mqtt.Hook. Inside the broker a client's id begins with its application, so that no
// application can take over a session of another.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	c := connOf(cl)
	user := string(pk.Connect.Username)
	cl.Properties.Username = nil // nor is this to be kept
	c.id = cl.ID
	c.claims, _, _ = strings.Cut(clip(user), "@")
	login, err := h.b.opts.Keys.Login(user, string(pk.Connect.Password), h.b.opts.Calendar())
	if err != nil {
		h.b.refuse(c, user, reason(err))
		return false
	}
	c.login, c.since = login, time.Now()
	victim, ok := h.b.gate.admit(c)
	if !ok {
		h.b.full(c)
		return false
	}
	if victim != nil {
		go h.b.displace(victim)
	}
	cl.ID = login.Application + "/" + cl.ID
	c.client.Store(cl)
	// Who revokes a key ends the connections that he sees. Either he has seen this one, or the key is gone by now.
	if _, ok := h.b.opts.Keys.Key(login.KeyID); !ok {
		h.b.refuse(c, user, string(access.Revoked))
		return false
	}
	h.b.use(login.KeyID)
	if h.b.opts.LoggedIn != nil && h.b.logins.Take(login.Application, c.id, time.Now()) {
		h.b.opts.LoggedIn(login, clip(c.id), c.addr.String())
	}
	return true
}

// full refuses a login because of the number of clients.
func (b *Broker) full(c *conn) {
	b.refuses(c, LoginRefused, tooManyOthers, "")
	b.lines.Say(b.log, slog.LevelWarn, "too many MQTT clients: a login is refused",
		slog.String("application", c.login.Application), slog.String("address", c.addr.String()),
		slog.Int("limit", b.limits.Clients))
	_, _ = c.Write(packet.RefusedConnack(c.version, packets.Err3ServerUnavailable))
	c.answered = true
}

// gaveWay tells of a connection that was closed before its login, since there were too
// many of them. What it has told of itself its own goroutine may be writing now.
func (b *Broker) gaveWay(c *conn) {
	b.refused("", Refused{What: LoginRefused, Why: tooManyOpen, Address: c.addr.String()})
	b.lines.Say(b.log, slog.LevelInfo,
		"too many connections that have not logged in: the one with the least prospects has to go",
		slog.String("address", c.addr.String()), slog.Int("limit", b.limits.Unauthenticated),
		slog.Int("limit_per_address", b.limits.PerAddress))
}

// displace ends the connection of a client of the application that has the most.
func (b *Broker) displace(c *conn) {
	b.refuses(c, LoginRefused, tooManyOthers, "")
	b.lines.Say(b.log, slog.LevelWarn, "too many MQTT clients: the newest of the application with most of them has to go",
		slog.String("application", c.login.Application), slog.String("address", c.addr.String()),
		slog.Int("limit", b.limits.Clients))
	b.exceeds(c, packets.ErrQuotaExceeded)
}

// exceeds ends a connection that has more than its share.
func (b *Broker) exceeds(c *conn, why packets.Code) {
	if cl := c.client.Load(); cl != nil && c.version == 5 {
		_ = b.server.DisconnectClient(cl, why)
	}
	c.raw.LastWord() // with MQTT 3 too: a reset could take answers away that were just sent
	_ = c.Close()
}

// refuse counts a bad login and holds the answer back from those who guess.
func (b *Broker) refuse(c *conn, user, why string) {
	b.badLogins.Add(1)
	c.failed.Store(true)
	delay := b.backoff.Failed(c.source, time.Now())
	b.refuses(c, LoginRefused, why, "")
	b.lines.Say(b.log, slog.LevelInfo, "login refused",
		slog.String("address", c.addr.String()), slog.String("user", clip(user)),
		slog.String("reason", why), slog.Duration("held_back", delay))
	if delay == 0 {
		return
	}
	select {
	case <-time.After(delay):
	case <-b.stopping.Done():
	case <-c.done:
	}
}

// clip returns the begin of a text, and keeps no more of the packet that it came in.
func clip(s string) string {
	const limit = 40
	return strings.Clone(s[:min(len(s), limit)])
}

// OnSessionEstablish implements mqtt.Hook.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	h.b.adopt(cl, pk.Connect.Clean)
}

// OnSessionEstablished implements mqtt.Hook.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.b.attach(cl)
}

// OnPacketEncode implements mqtt.Hook: the CONNACK of MQTT 5 tells our limits.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	if c == nil || c.version < 5 || pk.FixedHeader.Type != packets.Connack {
		return pk
	}
	if k := cl.State.Keepalive; k == maxKeepalive { // the client may have asked for more (MQTT 5.0, 3.2.2.3.14)
		pk.Properties.ServerKeepAlive, pk.Properties.ServerKeepAliveFlag = k, true
	}
	return h.connack(c, pk)
}

func (h *hook) connack(c *conn, pk packets.Packet) packets.Packet {
	if pk.ReasonCode != 0 {
		return pk
	}
	pk.Properties.MaximumPacketSize = uint32(h.b.limits.PacketSize)
	pk.Properties.RetainAvailable, pk.Properties.RetainAvailableFlag = 0, true
	if c.shortened {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = uint32(c.expiry/time.Second), true
	}
	return pk
}

// OnACLCheck implements mqtt.Hook. It is closed unless a filter is one of the client's own application. Writing is let
// pass: a client whose write is refused here would be cut off, so OnPublish drops instead.
func (h *hook) OnACLCheck(cl *mqtt.Client, filter string, write bool) bool {
	c := connOf(cl)
	if c == nil || c.login.Application == "" {
		return false
	}
	if write {
		return true
	}
	if v3.IsStatusFilter(filter) {
		return status.Allowed(filter, c.login)
	}
	_, inner, _ := v3.Shared(filter)
	for _, uid := range []string{c.login.Application, v3.UID(c.login.Application, c.login.Tenant)} {
		own := "v3/" + uid
		if inner == own || strings.HasPrefix(inner, own+"/") {
			return true
		}
	}
	return false
}
