// Package sx1302test has a model of an SX1302 or SX1303 with its radios, on the far
// side of an spi.Conn: registers with their reset values, the memories of the two
// processors and the answers of their programs, SX1250, SX1255 and SX1257 radios,
// the FIFO of received frames, the counters, and transmitters that record what they
// send and when.
//
// It is not silicon. It knows what the documents and the recordings of sx1302_hal
// show, and nothing of radio.
package sx1302test
