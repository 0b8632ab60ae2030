// Package ws carries MQTT over WebSocket: the handshake of a client, and a connection whose
// bytes go in binary messages. The small build does without.
package ws
