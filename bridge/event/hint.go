package event

import (
	"strings"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// Hints tell an owner what to do about an event.
const (
	HintTwoGatewaysOneEUI = "two gateways have one EUI: take one of them out of the configuration"
	HintLowerPower        = "the next lower power is tried from now on"
	HintNoLowerPower      = "the gateway refuses all lower powers too: " +
		"compare antenna_gain with the forwarder's table of powers"
	HintBeaconRefused = "devices of Class B lose the time after two hours without a beacon: TX_FREQ says that the " +
		"board cannot send on its channel, or has no channel of sx1261_conf for it; duty_cycle, that other downlinks have " +
		"used up the hour of its sub-band; COLLISION, TOO_LATE, conflict and too_late pass"
	HintRX1Unknown = "the device and the gateway must have one frequency plan, with one sub-band; " +
		"until then RX2 is used alone"
	HintNoChannels = "the device has the channels of its band until it is told of more; " +
		"a join at a higher data rate has room for them"
)

// HintRefusedGateway is the hint about a gateway that nobody has configured.
func HintRefusedGateway(eui radio.EUI64) string {
	return "if it is yours, add to the configuration [[gateway]] with eui = \"" + eui.String() + "\""
}

var droppedHints = map[string]string{
	"second_address": "two packet forwarders have one EUI, or the gateway has moved: " +
		"another address is taken when the old one has sent no PULL_DATA for 30 s",
	"not_admitted": "if it is yours, pair it again: lorawand gateway pair, and there the command that it prints",
	"no_pull_data": "the forwarder's serv_port_down must be the port that this host listens on, and nothing may block it",
	"not_allowed":  "if it is yours, add its network to [udp] allow",
	"path_moved": "if you have not moved the gateway, somebody pretends to be it and takes its downlinks: " +
		"name its network in [udp] allow, or let nobody else reach the port",
	"too_many":   "a larger net.core.rmem_max lets more wait",
	"inbox_full": "more comes than this host can take: look who sends that, or share the gateways out among several hosts",
	"wrong_counter": "tmst must be the concentrator's counter in microseconds, as in Semtech's protocol: " +
		"the forwarder needs another setting, or another version",
}

// HintDropped is the hint about a GatewayDropped with this cause.
func HintDropped(cause string) string { return droppedHints[cause] }

// HintReusedFCnt is the hint about a device that uses one counter for several
// frames.
func HintReusedFCnt(d *session.Device) string {
	if d.SupportsJoin {
		return "the device must count its frames, and join again after a reset"
	}
	return "the device does not count its frames, or begins anew after each reset; " +
		"if it loses its counter without power, allow that with resets_f_cnt"
}

var joinHints = map[JoinRefusal]string{
	JoinUnknownDevEUI:  "if the device is yours, create it with this DevEUI and JoinEUI",
	JoinUnknownJoinEUI: "a device with this DevEUI has another JoinEUI: set the one that it sends",
	JoinWrongKey:       "the device's AppKey is not the one that is stored: compare them, also for the order of the bytes",
	JoinUsedNonce: "the device repeats DevNonces: it has lost them in a reset, or somebody replays; " +
		"if it was reset, forget the used ones with: " +
		"lorawand device set DEVICE --application APPLICATION --reset-join-nonces",
	JoinBudget:    "too many frames with a wrong MIC come by this gateway; the device will try again",
	JoinNoWindow:  "no gateway could send the join-accept in time; the device will try again",
	JoinNotStored: "the store cannot be written; the device will try again",
	JoinUsedRJCount: "somebody replays a rejoin-request, or the device has lost its count in a reset; " +
		"if it was reset, forget the count with: lorawand device set DEVICE --application APPLICATION --reset-join-nonces",
	JoinOtherSession: "the device goes on in a session that is not known here: have it join again",
}

// HintJoin is the hint about a join-request that is not answered. d is nil for an
// unknown device.
func HintJoin(why JoinRefusal, d *session.Device) string {
	hint := joinHints[why]
	if d == nil {
		return hint
	}
	return strings.NewReplacer("DEVICE", d.ID.Device, "APPLICATION", d.ID.Application).Replace(hint)
}
