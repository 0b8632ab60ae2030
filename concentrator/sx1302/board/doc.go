// Package board says what the boards with an SX1302 are, and opens them on a host.
//
// A Board is a row of the table (Boards, FindBoard), with its devices, lines and gains;
// Arrange sets its radios and modems up for the channels of a plan, and ParseGlobalConf
// takes both from the file of Semtech's packet forwarder. Open opens the devices of a
// board on a Host: Linux, or a fake of tests. The chip itself is package sx1302.
package board
