// Package admin lets the owner inspect and change the running daemon. It has one
// table of operations and two doors: the control socket serves the commands of
// lorawand on the same host (Server and Client), HTTP serves metrics and health.
//
// An operation has a name, arguments and an answer, all JSON. Operations that
// need the core ask bridge.Bridge, which answers between two inputs. So no client
// ever blocks the core.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin/registry"
	"lorawand/bridge/admin/sharing"
	"lorawand/bridge/admin/strict"
	"lorawand/bridge/broker"
	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// Build says which program this is.
type Build struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit,omitempty"`
	Target   string   `json:"target"`
	Go       string   `json:"go"`
	Features []string `json:"features"` // compiled in
}

// Link is what a driver knows of the way to a gateway.
type Link struct {
	Pulled  radio.HostTime // last PULL_DATA
	Version uint8          // of the packet forwarder's protocol
}

// Store has the methods of a store that operations use; see store.Store.
type Store interface {
	Commit(records ...store.Record) error
	Backup(w io.Writer) error
	Stats() store.Stats
	Health() error
}

// Options configures an Admin.
type Options struct {
	Bridge *bridge.Bridge
	Keys   *access.Registry
	Store  Store
	Broker *broker.Broker // nil: none runs
	// Applications and Codecs are those of the store, which Resolver looks into.
	Applications *access.Applications
	Codecs       *codec.Library
	Resolver     *codec.Resolver
	Formatters   *formatter.Pool // runs what is tried; nil: nothing can be
	Plan         string          // frequency plan of devices that name none
	RX1Delay     uint8           // that the network tells devices, in s
	Build        Build
	Logger       *slog.Logger // default slog.Default()

	// Links tells of the gateways that are reached through a packet forwarder.
	// nil: there are none.
	Links func() map[radio.EUI64]Link
	// GNSS tells what keeps the satellite receivers of gateways on this host from telling the
	// time; "": nothing. nil: there are none.
	GNSS func() map[radio.EUI64]string
	// Drivers tells of those that run. nil: there are none.
	Drivers func() []Driver

	// Changed is told of an application whose settings have changed. It must not block.
	// nil: nobody is.
	Changed func(application string)

	// Load says whether this version can go on with what a backup holds, and
	// Restore stops all work, puts the backup in the place of the state, and
	// begins anew once the answer is out. nil: nothing can be restored.
	Load    func(*store.Backup) error
	Restore func(context.Context, *store.Backup) (state.Restored, error)

	// Refuse returns why an operation is refused that was not added; nil: none is.
	Refuse func() error
}

// Admin carries out operations.
type Admin struct {
	o   Options
	log *slog.Logger

	added        map[string]operation // by Add
	drafts       registry.Drafts
	provisioning chan struct{} // full while something is changed: one after the other
	sharing      sharing.Sharing
}

// New returns an Admin.
func New(o Options) (*Admin, error) {
	if o.Bridge == nil || o.Keys == nil || o.Store == nil {
		return nil, errors.New("admin: no bridge, no keys or no store")
	}
	if o.Applications == nil || o.Codecs == nil || o.Resolver == nil {
		return nil, errors.New("admin: no applications, no codecs or no resolver of formatters")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Links == nil {
		o.Links = func() map[radio.EUI64]Link { return nil }
	}
	if o.GNSS == nil {
		o.GNSS = func() map[radio.EUI64]string { return nil }
	}
	if o.Drivers == nil {
		o.Drivers = func() []Driver { return nil }
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	return &Admin{o: o, log: o.Logger, provisioning: make(chan struct{}, 1)}, nil
}

// lock waits, as long as ctx allows, until no other change is under way. The
// caller calls unlock if there is no error.
func (a *Admin) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case a.provisioning <- struct{}{}:
		return func() { <-a.provisioning }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("another change is under way: %w", ctx.Err())
	}
}

// reply sends one part of an answer: a value that becomes a line of JSON.
type reply func(v any) error

// operation is an entry of the table.
type operation struct {
	run   runner
	right Right
	// limit is how long it may take; 0: until the caller disconnects.
	limit time.Duration
}

// How long operations may take.
const (
	briefly = 10 * time.Second // what asks the core one question
	long    = 2 * time.Minute  // what concerns many devices, or all of the state
)

// What the operations need. TTS asks for the same rights where it has the operation;
// keys of devices and of the API are for who has all.
var (
	readsTraffic   = Right{access.TrafficRead, true}
	sendsDownlinks = Right{access.TrafficDownWrite, true}
	writesTraffic  = Right{access.TrafficUpWrite, true}
	readsDevices   = Right{access.DevicesRead, true}
	writesDevices  = Right{access.DevicesWrite, true}
	readsGateways  = Right{access.GatewaysRead, false}
	everything     = Right{access.All, true}
	owner          = Right{access.All, false}
)

// operations is the table of all operations but those that Add has added.
var operations = map[string]operation{
	"events":       {with((*Admin).events), readsTraffic, 0},
	"why":          {with((*Admin).why), readsTraffic, briefly},
	"gateway.list": {with((*Admin).gateways), readsGateways, briefly},
	"status":       {with((*Admin).status), readsGateways, briefly},
	"backup":       {with((*Admin).backup), owner, long},
	"restore":      {with((*Admin).restore), owner, long},

	"gateway.airtime": {with((*Admin).airtime), owner, long}, // names devices of all applications

	"device.put":      {with((*Admin).putDevices), writesDevices, long},
	"device.set":      {with((*Admin).setDevice), writesDevices, briefly},
	"device.get":      {with((*Admin).getDevice), readsDevices, briefly},
	"device.list":     {with((*Admin).listDevices), readsDevices, long},
	"device.mac":      {with((*Admin).showMAC), readsDevices, long},
	"device.export":   {with((*Admin).exportDevices), everything, long},
	"device.delete":   {with((*Admin).deleteDevices), writesDevices, long},
	"device.activity": {with((*Admin).deviceActivity), readsTraffic, long},

	"key.create": {with((*Admin).createKey), everything, briefly},
	"key.list":   {with((*Admin).listKeys), everything, briefly},
	"key.revoke": {with((*Admin).revokeKey), owner, briefly},

	"application.list":   {with((*Admin).listApplications), owner, briefly},
	"application.get":    {with((*Admin).getApplication), readsDevices, briefly},
	"application.set":    {with((*Admin).setApplication), writesDevices, long},
	"application.delete": {with((*Admin).deleteApplication), everything, long},

	"codec.put":    {with((*Admin).putCodecs), owner, long},
	"codec.list":   {with((*Admin).listCodecs), owner, long},
	"codec.delete": {with((*Admin).deleteCodecs), owner, briefly},

	"formatter.list": {with((*Admin).listFormatters), readsDevices, long},
	"formatter.test": {with((*Admin).testFormatter), readsDevices, briefly},

	"mqtt.list": {with((*Admin).mqttClients), everything, briefly},

	"downlink.push": {with((*Admin).pushDownlinks), sendsDownlinks, briefly},
	"downlink.list": {with((*Admin).listDownlinks), readsTraffic, briefly},

	"uplink.simulate": {with((*Admin).simulate), writesTraffic, briefly},
	"message.list":    {with((*Admin).messages), readsTraffic, long},

	"registry.get":    {with((*Admin).getRegistry), readsDevices, briefly},
	"registry.keys":   {with((*Admin).getRegistryKeys), everything, briefly},
	"registry.put":    {with((*Admin).putRegistry), writesDevices, briefly},
	"registry.delete": {with((*Admin).deleteRegistry), writesDevices, briefly},
}

// ErrOperation is the reason for refusing a request whose operation does not exist.
var ErrOperation = errors.New("no such operation")

// Operation is one that another package adds to the table.
type Operation struct {
	Run   func(ctx context.Context, args json.RawMessage, reply func(v any) error) error
	Right Right
	Limit time.Duration // how long it may take; 0: until the caller disconnects
}

// Decoding decodes the arguments for f, and refuses members that their type does not
// have.
func Decoding[A any](
	f func(context.Context, A, func(v any) error) error,
) func(context.Context, json.RawMessage, func(v any) error) error {
	run := with(func(_ *Admin, ctx context.Context, args A, r reply) error { return f(ctx, args, r) })
	return func(ctx context.Context, args json.RawMessage, r func(v any) error) error {
		return run(ctx, nil, args, r)
	}
}

// Add adds an operation to the table, before anything is asked.
func (a *Admin) Add(name string, o Operation) {
	if a.added == nil {
		a.added = map[string]operation{}
	}
	run := func(ctx context.Context, _ *Admin, args json.RawMessage, r reply) error { return o.Run(ctx, args, r) }
	a.added[name] = operation{run, o.Right, o.Limit}
}

// find returns an operation of the table.
func (a *Admin) find(name string) (operation, bool) {
	if op, ok := a.added[name]; ok {
		return op, true
	}
	op, ok := operations[name]
	return op, ok
}

// runner carries out an operation with arguments that are not decoded yet.
type runner func(ctx context.Context, a *Admin, args json.RawMessage, r reply) error

// with decodes the arguments for a method. It refuses members that their type
// does not have.
func with[A any](f func(*Admin, context.Context, A, reply) error) runner {
	return func(ctx context.Context, a *Admin, raw json.RawMessage, r reply) error {
		var args A
		if len(raw) > 0 {
			if err := strict.Unmarshal(raw, &args); err != nil {
				return fmt.Errorf("arguments: %w", err)
			}
		}
		return f(a, ctx, args, r)
	}
}

// Call carries out an operation without a socket and calls each for every part of
// its answer, as Client.Call does.
func (a *Admin) Call(ctx context.Context, op string, args any, each func(json.RawMessage) error) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("admin: %s: %w", op, err)
	}
	return a.do(ctx, op, raw, func(v any) error {
		b, err := encode(v)
		if err != nil {
			return err
		}
		return each(bytes.TrimRight(b, "\n"))
	})
}

func (a *Admin) do(ctx context.Context, name string, args json.RawMessage, r reply) error {
	op, ok := a.find(name)
	if !ok {
		return fmt.Errorf("%w: %.40q", ErrOperation, name)
	}
	if _, added := a.added[name]; a.o.Refuse != nil && !added {
		return a.o.Refuse()
	}
	if op.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, op.limit)
		defer cancel()
	}
	if op.limit == long {
		r = sharing.Resting(ctx, r)
	}
	return op.run(ctx, a, args, r)
}
