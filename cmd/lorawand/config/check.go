package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Check returns all faults of the configuration at once, as ErrConfig.
func (c *Config) Check() error {
	var f faults
	c.checkRole(&f)
	if c.Store.Path == "" {
		f.add("store.path", "must not be empty")
	}
	c.checkNATS(&f)
	durationRange(&f, "store.commit_interval", c.Store.CommitInterval, 0, time.Hour)
	if c.Control.Socket == "" {
		f.add("control.socket", "must not be empty")
	}
	oneOf(&f, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(&f, "log.format", c.Log.Format, "text", "json")
	c.Network.check(&f)
	c.MQTT.check(&f)
	address(&f, "http.listen", c.HTTP.Listen, true)
	address(&f, "http.api_listen", c.HTTP.APIListen, true)
	c.UDP.check(&f)
	durationRange(&f, "formatter.deadline", c.Formatter.Deadline, time.Millisecond, time.Second)
	durationRange(&f, "formatter.wait", c.Formatter.Wait, 10*time.Millisecond, time.Minute)
	c.checkForwards(&f)
	checkUpstreams(&f, c)
	checkBackfills(&f, c)
	checkChirpStacks(&f, c)
	checkGateways(&f, c.Gateways)
	return f.err()
}

func (u *UDP) check(f *faults) {
	address(f, "udp.listen", u.Listen, true)
	for i, text := range u.Allow {
		p, err := netip.ParsePrefix(text)
		switch at := fmt.Sprintf("udp.allow[%d]", i); {
		case err != nil || p.Addr().Is4In6():
			f.add(at, "%q, must be a network such as \"192.168.1.0/24\" or \"fd00::/8\"", text)
		case p != p.Masked():
			f.add(at, "%q has digits behind its %d bits: the network is %q", text, p.Bits(), p.Masked())
		}
	}
}

func (n *Network) check(f *faults) {
	var id radio.NetID
	if err := id.UnmarshalText([]byte(n.NetID)); err != nil {
		f.add("network.net_id", "%q, must be 6 hexadecimal digits", n.NetID)
	}
	for i, p := range n.DevAddrPrefixes {
		addr, bits, _ := strings.Cut(p, "/")
		var a radio.DevAddr
		length, err := strconv.Atoi(bits)
		switch {
		case a.UnmarshalText([]byte(addr)) != nil || err != nil || length < 0 || length > 32:
			f.add(fmt.Sprintf("network.dev_addr_prefixes[%d]", i), "%q, must be 8 hexadecimal digits, \"/\" and 0 to 32", p)
		case length < 32 && a.Uint32()<<length != 0:
			f.add(fmt.Sprintf("network.dev_addr_prefixes[%d]", i), "%q has digits behind its %d bits", p, length)
		}
	}
	durationRange(f, "network.deduplication_window", n.DeduplicationWindow, time.Millisecond, time.Second)
	durationRange(f, "network.rx1_delay", n.RX1Delay, time.Second, 15*time.Second)
	if n.RX1Delay.D()%time.Second != 0 {
		f.add("network.rx1_delay", "%v, must be whole seconds", n.RX1Delay)
	}
	plan(f, "network.default_frequency_plan", n.DefaultFrequencyPlan)
}

func (m *MQTT) check(f *faults) {
	seen := map[string]string{}
	for _, l := range []struct {
		key   string
		addrs []string
	}{{"mqtt.listen", m.Listen}, {"mqtt.tls_listen", m.TLSListen}, {"mqtt.websocket_listen", m.WebSocketListen}} {
		for i, a := range l.addrs {
			key := fmt.Sprintf("%s[%d]", l.key, i)
			address(f, key, a, false)
			if other, twice := seen[a]; twice && !strings.HasSuffix(a, ":0") {
				f.add(key, "%q is also %s", a, other)
			}
			seen[a] = key
		}
	}
	if len(m.TLSListen) > 0 && (m.Certificate == "" || m.Key == "") {
		f.add("mqtt.tls_listen", "needs mqtt.certificate and mqtt.key; lorawand tls init makes them")
	} else if (m.Certificate == "") != (m.Key == "") {
		f.add("mqtt.certificate", "and mqtt.key go together")
	}
	if m.ClientCA != "" && m.Certificate == "" {
		f.add("mqtt.client_ca", "needs mqtt.certificate and mqtt.key")
	}
	for i, o := range m.WebSocketOrigins {
		if u, err := url.Parse(o); o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			f.add(fmt.Sprintf("mqtt.websocket_origins[%d]", i), "%q, must be like \"https://flows.example\" or \"*\"", o)
		}
	}
	if err := session.CheckID(m.Tenant); err != nil {
		f.add("mqtt.tenant", "%v", err)
	}
	l := &m.Limits
	intRange(f, "clients", l.Clients, 1, 10_000)
	intRange(f, "unauthenticated", l.Unauthenticated, 1, 10_000)
	intRange(f, "unauthenticated_per_address", l.UnauthenticatedPerAddress, 1, 10_000)
	durationRange(f, "mqtt.limits.connect_timeout", l.ConnectTimeout, 100*time.Millisecond, 5*time.Minute)
	intRange(f, "packet_size", l.PacketSize, 1024, 16<<20)
	intRange(f, "inflight", l.Inflight, 1, 10_000)
	intRange(f, "receive_maximum", l.ReceiveMaximum, 1, 10_000)
	intRange(f, "writes_pending", l.WritesPending, 1, 100_000)
	durationRange(f, "mqtt.limits.write_deadline", l.WriteDeadline, 10*time.Millisecond, time.Minute)
	intRange(f, "subscriptions", l.Subscriptions, 1, 10_000)
	intRange(f, "offline_messages", l.OfflineMessages, 1, 1_000_000)
	intRange(f, "offline_bytes", l.OfflineBytes, 4096, 1<<30)
	intRange(f, "offline_bytes_total", l.OfflineBytesTotal, 4096, 1<<30)
	intRange(f, "kept_bytes_total", l.KeptBytesTotal, 4096, 32<<20)
	durationRange(f, "mqtt.limits.session_expiry", l.SessionExpiry, time.Second, 365*24*time.Hour)
}

func checkGateways(f *faults, gws []Gateway) {
	ids, euis := map[string]string{}, map[string]string{}
	for i := range gws {
		g := &gws[i]
		at := fmt.Sprintf("gateway[%d]", i)
		if g.ID != "" {
			at += " (" + g.ID + ")"
		}
		eui := g.check(f, at)
		id := g.ID
		if id == "" && eui != "" {
			var e radio.EUI64
			if e.UnmarshalText([]byte(eui)) == nil {
				id = gateway.DefaultID(e)
			}
		}
		if other, twice := ids[id]; twice && id != "" {
			f.add(at+".id", "%q is also that of %s", id, other)
		}
		if other, twice := euis[eui]; twice && eui != "" {
			f.add(at+".eui", "%s is also that of %s", eui, other)
		}
		ids[id], euis[eui] = at, at
	}
}

// check returns the EUI in one form, or "".
func (g *Gateway) check(f *faults, at string) string {
	if g.ID != "" {
		if err := session.CheckID(g.ID); err != nil {
			f.add(at+".id", "%v", err)
		}
	}
	var eui radio.EUI64
	hasEUI := g.EUI != ""
	if hasEUI {
		if err := eui.UnmarshalText([]byte(g.EUI)); err != nil {
			f.add(at+".eui", "%q, must be 16 hexadecimal digits", g.EUI)
			hasEUI = false
		}
	} else if g.Driver != "sx1302" {
		f.add(at+".eui", "missing; only a gateway with driver \"sx1302\" has one of its own")
	}
	oneOf(f, at+".driver", g.Driver, "udp", "sx1302", ExtenderRole, "virtual")
	plan(f, at+".frequency_plan", g.FrequencyPlan)
	if g.AntennaGain != nil {
		floatRange(f, at+".antenna_gain", *g.AntennaGain, -50, 50)
	}
	if l := g.Location; l != nil {
		floatRange(f, at+".location.latitude", l.Latitude, -90, 90)
		floatRange(f, at+".location.longitude", l.Longitude, -180, 180)
	}
	switch {
	case g.Driver == "sx1302":
		g.checkSX1302(f, at)
	case g.SX1302 != nil:
		f.add(at+".sx1302", "only with driver = \"sx1302\"")
	}
	if !hasEUI {
		return ""
	}
	return eui.String()
}

func oneOf(f *faults, key, v string, words ...string) {
	if !slices.Contains(words, v) {
		f.add(key, "%.40q, must be one of %s", v, strings.Join(words, ", "))
	}
}

func intRange(f *faults, key string, v, low, high int) {
	if v < low || v > high {
		f.add("mqtt.limits."+key, "%d, must be %d to %d", v, low, high)
	}
}

func floatRange(f *faults, key string, v, low, high float64) {
	if cmp.Less(v, low) || v > high { // Less finds NaN too
		f.add(key, "%v, must be %v to %v", v, low, high)
	}
}

func durationRange(f *faults, key string, v Duration, low, high time.Duration) {
	if v.D() < low || v.D() > high {
		f.add(key, "%v, must be %v to %v", v, low, high)
	}
}

func plan(f *faults, key, id string) {
	if err := CheckPlan(id); err != nil {
		f.add(key, "%v", err)
	}
}

// CheckPlan returns an error for an unknown frequency plan, with those that may be meant.
func CheckPlan(id string) error {
	if _, err := region.Lookup(id); err != nil {
		return fmt.Errorf("%.40q is no frequency plan of this version; %s", id, nearPlans(id))
	}
	return nil
}

// nearPlans says which plans may be meant or, if there is none, how the names of plans
// begin.
func nearPlans(id string) string {
	if meant := region.Meant(id); meant != "" {
		return meant
	}
	const letters = 2 // "EU"
	var begin []string
	for _, p := range region.IDs() {
		if b := p[:letters] + "…"; !slices.Contains(begin, b) {
			begin = append(begin, b)
		}
	}
	return "there are " + strings.Join(begin, ", ")
}

func address(f *faults, key, v string, mayBeOff bool) {
	if v == "" && mayBeOff {
		return
	}
	_, port, err := net.SplitHostPort(v)
	n, errPort := strconv.Atoi(port)
	if err != nil || errPort != nil || n < 0 || n > 65535 {
		f.add(key, "%.60q, must be host:port or :port", v)
	}
}

// each returns the joined errors one by one.
func each(err error) []error {
	if err == nil {
		return nil
	}
	joined, several := err.(interface{ Unwrap() []error })
	if !several {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, each(e)...)
	}
	return out
}
