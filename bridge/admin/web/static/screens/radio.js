// The session of a device, who hears it, and what it was told to use.
import {html, nothing, emptyBox, facts, name, signal, state, table, when} from '../ui.js';
import {gatewayName} from '../state.js';
import {limitOf, marginOf} from '../model.js';
import {num, safe} from '../text.js';

function session(d) {
  return html`<section class="card">
    <h2>Session</h2>
    ${facts([
      ['DevAddr', html`<span class="mono">${safe(d.devAddr)}</span>`],
      ['Activation', d.activation === 'OTAA' ? 'by a join (OTAA)' : safe(d.activation)],
      ['f_cnt up', num(d.fcntUp ?? 0)],
      ['f_cnt down', num(d.fcntDown ?? 0)],
      ['Heard', html`${num(d.heardCount)} frames, ${num(d.lost)} lost <span class="muted">(since the start)</span>`],
    ])}
  </section>`;
}

const COLS = (u) => [
  {label: 'Gateway', cls: 'c-main', cell: (h) => name(gatewayName(h.gateway))},
  {label: 'Signal', cell: (h) => signal(h, marginOf({snr: h.snr, sf: u.sf}))},
  {label: 'Last', num: true, cell: () => when(u.at)},
];

function heardBy(u) {
  if (!u) return nothing;
  return html`<section class="card">
    <h2>Heard by</h2>
    ${table({label: 'Gateways', rows: u.heard, key: (h) => h.gateway, cls: 'plain', cols: COLS(u)})}
    ${
      u.sf
        ? html`<p class="small muted">
            RSSI says how loud it is; SNR how far above the noise. SF${u.sf} works down to ${num(limitOf(u.sf), 1)} dB
            SNR.
          </p>`
        : nothing
    }
  </section>`;
}

const MAC = [
  {label: 'Setting', cls: 'c-main', cell: (r) => safe(r.name)},
  {label: 'Wanted', cell: (r) => safe(r.wanted)},
  {label: 'The device has', cell: (r) => safe(r.current)},
  {label: 'State', cell: (r) => (r.state ? state(r.state === 'as wanted' ? 'ok' : 'idle', safe(r.state)) : nothing)},
];

export function radio(d, {mac}) {
  if (!d.devAddr) {
    return emptyBox(
      'No session',
      d.state === 'refused' ? 'Its join was refused: see Data.' : 'It gets one when it joins.',
    );
  }
  return html`<div class="two even">${session(d)}${heardBy(d.last)}</div>
    ${
      mac.length
        ? html`<section class="card flush">
            <div class="ch pad"><h2>What the device should use, and what it uses</h2></div>
            ${table({label: 'MAC state', rows: mac, key: (r) => r.name, cls: 'mac', cols: MAC})}
          </section>`
        : nothing
    }`;
}
