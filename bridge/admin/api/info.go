//go:build !small

package api

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/admin"
	"lorawand/bridge/v3"
	"lorawand/radio/region"
)

func (c *call) netID() error { return c.answer(map[string]string{"net_id": c.api.o.NetID}) }

// linkStats says that no application server is linked: it is a part of this program.
func (c *call) linkStats() error {
	return &v3.Error{
		Namespace: "pkg/applicationserver", Name: "linking_not_implemented", Code: codeUnimplemented,
		MessageFormat: "linking is not implemented",
	}
}

// baseFrequencies are those that The Things Stack lists plans under, in MHz, by the
// begin of the band's name. Source: frequency-plans.yml of TheThingsNetwork/lorawan-frequency-plans.
var baseFrequencies = []struct {
	band string
	mhz  int
}{
	{"EU_433", 433},
	{"EU_", 868},
	{"IN_", 868},
	{"RU_", 868},
	{"US_", 915},
	{"AU_", 915},
	{"AS_", 915},
	{"KR_", 915},
	{"MA_", 868},
	{"CN_470", 470},
	{"CN_", 779},
	{"ISM_2400", 2450},
}

func baseFrequency(band string) int {
	for _, b := range baseFrequencies {
		if strings.HasPrefix(band, b.band) {
			return b.mhz
		}
	}
	return 0
}

// frequencyPlans answers with the plans, all or of one base_frequency.
func (c *call) frequencyPlans() error {
	type planJSON struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Base int    `json:"base_frequency,omitempty"`
		Band string `json:"band_id"`
	}
	want := c.r.URL.Query().Get("base_frequency")
	plans := []planJSON{}
	for _, id := range region.IDs() {
		plan, err := region.Lookup(id)
		if err != nil {
			return err
		}
		base := baseFrequency(plan.BandID())
		if want == "" || want == "0" || want == strconv.Itoa(base) {
			plans = append(plans, planJSON{ID: id, Name: strings.ReplaceAll(id, "_", " "), Base: base, Band: plan.BandID()})
		}
	}
	return c.answer(map[string]any{"frequency_plans": plans})
}

// mqttConnection tells where MQTT clients connect to: the ports of the broker, on the
// host that this client has called.
func (c *call) mqttConnection() error {
	plainText, secure := c.api.o.MQTT()
	out := map[string]string{"username": c.params["a"]}
	for name, address := range map[string]string{"public_address": plainText, "public_tls_address": secure} {
		if text := c.reached(address); text != "" {
			out[name] = text
		}
	}
	return c.answer(out)
}

// reached returns an address of the broker as the client reaches it.
func (c *call) reached(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, _, err = net.SplitHostPort(c.r.Host); err != nil {
			host = strings.Trim(c.r.Host, "[]")
		}
	}
	return net.JoinHostPort(host, port)
}

// gatewayStats answers with what a gateway does.
func (c *call) gatewayStats() error {
	var found *admin.Gateway
	err := c.do("gateway.list", struct{}{}, func(raw json.RawMessage) error {
		var g admin.Gateway
		if err := json.Unmarshal(raw, &g); err != nil {
			return err
		}
		if g.ID == c.params["g"] {
			found = &g
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case found == nil:
		return noGateway("pkg/identityserver/store", "gateway_not_found", "gateway with id `{gateway_id}` not found",
			"gateway_id", c.params["g"])
	case !found.Connected:
		return noGateway("pkg/gatewayserver", "not_connected", "gateway `{gateway_uid}` not connected",
			"gateway_uid", c.params["g"])
	}
	return c.answer(statsOf(found, c.api.o.Calendar()))
}

func noGateway(namespace, name, message, attr, id string) error {
	return &v3.Error{
		Namespace: namespace, Name: name, MessageFormat: message, Code: codeNotFound,
		Attributes: []v3.Attribute{attribute(attr, id)},
	}
}

// statsOf leaves out the times where now, the calendar, is not known.
func statsOf(g *admin.Gateway, now time.Time) map[string]any {
	out := map[string]any{"protocol": "udp"}
	if g.LastPull == nil {
		out["protocol"] = "local"
	}
	for name, age := range map[string]*float64{
		"connected_at": g.Since, "last_uplink_received_at": g.LastUplink, "last_tx_acknowledgment_received_at": g.LastTxAck,
	} {
		if age != nil && !now.IsZero() {
			out[name] = now.Add(-time.Duration(*age * float64(time.Second))).UTC().Format(time.RFC3339Nano)
		}
	}
	var bands []map[string]any
	for _, b := range g.SubBands {
		bands = append(bands, map[string]any{
			"min_frequency": strconv.FormatUint(uint64(b.Low), 10), "max_frequency": strconv.FormatUint(uint64(b.High), 10),
			"downlink_utilization_limit": b.Allowed, "downlink_utilization": b.Used,
		})
	}
	if bands != nil {
		out["sub_bands"] = bands
	}
	return out
}

// noPlan says that there is no frequency plan of this name.
func noPlan(id string) error {
	return &v3.Error{
		Namespace: "pkg/frequencyplans", Name: "not_found", MessageFormat: "frequency plan `{id}` not found",
		Code:       codeNotFound,
		Attributes: []v3.Attribute{attribute("id", id)},
	}
}
