package main

import (
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/session"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio/region"
)

// planNotes returns a line for each frequency plan of devices that no gateway
// hears, neither a configured one nor an unknown one that may come. It ignores
// unknown plans, which are reported elsewhere.
func planNotes(c config.Config, devices []*session.Device) (lines []string) {
	heard := gatewayPlans(c)
	unheard := map[string][]*session.Device{}
	for _, d := range devices {
		p, err := region.Lookup(d.Plan)
		if err == nil && !slices.ContainsFunc(heard, func(id string) bool { return shareChannel(p, id) }) {
			unheard[d.Plan] = append(unheard[d.Plan], d)
		}
	}
	for _, id := range region.IDs() {
		of := unheard[id]
		if len(of) == 0 {
			continue
		}
		who := of[0].ID.Device
		if len(of) > 1 {
			who = fmt.Sprintf("%d devices, %s is the first", len(of), who)
		}
		lines = append(lines, fmt.Sprintf("%s: no gateway hears the frequency plan %s, they have %s; "+
			"device set --plan changes that of a device, frequency_plan that of a gateway", who, id, strings.Join(heard, ", ")))
	}
	return lines
}

// gatewayPlans returns the plans of the configured gateways and of gateways that
// are not configured.
func gatewayPlans(c config.Config) (ids []string) {
	for i := range c.Gateways {
		if id := c.Gateways[i].FrequencyPlan; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if id := c.Network.DefaultFrequencyPlan; (len(ids) == 0 || c.UDP.AcceptUnknown) && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids
}

// shareChannel reports whether gateways with a plan hear a channel of p.
func shareChannel(p *region.Plan, id string) bool {
	q, err := region.Lookup(id)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(p.Channels(), func(c region.Channel) bool {
		return slices.ContainsFunc(q.Channels(), func(o region.Channel) bool { return o.Frequency == c.Frequency })
	})
}
