package main

import (
	"context"
	"errors"

	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// errAnew is returned by run when the daemon must start again with another state.
var errAnew = errors.New("begin anew")

// restoring is a backup that is to replace the state.
type restoring struct {
	backup *store.Backup
	did    *state.Restored
	done   chan error
}

// restore stops the daemon's work, replaces its state, and ends run.
func (d *daemon) restore(ctx context.Context, b *store.Backup) (state.Restored, error) {
	r := restoring{b, new(state.Restored), make(chan error, 1)}
	select {
	case d.restores <- r:
		err := <-r.done
		return *r.did, err
	case <-ctx.Done():
		return state.Restored{}, ctx.Err()
	}
}

// run works until ctx ends or a part fails. It stops the parts from the air
// inwards: first the gateways, so that nothing more is heard, and then those that
// publish what was heard.
func (d *daemon) run(ctx context.Context) error {
	d.log.Info("lorawand starts", "version", version, "devices", d.state.Devices.Len(), "api_keys", d.state.Keys.Len())
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopBroker := stage(ctx, fail, d.broker.Run)
	stopHooks := stage(ctx, fail, d.hooks.Run)
	stopHome := stage(ctx, fail, d.home.Run)
	stopUpstreams, stopBackfills := stage(ctx, fail, d.upstreams.run), stage(ctx, fail, d.backfills.run)
	stopFormatters := stage(ctx, fail, d.formatters.Run)
	stopRecorder := func() {}
	if d.recorder != nil {
		stopRecorder = stage(ctx, fail, d.recorder.Run)
	}
	stopBridge := stage(ctx, fail, d.bridge.Run)
	stopLead := stage(ctx, fail, d.lead.run)
	doors := d.startDoors(ctx, fail)
	var stops []func()
	stops = append(stops, stage(ctx, fail, d.forwarding.run), stage(ctx, fail, d.chirpStacks.run))
	if d.udp != nil {
		stops = append(stops, stage(ctx, fail, func(ctx context.Context) error { return d.udp.Run(ctx, d.bridge) }))
	}
	stops = append(stops, d.extenders.start(ctx, fail, d.bridge))
	d.boards.start = func(o *onboard) {
		o.stop = stage(ctx, fail, func(ctx context.Context) error { return o.Run(ctx, d.bridge) })
	}
	for _, o := range d.boards.all() {
		d.boards.start(o)
	}
	stops = append(stops, d.boards.stop)
	replace := d.wait(ctx)
	d.log.Info("lorawand stops")
	stops = append(stops, stopHome, stopLead, stopBridge, stopRecorder, stopFormatters, stopUpstreams, stopBackfills,
		stopHooks, stopBroker)
	if replace != nil {
		return d.anew(ctx, replace, doors, stops)
	}
	if err := d.stop(append(doors, stops...)); err != nil {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// anew replaces the state when all work has stopped, and returns errAnew, or nil if the daemon has to
// stop meanwhile.
func (d *daemon) anew(ctx context.Context, r *restoring, doors, stops []func()) error {
	leads := hasNATS && d.lead.store() != nil // then this machine goes on leading
	if !leads {
		defer d.store.Close()
	}
	for _, stop := range stops {
		stop()
	}
	if leads { // its servers may not answer, and a stop does not wait for them
		defer context.AfterFunc(ctx, func() { _ = d.store.Close() })()
	}
	r.done <- d.store.Restore(merging(r.backup, r.did))
	for _, stop := range doors { // the answer is on its way through one of them
		stop()
	}
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		return errAnew
	}
	if leads {
		_ = d.store.Close()
	}
	return nil
}

// startDoors begins to serve commands, HTTP and the web page. It returns what ends that.
func (d *daemon) startDoors(ctx context.Context, fail context.CancelCauseFunc) (stops []func()) {
	stops = append(stops, stage(ctx, fail, d.control.Run))
	if d.closePage != nil {
		stops = append(stops, d.closePage)
	}
	if d.http != nil {
		stops = append(stops, stage(ctx, fail, d.http.Run))
	}
	if d.api != nil {
		stops = append(stops, stage(ctx, fail, d.api.Run))
	}
	return stops
}

// wait returns when the daemon is to stop: with a backup to restore, or with nil.
// Until then it reloads the configuration when it is asked to.
func (d *daemon) wait(ctx context.Context) *restoring {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-d.restores:
			return &r
		case <-d.reloads:
			d.reload(ctx)
		}
	}
}

// turns returns nil when the loop of the core has answered.
func (d *daemon) turns(ctx context.Context) error {
	_, err := d.bridge.Stats(ctx)
	return err
}

// close closes what was opened but not run.
func (d *daemon) close() {
	if d.control != nil {
		_ = d.control.Close()
	}
	if d.http != nil {
		_ = d.http.Close()
	}
	if d.api != nil {
		_ = d.api.Close()
	}
	if d.udp != nil {
		_ = d.udp.Close()
	}
	d.extenders.closeUnused()
	if d.recorder != nil {
		_ = d.recorder.Close()
	}
	if d.broker != nil {
		d.broker.Close()
	}
	if d.store != nil {
		_ = d.store.Close()
	}
}
