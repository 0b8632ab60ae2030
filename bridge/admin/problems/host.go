package problems

import (
	"fmt"
	"net/netip"
	"strings"
)

// store returns what is wrong with the store. One that cannot be written hides that it
// has little room.
func (s *Snapshot) store() (out []Problem) {
	st := &s.Store
	switch free := st.Free >= 0 && st.Free < max(leastFree, st.Need); {
	case st.Error != "":
		out = append(out, Problem{
			Code: "store_unwritable", Tone: Bad, Title: "The store cannot be written",
			Detail: st.Error + ". Uplinks go on; new devices and keys cannot be saved, and downlinks go on only " +
				"for as many frames as were reserved.",
			Todo:    "Free some space in " + st.Path + ", or make it writable; it goes on by itself.",
			Command: "df -h " + st.Path, Link: "#/system", Act: "Show the system",
		})
	case free:
		out = append(out, Problem{
			Code: "store_full", Tone: Warn, Title: "Little space is left for the store",
			Detail: fmt.Sprintf("%s are free in %s; the store needs up to %s to write its state anew.",
				bytesText(st.Free), st.Path, bytesText(max(leastFree, st.Need))),
			Todo:    "Free some space before the store cannot be written.",
			Command: "df -h " + st.Path, Link: "#/system", Act: "Show the system",
		})
	}
	if len(st.Damage) > 0 {
		out = append(out, Problem{
			Code: "store_damaged", Tone: Warn, Title: "The store was damaged",
			Detail:  strings.Join(st.Damage, "; ") + ". What could be read is in use, and was written anew.",
			Todo:    "Look whether all devices and keys are there. If not, restore a backup.",
			Command: "lorawand device list", Link: "#/system", Act: "Show the system",
		})
	}
	if st.InMemory && !s.isExtender() { // the owner has allowed it, else the daemon would not run
		out = append(out, Problem{
			Code: "store_in_memory", Tone: Info, Title: "The store is in memory",
			Detail: st.Path + " is lost when this host restarts: all devices, keys and frame counters.",
			Todo:   "Set [store] path to a folder on flash and ephemeral = false, then restore a backup.",
			Link:   "#/system", Act: "Show the system", Command: "lorawand backup FILE",
		})
	}
	return out
}

// isExtender reports whether this lorawand gives its radio to a central, and keeps nothing.
func (s *Snapshot) isExtender() bool { return len(s.Servers) == 1 && s.Servers[0].Central }

// central returns that the central does not answer.
func (o *Server) central() Problem {
	why := "."
	if o.Fault != "" {
		why = ": " + o.Fault + "."
	}
	return Problem{
		Code: "central_lost", Tone: Bad, Title: "The central " + o.Address + " does not answer",
		Detail: "It has not answered for " + lasting(o.Silence) + why + " What this gateway hears until then is lost.",
		Todo: "Look whether lorawand runs there, and whether this host reaches the port of its [extenders] listen. If it " +
			"does not let this gateway in, pair both again: lorawand gateway pair on the central.",
		Command: "lorawand events",
	}
}

// servers returns which other network servers do not answer.
func (s *Snapshot) servers() (out []Problem) {
	for i := range s.Servers {
		o := &s.Servers[i]
		if o.Central && o.Answered < o.Gateways && o.Silence >= centralGone {
			out = append(out, o.central())
			continue
		}
		if o.Answered == o.Gateways || o.Silence < startUp {
			continue
		}
		detail := fmt.Sprintf("It has answered none of %d gateways for %s", o.Gateways, lasting(o.Silence))
		if o.Answered > 0 {
			detail = fmt.Sprintf("It answers %d of %d gateways", o.Answered, o.Gateways)
		}
		if o.Fault != "" {
			detail += ": " + o.Fault
		}
		if o.MQTT {
			out = append(out, Problem{
				Code: "chirpstack_silent", Tone: Warn, Title: "The ChirpStack network at " + o.Address + " has not all gateways",
				Detail: detail + ". The frames that are for it are lost.",
				Todo: "Look whether its broker runs and lets each gateway in, by user name or certificate; or remove its " +
					"[[chirpstack]] from the configuration.",
				Command: "lorawand events",
			})
			continue
		}
		out = append(out, Problem{
			Code: "forward_silent", Tone: Warn, Title: "The network server " + o.Address + " does not answer",
			Detail: detail + ". The frames that are for it are lost.",
			Todo: "Register the gateways there by their EUIs, and look whether UDP to its port is let through; or remove " +
				"its [[forward]] from the configuration.",
			Command: "lorawand gateway list",
		})
	}
	return out
}

// ports returns which ports others hold.
func (s *Snapshot) ports() (out []Problem) {
	for _, p := range s.Ports {
		port := p.Address[strings.LastIndexByte(p.Address, ':')+1:]
		holder, todo := "Another program", "Stop the program that holds it"
		if p.Holder != "" {
			holder, todo = p.Holder, "Stop "+p.Holder
		}
		detail := fmt.Sprintf("%s holds %s %s.", holder, strings.ToUpper(p.Network), p.Address)
		if p.Network == "udp" {
			detail = fmt.Sprintf("%s holds UDP %s, so no packet forwarder can reach lorawand, and no device is heard.",
				holder, p.Address)
		}
		problem := Problem{
			Code: "port_taken", Tone: Bad, Title: "Port " + port + " is taken", Detail: detail,
			Todo: fmt.Sprintf("%s, or set %s to another port.", todo, p.Setting),
		}
		if p.Network == "udp" {
			problem.Todo = fmt.Sprintf("%s, or set %s to another port and tell the packet forwarders.", todo, p.Setting)
		}
		out = append(out, problem)
	}
	return out
}

// taken reports whether another program holds the port for packet forwarders.
func (s *Snapshot) taken() bool {
	for _, p := range s.Ports {
		if p.Network == "udp" {
			return true
		}
	}
	return false
}

// listening returns whether the broker can be reached from this host only, and nobody
// does. Who wants it so has a client here.
func (s *Snapshot) listening() []Problem {
	if len(s.MQTT) == 0 || s.Clients > 0 {
		return nil
	}
	for _, a := range s.MQTT {
		if !IsLoopback(a) {
			return nil
		}
	}
	return []Problem{{
		Code: "mqtt_loopback", Tone: Info, Title: "MQTT cannot be reached from the LAN",
		Detail: fmt.Sprintf("The broker listens on %s only, and no client is connected.", strings.Join(s.MQTT, ", ")),
		Todo:   `If a program on another host is to connect, set [mqtt] listen = [":1883"] and restart lorawand.`,
		Link:   "#/integrations", Act: "Show the integrations",
	}}
}

// IsLoopback reports whether only this host can reach an address.
func IsLoopback(address string) bool {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return a.Addr().IsLoopback()
	}
	return strings.HasPrefix(address, "localhost:")
}

// keys returns which API keys nobody uses. Without a calendar their use is not recorded.
func (s *Snapshot) keys() []Problem {
	if s.NoClock {
		return nil
	}
	var unused []string
	for _, k := range s.Keys {
		if !k.Used && s.Uptime >= newKey || k.Used && k.Idle >= idleKey {
			name := k.Name
			if name == "" {
				name = k.ID
			}
			unused = append(unused, fmt.Sprintf("%s of %s", name, k.Application))
		}
	}
	if len(unused) == 0 {
		return nil
	}
	title := "An API key is not used"
	if len(unused) > 1 {
		title = fmt.Sprintf("%d API keys are not used", len(unused))
	}
	return []Problem{{
		Code: "key_unused", Tone: Info, Title: title,
		Detail:  names(unused) + ": no program has logged in with it for long, or ever.",
		Todo:    "Revoke what nobody needs: whoever finds such a key can use it.",
		Command: "lorawand api-key list", Link: "#/integrations", Act: "Show the keys",
	}}
}
