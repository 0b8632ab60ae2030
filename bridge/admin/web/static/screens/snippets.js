// What to paste where, so that a program gets the data. Ids of applications are of a-z, 0-9 and dashes only.
import {S} from '../state.js';
import {ownHost, portOf} from './gateways.js';

export const mqttHost = ownHost;
export const mqttPort = () => portOf(S.status.addresses?.mqtt, '1883');

function nodeRED(app, key) {
  const flow = [
    {
      id: 'lorawand-in',
      type: 'mqtt in',
      name: app,
      topic: `v3/${app}/devices/+/up`,
      qos: '0',
      datatype: 'json',
      broker: 'lorawand-broker',
      wires: [['lorawand-debug']],
    },
    {
      id: 'lorawand-broker',
      type: 'mqtt-broker',
      name: 'lorawand',
      broker: mqttHost(),
      port: mqttPort(),
      credentials: {user: app, password: key},
    },
    {id: 'lorawand-debug', type: 'debug', complete: 'payload.uplink_message.decoded_payload', wires: []},
  ];
  return `[\n${flow.map((node) => `  ${JSON.stringify(node)}`).join(',\n')}\n]`;
}

const homeAssistant = (app, key) => `Settings > Devices & services > Add integration > MQTT
  Broker    ${mqttHost()}
  Port      ${mqttPort()}
  Username  ${app}
  Password  ${key}

In configuration.yaml, for each value of a device:
mqtt:
  sensor:
    - name: Temperature
      unique_id: ${app}-my-device-temperature
      state_topic: v3/${app}/devices/my-device/up
      value_template: "{{ value_json.uplink_message.decoded_payload.temperature }}"
      unit_of_measurement: "°C"
      device_class: temperature`;

const python = (app, key) => `import json
import paho.mqtt.client as mqtt  # pip install paho-mqtt

def on_message(client, userdata, m):
    up = json.loads(m.payload)
    print(up["end_device_ids"]["device_id"],
          up["uplink_message"].get("decoded_payload"))

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.username_pw_set("${app}", "${key}")
client.on_message = on_message
client.connect("${mqttHost()}", ${mqttPort()})
client.subscribe("v3/${app}/devices/+/up")
client.loop_forever()`;

const mosquitto = (app, key) => `mosquitto_sub -h ${mqttHost()} -p ${mqttPort()} -u ${app} -P "${key}" -t "#" -v

mosquitto_pub -h ${mqttHost()} -p ${mqttPort()} -u ${app} -P "${key}" \\
  -t v3/${app}/devices/my-device/down/push \\
  -m '{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}'`;

/** [key, name, text, hint] of each. */
export const snippets = (app, key) => [
  [
    'node-red',
    'Node-RED',
    nodeRED(app, key),
    'Menu, Import, paste, Deploy. Values come in the debug panel with the next frame.',
  ],
  ['home-assistant', 'Home Assistant', homeAssistant(app, key), ''],
  ['python', 'Python', python(app, key), ''],
  ['mosquitto', 'mosquitto', mosquitto(app, key), ''],
];
