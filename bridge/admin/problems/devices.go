package problems

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
)

func (d *Device) name() string { return d.Application + "/" + d.ID }

// link returns an address of the page about a device.
func (d *Device) link(tab string) string {
	return "#/device/" + url.PathEscape(d.Application) + "/" + url.PathEscape(d.ID) + tab
}

// plans returns the bands that devices have and no gateway, and these bands.
func (s *Snapshot) plans() (out []Problem, unserved map[string]bool) {
	served, unserved, of := map[string]bool{}, map[string]bool{}, map[string][]string{}
	for _, g := range s.Gateways {
		served[g.Band] = true // one that is off line is told of itself
	}
	for i := range s.Devices {
		if d := &s.Devices[i]; d.Band != "" && !served[d.Band] {
			unserved[d.Band] = true
			of[d.Plan] = append(of[d.Plan], d.name())
		}
	}
	for _, plan := range sorted(of) {
		devices := of[plan]
		verb := "has"
		if len(devices) > 1 {
			verb = "have"
		}
		out = append(out, Problem{
			Code: "plan_unserved", Tone: Warn, Title: "No gateway listens to the plan " + plan,
			Detail: fmt.Sprintf("%s %s this frequency plan, and no gateway has one of its band: none can hear it.",
				names(devices), verb),
			Todo:    "Give the device the plan of the gateway, or the gateway that of its country.",
			Command: "lorawand device set " + devices[0] + " --plan PLAN", Link: "#/gateways", Act: "Show the gateways",
		})
	}
	return out, unserved
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// refusals are what a reason for refusing a join adds to a title.
var refusals = map[event.JoinRefusal]string{
	event.JoinUnknownJoinEUI: ": unknown JoinEUI", event.JoinWrongKey: ": wrong AppKey",
	event.JoinUsedNonce: ": used DevNonce", event.JoinBudget: ": too many wrong frames",
	event.JoinUnserved: ": not served",
	event.JoinNoWindow: ": no gateway could answer", event.JoinNoAddress: ": no DevAddr is left",
	event.JoinNotStored: ": not stored",
}

// refused returns the devices whose last join was refused.
func (s *Snapshot) refused(unserved map[string]bool) (out []Problem) {
	var all []string
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.State != string(activity.Refused) || unserved[d.Band] {
			continue
		}
		if d.Refusal == string(event.JoinNotStored) && s.Store.Error != "" {
			continue
		}
		all = append(all, d.name())
		hint := cmp.Or(d.Hint, "compare its keys and EUIs with those that are stored")
		out = append(out, Problem{
			Code: "device_refused", Tone: Warn,
			Title: "Device " + d.name() + " is refused" + refusals[event.JoinRefusal(d.Refusal)],
			Detail: fmt.Sprintf("Its last join-request came %s ago. Until it has joined nothing of it is received.",
				lasting(d.RefusalAge)),
			Todo:    sentence(hint),
			Command: "lorawand device get " + d.name(), Link: d.link("/settings"), Act: "Compare the settings",
		})
	}
	if len(out) > several {
		return []Problem{{
			Code: "device_refused", Tone: Warn, Title: fmt.Sprintf("%d devices are refused", len(out)),
			Detail: names(all) + ": their last join-requests were refused.",
			Todo:   "Look at the reason of each.", Command: "lorawand events", Link: "#/devices", Act: "Show the devices",
		}}
	}
	return out
}

// silent returns the devices that were not heard for longer than usual, of those that a
// gateway could have heard.
func (s *Snapshot) silent(unserved map[string]bool) (out []Problem) {
	var listened time.Duration
	for _, g := range s.Gateways {
		if g.Online {
			listened = max(listened, g.Since)
		}
	}
	var all []string
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.State != string(activity.Silent) || unserved[d.Band] || listened < d.Interval {
			continue
		}
		all = append(all, d.name())
		detail := fmt.Sprintf("It was not heard since the start, %s ago.", lasting(s.Uptime))
		if d.Heard {
			detail = fmt.Sprintf("It was last heard %s ago.", lasting(d.Age))
		}
		if d.Interval > 0 {
			detail = detail[:len(detail)-1] + fmt.Sprintf("; it usually sends every %s.", lasting(d.Interval))
		}
		out = append(out, Problem{
			Code: "device_silent", Tone: Warn, Title: "Device " + d.name() + " is silent", Detail: detail,
			Todo:    "Look whether it has power, then whether a gateway is near enough. After a new battery it joins again.",
			Command: "lorawand device get " + d.name(), Link: d.link(""), Act: "Show the device",
		})
	}
	if len(out) > several {
		return []Problem{{
			Code: "device_silent", Tone: Warn, Title: fmt.Sprintf("%d devices are silent", len(out)),
			Detail: names(all) + ": not heard for longer than usual.",
			Todo: "Look at what they have in common: the gateway that heard them, the place, or the age of their " +
				"batteries.",
			Command: "lorawand device list", Link: "#/devices", Act: "Show the devices",
		}}
	}
	return out
}

// formatters returns why payloads cannot be decoded; each reason once.
func (s *Snapshot) formatters() (out []Problem) {
	of := map[string][]string{}
	for i := range s.Devices {
		for _, why := range s.Devices[i].Formatter {
			of[why] = append(of[why], s.Devices[i].name())
		}
	}
	for _, why := range sorted(of) {
		devices := of[why]
		title := "A payload formatter of " + devices[0] + " cannot be used"
		if n := len(devices); n > 1 {
			title = fmt.Sprintf("A payload formatter of %d devices cannot be used", n)
		}
		out = append(out, Problem{
			Code: "formatter_missing", Tone: Warn, Title: title,
			Detail:  fmt.Sprintf("%s: %s. Their messages go out without decoded_payload.", names(devices), why),
			Todo:    "Import the codec of the maker, or give the device a formatter of its own.",
			Command: "lorawand codec import DIR", Link: "#/formatters/" + devices[0], Act: "Show the formatter",
		})
	}
	if len(out) > several {
		rest := len(out) - several
		out = append(out[:several], Problem{
			Code: "formatter_missing", Tone: Warn, Title: fmt.Sprintf("%d other payload formatters cannot be used", rest),
			Detail: "The list of devices names them.", Todo: "Import the codecs of the makers.",
			Command: "lorawand device list", Link: "#/devices", Act: "Show the devices",
		})
	}
	return out
}

// sentence makes one of a hint: "compare them" becomes "Compare them.".
func sentence(hint string) string {
	if hint[0] >= 'a' && hint[0] <= 'z' {
		hint = string(hint[0]-'a'+'A') + hint[1:]
	}
	if hint[len(hint)-1] != '.' {
		hint += "."
	}
	return hint
}
