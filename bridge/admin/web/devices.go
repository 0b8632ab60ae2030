//go:build !small

package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// uplink is one as the page shows it.
type uplink struct {
	ID         string          `json:"id"`
	At         int64           `json:"at"`
	FCnt       uint32          `json:"fcnt"`
	FPort      uint8           `json:"port"`
	Payload    string          `json:"payload"` // hex
	Text       string          `json:"text,omitempty"`
	Decoded    json.RawMessage `json:"decoded"`              // null: it is not decoded
	Normalized json.RawMessage `json:"normalized,omitempty"` // an object, or an array of several
	Warnings   []string        `json:"warnings,omitempty"`
	RSSI       float64         `json:"rssi"`
	SNR        float64         `json:"snr"`
	SF         int             `json:"sf"` // 0: FSK
	Rate       string          `json:"rate"`
	Frequency  float64         `json:"freq"`    // MHz
	Airtime    float64         `json:"airtime"` // ms
	Confirmed  bool            `json:"confirmed"`
	Heard      []heard         `json:"heard"` // the best first
}

type heard struct {
	Gateway string  `json:"gateway"`
	RSSI    float64 `json:"rssi"`
	SNR     float64 `json:"snr"`
}

// uplinkOf reads a message; nil: it cannot be read.
func uplinkOf(m *activity.Message) *uplink {
	u := m.Read(m.At)
	if u == nil {
		return nil
	}
	airtime, _ := time.ParseDuration(u.Airtime)
	out := &uplink{
		ID: fmt.Sprintf("%s/%d/%d", m.Device, ms(m.At), u.FCnt), At: ms(m.At), FCnt: u.FCnt, FPort: u.FPort,
		Payload: fmt.Sprintf("%X", u.FRMPayload), Text: u.Text, Decoded: u.Decoded, Normalized: single(u.Normalized),
		Warnings: u.Warnings, RSSI: u.RSSI, SNR: u.SNR, SF: u.SpreadingFactor(), Rate: u.DataRate, Heard: []heard{},
		Frequency: float64(u.Frequency) / 1e6, Airtime: round(airtime.Seconds()*1e3, 1), Confirmed: u.Confirmed,
	}
	for _, g := range u.Gateways {
		out.Heard = append(out.Heard, heard(g))
	}
	return out
}

// single returns the element of an array that has one, else the array.
func single(array json.RawMessage) json.RawMessage {
	var all []json.RawMessage
	if json.Unmarshal(array, &all) == nil && len(all) == 1 {
		return all[0]
	}
	return array
}

// device is one as the page shows it.
type device struct {
	Application string `json:"app"`
	ID          string `json:"id"`
	Name        string `json:"name"`
	Model       string `json:"model"`
	Class       string `json:"cls"`
	Version     string `json:"version"`
	Plan        string `json:"plan"`
	Activation  string `json:"activation"`
	DevEUI      string `json:"devEUI"`
	JoinEUI     string `json:"joinEUI"`
	DevAddr     string `json:"devAddr"`
	Formatter   string `json:"formatter"` // application, device or none

	State     activity.State `json:"state"`
	StateText string         `json:"stateText"`
	Heard     bool           `json:"heard"`  // since the start
	Every     int64          `json:"every"`  // ms; 0: not known
	Margin    *float64       `json:"margin"` // dB
	Lost      int            `json:"lost"`
	Count     int            `json:"heardCount"` // of the frames that Lost is of
	FCntUp    uint32         `json:"fcntUp"`
	FCntDown  uint32         `json:"fcntDown"`
	Joined    bool           `json:"joined"` // it has a session
	Join      *join          `json:"join"`
	Uplinks   []*uplink      `json:"uplinks"` // newest first

	Queue    []queued   `json:"queue,omitempty"`
	Outcomes []*outcome `json:"outcomes,omitempty"`
	MAC      []macRow   `json:"mac,omitempty"`
}

// join is the last try of a device.
type join struct {
	At      int64  `json:"at"`
	OK      bool   `json:"ok"`
	Reason  string `json:"reason"` // in words
	Text    string `json:"text"`
	Hint    string `json:"hint"`
	Tries   int    `json:"tries"` // refused join-requests that are remembered
	Gateway string `json:"gw"`
}

// devices answers with all devices.
func (c *call) devices(string) error {
	m := c.moment()
	tries := c.refusals()
	out := struct {
		moment
		Devices []*device `json:"devices"`
	}{m, []*device{}}
	err := c.site.o.Bridge.Devices(c.r.Context(), c.scope(), func(d *session.Device) error {
		out.Devices = append(out.Devices, c.deviceOf(d, m, tries[d.ID]))
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(out)
}

// refusals counts the refused join-requests that are remembered of each device.
func (c *call) refusals() map[session.ID]int {
	out := map[session.ID]int{}
	c.site.o.Bridge.Events().Recent(func(e *event.Event) bool {
		if e.Kind == event.JoinRefused && e.Device != (session.ID{}) {
			out[e.Device]++
		}
		return false
	})
	return out
}

// deviceOf returns a device with its last uplink.
func (c *call) deviceOf(d *session.Device, m moment, tries int) *device {
	log, now := c.site.o.Bridge.Activity(), radio.HostTime(time.Duration(m.Now)*time.Millisecond)
	habit, last := log.Habit(d.ID), log.LastJoin(d.ID, now)
	out := &device{
		Application: d.ID.Application, ID: d.ID.Device, Name: d.Name, Model: modelOf(d), Class: classOf(d),
		Version: d.VersionName, Plan: d.Plan, Activation: activationOf(d), Formatter: c.formatterOf(d),
		State: habit.StateOf(&activity.Summary{Join: last}, d.Session != nil, now), Heard: habit.Heard > 0,
		Every: habit.Interval.Milliseconds(), Margin: habit.Margin, Lost: habit.Lost, Count: habit.Heard,
		Joined: d.Session != nil, Uplinks: []*uplink{},
	}
	if !d.DevEUI.IsZero() {
		out.DevEUI = d.DevEUI.String()
	}
	if d.HasJoinEUI || !d.JoinEUI.IsZero() {
		out.JoinEUI = d.JoinEUI.String()
	}
	if s := d.Session; s != nil {
		out.DevAddr, out.FCntUp, out.FCntDown = s.DevAddr.String(), s.FCntUp, max(s.NFCntDown, s.AFCntDown)
	}
	if last != nil {
		out.Join = joinOf(last, m, tries)
	}
	if messages := log.Messages(d.ID, v3.Up); len(messages) > 0 {
		if u := uplinkOf(&messages[len(messages)-1]); u != nil {
			out.Uplinks = append(out.Uplinks, u)
		}
	}
	out.StateText = stateText(out)
	return out
}

func joinOf(j *activity.Join, m moment, tries int) *join {
	out := &join{
		At: *m.since(&j.Age), OK: j.Accepted, Reason: strings.ReplaceAll(j.Reason, "_", " "),
		Text: sentence(j.Error), Hint: sentence(j.Hint), Tries: tries, Gateway: j.Gateway,
	}
	if j.Reason == string(event.JoinWrongKey) {
		out.Reason, out.Text = "wrong AppKey", "The AppKey of the device is not the one that is stored here."
	}
	return out
}

// sentence returns a text of the log as a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	r := []rune(text)
	if !strings.ContainsAny(string(r[1:min(len(r), 6)]), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") {
		r[0] = []rune(strings.ToUpper(string(r[:1])))[0]
	}
	if last := r[len(r)-1]; last != '.' && last != '?' && last != '"' {
		r = append(r, '.')
	}
	return string(r)
}

func stateText(d *device) string {
	switch {
	case d.State == activity.Refused:
		return "Its last join-request was refused: " + d.Join.Reason + "."
	case d.State == activity.Never:
		return "No join-request of it was heard yet."
	case !d.Heard && d.Join != nil && d.Join.OK:
		return "It has joined; no frame of it was heard yet."
	case !d.Heard:
		return "It was not heard since the daemon started."
	case d.State == activity.Silent && d.Every > 0:
		return "It was not heard for more than three of its usual intervals."
	case d.State == activity.Silent:
		return "It was not heard for more than a day."
	}
	return "It was heard within its usual time."
}

func modelOf(d *session.Device) string {
	return strings.TrimSpace(d.VersionIDs.Brand + " " + d.VersionIDs.Model)
}

func classOf(d *session.Device) string {
	switch {
	case d.ClassC:
		return "C"
	case d.ClassB:
		return "B"
	}
	return "A"
}

func activationOf(d *session.Device) string {
	switch {
	case d.Multicast:
		return "multicast"
	case d.SupportsJoin:
		return "OTAA"
	}
	return "ABP"
}

// device answers with one device and all that is remembered of it.
func (c *call) device(string) error {
	query := c.r.URL.Query()
	id := session.ID{Application: cmp.Or(query.Get("application_id"), c.scope()), Device: query.Get("device_id")}
	if scope := c.scope(); scope != "" && id.Application != scope {
		return refused(403, "The API key is one of another application.")
	}
	d, err := c.site.o.Bridge.Device(c.r.Context(), id)
	if err != nil {
		return refused(404, err.Error())
	}
	m := c.moment()
	out := struct {
		moment
		Device *device `json:"device"`
	}{m, c.deviceOf(d, m, c.refusals()[id])}
	out.Device.Uplinks = []*uplink{}
	messages := c.site.o.Bridge.Activity().Messages(id, v3.Up)
	for i := range slices.Backward(messages) {
		if u := uplinkOf(&messages[i]); u != nil {
			out.Device.Uplinks = append(out.Device.Uplinks, u)
		}
	}
	if out.Device.Queue, err = c.queue(id, d); err != nil {
		return err
	}
	out.Device.Outcomes = c.outcomes(id, out.Device.Queue)
	view, err := c.site.o.Bridge.MAC(c.r.Context(), id)
	if err != nil {
		return err
	}
	out.Device.MAC = macRows(&view)
	return c.answer(out)
}
