package problems

import (
	"cmp"
	"context"
	"slices"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/broker"
	"lorawand/bridge/codec"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Source has the parts of a running daemon.
type Source struct {
	Bridge *bridge.Bridge
	Keys   *access.Registry
	Store  interface {
		Stats() store.Stats
		Health() error
	}
	Broker   *broker.Broker // nil: none runs
	Resolver *codec.Resolver

	Path string // of the store
	UDP  string // address for packet forwarders; "": off
	MQTT []string
	// OnBoard reports whether the concentrator of a gateway is on this host; nil: none is.
	OnBoard func(radio.EUI64) bool
	// GNSS tells of the satellite receivers of gateways on this host; nil: there are none.
	GNSS func() map[radio.EUI64]GNSS
	// Servers tells of the other network servers that frames are handed to; nil: there are none.
	Servers func() []Server
	// Upstreams tells of the brokers that messages are handed on to; nil: there are none.
	Upstreams func() []Upstream
	// Journals tells of the journals for servers that are not configured any more; nil: there are none.
	Journals func() []Journal
}

// List returns what is wrong now.
func (s *Source) List(ctx context.Context) ([]Problem, error) {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return List(snapshot), nil
}

func (s *Source) snapshot(ctx context.Context) (*Snapshot, error) {
	now := s.Bridge.Now()
	out := &Snapshot{
		Uptime: time.Duration(now.Host), NoClock: !now.Wall.Known(), UDP: s.UDP, MQTT: s.MQTT,
		Store: s.storeState(),
	}
	if s.Upstreams != nil {
		out.Upstreams = s.Upstreams()
	}
	if s.Journals != nil {
		out.Journals = s.Journals()
	}
	if s.Broker != nil {
		out.Clients = s.Broker.Stats().Clients
	}
	gateways, err := s.Bridge.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	if s.Servers != nil {
		out.Servers = s.Servers()
	}
	receivers := map[radio.EUI64]GNSS{}
	if s.GNSS != nil {
		receivers = s.GNSS()
	}
	for i := range gateways {
		g := &gateways[i]
		out.Gateways = append(out.Gateways, Gateway{
			ID: g.ID, EUI: g.EUI.String(), Band: g.Plan.BandID(), Address: g.Address, Online: g.Online,
			OnBoard: s.OnBoard != nil && s.OnBoard(g.EUI), Changed: g.Since != 0, Since: now.Host.Sub(g.Since), Fault: g.Fault,
			GNSS: receivers[g.EUI],
		})
	}
	refused, _ := s.Bridge.Events().Strangers()
	for i := range refused {
		e := &refused[i].Event
		served := slices.ContainsFunc(gateways, func(g bridge.GatewayState) bool { return g.EUI == e.GatewayEUI })
		if !served {
			out.Unknown = append(out.Unknown, Stranger{e.GatewayEUI.String(), e.Address, now.Host.Sub(e.Host)})
		}
	}
	err = s.Bridge.Devices(ctx, "", func(d *session.Device) error {
		out.Devices = append(out.Devices, s.device(d, now.Host))
		return nil
	})
	out.Keys = s.keys(now.Wall.Time)
	return out, err
}

func (s *Source) storeState() Store {
	st := s.Store.Stats()
	// A new snapshot stands beside the one before and its journal until it is complete.
	out := Store{Path: s.Path, Free: -1, Need: st.SnapshotSize + st.JournalSize, Damage: st.Damage}
	if err := cmp.Or(s.Bridge.StoreError(), s.Store.Health()); err != nil {
		out.Error = err.Error()
	}
	if room, err := store.RoomOf(s.Path); err == nil {
		out.Free, out.InMemory = room.Free, room.InMemory
	}
	return out
}

func (s *Source) device(d *session.Device, now radio.HostTime) Device {
	log := s.Bridge.Activity()
	habit, summary := log.Habit(d.ID), log.Summary(d.ID, now)
	out := Device{
		ID: d.ID.Device, Application: d.ID.Application, Plan: d.Plan,
		State: string(habit.StateOf(summary, d.Session != nil, now)),
		Heard: habit.Heard > 0, Age: now.Sub(habit.Last), Interval: habit.Interval,
	}
	if plan, err := region.Lookup(d.Plan); err == nil {
		out.Band = plan.BandID()
	}
	if summary != nil && summary.Join != nil {
		j := summary.Join
		out.Refusal, out.Hint = j.Reason, j.Hint
		out.RefusalAge = time.Duration(j.Age * float64(time.Second))
	}
	if d.Multicast {
		out.State = "" // it never sends
	}
	up, down := s.Resolver.Choose(d)
	for _, c := range []codec.Choice{up, down} {
		if w := c.Warning(); w != "" && !slices.Contains(out.Formatter, w) {
			out.Formatter = append(out.Formatter, w)
		}
	}
	return out
}

func (s *Source) keys(today time.Time) (out []Key) {
	used := map[string]bool{}
	if s.Broker != nil {
		for _, c := range s.Broker.Clients("") {
			used[c.Login.KeyID] = true
		}
	}
	for _, k := range s.Keys.Keys("") {
		key := Key{ID: k.ID, Name: k.Name, Application: k.Application, Used: used[k.ID]}
		if day, ok := s.Keys.Used(k.ID); ok && !key.Used {
			key.Used, key.Idle = true, today.Sub(day.Time())
		}
		out = append(out, key)
	}
	return out
}
