package packet

import "io"

// ReadLength reads the length of what follows the first byte of a packet, appends its bytes to dst,
// and reports whether it is written as short as it can be (MQTT 5.0, 2.1.4).
func ReadLength(in io.ByteReader, dst []byte) (read []byte, n int, shortest bool, err error) {
	for shift := 0; shift < 28; shift += 7 {
		b, err := in.ReadByte()
		if err != nil {
			return dst, 0, false, err
		}
		dst = append(dst, b)
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return dst, n, b != 0 || shift == 0, nil
		}
	}
	return dst, 0, false, Malformed
}
