package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
	"lorawand/bridge/v3/enddevice"
)

// Application is what "application.list" and "application.get" tell.
type Application struct {
	ID      string `json:"application_id"`
	Devices int    `json:"devices"`
	APIKeys int    `json:"api_keys"`
	// Formatters are for devices that have none of their own.
	Formatters DefaultFormatters `json:"default_formatters,omitzero"`
	Webhook    *Webhook          `json:"webhook,omitempty"`
	// HomeAssistant says whether Home Assistant is told of the devices.
	HomeAssistant bool `json:"home_assistant,omitempty"`
}

// Webhook is what is told of a webhook: its secrets are not.
type Webhook struct {
	URL         string   `json:"url"`
	Paths       []string `json:"paths,omitempty"`   // "uplink_message=/up"
	Headers     []string `json:"headers,omitempty"` // their names
	DownlinkURL string   `json:"downlink_url,omitempty"`
}

func webhookOf(w *access.Webhook) *Webhook {
	if w.URL == "" {
		return nil
	}
	out := &Webhook{URL: w.URL, DownlinkURL: w.DownlinkURL}
	for p := range w.EachPath {
		out.Paths = append(out.Paths, p[0]+"="+p[1])
	}
	for header := range w.EachHeader {
		out.Headers = append(out.Headers, header[0])
	}
	return out
}

// DefaultFormatters are formatters as The Things Stack names them.
type DefaultFormatters struct {
	Up            string `json:"up_formatter,omitempty"`
	UpParameter   string `json:"up_formatter_parameter,omitempty"`
	Down          string `json:"down_formatter,omitempty"`
	DownParameter string `json:"down_formatter_parameter,omitempty"`
}

// ErrNoApplication is the reason for doing nothing to an application that does not
// exist.
var ErrNoApplication = errors.New("no such application; its first API key or device brings it into being")

// applications returns all applications: those that a key or a device names, and
// those for which something is set.
func (a *Admin) applications(ctx context.Context) (map[string]*Application, error) {
	devices, err := a.o.Bridge.Applications(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*Application{}
	named := func(id string) *Application {
		if all[id] == nil {
			all[id] = &Application{ID: id}
		}
		return all[id]
	}
	for id, n := range devices {
		named(id).Devices = n
	}
	for _, k := range a.o.Keys.Keys("") {
		if !k.Rights.Has(access.GatewayLink) {
			named(k.Application).APIKeys++
		}
	}
	for _, set := range a.o.Applications.All() {
		named(set.ID).Formatters = DefaultFormatters{set.Up.Kind, set.Up.Parameter, set.Down.Kind, set.Down.Parameter}
		named(set.ID).Webhook = webhookOf(&set.Webhook)
		named(set.ID).HomeAssistant = set.HomeAssistant
	}
	return all, nil
}

// exists reports whether there is an application. It asks the core only where
// nothing else says so.
func (a *Admin) exists(ctx context.Context, id string) (bool, error) {
	if _, set := a.o.Applications.Application(id); set || len(a.o.Keys.Keys(id)) > 0 {
		return true, nil
	}
	return a.o.Bridge.HasDevices(ctx, id)
}

// listApplications answers with every Application.
func (a *Admin) listApplications(ctx context.Context, _ struct{}, r reply) error {
	all, err := a.applications(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if err := r(all[id]); err != nil {
			return err
		}
	}
	return nil
}

// ApplicationArgs name an application.
type ApplicationArgs struct {
	ID string `json:"application_id"`
}

// getApplication answers with an Application.
func (a *Admin) getApplication(ctx context.Context, args ApplicationArgs, r reply) error {
	app, err := a.application(ctx, args.ID)
	if err != nil {
		return err
	}
	return r(app)
}

// application returns an application, or ErrNoApplication.
func (a *Admin) application(ctx context.Context, id string) (*Application, error) {
	all, err := a.applications(ctx)
	if err != nil {
		return nil, err
	}
	if all[id] == nil {
		return nil, fmt.Errorf("%.60q: %w", id, ErrNoApplication)
	}
	return all[id], nil
}

// SetApplicationArgs are the arguments of "application.set". What is nil stays as it
// is.
type SetApplicationArgs struct {
	ID            string            `json:"application_id"`
	UpFormatter   *access.Formatter `json:"up_formatter,omitempty"`
	DownFormatter *access.Formatter `json:"down_formatter,omitempty"`
	Webhook       *access.Webhook   `json:"webhook,omitempty"` // with an empty URL it goes
	HomeAssistant *bool             `json:"home_assistant,omitempty"`
}

// change puts what is given into the settings of an application.
func (args *SetApplicationArgs) change(app *access.Application) {
	if args.UpFormatter != nil {
		app.Up = *args.UpFormatter
	}
	if args.DownFormatter != nil {
		app.Down = *args.DownFormatter
	}
	if args.Webhook != nil {
		app.Webhook = *args.Webhook
	}
	if args.HomeAssistant != nil {
		app.HomeAssistant = *args.HomeAssistant
	}
}

// setApplication changes what is set for an application. It answers with a SetNote
// for each kind of thing that the owner is to know.
func (a *Admin) setApplication(ctx context.Context, args SetApplicationArgs, r reply) error {
	for _, f := range []*access.Formatter{args.UpFormatter, args.DownFormatter} {
		if f == nil {
			continue
		}
		if err := enddevice.CheckFormatter(f.Kind, f.Parameter); err != nil {
			return err
		}
	}
	if args.Webhook != nil {
		if err := args.Webhook.Check(); err != nil {
			return err
		}
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	exists, err := a.exists(ctx, args.ID)
	if err == nil && (!exists || args.ID == "") {
		err = fmt.Errorf("%.60q: %w", args.ID, ErrNoApplication)
	}
	if err != nil {
		return err
	}
	app, _ := a.o.Applications.Application(args.ID)
	app.ID = args.ID
	args.change(&app)
	record, err := state.ApplicationRecord(app)
	if err != nil {
		return err
	}
	if err := a.o.Store.Commit(record); err != nil {
		return err
	}
	a.o.Applications.Put(app)
	a.o.Changed(app.ID)
	a.log.Info("application changed", "application_id", app.ID,
		"up_formatter", app.Up.Kind, "down_formatter", app.Down.Kind)
	return a.tellFormatters(ctx, app.ID, r)
}

// DeleteApplicationArgs are the arguments of "application.delete".
type DeleteApplicationArgs struct {
	ID  string `json:"application_id"`
	All bool   `json:"all,omitempty"` // its devices and API keys too
}

// DeletedApplication is the answer of "application.delete".
type DeletedApplication struct {
	Devices      int `json:"devices"`
	APIKeys      int `json:"api_keys"`
	Disconnected int `json:"disconnected"` // connections and sessions that have ended
}

// ErrInUse is the reason for not deleting an application that has devices or keys.
var ErrInUse = errors.New("it is not empty")

// deleteApplication removes an application with its devices and keys.
func (a *Admin) deleteApplication(ctx context.Context, args DeleteApplicationArgs, r reply) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	app, err := a.application(ctx, args.ID)
	if err != nil {
		return err
	}
	if !args.All && (app.Devices > 0 || app.APIKeys > 0) {
		return fmt.Errorf("%s: %w: it has %d devices and %d API keys", app.ID, ErrInUse, app.Devices, app.APIKeys)
	}
	did := DeletedApplication{Devices: app.Devices, APIKeys: app.APIKeys}
	if app.Devices > 0 {
		if err := a.deleteDevicesOf(ctx, app.ID); err != nil {
			return err
		}
	}
	keys := a.o.Keys.Keys(app.ID)
	records := []store.Record{{Kind: state.KindApplication, Key: app.ID}}
	for _, k := range keys {
		records = append(records, store.Record{Kind: state.KindKey, Key: k.ID}, state.DeleteKeyUse(k.ID))
	}
	if err := a.o.Store.Commit(records...); err != nil {
		if app.Devices > 0 {
			err = fmt.Errorf("its devices are deleted, its API keys are not: %w", err)
		}
		return err
	}
	for _, k := range keys {
		did.Disconnected += a.revoked(k)
	}
	a.o.Applications.Remove(app.ID)
	a.o.Changed(app.ID)
	a.log.Info("application deleted", "application_id", app.ID, "devices", did.Devices, "api_keys", did.APIKeys)
	return r(did)
}

// deleteDevicesOf removes all devices of an application.
func (a *Admin) deleteDevicesOf(ctx context.Context, application string) error {
	var ids []session.ID
	err := a.o.Bridge.Devices(ctx, application, func(d *session.Device) error {
		ids = append(ids, d.ID)
		return nil
	})
	if err != nil {
		return err
	}
	return a.remove(ctx, ids)
}
