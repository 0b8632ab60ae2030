package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// frameOf is a WebSocket frame of a client, whose mask is zero (RFC 6455, 5.2). It has at most 125 bytes.
func frameOf(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// idleFrames sends frames that bring no MQTT, or a byte of it, over WebSocket without a pause. Every other connection
// is that of app2, the others are those of strangers. One that is disconnected comes back.
func (a *abused) idleFrames() {
	ping := packetOf(0xc0)
	var kinds [][]byte
	for _, frame := range [][]byte{
		frameOf(0x89, ""), frameOf(0x89, strings.Repeat("x", 125)), frameOf(0x8a, ""), frameOf(0x82, ""),
		append(frameOf(0x82, string(ping[:1])), frameOf(0x82, string(ping[1:]))...),
	} {
		kinds = append(kinds, bytes.Repeat(frame, 1000))
	}
	conns := make([]net.Conn, attackers)
	for i := range conns {
		var err error
		if conns[i], err = a.webSocket(i, i%2 == 0); err != nil {
			a.Fatal(err)
		}
	}
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	a.storm(func(i, _ int) (err error) {
		if conns[i] != nil {
			if _, err = conns[i].Write(kinds[i/2%len(kinds)]); err == nil {
				return nil
			}
			_ = conns[i].Close()
		}
		if conns[i], err = a.webSocket(i, i%2 == 0); err != nil {
			conns[i] = nil // its place was lost to others
		}
		return nil
	})
}

// webSocket connects over WebSocket, and logs in as a client of app2 or does not.
func (a *abused) webSocket(i int, client bool) (net.Conn, error) {
	d := net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(loopback(i))}}
	c, err := d.Dial("tcp", a.webSockets)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, err = io.WriteString(c, "GET /mqtt HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
	r := bufio.NewReader(c)
	var answer *http.Response
	if err == nil {
		answer, err = http.ReadResponse(r, nil)
	}
	if err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(answer.Status)
	}
	if err == nil && client {
		var connect bytes.Buffer
		_ = connectPacket(fmt.Sprint("frames", i), "app2", a.key2).Write(&connect)
		for connect.Len() > 0 && err == nil {
			_, err = c.Write(frameOf(0x82, string(connect.Next(125))))
		}
		if err == nil {
			_, err = io.ReadFull(r, make([]byte, 2+4)) // a frame with CONNACK
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	_ = c.SetDeadline(time.Time{})
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return c, nil
}
