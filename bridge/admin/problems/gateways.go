package problems

import (
	"fmt"
	"time"
)

// gateways returns what is wrong with the gateways, and whether one is connected.
func (s *Snapshot) gateways() (out []Problem, connected bool) {
	var never, gone []*Gateway
	for i := range s.Gateways {
		g := &s.Gateways[i]
		switch {
		case g.Online:
			connected = true
		case g.Fault != "":
			out = append(out, Problem{
				Code: "gateway_fault", Tone: Bad, Title: "Gateway " + g.ID + " does not work", Detail: g.Fault + ".",
				Todo: "Mend that; for more stop lorawand and let the board be examined.", Command: "lorawand doctor",
				Link: "#/gateways", Act: "Show the gateway",
			})
		case !g.OnBoard && s.taken():
		case g.Changed:
			gone = append(gone, g)
		case s.Uptime >= startUp:
			never = append(never, g)
		}
	}
	out = append(out, s.receivers()...)
	out = append(out, s.gone(gone)...)
	unknown := s.unknown(never)
	if len(unknown) < len(never) || len(unknown) == 0 {
		out = append(out, s.never(never)...)
	}
	out = append(out, unknown...)
	if len(s.Gateways) == 0 && len(s.Devices) > 0 && len(unknown) == 0 {
		out = append(out, Problem{
			Code: "gateway_none", Tone: Bad, Title: "There is no gateway",
			Detail: fmt.Sprintf("%d devices are registered, and nothing hears them.", len(s.Devices)),
			Todo:   "Add a gateway to the configuration: [[gateway]] with its eui, or with its board.",
			Link:   "#/add-gateway", Act: "Add a gateway",
		})
	}
	return out, connected
}

// firstFix is how long after the start a satellite receiver may be without the time: it may have
// to hear the whole almanac, which takes 12.5 min.
const firstFix = 15 * time.Minute

// receivers returns the satellite receivers that do not tell the time. Without its chip a gateway
// cannot see their pulse.
func (s *Snapshot) receivers() (out []Problem) {
	for i := range s.Gateways {
		g := &s.Gateways[i]
		if g.GNSS.Says == "" || !g.Online || s.Uptime < firstFix {
			continue
		}
		out = append(out, Problem{
			Code: "gateway_gnss", Tone: Warn, Title: "Gateway " + g.ID + " has no GPS time",
			Detail: sentence(g.GNSS.Says) + " Without it there is no Class B, and no gps_time in messages.",
			Todo:   sentence(g.GNSS.Todo), Command: "lorawand gateway list", Link: "#/gateways", Act: "Show the gateway",
		})
	}
	return out
}

// gone returns the gateways that were connected.
func (s *Snapshot) gone(all []*Gateway) (out []Problem) {
	if len(all) > several {
		return []Problem{manyGateways("gateway_offline", fmt.Sprintf("%d gateways are off line", len(all)), all,
			"Look at what they have in common: power, or the network between.")}
	}
	for _, g := range all {
		from := ""
		if g.Address != "" {
			from = " from " + g.Address
		}
		out = append(out, Problem{
			Code: "gateway_offline", Tone: Bad, Title: "Gateway " + g.ID + " is off line",
			Detail: fmt.Sprintf("Nothing has come%s for %s.", from, lasting(g.Since)),
			Todo: "Look whether it has power and network, then whether server_address in its packet forwarder is still " +
				"the address of this host.",
			Command: "lorawand gateway list", Link: "#/gateways", Act: "Show the gateway",
		})
	}
	return out
}

// never returns the gateways that were never connected.
func (s *Snapshot) never(all []*Gateway) (out []Problem) {
	todo := "In its packet forwarder (global_conf.json or local_conf.json) set gateway_ID to the EUI, server_address to " +
		"this host, and serv_port_up and serv_port_down to the port of [udp] listen."
	switch {
	case s.UDP == "":
		todo = `Set [udp] listen = ":1700": without it no packet forwarder can reach lorawand.`
	case IsLoopback(s.UDP):
		todo += fmt.Sprintf(` If it runs on another host, set [udp] listen = ":1700" too: now it is %q.`, s.UDP)
	}
	if len(all) > several {
		return []Problem{manyGateways("gateway_never", fmt.Sprintf("%d gateways were never seen", len(all)), all, todo)}
	}
	for _, g := range all {
		p := Problem{
			Code: "gateway_never", Tone: Bad, Title: "Gateway " + g.ID + " was never seen",
			Detail: fmt.Sprintf("No packet forwarder with the EUI %s has sent anything since the start, %s ago.", g.EUI,
				lasting(s.Uptime)),
			Todo: todo, Command: "lorawand gateway list", Link: "#/gateways", Act: "Show the settings to copy",
		}
		if g.OnBoard {
			p.Detail = fmt.Sprintf("Its concentrator has not started since the start of lorawand, %s ago.", lasting(s.Uptime))
			p.Todo, p.Command = "Look into the log; for more stop lorawand and let the board be examined.", "lorawand doctor"
		}
		out = append(out, p)
	}
	return out
}

func manyGateways(code, title string, all []*Gateway, todo string) Problem {
	ids := make([]string, len(all))
	for i, g := range all {
		ids[i] = g.ID
	}
	return Problem{
		Code: code, Tone: Bad, Title: title, Detail: names(ids) + ".", Todo: todo, Command: "lorawand gateway list",
		Link: "#/gateways", Act: "Show the gateways",
	}
}

// unknown returns the gateways that nobody has configured. One that was never seen has
// most likely another EUI than the configuration says: so this stands for both.
func (s *Snapshot) unknown(never []*Gateway) (out []Problem) {
	var euis []string
	for _, g := range s.Unknown {
		if g.Age > recent {
			continue
		}
		euis = append(euis, g.EUI)
		todo := `If it is yours, add to the configuration [[gateway]] with eui = "` + g.EUI + `" and reload lorawand.`
		if len(never) > 0 {
			todo = fmt.Sprintf("If it is %s, write this EUI into the configuration: there it has %s. "+
				"If it is another one of yours, add it.", never[0].ID, never[0].EUI)
		}
		out = append(out, Problem{
			Code: "gateway_unknown", Tone: Warn, Title: "An unknown gateway wants in",
			Detail: fmt.Sprintf("A packet forwarder with the EUI %s sends from %s, and is refused.", g.EUI, g.Address),
			Todo:   todo, Command: "systemctl reload lorawand", Link: "#/add-gateway?eui=" + g.EUI, Act: "Add the gateway",
		})
	}
	if len(out) > several {
		return []Problem{{
			Code: "gateway_unknown", Tone: Warn, Title: fmt.Sprintf("%d unknown gateways want in", len(out)),
			Detail: names(euis) + " send, and are refused.",
			Todo:   "If they are yours, add them to the configuration, or set [udp] accept_unknown = true.",
			Link:   "#/gateways", Act: "Show the gateways",
		}}
	}
	return out
}
