//go:build !small

package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// endurance is how much the flash of a small gateway takes before it wears out: 100 000
// times its 8 MB of NOR, as the command status has it.
const endurance = 800e9 // bytes

// listProblems is the operation that answers with what is wrong, where there is one.
const listProblems = "problems.list"

// tooEarly is how long the daemon must run before its writing allows an estimate.
const tooEarly = 10 * time.Minute

// statusAnswer is what the frame of the page shows.
type statusAnswer struct {
	Version        string    `json:"version"`
	Commit         string    `json:"commit"`
	Target         string    `json:"target"`
	Go             string    `json:"go"`
	Features       []string  `json:"features"`
	Clock          string    `json:"clock"`
	ClockText      string    `json:"clockText"`
	Store          string    `json:"store"`
	StoreError     string    `json:"storeError"`
	FlashWritten   int64     `json:"flashWritten"` // bytes
	FlashYears     *float64  `json:"flashYears"`
	FreeMB         *float64  `json:"freeMB"`
	RSSMB          float64   `json:"rssMB"`
	UplinksHour    int       `json:"uplinksHour"`
	DroppedHour    int       `json:"droppedHour"`
	CommitInterval string    `json:"commit_interval"`
	Devices        int       `json:"devices"`
	Keys           int       `json:"keys"`
	Gateways       int       `json:"gateways"`
	Connected      int       `json:"gatewaysConnected"`
	Clients        int       `json:"clients"`
	Host           string    `json:"host"`
	Addresses      Addresses `json:"addresses"`
}

// status answers with what the frame of the page shows, and with the problems.
func (c *call) status(string) error {
	parts, err := collect[admin.Status](c, "status", struct{}{})
	if err != nil {
		return err
	}
	apps, err := c.applicationNames()
	if err != nil {
		return err
	}
	m, s, about := c.moment(), &parts[0], &c.site.o.About
	now := radio.HostTime(time.Duration(m.Now) * time.Millisecond)
	out := statusAnswer{
		Version: s.Version, Commit: s.Commit, Target: s.Target, Go: s.Go, Features: s.Features, Clock: s.Clock,
		ClockText: clockTexts[s.Clock], Store: about.Store, StoreError: s.StoreError, FlashWritten: s.FlashWritten,
		RSSMB:          round(float64(admin.ResidentMemory())/1e6, 1),
		UplinksHour:    c.site.o.Bridge.Activity().UplinksLastHour(now),
		DroppedHour:    c.site.o.Bridge.Events().DroppedLastHour(now),
		CommitInterval: about.CommitInterval.String(), Devices: s.Devices, Keys: s.APIKeys, Gateways: s.Gateways,
		Connected: s.GatewaysConnected, Clients: s.Clients, Addresses: about.Addresses,
	}
	out.Host, _ = os.Hostname()
	if s.Uptime >= tooEarly.Seconds() {
		const year = 365.25 * 24 * 3600
		years := round(min(endurance/(float64(max(s.FlashWritten, 1))/s.Uptime)/year, 1000), 1)
		out.FlashYears = &years
	}
	if free := c.site.o.Free; free != nil {
		if n, ok := free(); ok {
			mb := round(float64(n)/1e6, 1)
			out.FreeMB = &mb
		}
	}
	problems := []json.RawMessage{}
	if _, has := c.site.o.Admin.Needs(listProblems); has && c.session.May(listProblems) {
		if problems, err = collect[json.RawMessage](c, listProblems, struct{}{}); err != nil {
			return err
		}
	}
	return c.answer(struct {
		moment
		Status       statusAnswer      `json:"status"`
		Problems     []json.RawMessage `json:"problems"`
		Applications []string          `json:"apps"`
	}{m, out, problems, apps})
}

var clockTexts = map[string]string{
	"none": "not set", "rtc": "the clock of the gateway, which nothing keeps right", "ntp": "right, by NTP", "gnss": "right, by GNSS",
}

// gatewayAnswer is a gateway as the page shows it.
type gatewayAnswer struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	EUI        string   `json:"eui"`
	Driver     string   `json:"driver"`
	Address    string   `json:"address"`
	Plan       string   `json:"plan"`
	Connected  bool     `json:"connected"`
	Since      *int64   `json:"since"`
	Fault      string   `json:"fault,omitempty"`
	LastUplink *int64   `json:"lastUplink"`
	LastPull   *int64   `json:"lastPull"`
	LastAck    *int64   `json:"lastAck"`
	Answers    bool     `json:"answers"`
	RoundTrip  float64  `json:"rtt"`  // ms
	Lead       float64  `json:"lead"` // ms
	Clock      string   `json:"clock,omitempty"`
	Bands      [][3]any `json:"bands"` // name, used and allowed in per cent of the hour
}

// gateways answers with all gateways, and with those that are not known.
func (c *call) gateways(string) error {
	parts, err := collect[admin.Gateway](c, "gateway.list", struct{}{})
	if err != nil {
		return err
	}
	m := c.moment()
	all := []gatewayAnswer{}
	for _, g := range parts {
		out := gatewayAnswer{
			ID: g.ID, Name: g.ID, EUI: g.EUI.String(), Driver: "Packet forwarder (UDP)", Address: g.Address, Plan: g.Plan,
			Connected: g.Connected, Since: m.since(g.Since), Fault: g.Fault, LastUplink: m.since(g.LastUplink),
			LastPull: m.since(g.LastPull), LastAck: m.since(g.LastTxAck), Answers: g.Confirmed,
			RoundTrip: round(g.RoundTrip*1e3, 1), Lead: math.Round(g.Lead * 1e3), Clock: g.Clock, Bands: [][3]any{},
		}
		if g.Clock != "" {
			out.Driver = "Concentrator of this machine"
		}
		for _, b := range g.SubBands {
			name := fmt.Sprintf("%s–%s", b.Low.AppendMHz(nil), b.High.AppendMHz(nil))
			out.Bands = append(out.Bands, [3]any{name, round(b.Used*100, 3), round(b.Allowed*100, 3)})
		}
		all = append(all, out)
	}
	return c.answer(struct {
		moment
		Gateways []gatewayAnswer  `json:"gateways"`
		Unknown  []unknownGateway `json:"unknownGateways"`
	}{m, all, c.unknownGateways()})
}

// keyAnswer is an API key as the page shows it.
type keyAnswer struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Application string   `json:"app"`
	Rights      string   `json:"rights"` // in words
	RightNames  []string `json:"rightNames"`
	Expires     *int64   `json:"expires"`
	Used        *int64   `json:"used"` // the begin of the day
	Clients     int      `json:"clients"`
}

// keys answers with all API keys, without their secrets.
func (c *call) keys(string) error {
	parts, err := collect[admin.Key](c, "key.list", admin.ListArgs{Application: c.scope()})
	if err != nil {
		return err
	}
	clients, err := collect[admin.MQTTClient](c, "mqtt.list", admin.ListArgs{Application: c.scope()})
	if err != nil {
		return err
	}
	m := c.moment()
	all := []keyAnswer{}
	for _, k := range parts {
		out := keyAnswer{
			ID: k.ID, Name: k.Name, Application: k.Application, Rights: rightWords(k.Rights), RightNames: k.Rights,
			Expires: m.at(k.Expires),
		}
		if day, err := time.Parse(time.DateOnly, k.LastUse); err == nil {
			out.Used = m.at(day)
		}
		for _, cl := range clients {
			if cl.KeyID == k.ID && cl.Connected {
				out.Clients++
			}
		}
		all = append(all, out)
	}
	return c.answer(struct {
		moment
		Keys []keyAnswer `json:"keys"`
	}{m, all})
}

// rightWords says what a key may, in words.
func rightWords(names []string) string {
	rights, err := access.ParseRights(strings.Join(names, ","))
	switch {
	case err != nil:
	case rights.Has(access.All):
		return "all, also settings"
	case rights == access.Default:
		return "read and write"
	case rights == access.TrafficRead:
		return "read"
	}
	return strings.Join(names, ", ")
}

// client is an MQTT client as the page shows it.
type client struct {
	ID          string `json:"id"`
	Application string `json:"user"`
	Address     string `json:"address"`
	Key         string `json:"key"`
	KeyID       string `json:"keyID"`
	Since       int64  `json:"since"`
	Protocol    string `json:"proto"`
	Over        string `json:"over"`
	Connected   bool   `json:"connected"`
	Waiting     int    `json:"waiting"`
	Dropped     uint64 `json:"dropped"`
}

// clients answers with the MQTT clients, and with the logins that failed.
func (c *call) clients(string) error {
	parts, err := collect[admin.MQTTClient](c, "mqtt.list", admin.ListArgs{Application: c.scope()})
	if err != nil {
		return err
	}
	apps, err := c.applicationNames()
	if err != nil {
		return err
	}
	m := c.moment()
	all := []client{}
	for _, p := range parts {
		out := client{
			ID: p.ID, Application: p.Application, Address: p.Address, Key: p.KeyName, KeyID: p.KeyID, Since: *m.since(&p.Since),
			Over: p.Over, Connected: p.Connected, Waiting: p.Queue, Dropped: p.Dropped,
		}
		if p.Version != "" {
			out.Protocol = "MQTT " + p.Version
		}
		all = append(all, out)
	}
	return c.answer(struct {
		moment
		Clients []client       `json:"clients"`
		Failed  []*failedLogin `json:"failed"`
	}{m, all, c.failedLogins(apps)})
}

// failedLogin is what somebody tried.
type failedLogin struct {
	User    string `json:"user"`
	Address string `json:"address"`
	Client  string `json:"client"`
	N       int    `json:"n"`
	Last    int64  `json:"last"`
	Why     string `json:"why"`
	Todo    string `json:"todo"`
}

// failedLogins returns those that are remembered, the latest first; those that are alike
// are one.
func (c *call) failedLogins(apps []string) []*failedLogin {
	events := c.site.o.Bridge.Events().Recent(func(e *event.Event) bool {
		return e.Kind == event.ClientRefused || e.Kind == event.APIRefused
	})
	out := []*failedLogin{}
	for _, e := range slices.Backward(events) {
		if scope := c.scope(); scope != "" && e.Client.Application != scope {
			continue
		}
		why, todo := refusalWords(e.Word, apps)
		one := failedLogin{
			User: e.Client.Application, Address: door.HostOf(e.Address), Client: e.Client.ID, Last: ms(e.Host),
			Why: why, Todo: todo,
		}
		i := slices.IndexFunc(out, func(o *failedLogin) bool {
			return o.User == one.User && o.Address == one.Address && o.Why == one.Why
		})
		if i < 0 {
			out = append(out, &one)
			i = len(out) - 1
		}
		out[i].N++
	}
	return out
}

// refusalWords says in words why a login is refused, and what to do.
func refusalWords(word string, apps []string) (why, todo string) {
	named := "The user name is the application."
	if len(apps) > 0 && len(apps) <= 5 {
		named = "The user name is the application: " + strings.Join(apps, " or ") + "."
	}
	anew := "Make a new key: the old one cannot be shown again."
	switch access.Refusal(word) {
	case access.NoKey:
		return "The password is no API key.", "The password is a key as it was shown when it was made: NNSXS.…"
	case access.UnknownApplication:
		return "No application has this name.", named
	case access.UnknownTenant:
		return "The name behind the @ is not known.", "Use the name of the application alone."
	case access.UnknownKey, access.WrongSecret:
		return "The password is no key of this application.", anew
	case access.OtherApplication:
		return "The key is one of another application.", named
	case access.Revoked:
		return "The key was revoked.", "Make a new key, or take the program out of service."
	case access.Expired:
		return "The key has expired.", anew
	}
	if word == wrongPagePassword {
		return "The password of this page was wrong.", "If nobody of yours has tried, somebody guesses."
	}
	return cmp.Or(sentence(strings.ReplaceAll(word, "_", " ")), "It was refused."), ""
}

// applicationNames returns the names of the applications, sorted.
func (c *call) applicationNames() ([]string, error) {
	parts, err := collect[admin.Application](c, "application.list", struct{}{})
	out := []string{}
	for _, a := range parts {
		if scope := c.scope(); scope == "" || a.ID == scope {
			out = append(out, a.ID)
		}
	}
	return out, err
}

// applicationAnswer is an application as the page shows it.
type applicationAnswer struct {
	ID      string         `json:"id"`
	Devices int            `json:"devices"`
	APIKeys int            `json:"api_keys"`
	Up      chosen         `json:"up_formatter"`
	Down    chosen         `json:"down_formatter"`
	Webhook *admin.Webhook `json:"webhook"`
}

// applications answers with the applications.
func (c *call) applications(string) error {
	parts, err := collect[admin.Application](c, "application.list", struct{}{})
	if err != nil {
		return err
	}
	all := []applicationAnswer{}
	for _, a := range parts {
		if scope := c.scope(); scope != "" && a.ID != scope {
			continue
		}
		up, down := c.site.o.Resolver.Choose(&session.Device{ID: session.ID{Application: a.ID}})
		all = append(all, applicationAnswer{a.ID, a.Devices, a.APIKeys, chosenOf(&up), chosenOf(&down), a.Webhook})
	}
	return c.answer(struct {
		moment
		Applications []applicationAnswer `json:"applications"`
	}{c.moment(), all})
}

// plans answers with the frequency plans.
func (c *call) plans(string) error {
	all := []region.About{}
	for _, p := range region.All() {
		all = append(all, p.About())
	}
	return c.answer(struct {
		moment
		Plans []region.About `json:"plans"`
		Plan  string         `json:"plan"`
	}{c.moment(), all, c.site.o.About.Plan})
}

// maxLines and maxLine bound what is told of the log.
const (
	maxLines = 100
	maxLine  = 500 // characters
)

// logTail answers with the last lines of the log.
func (c *call) logTail(string) error {
	m := c.moment()
	all := [][3]any{}
	if c.site.o.Log != nil && c.session.ByPassword() { // it names devices of all applications
		lines := c.site.o.Log()
		for _, l := range lines[max(0, len(lines)-maxLines):] {
			text := []rune(strings.ToValidUTF8(l.Text, "\ufffd"))
			all = append(all, [3]any{l.Level, string(text[:min(len(text), maxLine)]), m.Now - time.Since(l.At).Milliseconds()})
		}
	}
	return c.answer(struct {
		moment
		Log [][3]any `json:"log"`
	}{m, all})
}
