package recording

import (
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/foreign"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// run lets things happen until there were so many inputs.
func (f *field) run(inputs int) {
	f.Helper()
	for f.inputs < inputs {
		f.happen()
		f.pass(time.Duration(f.rnd.IntN(3)*f.rnd.IntN(4000)) * time.Millisecond)
	}
}

// happen does one thing.
func (f *field) happen() {
	switch f.rnd.IntN(24) {
	default:
		f.send(f.nodes[f.rnd.IntN(len(f.nodes)-1)])
	case 0, 1, 2, 3, 4:
		f.push()
	case 5:
		f.noise()
	case 6:
		f.gatewayEvent()
	case 7:
		f.ask()
	case 8:
		f.provision()
	case 9:
		f.ticket++
		f.step(core.Reconfigured{Ticket: f.ticket, Gateways: f.configured(radio.Decibel(f.rnd.IntN(600)))})
	case 10:
		f.step(core.Located{Device: f.nodes[0].device.ID, Service: "frm-payload", Location: session.Location{
			Latitude: f.rnd.Float64(), Longitude: f.rnd.Float64() / 3,
		}})
	case 11: // the calendar is set, or lost
		f.now.Wall.Quality = radio.TimeQuality(f.rnd.IntN(int(radio.TimeGNSS) + 1))
		f.now.Wall.Time = f.now.Wall.Time.Add(time.Duration(f.rnd.IntN(2000)-1000) * time.Millisecond)
	}
}

// send has a device send, or join.
func (f *field) send(n *node) {
	d := n.device
	if d.SupportsJoin && (n.session == nil || f.rnd.IntN(40) == 0) {
		n.request = frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: n.request.DevNonce + 1}
		key := d.RootKeys.AppKey
		if d.Version >= session.V1_1 {
			key = d.RootKeys.NwkKey
		}
		phy, err := frame.BuildJoinRequest(n.request, key)
		if err != nil {
			f.Fatal(err)
		}
		f.hear(phy)
		return
	}
	n.fCnt++
	data := frame.Data{
		MType: frame.UnconfirmedUp, DevAddr: n.session.DevAddr, HasFPort: true, FPort: 15,
		FRMPayload: fmt.Appendf(nil, "%d", n.fCnt), ACK: f.rnd.IntN(4) == 0,
	}
	if f.rnd.IntN(3) == 0 {
		data.MType = frame.ConfirmedUp
	}
	if f.rnd.IntN(4) == 0 {
		data.FOpts = []byte{0x02, 0x0d} // LinkCheckReq, DeviceTimeReq
	}
	phy, err := frame.NewCipher(n.session.Keys, d.Version >= session.V1_1).
		BuildUplink(data, n.fCnt, frame.Context{TxDR: 5, TxCh: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.hear(phy)
	if f.rnd.IntN(10) == 0 { // somebody sends it again, changed or not
		phy = slices.Clone(phy)
		phy[f.rnd.IntN(len(phy))] ^= byte(f.rnd.IntN(2))
		f.hear(phy)
	}
}

// noise is a frame of nobody.
func (f *field) noise() {
	phy := make([]byte, 1+f.rnd.IntN(60))
	for i := range phy {
		phy[i] = byte(f.rnd.Uint32())
	}
	f.hear(phy)
}

// push pushes some items, for a device or a group.
func (f *field) push() {
	n := f.nodes[f.rnd.IntN(len(f.nodes))]
	f.ticket++
	p := core.Pushed{Ticket: f.ticket, Device: n.device.ID, Replace: f.rnd.IntN(8) == 0}
	for range f.rnd.IntN(4) {
		it := session.Item{
			FPort: 15, FRMPayload: make([]byte, f.rnd.IntN(60)), Confirmed: f.rnd.IntN(2) == 0 && !n.device.Multicast,
			Priority: radio.Priority(f.rnd.IntN(7)), CorrelationIDs: []string{fmt.Sprint("my:", f.ticket)},
		}
		if f.rnd.IntN(3) == 0 {
			it.Decoded, it.DecodedWarnings = []byte(`{"open":true}`), []string{"a < b & c"}
		}
		if n.device.Multicast {
			it.ClassBC = &session.ClassBC{Gateways: []session.GatewayAntenna{{GatewayID: "gw-1"}}}
		}
		p.Items = append(p.Items, it)
	}
	if f.rnd.IntN(10) == 0 {
		p.Err = v3.DeviceNotFound(n.device.ID)
	}
	f.step(p)
}

// gatewayEvent has something happen to a gateway, which is on line soon after.
func (f *field) gatewayEvent() {
	e := radio.GatewayEvent{
		Gateway: gateways[f.rnd.IntN(len(gateways))], At: f.now.Host, Address: "127.0.0.1:1700", Local: true,
		Kind: radio.GatewayEventKind(1 + f.rnd.IntN(int(radio.GatewayClock))),
	}
	switch e.Kind {
	case radio.GatewayIdentified:
		e.Was = e.Gateway
	case radio.GatewayFailed, radio.GatewayDropped, radio.GatewayRefused:
		e.Fault, e.Cause = "no answer", "silent"
	case radio.GatewayStatus:
		e.Status = radio.Status{Received: f.rnd.Uint32(), Temperature: 215, HasTemperature: true}
	case radio.GatewayClock:
		e.Counter, e.GPS = radio.ConcentratorTime(f.now.Host/1000), radio.GPSTime(f.now.Host)+radio.GPSTime(1<<60)
		e.Place = &radio.Place{Latitude: 52, Longitude: 4}
	}
	f.step(core.GatewayChanged{Event: e})
	f.pass(time.Second)
	e.Kind, e.At = radio.GatewayConnected, f.now.Host
	f.step(core.GatewayChanged{Event: e})
}

// ask has another network ask for a downlink.
func (f *field) ask() {
	f.ticket++
	f.step(core.Asked(foreign.Request{Ticket: f.ticket, Network: "other", Downlink: radio.Downlink{
		Gateway: gateways[f.rnd.IntN(len(gateways))], PHYPayload: []byte{0x60, 1, 2, 3, 4, 0, 1, 0, 5, 6, 7, 8},
		Frequency: 868_100_000, DataRate: radio.LoRaDataRate(9, 125_000), Power: 1600, Immediate: f.rnd.IntN(2) == 0,
		Time: radio.ConcentratorTime(f.now.Host/1000) + radio.ConcentratorTime(f.rnd.IntN(5_000_000)),
	}}))
}

// provision adds, changes or removes a device; now and then a change makes the core panic.
func (f *field) provision() {
	f.ticket++
	in := core.Provisioned{Ticket: f.ticket, Trial: f.rnd.IntN(5) == 0}
	switch f.rnd.IntN(4) {
	case 0:
		in.Put = []state.DevicePut{{}} // without a device
	case 1:
		in.Remove = []session.ID{{Application: "app1", Device: "more"}}
	default:
		d := f.nodes[0].device.Clone()
		d.ID.Device, d.DevEUI, d.Name = "more", radio.EUI64{9}, fmt.Sprint("name ", f.ticket)
		d.Session.DevAddr = radio.DevAddr{5}
		r, err := state.DeviceRecord(d)
		if err != nil {
			f.Fatal(err)
		}
		if d, err = session.UnmarshalDevice(r.Data); err != nil {
			f.Fatal(err)
		}
		put := state.DevicePut{Device: d, Record: r, Replace: f.rnd.IntN(3) > 0, ForgetFCntUp: f.rnd.IntN(2) == 0}
		if f.rnd.IntN(2) == 0 {
			put.Record = state.Record{} // the core makes it
		}
		in.Put = []state.DevicePut{put}
	}
	f.step(in)
}
