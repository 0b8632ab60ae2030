package gateway

import (
	"errors"
	"maps"
	"slices"

	"lorawand/radio"
	"lorawand/radio/region"
)

// unknownMark is appended to the default id of an unconfigured gateway if another
// gateway has that id.
const unknownMark = "-unknown"

// Taken returns a gateway that its driver serves. A gateway that nobody has
// configured gets this frequency plan.
func (r *Registry) Taken(eui radio.EUI64, plan *region.Plan) *Gateway {
	if g := r.byEUI[eui]; g != nil {
		return g
	}
	if g := r.removed[eui]; g != nil {
		return g
	}
	g := &Gateway{ID: DefaultID(eui), EUI: eui, Plan: plan, EnforceDutyCycle: true}
	if err := r.Add(g); err != nil {
		g.ID += unknownMark
		_ = r.Add(g)
	}
	return g
}

// IsRemoved reports whether a gateway was taken out of the configuration and not
// readmitted since.
func (r *Registry) IsRemoved(eui radio.EUI64) bool { return r.removed[eui] != nil }

// Admit takes the news of a gateway: one that was removed comes back when it connects, and one that has
// told its EUI has it from then on. It reports whether the news counts, and why the EUI cannot be had. leaves is
// called for a gateway before it is removed: one that nobody has configured, as a packet forwarder that came in
// with the EUI of a chip on board before that has told it.
func (r *Registry) Admit(e *radio.GatewayEvent, leaves func(*Gateway)) (ok bool, err error) {
	if r.IsRemoved(e.Gateway) {
		if e.Kind != radio.GatewayConnected && e.Kind != radio.GatewayIdentified {
			return false, nil
		}
		r.Readmit(e.Gateway)
	}
	if e.Kind == radio.GatewayIdentified {
		if g := r.byEUI[e.Gateway]; g != nil && !g.Configured && e.Was != e.Gateway && r.byEUI[e.Was] != nil {
			leaves(g)
			r.Remove(g)
		}
		err = r.Identify(e.Was, e.Gateway)
	}
	return true, err
}

// Readmit lets a removed gateway come back, because its driver serves unconfigured
// gateways, or because a stand-in for it is configured.
func (r *Registry) Readmit(eui radio.EUI64) { delete(r.removed, eui) }

// Reconfigure replaces the configured gateways by those of a new configuration. It
// removes configured gateways that the new one does not have; devices heard by them
// stay known. A gateway that is configured by its stand-in gets the EUI that it has
// told since. leaves is called for each gateway before it is removed, replanned for
// each gateway before its frequency plan changes. The error names the gateways that
// keep their old settings.
func (r *Registry) Reconfigure(gateways []*Gateway, leaves, replanned func(*Gateway)) error {
	var faults []error
	for _, n := range gateways {
		r.resolve(n)
	}
	for _, g := range r.All() {
		switch {
		case slices.ContainsFunc(gateways, func(n *Gateway) bool { return n.EUI == g.EUI }):
			g.ID = g.EUI.String() // for now, because gateways may swap their ids
		case g.Configured:
			leaves(g)
			r.Remove(g)
			r.removed[g.EUI] = g
		case slices.ContainsFunc(gateways, func(n *Gateway) bool { return n.ID == g.ID }):
			g.ID += unknownMark
		}
	}
	for _, n := range gateways {
		r.Readmit(n.EUI)
		g := r.byEUI[n.EUI]
		if g == nil {
			faults = append(faults, r.Add(n))
			continue
		}
		if g.Plan != n.Plan {
			replanned(g)
		}
		faults = append(faults, r.Configure(g, n))
	}
	maps.DeleteFunc(r.identified, func(_, eui radio.EUI64) bool { return r.byEUI[eui] == nil })
	return errors.Join(faults...)
}

// resolve replaces a configured stand-in by the EUI that the gateway has told
// since.
func (r *Registry) resolve(n *Gateway) {
	eui, ok := r.identified[n.EUI]
	if !ok {
		return
	}
	if n.ID == DefaultID(n.EUI) {
		n.ID = DefaultID(eui)
	}
	n.EUI = eui
}
