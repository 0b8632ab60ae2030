package config

// DefaultFile is the default configuration as a file with comments. A test compares
// it with Default.
const DefaultFile = `# lorawand: The Things Stack's MQTT API on the gateway.
# Every key has the default that is shown; unknown keys are refused.
# "lorawand config check" prints every fault in this file.

role = "server"                       # "extender": give the radio to the lorawand of [central], and serve no devices

[store]
path = "/var/lib/lorawand"            # folder for devices, keys and counters
ephemeral = false                     # true: allow a file system in memory, which a restart empties
commit_interval = "15s"               # frame counters are written this often; "0s": with every frame
` + natsText + `
[control]
socket = "/run/lorawand/control.sock"

[log]
level = "info"                        # debug info warn error
format = "text"                       # text json

[network]
net_id = "000000"                     # 000000 and 000001 are for experiments
dev_addr_prefixes = []                # such as ["00000000/7"]; empty: the NetID's block
deduplication_window = "200ms"        # how long to wait for other gateways that hear the same device
rx1_delay = "5s"                      # RX1 delay that the join-accept tells OTAA devices
default_frequency_plan = "EU_863_870_TTN"

[mqtt]
listen = [":1883"]                    # [] = off; without an API key nobody can log in
tls_listen = []                       # e.g. [":8883"]
websocket_listen = []                 # e.g. [":8083"]; path /mqtt; wss too where there is a certificate
websocket_origins = []                # of web pages from elsewhere, e.g. ["https://flows.example"]; "*" = all
certificate = ""                      # PEM; lorawand tls init makes one
key = ""
client_ca = ""                        # PEM; if set, clients over TLS need a certificate of it, and their key
tenant = "ttn"                        # "app1@ttn" is another user name of "app1"
legacy_fields = true                  # adds the settings.* fields of the 2019 documentation
zero_fields = false                   # true: fields with value zero are written out
attributes = false                    # true: a device's attributes are in its messages
keep_sessions = false                 # true: persistent sessions outlive a restart; written once per commit_interval

[mqtt.limits]
clients = 100
unauthenticated = 32                  # connections that have not logged in
unauthenticated_per_address = 8
connect_timeout = "10s"
packet_size = 65536                   # bytes
inflight = 64                         # QoS 1 and 2 messages on their way to one client
receive_maximum = 32                  # and from one client
writes_pending = ` + writesPendingText + `                 # messages that wait to be written to one client
write_deadline = "500ms"              # a client that does not read for so long is disconnected
subscriptions = 64                    # of one client
offline_messages = 1000               # messages kept for one client that is not connected
offline_bytes = 262144
offline_bytes_total = 4194304         # for all clients, away or slow
kept_bytes_total = 1048576            # with keep_sessions: over a restart; up to eight times as much of flash
session_expiry = "24h"

[http]
listen = ` + httpListenText + `            # /metrics /healthz /readyz
api_listen = ""                       # the web page and the v3 HTTP API, for the LAN

[udp]
listen = "127.0.0.1:1700"             # Semtech packet forwarders; "" = off
allow = []                            # networks that may send, such as ["192.168.1.0/24"], and this host; empty: all
accept_unknown = false                # true: also accept gateways not listed below, on the default plan

[extenders]
listen = ""                           # e.g. ":1700", TCP: lorawands whose radio is for this one; with the
                                      # certificate and key of [mqtt]; lorawand gateway pair lets one in

[central]                             # with role = "extender"; lorawand extend writes it
address = ""                          # e.g. "192.168.1.10:1700"
key = ""
fingerprint = ""                      # SHA-256 of its certificate, or of the CA; "": a CA that this host trusts

[formatter]
javascript = true                     # false, or less than 40 MB of memory: FORMATTER_JAVASCRIPT gives a warning,
                                      # no child process is started
deadline = "100ms"                    # of CPU time for a payload on a fast machine; more on a slow one, up to 1 s
wait = "250ms"                        # for others and for the child process to start, beside the deadline;
                                      # then an uplink goes out undecoded, with a warning

# One for each other broker that messages are handed on to. While it cannot be reached they
# wait in a journal on the disk. Words such as remote_clientid are those of mosquitto's bridges:
#
# [[upstream]]
# url = "mqtts://broker.example:8883" # or mqtt:// without TLS
# applications = ["app1"]
# prefix = "site1/"                   # of the topics there: site1/v3/app1/devices/…
# downlinks = true                    # take down/push and down/replace from there
# journal = "8MiB"                    # of flash, at most; the oldest messages go first
# journal_age = "168h"                # older messages go
# backfill_rate = 10                  # messages a second from the journal; new ones go first
# name = "broker.example"             # default: the host; the journal's folder has this name
# remote_clientid = "lorawand-site1"  # default: "lorawand", the name of this host and the prefix
# remote_username = ""
# remote_password = ""
# bridge_cafile = ""                  # PEM; default: the CAs of this host
# bridge_certfile = ""                # PEM; a certificate of ours, and its key
# bridge_keyfile = ""
# bridge_insecure = false             # true: take a certificate of any host name
# bridge_protocol_version = "mqttv50" # or "mqttv311"; default: 5, and 3.1.1 where there is no 5
# keepalive_interval = "1m"
# notifications = true                # retain {"status":"online"} there, and "offline" as last will
# notification_topic = "site1/lorawand/status"

# One for each other network server that gets frames, as from a packet forwarder:
#
# [[forward]]
# server = "eu1.cloud.example:1700"
# frames = "foreign"                  # those that are not of our devices; "all": those of our devices too
# dev_addrs = []                      # only data frames with these DevAddrs, e.g. ["26000000/7"], and
# join_euis = []                      # only join-requests with these JoinEUIs, e.g. ["70B3D57ED0000000/36"]

# One for each The Things Stack that has the same devices, and hears them by a [[forward]]. It gets
# the messages whose frames it did not get in an outage, in order, by up/simulate:
#
# [[forward]]
# server = "eu1.cloud.thethings.network:1700"
# frames = "all"
#
# [[backfill]]
# url = "https://eu1.cloud.thethings.network" # or http:// without TLS
# api_key_file = "/etc/lorawand/tts.key"       # of a key that may view devices and write uplink traffic
# applications = ["app1"]
# forward = "eu1.cloud.thethings.network:1700" # server of the [[forward]]; default: that of the same host
# journal = "8MiB"                    # of flash, at most; the oldest messages go first
# journal_age = "168h"                # older messages go
# backfill_rate = 5                   # requests a second
# name = "eu1.cloud.thethings.network"         # default: the host; another host has another journal
# ca_file = ""                        # PEM; default: the CAs of this host

` + chirpStackText + `# One for each gateway:
#
# [[gateway]]
# id = "eui-0242020000247803"         # default: "eui-" and the EUI in lower case
# eui = "0242020000247803"
# driver = "udp"                      # udp sx1302 virtual; extender: it comes by [extenders]
# frequency_plan = "EU_863_870_TTN"   # default: network.default_frequency_plan
# enforce_duty_cycle = true
# antenna_gain = 0.0                  # dBi; default: that of the global_conf.json
# location = { latitude = 52.3731, longitude = 4.8925, altitude = 12 }
#
# [[gateway]]
# driver = "sx1302"
# [gateway.sx1302]
# board = "rak2287"                   # a row of the board table; the keys below override it
# device = "/dev/spidev0.0"           # or behind a USB bridge: "usb" for the only one, or a name in /dev/serial/by-id
# reset = "gpiochip0:17"              # or by the chip's label, as "pinctrl-rp1:17"; "none"; or
#                                     # "exec:/path/reset.sh", which cannot use /sys/class/gpio under systemd
# power = "none"                      # GPIO line that switches the board on
# sx1261 = "/dev/spidev0.1"           # radio that scans, and listens before talking (Japan, Korea)
# sx1261_reset = "none"
# temperature = "none"                # I2C bus of an STTS751 sensor, such as "/dev/i2c-1"
# firmware = "/usr/lib/lorawand/firmware"
# global_conf = ""                    # radios, channels and gains from a Semtech global_conf.json; keys override it
# clock_source = 0                    # radio that gives the clock, 0 or 1
# single_input = false                # single-ended inputs of an SX1250; default: as the board has (433 and 470 MHz)
# fine_timestamps = "off"             # of an SX1303 with a PPS: "all_sf", or "high_capacity" (SF5 to SF10)
# rssi_offset = -215.4                # dB
# tx_gains = ["12:1:4", "14:1:6"]     # dBm, external amplifier, index of the power
# silence = "0s"                      # restart the chip if it hears nothing for so long; "0s": never
# noise_floor = "0s"                  # measure it on each channel so often, with the SX1261, as a metric; "0s": never
# [gateway.sx1302.gnss]
# device = "/dev/ttyAMA0"             # of a receiver whose pulse the board has; default: gps_tty_path of global_conf;
#                                     # "none"
# beacon = false                      # true: send the beacon of Class B each 128 s
`
