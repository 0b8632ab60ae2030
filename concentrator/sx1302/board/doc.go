// Package board knows the boards with an SX1302, and opens them on a host.
//
// A Board is a row of the table (Boards, FindBoard) with its devices, lines and
// gains. Arrange sets up its radios and modems for the channels of a plan.
// ParseGlobalConf reads a Board and its set-up from the file of Semtech's packet
// forwarder. Open opens the devices of a board on a Host, which is Linux or the
// fake of a test; Pins (pins.go) toggles the reset line. Package sx1302 drives the
// chip itself.
package board
