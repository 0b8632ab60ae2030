// Logs in with MQTT.js over each way into the broker, and with MQTT 3.1.1 and 5; pushes
// a downlink and waits for the message about it.
//
// Arguments: key, CA, and the ports of TCP, TLS and WebSocket.
'use strict'

const fs = require('fs')
const path = require('path')
const mqtt = require(path.join(process.cwd(), 'node_modules', 'mqtt'))

const TIMEOUT = 20000
const PUSH = '{"downlinks":[{"f_port":15,"frm_payload":"vu8=","priority":"NORMAL"}]}'

async function flow (key, ca, protocolVersion, url) {
  const client = mqtt.connect(url, {
    protocolVersion, clientId: 'node', username: 'app1', password: key, ca: fs.readFileSync(ca), reconnectPeriod: 0, connectTimeout: TIMEOUT
  })
  let late
  try {
    await Promise.race([
      new Promise((_resolve, reject) => {
        client.on('error', reject)
        late = setTimeout(() => reject(new Error('nothing comes')), TIMEOUT)
      }),
      (async () => {
        await new Promise(resolve => client.once('connect', resolve))
        const told = new Promise(resolve => client.on('message', (topic) => {
          if (topic === 'v3/app1/devices/dev1/down/queued') resolve()
        }))
        const granted = await client.subscribeAsync('#', { qos: 2 })
        if (granted[0].qos !== 2) throw new Error('QoS ' + granted[0].qos + ' is granted')
        await client.publishAsync('v3/app1/devices/dev1/down/push', PUSH, { qos: 2 })
        await told
      })()
    ])
    return 'good'
  } catch (err) {
    return String(err)
  } finally {
    clearTimeout(late)
    await client.endAsync(true)
  }
}

async function main () {
  const [key, ca, tcp, tls, ws] = process.argv.slice(2)
  let failed = 0
  for (const version of [4, 5]) {
    for (const url of [`mqtt://127.0.0.1:${tcp}`, `mqtts://127.0.0.1:${tls}`, `ws://127.0.0.1:${ws}/mqtt`, `wss://127.0.0.1:${ws}/mqtt`]) {
      const result = await flow(key, ca, version, url)
      console.log(`${url}, MQTT level ${version}: ${result}`)
      if (result !== 'good') failed++
    }
  }
  process.exit(failed ? 1 : 0)
}

main()
