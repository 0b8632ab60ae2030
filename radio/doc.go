// Package radio has the words that both sides of lorawand share: what a
// concentrator hears (Uplink), what it is to send (Downlink), how that went
// (TxAck), and what is known of a gateway (GatewayEvent).
//
// It also has what follows from physics alone: the clocks of a concentrator
// and of the host (ConcentratorTime, HostTime, Clock) and the time on air.
//
// Everything here is plain data and integers: the frame path runs on CPUs of
// 32 bits without floating point, in either byte order. Nothing reads a clock,
// takes a lock or starts a goroutine.
package radio
