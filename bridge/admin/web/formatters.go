//go:build !small

package web

import (
	"cmp"

	"lorawand/bridge/admin"
	"lorawand/bridge/codec"
	"lorawand/bridge/session"
)

// chosen is a formatter as the page shows it.
type chosen struct {
	Kind      string `json:"formatter"` // in The Things Stack's words
	Parameter string `json:"formatter_parameter,omitempty"`
	Default   bool   `json:"default"` // it is that of the application
	Codec     string `json:"codec,omitempty"`
	Warning   string `json:"warning,omitempty"` // why it cannot be used
}

func chosenOf(c *codec.Choice) chosen {
	out := chosen{Kind: c.Kind, Parameter: c.Script, Default: c.Default, Warning: c.Warning()}
	if c.Codec != nil {
		out.Codec = c.Codec.Key()
	}
	return out
}

// formatterOf says whose formatter decodes the uplinks of a device.
func (c *call) formatterOf(d *session.Device) string {
	up, _ := c.site.o.Resolver.Choose(d)
	switch {
	case up.Kind == codec.None:
		return "none"
	case up.Default:
		return "application"
	}
	return "device"
}

// formatter answers with the formatters of a device, or of an application.
func (c *call) formatter(string) error {
	query := c.r.URL.Query()
	id := session.ID{Application: cmp.Or(query.Get("application_id"), c.scope()), Device: query.Get("device_id")}
	if scope := c.scope(); scope != "" && id.Application != scope {
		return refused(403, "The API key is one of another application.")
	}
	d := &session.Device{ID: id}
	if id.Device != "" {
		var err error
		if d, err = c.site.o.Bridge.Device(c.r.Context(), id); err != nil {
			return refused(404, err.Error())
		}
	}
	up, down := c.site.o.Resolver.Choose(d)
	return c.answer(struct {
		moment
		Up   chosen `json:"up"`
		Down chosen `json:"down"`
	}{c.moment(), chosenOf(&up), chosenOf(&down)})
}

// deviceFormatter is which formatter a device has.
type deviceFormatter struct {
	Application string `json:"app"`
	Device      string `json:"id"`
	Kind        string `json:"kind"`
	Default     bool   `json:"default"`
	Codec       string `json:"codec,omitempty"`
	Bytes       int    `json:"bytes,omitempty"`
	Warning     string `json:"warning,omitempty"`
}

// formatters answers with which formatter each device has for its uplinks.
func (c *call) formatters(string) error {
	parts, err := collect[admin.DeviceFormatters](c, "formatter.list", admin.FormatterListArgs{Application: c.scope()})
	if err != nil {
		return err
	}
	all := []deviceFormatter{}
	for _, p := range parts {
		up := &p.Up
		all = append(all, deviceFormatter{p.Application, p.Device, up.Kind, up.Default, up.Codec, up.Bytes, up.Warning})
	}
	return c.answer(struct {
		moment
		Formatters []deviceFormatter `json:"formatters"`
	}{c.moment(), all})
}
