// Package sx1302test has a model of an SX1302 or SX1303 with its radios, on the
// far side of an spi.Conn: registers with their reset values, the memories of
// the two processors and what their programs answer, SX1250, SX1255 and SX1257
// radios, the FIFO of what was received, the counters, and transmitters that
// note what went out on the air, and when.
//
// It is not silicon. It knows what the documents and recordings of sx1302_hal
// tell, and nothing of radio.
package sx1302test
