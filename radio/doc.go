// Package radio has the types that both sides of lorawand share: the frame that a
// concentrator has heard (Uplink), the frame that it is to send (Downlink), the
// result of sending it (TxAck), and a change of a gateway (GatewayEvent).
//
// It also has the types that follow from physics alone: the clocks of a
// concentrator and of the host (ConcentratorTime, HostTime, Clock), and the time on
// air.
//
// Everything here is plain data and integers, because the frame path runs on 32-bit
// CPUs without floating point, in either byte order. Nothing reads a clock, takes a
// lock or starts a goroutine.
package radio
