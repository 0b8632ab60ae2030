//go:build !small

package web

import (
	"slices"

	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/admin/web/maker"
)

// unknownGateway has sent, and is not served.
type unknownGateway struct {
	EUI     string `json:"eui"`
	Address string `json:"address"`
	First   int64  `json:"first"`
	Last    int64  `json:"last"`
	Frames  uint64 `json:"frames"` // datagrams that were refused
}

func (c *call) unknownGateways() []unknownGateway {
	gateways, _ := c.site.o.Bridge.Events().Strangers()
	out := []unknownGateway{}
	for _, g := range slices.Backward(gateways) {
		out = append(out, unknownGateway{
			g.Event.GatewayEUI.String(), door.HostOf(g.Event.Address), ms(g.First), ms(g.Event.Host), g.Tries,
		})
	}
	return out
}

// stranger is a device that wants to join and is not known.
type stranger struct {
	DevEUI  string   `json:"devEUI"`
	JoinEUI string   `json:"joinEUI"`
	Maker   string   `json:"maker"`
	Tries   uint64   `json:"tries"`
	First   int64    `json:"first"`
	Last    int64    `json:"last"`
	RSSI    *float64 `json:"rssi"`
	SNR     *float64 `json:"snr"`
	Gateway string   `json:"gateway"`
}

// strangers answers with the devices that want to join, the latest first, and with the
// gateways that are not known. Who is known by now is no stranger.
func (c *call) strangers(string) error {
	_, devices := c.site.o.Bridge.Events().Strangers()
	all := []stranger{}
	for _, s := range slices.Backward(devices) {
		out := stranger{
			DevEUI: s.Event.DevEUI.String(), JoinEUI: s.Event.JoinEUI.String(), Tries: s.Tries,
			First: ms(s.First), Last: ms(s.Event.Host), Gateway: s.Event.Gateway,
		}
		out.Maker = maker.Of(out.DevEUI)
		_, known, err := c.site.o.Bridge.Joins(c.r.Context(), out.JoinEUI, out.DevEUI)
		if err != nil {
			return err
		}
		if !known {
			all = append(all, out)
		}
	}
	return c.answer(struct {
		moment
		Strangers []stranger       `json:"strangers"`
		Unknown   []unknownGateway `json:"unknownGateways"`
	}{c.moment(), all, c.unknownGateways()})
}
