// Package homeassistant tells Home Assistant of the devices of an application by its MQTT
// discovery, so that their values appear there without any configuration: for each device
// one retained message with what is found in its decoded_payload and normalized_payload,
// its signal and when it was last heard.
//
// Home Assistant takes the values out of the "up" messages themselves, by templates. A
// value is told of when it was seen the first time; a device that was not heard yet has
// its signal and its last time only. What is told is in memory and bounded: after a
// restart all devices are told of at once, and their values again with the next uplink.
//
// Source: Home Assistant, MQTT integration, "MQTT discovery", device discovery payload
// (2024.12 and later).
package homeassistant
