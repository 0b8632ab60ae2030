"""Logs in with the Paho client of Python over each way into the broker, and with
MQTT 3.1.1 and 5; pushes a downlink and waits for the message about it.

Arguments: key, CA, and the ports of TCP, TLS and WebSocket.
"""

import ssl
import sys
import threading

import paho.mqtt.client as mqtt

TIMEOUT = 20
PUSH = '{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}'


def flow(key, ca, version, transport, port, tls):
    subscribed, stored, got = threading.Event(), threading.Event(), threading.Event()
    arguments = {"client_id": "python", "protocol": version, "transport": transport}
    if hasattr(mqtt, "CallbackAPIVersion"):  # since 2.0
        arguments["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
    client = mqtt.Client(**arguments)
    client.username_pw_set("app1", key)
    if transport == "websockets":
        client.ws_set_options(path="/mqtt")
    if tls:
        client.tls_set(ca, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.on_connect = lambda c, *_: c.subscribe("#", 2)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_publish = lambda *_: stored.set()
    client.on_message = lambda _c, _u, m: got.set() if m.topic == "v3/app1/devices/dev1/down/queued" else None
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        if not subscribed.wait(TIMEOUT):
            return "no subscription"
        client.publish("v3/app1/devices/dev1/down/push", PUSH, qos=2)
        if not stored.wait(TIMEOUT):
            return "the push is not acknowledged"
        if not got.wait(TIMEOUT):
            return "no message about the push"
        return ""
    finally:
        client.disconnect()
        client.loop_stop()


def main():
    key, ca, tcp, tls, ws = sys.argv[1:]
    failed = 0
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        for name, transport, port, secure in (
            ("tcp", "tcp", tcp, False),
            ("tls", "tcp", tls, True),
            ("ws", "websockets", ws, False),
            ("wss", "websockets", ws, True),
        ):
            fault = flow(key, ca, version, transport, int(port), secure)
            print(f"{name}, MQTT level {version}: {fault or 'good'}")
            failed += bool(fault)
    sys.exit(1 if failed else 0)


main()
